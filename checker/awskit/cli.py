"""The command line of awscheck: its commands, and what its exit codes mean.

Each command is a module that `add`s its options and does its work. Only that of the command that is asked for is
imported: half of the time that a short replay takes is Python's for the modules of all others.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import signal
import sys
from collections.abc import Sequence

from .model import Trouble, WrongUsage
from .options import CANNOT_WORK, EPILOG, WRONG_USAGE
from .plain import alone

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h

# In the order of --help.
COMMANDS = {
    "grade": "grade_command",
    "explain": "explain",
    "replay": "cases.command",
    "export": "cases.command",
    "shrink": "cases.command",
    "matrix": "cases.matrix_command",
    "draw": "cases.drawing",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser(arguments).parse_args(arguments)
    _keep_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end like ^C: servers killed, folders removed
    try:
        return options.run(options)
    except WrongUsage as error:
        print(f"awscheck: {alone(str(error))}", file=sys.stderr)
        return WRONG_USAGE
    except (Trouble, OSError) as error:
        print(f"awscheck: {alone(str(error))}", file=sys.stderr)
        return CANNOT_WORK
    except KeyboardInterrupt:
        print("awscheck: interrupted", file=sys.stderr)
        return CANNOT_WORK


def _keep_memory() -> None:
    """Files come and are compared in pieces of up to 1 MiB. By its own custom the allocator (mallopt(3)) gives each
    back to the kernel and gets it anew, page by page: half of all our page faults (measured), a tenth of our time."""
    libc = ctypes.CDLL(None)
    for parameter, size in ((M_MMAP_THRESHOLD, 32 << 20), (M_TRIM_THRESHOLD, 256 << 20)):
        libc.mallopt(parameter, size)


def parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """What understands these arguments: one command, or all where none is named."""
    parser = argparse.ArgumentParser(
        prog="awscheck",
        description="Check asynchronous web servers: build them, run them in a box, give marks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    named = [COMMANDS[word] for word in arguments[:1] if word in COMMANDS]
    for module in named or dict.fromkeys(COMMANDS.values()):
        importlib.import_module(f".{module}", __package__).add(commands)
    return parser
