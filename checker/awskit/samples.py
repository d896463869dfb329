"""The samples of fixtures/submissions: most are kept as a change of a right server, and made whole to be built."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .model import Trouble

SAMPLES = Path(__file__).resolve().parents[2] / "fixtures" / "submissions"


def whole(path: Path, folder: Path) -> Path:
    """The submission at `path`, as it is; or made whole in `folder`, where it is a sample that is kept as a change.
    Raises Trouble."""
    real = path.resolve()
    if SAMPLES not in real.parents or not (real / "defect.diff").exists():
        return path  # somebody else's file of this name is no business of ours
    try:
        made = subprocess.run(
            [SAMPLES / "unfold", f"{real.parent.name}/{real.name}", folder], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Trouble(f"{path} cannot be made whole: {error}") from error
    if made.returncode:
        raise Trouble(f"{path} cannot be made whole, which needs patch(1): {made.stderr.strip()}")
    return folder
