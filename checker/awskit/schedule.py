"""In which order checks are judged, how many at once, and when a server has had its time.

A check is judged after all that it needs, and checks of memory after all others (valgrind keeps a CPU busy). Several
workers take checks side by side. What a server sleeps while it is waited for, and the CPU time that it takes, are its
cost; when the checks before one have cost BUDGET_S together, it is not tried. So any server, in whatever state, has its
report within a minute, and a right one, which costs a few seconds in all on the busiest machine, too, is judged whole.

A server may also nap again and again for moments in which nobody looks at it: 20 ms each turn cost nothing by that
measure, and minutes in all. So no check begins either when the grading has had CALM_S of the machine's undivided time.

Which checks are not tried must not depend on the workers' luck. So it is decided by the costs of those before a check
in the order, whichever ended first: a check begins only when those before it have all ended, or when even the most that
they can still cost would leave it its time. While a server costs little, all workers are at work; in the end, one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

WORKERS = 3  # checks judged at once, at most: they wait more than they work, but for those under valgrind
BUDGET_S = 36.0
CALM_S = 30.0  # a right server takes a third of that
MOST_S = 9.0  # what one check counts for, at most: waits that are in vain end after 8 s of sleep in all (vigil.py)

Needs = Callable[[str], Sequence[str]]


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
        self._waiting = set(order)
        self._costs: dict[str, float] = {}
        self._changed = threading.Condition()

    def take(self) -> str | None:
        """The next check to judge; None when no more are to be had. Waits for what it needs. Call `done` after it."""
        with self._changed:
            while self._waiting:
                if name := self._next():
                    self._waiting.remove(name)
                    return name
                self._changed.wait()
            return None

    def done(self, name: str, seconds: float) -> None:
        """This check has its verdict, and has cost so much."""
        with self._changed:
            self._costs[name] = min(seconds, MOST_S)
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

    def _next(self) -> str | None:
        """The first check that may begin now, or None."""
        spent, open_ones = 0.0, 0  # of those before it
        for name in self._order:
            if name in self._costs:
                spent += self._costs[name]
                continue
            if open_ones and (spent + open_ones * MOST_S >= BUDGET_S or self._is_too_early(name)):
                return None  # and so for all that follow
            if name in self._waiting and all(need in self._costs for need in self._needs(name)):
                return name
            open_ones += 1
        return None

    def _is_too_early(self, name: str) -> bool:
        """Those about memory begin when all others have ended."""
        return is_about_memory(name) and any(
            other not in self._costs for other in self._order if not is_about_memory(other)
        )
