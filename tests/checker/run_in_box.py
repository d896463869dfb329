"""Run a shell command in a box, in the way a submission's server is run, and pass on what it says and how it ended.

`run_in_box.py COMMAND [SECONDS]`: the document root holds `static/f` and, writable
for all, `static/g`; after SECONDS (default 20) all is killed.
In a process of its own, because for an ordinary user making a box moves the whole process into a user namespace.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "checker"))

from awskit.isolation import Isolation  # noqa: E402
from awskit.namespace import NetworkNamespace  # noqa: E402
from awskit.overuse import Room  # noqa: E402
from awskit.sandbox import Access, Limits, Sandbox  # noqa: E402

REQUESTS = 1000  # that Linux AIO contexts may reserve
MEMORY = 100 << 20  # bytes, of the whole box
ROOM = 10 << 20  # bytes in the document root


def main() -> int:
    command, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    isolation = Isolation.probe()
    if isolation.missing:
        print("\n".join(isolation.missing), file=sys.stderr)
        return 77
    sandbox = Sandbox(isolation)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        site = folder / "site"
        (site / "static").mkdir(parents=True)
        (site / "static" / "f").write_text("content\n")
        (site / "static" / "g").write_text("content\n")
        (site / "static" / "g").chmod(0o666)
        mount = sandbox.mount(site, "/site", Access.KEEP)
        network = NetworkNamespace()
        limits = Limits(cpu_seconds=10, aio_requests=REQUESTS, memory_in_all=MEMORY)
        shell = ["/bin/sh", "-c", command]
        process = sandbox.spawn(shell, (mount,), mount.inside, limits, network, room=Room(site, ROOM))
        code = process.wait(seconds)
        process.destroy()
        network.close()
        sys.stdout.write(process.stdout.text())
        sys.stderr.write(process.stderr.text() + process.overuse)
        return 99 if code is None else code & 0xFF


sys.exit(main())
