"""Run an exported case against a server: `run_exported.py PROGRAM SCRIPT [DESCRIPTORS]`, in a network of their own.

DESCRIPTORS is how many the server may have open, where the script says so. The server is an ordinary user's: to root
every file is readable. The exit code and the output are the script's; 77: no network namespace can be had here. In a
process of its own, because for an ordinary user making one moves the whole process into a user namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "checker"))

from awskit import procfs  # noqa: E402
from awskit.bench import wait_until  # noqa: E402
from awskit.model import Failure, Trouble  # noqa: E402
from awskit.namespace import NetworkNamespace  # noqa: E402

LIMIT_S = 60  # an end for what hangs, no verdict
START_S = 10  # for a server to listen: one that never does is for the script to meet


def main(program: str, script: str, descriptors: str = "") -> int:
    """See above."""
    try:
        network = NetworkNamespace()
    except (Trouble, OSError) as trouble:
        print(trouble, file=sys.stderr)
        return 77
    with contextlib.closing(network), network.entered(), tempfile.TemporaryDirectory() as name:
        folder, site = Path(name), Path(name) / "site"
        site.mkdir()
        for place in (folder, site):
            place.chmod(0o755)
        command = [shutil.copy(program, folder / "aws")]
        if descriptors:
            command = ["prlimit", f"--nofile={descriptors}", *command]
        with subprocess.Popen(command, cwd=site, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              user=None if os.geteuid() else "nobody") as server:  # fmt: skip
            try:
                with contextlib.suppress(Failure):
                    wait_until(lambda: _is_ready(server), START_S, "it listens")
                # Without our path, environment and Debian's packages: nothing but Python and its own library.
                line = [sys.executable, "-I", "-S", script]
                return subprocess.run(line, cwd=site, env={}, check=False, timeout=LIMIT_S).returncode
            finally:
                server.kill()


def _is_ready(server: subprocess.Popen[bytes]) -> bool:
    """It listens, or has ended."""
    return bool(procfs.listening_ports(server.pid)) or server.poll() is not None


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
