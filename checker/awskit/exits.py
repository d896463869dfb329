"""What the exit codes of awscheck mean (contract K8). 0 and 1 are each command's own: all is well, or it is not."""

from __future__ import annotations

WRONG_USAGE, CANNOT_WORK = 2, 3
EPILOG = """exit codes:
  0  all points
  1  some points lost
  2  wrong usage
  3  the checker could not work, or could not judge some of it (which costs no points)
"""
