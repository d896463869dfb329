"""The server runs, listens, takes clients and lets them go.

Whether a connection was accepted or closed is read from the kernel's table of sockets; the backlog alone, where a
server that never calls accept(2) looks fine from the client's side, does not count. Each of the connection checks ends
in an answer in HTTP: a server that never answers, or that hangs up at once, has not served a client.
"""

from __future__ import annotations

from ..bench import Bench, request_bytes
from ..client import Client
from ..model import Failure, check
from ..procfs import ESTABLISHED, listening_ports

SEVERAL = 10
CROWDS = 7  # so many times SEVERAL clients are more than a table of 64 has room for


@check("process.runs", "the server goes on running", "U1", "U2")
def process_runs(bench: Bench) -> None:
    bench.wait_rest()  # one that goes into the background listens there before it has ended here
    bench.expect_alive("started")


@check("process.listens", "the server's own process listens for TCP connections", "U2", needs=("process.runs",))
def process_listens(bench: Bench) -> None:
    if not listening_ports(bench.server.pid):
        raise Failure(
            "the server runs and has no listening TCP socket", got="none", expected="a socket after listen(2)"
        )


@check("process.port", "it listens at the right port, on IPv4", "U2", needs=("process.listens",))
def process_port(bench: Bench) -> None:
    ports = listening_ports(bench.server.pid)
    if bench.server.port not in ports:
        swapped = any(int.from_bytes(port.to_bytes(2, "little")) == bench.server.port for port in ports)
        raise Failure(
            f"the server listens at another port than {bench.server.port}",
            got=", ".join(map(str, sorted(ports))),
            expected=str(bench.server.port),
        ).seen(port="swapped" if swapped else "other")
    try:
        bench.connect().close()
    except Failure as failure:
        # There was a connection, or nothing could be reset. What became of it is for connect.one to say.
        if not isinstance(failure.__cause__, ConnectionResetError):
            raise


@check("connect.one", "a client is accepted and is answered", "S4", needs=("process.port",))
def connect_one(bench: Bench) -> None:
    with bench.connect() as client:
        _expect_served(bench, client, "one client")


@check(
    "connect.several", "several clients are accepted, and the last one may speak first", "S1", needs=("connect.one",)
)
def connect_several(bench: Bench) -> None:
    with bench.several(SEVERAL) as clients:
        _expect_served_in_any_order(bench, clients[::-1])


@check(
    "disconnect.one",
    "a client that leaves without a word is let go, and the next is served",
    "S9",
    needs=("connect.one",),
)
def disconnect_one(bench: Bench) -> None:
    for _ in range(3):
        _come_and_go(bench, 1)
        with bench.connect() as client:
            _expect_served(bench, client, "a client that came after one that left")
    bench.expect_alive("clients connected and left")


@check(
    "disconnect.several",
    "several clients that leave are let go, and as many are served after them",
    "S9",
    needs=("disconnect.one", "connect.several"),
)
def disconnect_several(bench: Bench) -> None:
    for _ in range(CROWDS):
        _come_and_go(bench, SEVERAL)
    with bench.several(SEVERAL) as clients:
        _expect_served_in_any_order(bench, clients)
    bench.expect_alive(f"{CROWDS} times {SEVERAL} clients connected and left")


@check(
    "disconnect.out_of_order",
    "clients leave in another order than they came; those who stay are served",
    "S9",
    needs=("disconnect.several",),
)
def disconnect_out_of_order(bench: Bench) -> None:
    with bench.several(2 * SEVERAL) as clients:
        bench.rng.shuffle(clients)
        leaving, staying = clients[:SEVERAL], clients[SEVERAL:]
        _wait_accepted_unless_deferred(bench, clients)
        for client in leaving:
            client.close()
        bench.wait_released(leaving)
        _expect_served_in_any_order(bench, staying)


def _come_and_go(bench: Bench, count: int) -> None:
    """Clients connect, are accepted, say nothing and leave; the server closes its end of all of them."""
    with bench.several(count) as clients:
        _wait_accepted_unless_deferred(bench, clients)
    bench.wait_released(clients)


def _wait_accepted_unless_deferred(bench: Bench, clients: list[Client]) -> None:
    """Wait for accept(2), unless the listener has TCP_DEFER_ACCEPT: there a silent client is rightly not accepted, and
    its connection is none yet on the server's side. The kernel then shows no row in state ESTABLISHED."""

    def undecided() -> list[Client]:
        sides = {row.remote_port: row for row in bench.sides()}
        return [
            one
            for one in clients
            if (row := sides.get(one.port)) is not None and row.state == ESTABLISHED and not row.inode
        ]

    try:
        bench.wait(lambda: not undecided(), f"the server accepts {len(clients)} client(s) that say nothing yet")
    finally:
        held = {row.remote_port for row in bench.sides() if row.inode or row.state == ESTABLISHED}
        bench.noted("accepted", [client for client in clients if client.port in held])


def _expect_served(bench: Bench, client: Client, who: str) -> None:
    client.send(request_bytes(bench.small("static")))
    bench.expect_answer(bench.read(client), f"{who} sent a request")


def _expect_served_in_any_order(bench: Bench, clients: list[Client]) -> None:
    """All are connected; each in turn asks and is answered while the later ones are still silent."""
    for number, client in enumerate(clients, 1):
        _expect_served(bench, client, f"client {number} of {len(clients)}, the others connected and silent,")
