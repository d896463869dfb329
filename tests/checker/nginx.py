#!/usr/bin/python3
"""The museum on a server that nobody here has written: Debian's nginx, at a port (`awscheck replay --port`).

    tests/checker/nginx.py [NAME…]

starts nginx on loopback in a network of its own, below a folder of its own, as an ordinary user, and replays the cases
that need no fault (or those of them whose names contain one of the words). Each must hold but those that ask for what
the assignment alone asks for (OTHERWISE). Exit code 1 if one came out otherwise; 77: there is no nginx, or no network
namespace can be had here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bugs import cases
from grading import AWSCHECK, LIMIT_S

from awskit import procfs
from awskit.bench import wait_until
from awskit.cases.read import read
from awskit.cases.target import PortTarget, Unfit
from awskit.model import Trouble
from awskit.namespace import NetworkNamespace

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORT = 8080  # of a network of its own
READY_S = 30.0
CANNOT_RUN = 77

# Where nginx does right in another way than the assignment's server has to.
OTHERWISE = {
    "D06-directory": "a directory's name without a slash is redirected to the one with it (301)",
    "second-request-joins-first": "a connection has several requests, and both are answered",
}

CONFIGURATION = """\
daemon off;
pid nginx.pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location / {{ return 404; }}
        location /static/ {{ }}
        location /dynamic/ {{ }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Path]:
    """nginx, and the folder that it serves. It is ended by its process id."""
    site = folder / "site"
    site.mkdir()
    for place in (folder, site):
        place.chmod(0o755)
    prefix = folder / "prefix"
    prefix.mkdir()
    (prefix / "nginx.conf").write_text(CONFIGURATION.format(port=PORT, root=site))
    user = None if os.geteuid() else "nobody"
    if user:
        shutil.chown(prefix, user)
    line = [NGINX, "-p", f"{prefix}/", "-c", "nginx.conf", "-e", "stderr"]
    log = folder / "log"
    with log.open("wb") as said, subprocess.Popen(line, cwd=folder, stdout=said, stderr=said, user=user) as one:
        try:
            wait_until(lambda: PORT in procfs.listening_ports(one.pid) or one.poll() is not None, READY_S, "it listens")
            if one.poll() is not None:
                raise Trouble(f"nginx has ended: {log.read_text()}")
            yield site
        finally:
            one.terminate()


def fits(path: Path) -> bool:
    """Whether the case can be replayed on a server that runs already."""
    case = read(path)
    try:
        PortTarget(1, Path("/")).expect_fit(case)
    except Unfit:
        return False
    return True


def outcomes(chosen: list[Path]) -> dict[str, tuple[str, str]]:
    """Of each case its outcome on nginx, and why. Trouble where it cannot be had."""
    with tempfile.TemporaryDirectory() as name, contextlib.closing(NetworkNamespace()) as network, network.entered():
        folder = Path(name)
        with nginx(folder) as site:
            results = folder / "results.json"
            line = [AWSCHECK, "replay", *chosen, "--port", str(PORT), "--root", site, "--json", results]
            limit = LIMIT_S + 30 * len(chosen)
            done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=limit)
            if not results.exists():
                raise Trouble(f"exit code {done.returncode}: {done.stderr.strip()}")
            found = json.loads(results.read_text())
    return {Path(one["case"]).stem: (one["outcome"], one.get("reason", "")) for one in found}


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Replay the museum on nginx.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    every = cases(tuple(parser.parse_args().words))
    chosen = [path for path in every if fits(path)]
    if NGINX is None:
        print("there is no nginx on this machine: make nginx installs it", file=sys.stderr)
        return CANNOT_RUN
    try:
        found = outcomes(chosen)
    except (Trouble, OSError) as trouble:
        print(trouble, file=sys.stderr)
        return CANNOT_RUN
    wrong = 0
    for name, (outcome, reason) in found.items():
        right = outcome == ("failed" if name in OTHERWISE else "passed")
        wrong += not right
        print(f"ok: {name}" + (f" (otherwise: {OTHERWISE[name]})" if name in OTHERWISE else "") if right else
              f"{name} {outcome}: {reason}", flush=True)  # fmt: skip
    print(f"{len(found)} cases on nginx ({len(every) - len(found)} need a server that is started for them), "
          f"{sum(name in OTHERWISE for name in found)} otherwise by right, {wrong} otherwise by mistake")  # fmt: skip
    return int(wrong > 0 or not found)


if __name__ == "__main__":
    raise SystemExit(main())
