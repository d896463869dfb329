"""Reading strace's log: what belongs to the submission, to a file, to a client; the lines here are strace's own."""

from __future__ import annotations

import pytest

from awskit.evidence import Trace, parse, without_loops
from awskit.model import Trouble

PROGRAM = "/submission/aws"
STARTED = f'7  execve("{PROGRAM}", [...], 0x7ffd97f943c0 /* 4 vars */) = 0\n'
CLIENT = "6<TCP:[127.0.0.1:8888->127.0.0.1:53356]>"
FILE = "/site/dynamic/large00.dat"


def _trace(*lines: str) -> Trace:
    return parse(STARTED + "\n".join(lines) + "\n", PROGRAM)


def test_what_came_before_the_program_and_who_started_it_are_left_out() -> None:
    log = f"5  read(4</site/static/x>, \"\"..., 8) = 8\n7  read(4</site/static/x>, \"\"..., 9) = 9\n{STARTED}"
    log += '5  read(4</site/static/x>, ""..., 8) = 8\n8  read(4</site/static/x>, ""..., 4) = 4\n'
    assert parse(log, PROGRAM).bytes_read("/site/static/x") == 4


def test_a_failed_start_is_no_start() -> None:
    line = f'7  execve("{PROGRAM}", [...], 0x7ffd97f943c0 /* 4 vars */) = -1 ENOENT (No such file or directory)\n'
    assert parse(line + '8  read(4</site/static/x>, ""..., 4) = 4\n', PROGRAM).calls == ()


def test_a_start_that_another_thread_interrupts_is_a_start() -> None:
    begun, result = STARTED.rstrip().removesuffix(") = 0"), "7  <... execve resumed>)             = 0"
    log = f"{begun} <unfinished ...>\n5  wait4(7,  <unfinished ...>\n{result}\n"
    trace = parse(log + '7  read(4</site/static/x>, ""..., 4) = 4\n5  <... wait4 resumed>) = 0\n', PROGRAM)
    assert trace.started
    assert [call.name for call in trace.calls] == ["read"]
    assert not parse(log.replace("= 0", "= -1 ENOENT (No)"), PROGRAM).started


def test_sendfile_counts_for_the_client_and_the_file_that_it_names() -> None:
    trace = _trace(
        f"7  sendfile({CLIENT}, 7</site/static/a>, [0] => [2048], 2048) = 2048",
        f"7  sendfile({CLIENT}, 7</site/static/a>, [2048], 100) = -1 EAGAIN (Resource temporarily unavailable)",
        f"7  sendfile({CLIENT}, 7</site/static/b>, [0] => [5], 5) = 5",
        "7  sendfile(9<TCPv6:[[::ffff:127.0.0.1]:8888->[::ffff:127.0.0.1]:5000]>, 7</site/static/a>, NULL, 9) = 9",
    )
    assert trace.bytes_sent_by_sendfile("/site/static/a", 53356) == 2048
    assert trace.bytes_sent_by_sendfile("/site/static/a", 5000) == 9
    assert trace.bytes_sent_by_sendfile("/site/static/b", 5000) == 0


def test_a_connection_of_the_servers_own_is_not_the_clients() -> None:
    """It may have the client's port, at another address of loopback."""
    trace = _trace("7  sendfile(9<TCP:[127.0.0.1:8888->127.0.0.2:53356]>, 7</site/static/a>, NULL, 9) = 9")
    assert trace.bytes_sent_by_sendfile("/site/static/a", 53356) == 0


def test_a_socket_that_strace_could_not_name_is_trouble_not_a_verdict() -> None:
    trace = _trace("7  sendfile(6<TCP:[33796]>, 7</site/static/a>, NULL, 9) = 9")
    with pytest.raises(Trouble, match="whose socket"):
        trace.bytes_sent_by_sendfile("/site/static/a", 53356)


def test_calls_of_threads_that_interleave_are_put_together() -> None:
    trace = _trace(
        f"8  sendfile({CLIENT}, 7</site/static/a>, [0] <unfinished ...>",
        "9  epoll_wait(3<anon_inode:[eventpoll]>,  <unfinished ...>",
        "8  <... sendfile resumed> => [2048], 2048) = 2048",
        "8  recvfrom(6<TCP:[127.0.0.1:8888->127.0.0.1:53356]>, ",
    )
    assert trace.bytes_sent_by_sendfile("/site/static/a", 53356) == 2048
    assert [(call.thread, call.name, call.port) for call in trace.waiting()] == [
        (9, "epoll_wait", None),
        (8, "recvfrom", 53356),
    ]


def test_a_call_has_the_stack_that_stands_below_it_as_far_as_it_is_the_programs() -> None:
    trace = _trace(
        '7  read(5, ""..., 9) = 9\n',
        " > /usr/lib/libc.so.6(read+0x10) [0x11]",
        f" > {PROGRAM}((anonymous namespace)::receive(Client&)+0x1) [0x22]",
        f" > {PROGRAM}() [0x33]",
        " > /submission/other(receive) [0x44]",
        " > unexpected_backtracing_error [0x55]",
        '8  read(5, ""..., 9 <unfinished ...>\n',
        f" > {PROGRAM}() [0x66]\n",  # of nobody
        "7  close(5) = 0",
        "8  <... read resumed>) = 3",
        f" > {PROGRAM}() [0x77]",
    )
    found = [(call.name, call.stack) for call in trace.calls]
    assert found == [("read", [0x22, 0x33]), ("close", []), ("read", [0x77])]


def test_a_thread_that_is_gone_waits_no_more() -> None:
    trace = _trace("8  epoll_wait(3<anon_inode:[eventpoll]>,  <unfinished ...>", "8  +++ killed by SIGTERM +++")
    assert trace.waiting() == []


def _block(offset: int, size: int, path: str = FILE, flags: str = "") -> str:
    return (
        f"{{aio_data=0x5557a9512700, {flags}aio_lio_opcode=IOCB_CMD_PREAD, aio_fildes=7<{path}>,"
        f" aio_buf=0x7f74c5413010, aio_nbytes={size}, aio_offset={offset},"
        f" aio_flags=IOCB_FLAG_RESFD, aio_resfd=8<anon_inode:[eventfd]>}}"
    )


def _submit(result: str, *blocks: str) -> str:
    return f"7  io_submit(0x7f74c5633000, {len(blocks)}, [{', '.join(blocks)}]) = {result}"


@pytest.mark.parametrize(
    "lines, asked",
    [
        ([_submit("2", _block(0, 4096), _block(4096, 4096))], 8192),
        # Only the first was accepted; the second is handed in again.
        ([_submit("1", _block(0, 4096), _block(4096, 4096))], 4096),
        ([_submit("1", _block(0, 4096), _block(4096, 4096)), _submit("1", _block(4096, 4096))], 8192),
        ([_submit("-1 EAGAIN (Resource temporarily unavailable)", _block(0, 4096))], 0),
        # RWF_NOWAIT first, the same piece in another way when that gave EAGAIN.
        ([_submit("1", _block(0, 8192, flags="aio_rw_flags=RWF_NOWAIT, ")), _submit("1", _block(0, 8192))], 16384),
        ([_submit("1", _block(0, 4096, "/site/static/large00.dat"))], 0),
        ([_submit("2", _block(0, 6000), _block(4000, 6000))], 12000),
        (
            [
                "7  io_submit(0x7f74c5633000, 1, [{aio_data=0, aio_lio_opcode=IOCB_CMD_PREADV, aio_reqprio=1,"
                f" aio_fildes=3<{FILE}>, aio_buf=[{{iov_base=0x7f46cc429000, iov_len=256}},"
                " {iov_base=0x7f46cc42a000, iov_len=300}], aio_offset=2048}]) = 1"
            ],
            556,
        ),
        (["7  io_submit(0x1, 1, [{aio_data=0, aio_lio_opcode=IOCB_CMD_POLL, aio_fildes=3</x>}]) = 1"], 0),
    ],
)
def test_reads_by_io_submit_are_added_up(lines: list[str], asked: int) -> None:
    assert _trace(*lines).asked_by_aio(FILE) == asked


def test_every_other_way_to_read_a_file_is_counted() -> None:
    trace = _trace(
        f'7  pread64(7<{FILE}>, ""..., 784, 64) = 784',
        f'7  preadv2(7<{FILE}>, [...], 1, 0, RWF_NOWAIT) = -1 EAGAIN (Resource temporarily unavailable)',
        f"7  splice(7<{FILE}>, NULL, 5<pipe:[1]>, NULL, 10, 0) = 10",
        f"7  mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, 7<{FILE}>, 0) = 0x7f74c5629000",
        _submit("1", _block(0, 4096)),
    )
    assert trace.bytes_read(FILE) == 784 + 10 + 8192
    assert trace.bytes_read(FILE, "mmap") == 8192


def test_epoll_watches_what_was_added_to_it() -> None:
    data = "{events=EPOLLIN, data={u32=2840658600, u64=93834991174312}}"
    trace = _trace(
        f"7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, 5<TCPv6:[[::]:8888]>, {data}) = 0",
        f"7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, {CLIENT}, {data}) = 0",
        "7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_DEL, 9<TCP:[127.0.0.1:8888->127.0.0.1:77]>, NULL) = 0",
        f"7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, 9<TCP:[127.0.0.1:8888->127.0.0.1:78]>, {data})"
        " = -1 EEXIST (File exists)",
    )
    assert trace.watched_listener(8888)
    assert not trace.watched_listener(53356)
    assert [trace.watched(port) for port in (53356, 77, 78)] == [True, False, False]


def test_the_backlog_is_that_of_the_last_listen_that_succeeded() -> None:
    refused = "7  listen(4<TCP:[33797]>, 9) = -1 EADDRINUSE (Address already in use)"
    assert _trace(refused).backlog() is None
    trace = _trace("7  listen(4<TCP:[33796]>, 128) = 0", "7  listen(4<TCP:[0.0.0.0:8888]>, 5) = 0", refused)
    assert trace.backlog() == 5


def test_a_connection_is_no_listener() -> None:
    trace = _trace(f"7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, {CLIENT}, {{events=EPOLLIN}}) = 0")
    assert not trace.watched_listener(53356)
    assert not trace.watched_listener(8888)


SENT = f"7  sendto({CLIENT}, \"\"..., 10, MSG_NOSIGNAL, NULL, 0) = 10"
ACCEPTED = f"7  accept(5<TCP:[0.0.0.0:8888]>, NULL, NULL) = {CLIENT}"
SETS_FLAGS = f"7  fcntl({CLIENT}, F_SETFL, O_RDWR|O_NONBLOCK) = 0"
RECEIVED = f"7  recvfrom({CLIENT}, \"\"..., 4096, 0, NULL, NULL) = 90"


@pytest.mark.parametrize(
    "lines, blocking",
    [
        ([f"7  accept4(5<TCP:[0.0.0.0:8888]>, NULL, NULL, SOCK_CLOEXEC|SOCK_NONBLOCK) = {CLIENT}", RECEIVED], None),
        ([f"7  accept4(5<TCP:[0.0.0.0:8888]>, NULL, NULL, SOCK_CLOEXEC) = {CLIENT}", RECEIVED, SENT], "recvfrom"),
        ([ACCEPTED, SETS_FLAGS, SENT], None),
        ([ACCEPTED, f"7  ioctl({CLIENT}, FIONBIO, [1]) = 0", SENT], None),
        ([ACCEPTED, f"7  ioctl({CLIENT}, FIONBIO, [0]) = 0", SENT], "sendto"),
        # What sets another flag, or fails, makes nothing non-blocking.
        ([ACCEPTED, f"7  fcntl({CLIENT}, F_SETFD, 0x800) = 0", SENT], "sendto"),
        ([ACCEPTED, SETS_FLAGS.replace("= 0", "= -1 EPERM (No)"), SENT], "sendto"),
        # Too late: something was received before.
        ([ACCEPTED, RECEIVED, SETS_FLAGS], "recvfrom"),
        # A call that is told not to wait does not.
        ([ACCEPTED, RECEIVED.replace(", 0, NULL", ", MSG_DONTWAIT, NULL")], None),
    ],
)
def test_whether_a_socket_was_blocking_when_it_was_used(lines: list[str], blocking: str | None) -> None:
    found = _trace(*lines).first_blocking(53356)
    assert (found.name if found else None) == blocking


def test_a_socket_that_nobody_saw_accepted_is_trouble_not_a_verdict() -> None:
    with pytest.raises(Trouble, match="port 53356"):
        _trace(SENT).first_blocking(53356)


@pytest.mark.parametrize(
    "line, flags",
    [
        ('openat(AT_FDCWD</site>, "static/a.dat", O_RDONLY|O_NONBLOCK|O_CLOEXEC) = 7</site/static/a.dat>', []),
        ('openat(AT_FDCWD</site>, "static/a.dat", O_RDWR) = 7</site/static/a.dat>', ["O_RDWR"]),
        ('openat(AT_FDCWD</site>, "./static/a.dat", O_RDWR) = -1 EACCES (Permission denied)', ["O_RDWR"]),
        ('openat(3</site/static>, "a.dat", O_WRONLY) = -1 EROFS (Read-only file system)', ["O_WRONLY"]),
        ('open("/site/static/a.dat", O_RDONLY|O_CREAT, 0644) = 7</site/static/a.dat>', ["O_CREAT"]),
        ('creat("static/a.dat", 0644) = 7</site/static/a.dat>', ["O_WRONLY", "O_CREAT", "O_TRUNC"]),
        (
            'openat2(3</site>, "static/a.dat", {flags=O_RDWR|O_CLOEXEC, resolve=0}, 24) = 7</site/static/a.dat>',
            ["O_RDWR"],
        ),
    ],
)
def test_how_a_file_was_opened(line: str, flags: list[str]) -> None:
    trace = _trace("7  " + line, '7  openat(AT_FDCWD</site>, "static/b.dat", O_RDWR) = 8</site/static/b.dat>')
    [call] = trace.ledger("/site/static/a.dat", 53356).opened
    assert call.writing_flags == flags


def test_a_ledger_keeps_what_left_and_what_was_read_apart_by_call() -> None:
    ledger = _trace(
        f"7  accept4(5<TCP:[0.0.0.0:8888]>, NULL, NULL, SOCK_NONBLOCK) = {CLIENT}",
        SENT,
        f"7  write({CLIENT}, \"\"..., 30) = 20",
        f"7  sendfile({CLIENT}, 7<{FILE}>, [0] => [2048], 2048) = 2048",
        f"7  sendfile({CLIENT}, 7</site/static/b>, [0] => [5], 5) = 5",
        "7  write(9<TCP:[127.0.0.1:8888->127.0.0.1:77]>, \"\"..., 30) = 30",
        f"7  sendfile(9<TCP:[127.0.0.1:8888->127.0.0.1:77]>, 7<{FILE}>, NULL, 30) = 30",
        _submit("1", _block(0, 4096)),
        f'7  pread64(7<{FILE}>, ""..., 784, 64) = 784',
    ).ledger(FILE, 53356)
    assert ledger.sent == {"sendto": 10, "write": 20, "sendfile": 2053}
    assert ledger.sent_of_file == 2048
    assert ledger.asked == 4096
    assert ledger.read == {"sendfile": 2048, "pread64": 784}
    assert ledger.blocking is None


def test_a_loop_is_kept_once_and_what_moves_bytes_each_time() -> None:
    loop = (
        "7  epoll_wait(3<anon_inode:[eventpoll]>, [{events=EPOLLIN, data=...}], 8, -1) = 1\n"
        "7  recvfrom(5<socket:[1]>, 0x55, 64, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)\n"
    )
    moving = '7  sendfile(5<socket:[1]>, 6</site/static/x>, NULL, 9) = 4\n'
    text = loop * 1000 + moving * 2 + loop * 1000
    assert without_loops(text) == loop + moving * 2
    # The same of another thread, and what has come to another end, is something else.
    assert without_loops(loop + loop.replace("7 ", "8 ")) == loop + loop.replace("7 ", "8 ")
    received = loop.replace("= -1 EAGAIN (Resource temporarily unavailable)", "= 20")
    assert without_loops(loop + received) == loop + received.splitlines(keepends=True)[1]
