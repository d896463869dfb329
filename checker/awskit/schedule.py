"""In which order checks are judged, how many at once, and when a server has had its time.

A check is judged after all that it needs, and checks of memory after all others (valgrind keeps a CPU busy). Two
workers take checks side by side. What a server sleeps while it is waited for, and the CPU time that it takes, are its
cost; when the checks before one have cost BUDGET_S together, it is not tried. So any server, in whatever state, has its
report within a minute, and a right one, which costs a few seconds in all on the busiest machine, too, is judged whole.

Which checks are not tried must not depend on the workers' luck. So it is decided by the costs of those before a check
in the order, whichever ended first; and when half of the budget is spent, one check runs at a time. As no check counts
for more than half of it, none that ran side by side with another would have been left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from .vigil import Tally

WORKERS = 2  # checks judged at once, at most: they wait more than they work, but for those under valgrind
BUDGET_S = 36.0

Needs = Callable[[str], Sequence[str]]


def cost(name: str, tally: Tally) -> float:
    """What the servers of the check `name` have cost, in seconds. CPU time under valgrind is valgrind's."""
    return tally.slept + (0.0 if is_about_memory(name) else tally.worked)


def is_about_memory(name: str) -> bool:
    """Whether the check of this id runs under valgrind, or what stands for it."""
    return name.startswith("memory.")


def in_order(wanted: Iterable[str], needs: Needs) -> list[str]:
    """These checks and all that they need, each once, needs first, those about memory last."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        if name not in found:
            for need in needs(name):
                add(need)
            found[name] = None

    for name in wanted:
        add(name)
    return sorted(found, key=is_about_memory)  # the sort is stable


class Schedule:
    """Hands out the checks of `order` to at most WORKERS threads."""

    def __init__(self, order: Sequence[str], needs: Needs) -> None:
        self._order = tuple(order)
        self._needs = needs
        self._waiting = list(order)
        self._running: set[str] = set()
        self._costs: dict[str, float] = {}
        self._changed = threading.Condition()

    def take(self) -> str | None:
        """The next check to judge; None when no more are to be had. Waits for what it needs. Call `done` after it."""
        with self._changed:
            while self._waiting:
                if name := next(filter(self._may_run, self._waiting), None):
                    self._waiting.remove(name)
                    self._running.add(name)
                    return name
                self._changed.wait()
            return None

    def done(self, name: str, seconds: float) -> None:
        """This check has its verdict, and has cost so much."""
        with self._changed:
            self._running.discard(name)
            self._costs[name] = min(seconds, BUDGET_S / 2)
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out no more."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()

    def is_spent(self, name: str | None = None) -> bool:
        """Whether the checks before this one, or all, have cost the whole budget."""
        with self._changed:
            before = self._order[: self._order.index(name)] if name else self._order
            return sum(self._costs.get(other, 0.0) for other in before) >= BUDGET_S

    def _may_run(self, name: str) -> bool:
        first = self._waiting[0]
        one_at_a_time = sum(self._costs.values()) >= BUDGET_S / 2
        if one_at_a_time and (self._running or name != first):
            return False
        # Those about memory begin when all others have ended.
        if is_about_memory(name) and any(not is_about_memory(other) for other in (first, *self._running)):
            return False
        return all(need in self._costs for need in self._needs(name))
