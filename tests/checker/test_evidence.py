"""Reading strace's log: what belongs to the submission, to a file, to a client; the lines here are strace's own."""

from __future__ import annotations

import pytest

from awskit.evidence import Trace, parse
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
    "lines, covered",
    [
        ([_submit("2", _block(0, 4096), _block(4096, 4096))], 8192),
        # Only the first was accepted; the second is handed in again.
        ([_submit("1", _block(0, 4096), _block(4096, 4096))], 4096),
        ([_submit("1", _block(0, 4096), _block(4096, 4096)), _submit("1", _block(4096, 4096))], 8192),
        ([_submit("-1 EAGAIN (Resource temporarily unavailable)", _block(0, 4096))], 0),
        # RWF_NOWAIT first, the same piece in another way when that gave EAGAIN: once.
        ([_submit("1", _block(0, 8192, flags="aio_rw_flags=RWF_NOWAIT, ")), _submit("1", _block(0, 8192))], 8192),
        # O_DIRECT: asked for beyond the end, which is at 9000.
        ([_submit("1", _block(8192, 4096))], 808),
        ([_submit("1", _block(0, 4096, "/site/static/large00.dat"))], 0),
        ([_submit("2", _block(0, 6000), _block(4000, 6000))], 9000),
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
def test_reads_by_io_submit_are_added_up_as_parts_of_the_file(lines: list[str], covered: int) -> None:
    assert _trace(*lines).read_by_aio(FILE, 9000) == covered


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


def test_a_connection_is_no_listener() -> None:
    trace = _trace(f"7  epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, {CLIENT}, {{events=EPOLLIN}}) = 0")
    assert not trace.watched_listener(53356)
    assert not trace.watched_listener(8888)
