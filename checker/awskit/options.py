"""What the commands of awscheck share: the meaning of exit codes (contract K8), and options that are whole numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable

WRONG_USAGE, CANNOT_WORK = 2, 3  # 0 and 1 are each command's own: all is well, or it is not
EPILOG = """exit codes:
  0  all points
  1  some points lost
  2  wrong usage
  3  the checker could not work, or could not judge some of it (which costs no points)
"""


def whole_number(what: str, low: int, high: int) -> Callable[[str], int]:
    """The `type` of an option that takes digits alone, for a number from `low` to `high`. `what` it is stands in the
    error: "a port is", "seconds are"."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{what} a whole number from {low} to {high}")
        return int(text)

    return read


seed = whole_number("a seed is", 0, 2**63 - 1)
