"""What was done to a server, deed by deed, in the order of time: of a failure a case file is made from it
(cases/found.py).

Who acts writes it down: the client what it does, the bench what it waits for. It costs an object for each deed; nothing
is copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faults import Fault

MOST = 20_000  # deeds on one server that are kept


@dataclass(frozen=True)
class Deed:
    """One thing that was done. `what` is "connect" (`value`: SO_RCVBUF or 0), "send" (the bytes), "receive" (how many),
    "head", "answer" (the Reply), "half-close", "reset", "close"; "wait", "server", "remember", "compare", "release",
    "change" (what a step of these names says, see cases/steps.py); "silence"; "crowd" (request and number of clients).
    `client` is its number, 0 where it is nobody's."""

    what: str
    client: int
    value: Any = None


@dataclass
class Deeds:
    """All that was done to one server, which was started with these `faults` and so many descriptors (0: as is
    custom). `may_miss`: a right server need not meet the faults. `left_out`: so many deeds were too many. `unsaid`: why
    no case of them would fail each time, if a check knows that."""

    faults: tuple[Fault, ...] = ()
    descriptors: int = 0
    may_miss: bool = False
    done: list[Deed] = field(default_factory=list)
    left_out: int = 0
    unsaid: str = ""
    _clients: int = 0

    def add(self, what: str, client: int = 0, value: Any = None) -> None:
        """Write it down."""
        if len(self.done) < MOST:
            self.done.append(Deed(what, client, value))
        else:
            self.left_out += 1

    def newcomer(self, receive_buffer: int) -> int:
        """The number of a client that connects."""
        self._clients += 1
        self.add("connect", self._clients, receive_buffer)
        return self._clients
