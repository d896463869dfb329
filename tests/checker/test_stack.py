"""Where in its program a thread stands: one that sleeps where it should not, and one that spins."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from awskit import procfs, stack
from awskit.boxed import Program
from awskit.isolation import Isolation
from awskit.lines import lines_of
from awskit.sandbox import Sandbox
from awskit.workplace import working_folder

SLEEPER = """#include <unistd.h>
static int sleep_here(void)
{
    char byte;
    return (int)read(0, &byte, 1);
}
int main(void)
{
    return sleep_here() + 1;
}
"""
# It leaves return addresses where the frame of send(2) will be, which are stale; it has one because there are threads.
SPINNER = """#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
static void leave_a_trail(void)
{
    void *volatile trail[64];
    for (int i = 0; i < 64; i++)
        trail[i] = __builtin_return_address(0);
}
static int spin_here(void)
{
    while (send(-1, "", 1, 0))
        ;
    return 0;
}
static int compute_here(void)
{
    for (volatile unsigned at = 1; at; at |= 1)
        ;
    return 0;
}
static int ask_here(int about)
{
    struct epoll_event event = { .events = EPOLLIN };
    int poller = epoll_create1(0), counter = eventfd(1, 0);
    uint64_t value;
    epoll_ctl(poller, EPOLL_CTL_ADD, counter, &event);
    while (epoll_wait(poller, &event, 1, -1))
        if (about)
            pread(counter, &value, 8, 0);
    return 0;
}
static void *be_idle(void *unused)
{
    pause();
    return unused;
}
int main(int count, char **words)
{
    pthread_t thread;
    pthread_create(&thread, NULL, be_idle, NULL);
    leave_a_trail();
    switch (words[count - 1][0]) {
    case 's': return spin_here();
    case 'c': return compute_here();
    default: return ask_here(words[count - 1][0] == 'h');
    }
}
"""


@contextlib.contextmanager
def _running(text: str, *words: str, name: str = "aws") -> Iterator[tuple[Path, int]]:
    """This program as it runs: its folder, and its process."""
    with working_folder(None) as folder:
        (folder / "aws.c").write_text(text)
        subprocess.run(["gcc", "-g", "-O0", "-o", folder / name, folder / "aws.c"], check=True)
        with subprocess.Popen([folder / name, *words], stdin=subprocess.PIPE) as process:
            try:
                yield folder, process.pid
            finally:
                process.kill()


def test_the_line_of_the_call_in_which_a_program_sleeps_is_found() -> None:
    with _running(SLEEPER) as (folder, pid):
        while not Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 "):  # read(0, …)
            os.sched_yield()
        [place, *_] = lines_of(Sandbox(Isolation.probe()), Program(folder, "aws"), stack.stopped_at(pid))
        assert stack.spins_at(pid) == ()
    assert (Path(place[0]).name, place[1], place[2]) == ("aws.c", 5, "sleep_here")
    assert stack.stopped_at(2**22 + 1) == stack.spins_at(2**22 + 1) == ()


def test_another_program_has_no_line_of_ours() -> None:
    with _running(SPINNER, "compute", name="helper") as (_, pid):
        while "running" not in procfs.sleeping_in(pid):
            os.sched_yield()
        assert stack.stopped_at(pid) == stack.spins_at(pid) == ()


@pytest.mark.parametrize("word, function, lines", [
    ("send again and again", "spin_here", [15]),
    ("compute", "compute_here", [21, 22]),
    ("heed what epoll_wait says", "ask_here", [33]),  # met in pread as well
    ("do not heed it", "ask_here", [31, 32]),
])  # fmt: skip
def test_the_line_where_a_program_spins_is_found(word: str, function: str, lines: list[int]) -> None:
    with _running(SPINNER, word) as (folder, pid):
        while procfs.run_time_ns(pid) < 20_000_000:  # it is long past its beginning
            os.sched_yield()
        assert "running" in procfs.sleeping_in(pid)
        [place, *_] = lines_of(Sandbox(Isolation.probe()), Program(folder, "aws"), stack.spins_at(pid))
        assert "R" in procfs.states(pid)  # it goes on
    assert (Path(place[0]).name, place[2]) == ("aws.c", function) and place[1] in lines
