"""A failure with all that can be told of one, for the tests of what shows it."""

from __future__ import annotations

from awskit.told import Cause, Difference, Frame, Moment, Told


def told() -> Told:
    """The failure of a server that does not go on after the first EAGAIN."""
    return Told(
        check="pieces.static_slow_reader",
        title="a static file is delivered to a client that reads slowly",
        rules=("S6", "S8"),
        lost=3.0,
        done="GET /static/huge00.dat (8,388,608 bytes): 2,629,496 bytes of body came, and 8,388,608 should",
        got="status 200, 2,629,496 bytes of body; the connection stayed open and nothing more came",
        expected="8,388,608 bytes of body",
        ending="the connection stayed open and nothing more came: the server sleeps",
        difference=Difference(2_629_496, 2_629_480, bytes(range(16)), bytes(range(48))),
        moments=(
            Moment(0.0, "client", "connect", "", "", 0, "", False),
            Moment(0.0002, "client", "send", "GET /static/huge00.dat HTTP/1.1", "85", 85, "", False),
            Moment(0.0005, "server", "recv", "fd 7, 8,192", "85", 85, "CONN_READING", False),
            Moment(0.0011, "server", "sendfile", "fd 7 <- fd 8, 8,388,608", "2,629,496", 2_629_496, "", False),
            Moment(0.0012, "server", "sendfile", "fd 7 <- fd 8, 5,759,112", "EAGAIN", 0, "", True),
            Moment(0.1013, "client", "receive", "", "2,629,496", 2_629_496, "", False),
            Moment(2.2, "client", "end", "nothing more came: the server sleeps", "", 0, "", False),
        ),
        moments_cut=3,
        moments_gap=5,
        traced=True,
        exchange="> GET /static/huge00.dat HTTP/1.1\\r\\n\n< HTTP/1.1 200 OK\\r\\n\n* nothing more came",
        cause=Cause(
            "stuck-after-eagain",
            "stuck after the first EAGAIN",
            ("The socket's buffer was full, and nothing was sent any more when it had room again.",),
            ("epoll(7)", "send(2)"),
        ),
        frame=Frame("aws.c", 211, "send_body", "sendfile", ((210, "{"), (211, "  n = sendfile(s, f);"), (212, "}"))),
        again="checker/awscheck grade folder --rubric full --only pieces.static_slow_reader --seed 9",
        log="[INFO] listening on port 8888",
        replay="checker/awscheck replay out/cases/pieces.static_slow_reader.toml --server folder",
        no_case="it cannot be said",  # no failure has both
    )
