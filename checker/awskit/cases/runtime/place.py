"""Where the server is, how long it is waited for, and what is said when it does wrong."""

from __future__ import annotations

PATIENCE = 5.0  # seconds that a right server never needs for what is waited for here
LONGEST = 300.0  # seconds for one connection: who sends a byte now and then is no longer waited for
LOOK = 0.002  # seconds between two looks at what no socket tells
SETTLED = 25  # looks for which a figure has to stay
ESTABLISHED, CLOSE_WAIT, LISTEN = 0x01, 0x08, 0x0A  # states of a TCP socket
FIN_UNCONFIRMED = (0x04, 0x09, 0x0B)  # in these the kernel counts the end (FIN) as a byte unsent
OPEN = "the connection is open"
MOST = 256 << 20  # bytes: no file of a case is longer, and of an endless answer no more is read


class Place:
    """The server's address."""

    host, port = "127.0.0.1", 8888


class Wrong(Exception):
    """The server did otherwise than it should."""
