"""The whole: make the files, run the case, say what came of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .client import Client
from .files import make_all, remove_all
from .place import Place, Wrong


def main(makers: dict[str, Callable[[str], object]], case: Callable[[str], None]) -> int:
    """Make the files, run the case, say what came of it; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=Place.port, help="of 127.0.0.1 at which the server listens")
    parser.add_argument("--root", default=".", help="the folder that the server serves (default: this one)")
    options = parser.parse_args()
    Place.port = options.port
    made: list[str] = []
    try:
        make_all(options.root, makers, made)
        case(options.root)
        Client().close()  # it lives
    except Wrong as wrong:
        print(f"WRONG: {wrong}")
        return 1
    except OSError as error:
        print(f"cannot be told: {error}")
        return 2
    finally:
        remove_all(made)
    print("right: the server did all that is expected here")
    return 0
