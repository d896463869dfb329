"""Run an exported case against a server: `run_exported.py PROGRAM SCRIPT`, in a network of their own.

The exit code and the output are the script's; 77: no network namespace can be had here. In a process of its own,
because for an ordinary user making one moves the whole process into a user namespace.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "checker"))

from awskit import procfs  # noqa: E402
from awskit.bench import wait_until  # noqa: E402
from awskit.model import Trouble  # noqa: E402
from awskit.namespace import NetworkNamespace  # noqa: E402

LIMIT_S = 60  # an end for what hangs, no verdict


def main(program: str, script: str) -> int:
    """See above."""
    try:
        network = NetworkNamespace()
    except (Trouble, OSError) as trouble:
        print(trouble, file=sys.stderr)
        return 77
    with contextlib.closing(network), network.entered(), tempfile.TemporaryDirectory() as root:
        with subprocess.Popen([program], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                wait_until(lambda: _is_ready(server), LIMIT_S, "it listens")
                # Without our path and environment: nothing but Python and its own library.
                line = [sys.executable, "-I", script]
                return subprocess.run(line, cwd=root, env={}, check=False, timeout=LIMIT_S).returncode
            finally:
                server.kill()


def _is_ready(server: subprocess.Popen[bytes]) -> bool:
    """It listens, or has ended."""
    return bool(procfs.listening_ports(server.pid)) or server.poll() is not None


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
