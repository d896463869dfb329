"""The command line: defaults of the assignment, every option, and one clear line for what cannot be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess

import pytest
from conftest import Station

from awskit.bench import SMALL, Bench, request_bytes
from awskit.namespace import NetworkNamespace
from awskit.procfs import listening_ports
from awskit.server import HOST


def run(station: Station, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the server with these options; it must end by itself."""
    return subprocess.run(
        [station.launcher.binary, *args],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        cwd=station.tree.root,
        env=station.launcher.environment,
    )


@pytest.mark.parametrize(
    "args",
    [
        ["-p", "65536"],
        ["-p", "-1"],
        ["-p", ""],
        ["-p", "80x"],
        ["-p", " 80"],
        ["--port=0x50"],
        ["--window=1"],
        ["--window=4m"],
        ["--window=4MB"],
        ["--window=99999999999999999999G"],
        ["--dynamic-memory=0"],
        ["--dynamic-memory=-1"],
        ["--max-connections=many"],
        ["--head-timeout=0"],
        ["--head-timeout=-1"],
        ["--head-timeout=1s"],
        ["--send-timeout=nan"],
        ["--send-timeout=1e9"],
        ["--no-such-option"],
        ["-x"],
        ["-p"],
        ["--trace"],
        ["surplus"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(plain: Station, args: list[str]) -> None:
    done = run(plain, *args)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.startswith("aws: "), done.stderr


@pytest.mark.parametrize(
    "args, word",
    [
        (["-p", "0", "-r", "/no/such/directory"], "/no/such/directory"),
        (["-p", "0", "-r", "/etc/passwd"], "/etc/passwd"),
        (["-p", "0", "-a", "no-address"], "listen"),
        (["-p", "0", "-a", "192.0.2.1"], "listen"),  # RFC 5737: nobody has this address
        (["-p", "0", "--trace", "/no/such/directory/trace"], "/no/such/directory/trace"),
    ],
    ids=["no root", "root is a file", "no address", "not our address", "no trace"],
)
def test_what_cannot_be_is_one_line_and_exit_1(plain: Station, args: list[str], word: str) -> None:
    done = run(plain, *args)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("aws: ") and done.stderr.count("\n") == 1, done.stderr
    assert word in done.stderr


def test_a_taken_port_is_one_line_and_exit_1(plain: Station) -> None:
    done = run(plain, "-p", str(plain.server.port))
    assert done.returncode == 1
    assert done.stderr == f"aws: cannot listen on port {plain.server.port}: Address already in use\n"


@pytest.mark.parametrize("flag", ["-h", "--help", "-V", "--version"])
def test_help_and_version_go_to_standard_output(plain: Station, flag: str) -> None:
    done = run(plain, flag)
    assert (done.returncode, done.stderr) == (0, "")
    if flag in ("-h", "--help"):
        for option in ("--port", "--address", "--root", "--window", "--dynamic-memory", "--max-connections"):
            assert option in done.stdout
        for option in ("--head-timeout", "--send-timeout", "--trace", "--version", "--help"):
            assert option in done.stdout
    else:
        assert done.stdout.startswith("aws ") and done.stdout.count("\n") == 1


def test_the_line_of_readiness_is_all_that_is_said(plain_bench: Bench) -> None:
    with plain_bench.start() as own:
        own.expect_well("started")
        assert own.server.log() == f"listening on port {own.server.port}\n"


def test_address_binds_that_one_only(plain_bench: Bench) -> None:
    with plain_bench.start(args=("-a", "127.0.0.1")) as own:
        own.expect_well("bound to 127.0.0.1")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", own.server.port), timeout=own.patience)


def test_all_addresses_are_bound_by_default(plain_bench: Bench) -> None:
    socket.create_connection(("127.0.0.2", plain_bench.server.port), timeout=plain_bench.patience).close()


def test_a_port_may_be_asked_for(plain_bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with plain_bench.start(args=("-p", str(port))) as own:
        assert own.server.port == port
        own.expect_well("bound to a port of our choice")


def test_long_options_and_units(plain_bench: Bench) -> None:
    args = ("--window=1M", "--dynamic-memory=2048K", "--max-connections=7", "--head-timeout=9.5", "--send-timeout=9")
    with plain_bench.start(args=args) as own:
        target = own.large("dynamic")
        own.expect_file(own.get(target), target)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own is needed")
def test_without_options_it_serves_the_working_directory_at_8888(plain: Station) -> None:
    """In a network namespace of its own: the port may be somebody's here."""
    # The tree has this file since the server's first request.
    request, content = request_bytes("/static/small00.dat"), plain.tree.content("/static/small00.dat")
    network = NetworkNamespace()
    with network.entered():
        process = subprocess.Popen(
            [str(plain.launcher.binary)],
            cwd=plain.tree.root,
            stdout=subprocess.PIPE,
            text=True,
            env=plain.launcher.environment,
        )
        connection = socket.socket()
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening on port 8888\n"
        assert listening_ports(process.pid) == {8888}
        connection.connect(("127.0.0.1", 8888))
        with connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(SMALL), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.partition(b"\r\n\r\n")[2] == content.read(0, SMALL)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        network.close()
