"""The box: what a submission can see, reach, use up and leave behind. Each test is a shell command that tries."""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from awskit import process, procfs
from awskit.bench import wait_until
from grading import AWSCHECK, LIMIT_S, ROOT, awscheck

RUNNER = Path(__file__).with_name("run_in_box.py")


def box(command: str, seconds: float = 20, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(RUNNER), command, str(seconds)]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=LIMIT_S, env={**os.environ, **environment}
    )
    if done.returncode == 77:
        pytest.skip(f"no box can be made here: {done.stderr}")
    return done


def test_it_is_no_root_and_cannot_become_one() -> None:
    done = box("id -u; grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status; unshare -U true || echo refused")
    assert done.stdout.splitlines()[0] != "0"
    assert re.findall(r"Cap\w+:\s+(\w+)", done.stdout) == ["0" * 16] * 3
    assert "NoNewPrivs:\t1" in done.stdout
    assert done.stdout.endswith("refused\n")


def test_nothing_of_the_checkers_environment_is_inside() -> None:
    done = box("env; echo; tr '\\0' '\\n' < /proc/1/environ", AWS_SECRET="hunter2")
    own, of_init = done.stdout.split("\n\n")
    names = {line.partition("=")[0] for line in own.splitlines()}
    assert names == {"PATH", "HOME", "LC_ALL", "PWD"}
    assert of_init == ""


def test_only_the_compilers_world_and_its_own_folders_are_inside() -> None:
    done = box("ls /; ls /etc; ls -a /tmp")
    root, _, rest = done.stdout.partition("alternatives")
    allowed = "bin dev etc lib lib32 lib64 libx32 proc sbin site tmp usr"
    assert set(root.split()) <= set(allowed.split())
    assert rest.split() == ["ld.so.cache", ".", ".."]


@pytest.mark.parametrize("path", ["/site/new", "/site/static/new", "/usr/new", "/new", "/dev/new", "/etc/new"])
def test_only_its_tmp_is_writable(path: str) -> None:
    done = box(f"(echo x > {path}) 2>/dev/null && echo written; echo x > /tmp/x && cat /tmp/x /site/static/f")
    assert done.stdout == "x\ncontent\n"


def test_the_document_root_is_as_a_student_has_it_and_keeps_its_names() -> None:
    """A server that opens files for writing is to fail for what it does to them, not because of the box."""
    done = box(
        "cd static; : >> g && echo opened; echo more >> g; cat g; rm g; mv g h; mv g /tmp/g; ln g i; ln -s g j; mkdir k"
        "; mkfifo l; cd ..; rmdir static; ls static"
    )
    assert done.stdout == "opened\ncontent\nmore\nf\ng\n"


ASK_FOR_CONTEXTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

def rings():
    lines = [line.split()[0].split("-") for line in open("/proc/self/maps") if "[aio]" in line]
    return {int(start, 16): int(end, 16) - int(start, 16) for start, end in lines}

made = 0
while made < LIMIT:
    context = ctypes.c_ulong(0)
    if libc.syscall(206, ctypes.c_long(REQUESTS), ctypes.byref(context)) != 0:
        print(made, ctypes.get_errno())
        break
    made += 1
    AFTERWARDS
else:
    print(made)
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="by the numbers of its system calls")
@pytest.mark.parametrize(
    "requests, limit, afterwards, expected",
    [
        (1001, 2, "pass", "0 11\n"),
        (10, 200, "pass", "100 11\n"),
        (10, 200, "libc.munmap(context.value, rings()[context.value])", "100 11\n"),
        (10, 200, "libc.munmap(context.value, rings()[context.value]); libc.syscall(207, context)", "100 11\n"),
        (200, 12, "libc.syscall(207, context)", "12\n"),
    ],
    ids=["too-large", "too-many", "hidden", "hidden-and-said-to-be-gone", "given-back"],
)
def test_contexts_are_limited_in_all(requests: int, limit: int, afterwards: str, expected: str) -> None:
    """1000 requests may be reserved. What was given back may be reserved again; what is hidden stays counted."""
    code = ASK_FOR_CONTEXTS.replace("REQUESTS", str(requests)).replace("LIMIT", str(limit))
    done = box(f"/usr/bin/python3 -c '{code.replace('AFTERWARDS', afterwards)}'")
    assert (done.stdout, done.stderr) == (expected, "")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="by the numbers of its system calls")
def test_who_wants_many_contexts_leaves_half_of_the_machines_to_others() -> None:
    """With so many in use there is a quarter of the 1000 to be had."""
    inside = ASK_FOR_CONTEXTS.replace("REQUESTS", "10").replace("LIMIT", "200").replace("AFTERWARDS", "pass")
    half = int(Path("/proc/sys/fs/aio-max-nr").read_text()) // 2
    context = ctypes.c_ulong(0)
    libc = ctypes.CDLL(None)
    assert libc.syscall(206, ctypes.c_long(half), ctypes.byref(context)) == 0
    try:
        assert box(f"/usr/bin/python3 -c '{inside}'").stdout == "25 11\n"
    finally:
        libc.syscall(207, context)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="by another architecture's calls")
def test_calls_that_nobody_outside_would_see_are_not_there(tmp_path: Path) -> None:
    """io_uring_setup is refused as if it did not exist; int $0x80, with 32-bit numbers, ends the process (on machines
    without such calls it does so everywhere)."""
    code = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); print(libc.syscall(425, 1, 0), ctypes.get_errno())"
    assert box(f"/usr/bin/python3 -c '{code}'").stdout == "-1 38\n"
    source = "int main(void) { long id = 20; __asm__ volatile(\"int $0x80\" : \"+a\"(id)); return id > 0; }"
    program = tmp_path / "a.out"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=source, text=True, check=True)
    outside = subprocess.run([program], check=False).returncode
    done = box(f"cd /tmp && echo '{source}' | gcc -x c - && ./a.out")
    assert done.returncode == 256 - (-outside if outside < 0 else signal.SIGSYS)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a right from root")
def test_a_machine_that_lets_nobody_into_processes_has_no_faults_and_says_so() -> None:
    """As in a container without CAP_SYS_PTRACE: what a warden did there would be nothing, and look like a pass."""
    line = ["setpriv", "--bounding-set", "-sys_ptrace", sys.executable, str(RUNNER), "true"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 77
    assert "no faults" in done.stderr
    assert "does not let the checker reach into the server's process" in done.stderr


def test_there_is_loopback_and_no_other_network() -> None:
    done = box("tail -n +3 /proc/net/dev; tail -n +2 /proc/net/route")
    assert [line.split(":")[0].strip() for line in done.stdout.splitlines()] == ["lo"]


def test_the_build_has_no_network_either_and_sees_no_more(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("aws:\n\t@tail -n +3 /proc/net/dev; echo $$(ls /); env\n")
    text = awscheck("grade", tmp_path, "--only", 1).text
    shown = [line.partition("| ")[2] for line in text.splitlines() if "| " in line]
    assert [line.split()[0] for line in shown if ":" in line and "=" not in line] == ["lo:"]
    words = " ".join(shown).split()
    assert "submission" in words
    assert not {"home", "root", "site", "var"} & set(words)
    assert not [line for line in shown if line.startswith("USER") or "SECRET" in line]


def test_it_sees_no_process_but_its_own() -> None:
    done = box("ls /proc | grep -c '^[0-9]'")
    assert int(done.stdout) <= 5  # init, the shell, ls, grep


def test_a_fork_bomb_stays_small() -> None:
    done = box("n=0; while [ $n -lt 2000 ]; do sleep 100 & n=$((n + 1)); done; wait", 10)
    assert "Cannot fork" in done.stderr


def test_a_file_and_the_memory_for_files_are_limited() -> None:
    big = box("head -c 300M /dev/zero > /tmp/x; stat -c %s /tmp/x")
    assert int(big.stdout) <= 256 << 20
    many = box("for n in 1 2 3; do head -c 200M /dev/zero > /dev/shm/$n; done; du -sm /dev/shm | cut -f1")
    assert int(many.stdout) <= 64


def test_memory_is_limited_and_it_is_the_first_to_go_when_the_machine_has_none() -> None:
    """The figures are read: using up so much would hurt the machine that the test runs on."""
    done = box("grep -E 'Max (data|core|cpu)' /proc/self/limits; cat /proc/self/oom_score_adj")
    assert re.search(rf"Max data size +{2 << 30} ", done.stdout)
    assert re.search(r"Max core file size +0 ", done.stdout)
    assert re.search(r"Max cpu time +10 ", done.stdout)
    assert done.stdout.splitlines()[-1] == "1000"


TAKE_MEMORY = "import os, time; os.fork(); os.fork(); held = bytearray(40 << 20); time.sleep(60)"


def test_the_memory_of_all_its_processes_together_is_limited() -> None:
    """100 MiB here. Each of four processes has less."""
    done = box(f"/usr/bin/python3 -c '{TAKE_MEMORY}'")
    assert done.returncode == 256 - signal.SIGKILL
    assert done.stderr == "used more than 100 MiB of memory"


# The first process is the last to end: the box ends with it.
SHARE_MEMORY = """
import contextlib, os, time
held = bytearray(60 << 20)
os.fork(), os.fork()
time.sleep(1)
print(held[0], flush=True)
with contextlib.suppress(ChildProcessError):
    while True:
        os.wait()
"""


def test_memory_that_its_processes_share_counts_once() -> None:
    done = box(f"/usr/bin/python3 -c '{SHARE_MEMORY}'")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n" * 4, "")


def test_room_on_the_disk_is_limited_in_all() -> None:
    """10 MiB here, in the one file that may be written; a hole takes no room."""
    done = box("truncate -s 100M static/g; sleep 1; echo fine; head -c 20M /dev/zero > static/g; sleep 60")
    assert (done.returncode, done.stdout) == (256 - signal.SIGKILL, "fine\n")
    assert done.stderr == "wrote more than 10 MiB"


def test_output_is_taken_without_end_and_kept_in_part() -> None:
    done = box("echo begin; head -c 50M /dev/zero | tr '\\0' x; echo; echo end")
    assert done.returncode == 0
    assert done.stdout.startswith("begin\nx")
    assert done.stdout.endswith("x\nend\n")
    assert re.search(r"\[\.\.\. \d+ bytes left out \.\.\.\]", done.stdout)
    assert len(done.stdout) < 200_000


def test_a_command_that_never_ends_is_ended() -> None:
    assert box("trap '' TERM INT HUP; while :; do sleep 100; done", 0.2).returncode == 99


def test_a_death_by_signal_is_told_from_an_exit() -> None:
    assert box("kill -SEGV $$").returncode == 256 - signal.SIGSEGV
    assert box("exit 3").returncode == 3


def _running(marker: str) -> list[str]:
    """The processes of this machine with this word in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (folder / "cmdline").read_text(errors="replace").split("\0"):
                found.append(folder.name)
        except OSError:  # gone meanwhile
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's box has that user's files")
def test_the_real_user_is_no_root_either() -> None:
    """bwrap's `--uid` would rename root inside and leave it root outside, where files are judged."""
    marker = f"4{os.getpid():08}.25"
    with subprocess.Popen([sys.executable, str(RUNNER), f"sleep {marker}"], stdout=subprocess.DEVNULL) as runner:
        try:
            (pid,) = wait_until(lambda: _running(marker), 60, "the command runs")
            assert Path(f"/proc/{pid}").stat().st_uid == 65534
        finally:
            runner.terminate()


def test_nothing_outlives_it() -> None:
    marker = f"1{os.getpid():08}.25"  # a time to sleep that nobody else asks for
    daemon = f"trap '' TERM HUP; sleep {marker} & sleep {marker} & touch /tmp/started"
    done = box(f'setsid sh -c "{daemon}" & until [ -e /tmp/started ]; do :; done; echo done')
    assert done.stdout == "done\n"
    assert _running(marker) == []


@pytest.fixture
def left_behind() -> Iterator[dict[str, str]]:
    """An environment for a checker that is killed, and so cannot remove its folders; the box's user can reach them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    yield {**os.environ, "TMPDIR": str(folder)}
    shutil.rmtree(folder)


def test_nothing_outlives_a_checker_that_is_killed(tmp_path: Path, left_behind: dict[str, str]) -> None:
    marker = f"2{os.getpid():08}.25"
    (tmp_path / "Makefile").write_text(f"aws:\n\tsleep {marker}\n")
    checker = subprocess.Popen([AWSCHECK, "grade", tmp_path], stdout=subprocess.DEVNULL, env=left_behind)
    try:
        wait_until(lambda: _running(marker), 60, "make runs in the box")
    finally:
        checker.kill()
        checker.wait()
    wait_until(lambda: not _running(marker), 60, "the box is gone with its checker")


def test_the_folder_of_a_checker_that_was_killed_is_removed_by_the_next(
    tmp_path: Path, left_behind: dict[str, str]
) -> None:
    """And that of one that lives is not."""
    folder = Path(left_behind["TMPDIR"])
    marker = f"5{os.getpid():08}.25"
    (tmp_path / "Makefile").write_text(f"aws:\n\tsh -c 'while :; do :; done' {marker}\n")  # asleep it would be ended
    line = [AWSCHECK, "grade", tmp_path]
    checkers = []
    try:
        for count in (1, 2):
            checkers.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, env=left_behind))
            wait_until(lambda: len(_running(marker)) >= count, 60, "make runs in the box")
        folders = set(folder.glob("awscheck-work-*"))
        assert len(folders) == 2
        checkers[0].kill()
        checkers[0].wait()
        checkers.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, env=left_behind))
        wait_until(lambda: len(folders & set(folder.glob("awscheck-work-*"))) == 1, 60, "one of the folders is removed")
        assert checkers[1].poll() is None
    finally:
        for checker in checkers:
            checker.kill()
            checker.wait()


def test_a_checker_that_is_asked_to_end_cleans_up(tmp_path: Path) -> None:
    marker = f"3{os.getpid():08}.25"
    (tmp_path / "Makefile").write_text(f"aws:\n\tsleep {marker}\n")
    checker = subprocess.Popen([AWSCHECK, "grade", tmp_path], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: _running(marker), 60, "make runs in the box")
        checker.terminate()
        assert checker.communicate(timeout=LIMIT_S)[1] == "awscheck: interrupted\n"
    finally:
        checker.kill()
    assert checker.returncode == 3
    assert _running(marker) == []


def test_nothing_outlives_a_checker_that_is_killed_while_it_traces(
    tmp_path: Path, left_behind: dict[str, str]
) -> None:
    """strace stands between the checker and the box, and must pass the end on."""
    path = tmp_path / "submission"
    # It never waits in epoll_wait, and the check waits for it to do so.
    subprocess.run([ROOT / "fixtures" / "submissions" / "unfold", "defect/poll-before-epoll", path], check=True)
    line = [AWSCHECK, "grade", path, "--only", "mechanism.epoll"]
    checker = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=left_behind)

    def traced() -> list[int]:
        family = procfs.family(checker.pid)
        names = [os.path.basename(procfs.executable(pid)) for pid in family]
        return family if "strace" in names and "aws" in names else []

    try:
        family = wait_until(traced, 60, "the server runs under strace")
        handles = [os.pidfd_open(pid) for pid in family]
    finally:
        checker.kill()
        checker.wait()
    wait_until(lambda: len(select.select(handles, [], [], 0)[0]) == len(handles), 60, "all are gone")
    for handle in handles:
        os.close(handle)


def test_a_signal_to_a_process_that_ends_at_this_moment_is_none() -> None:
    """Looking whether it runs, and then sending, is one moment too late now and then."""
    child = subprocess.Popen(["/bin/true"])
    descriptor = os.pidfd_open(child.pid)
    child.wait()
    try:
        process.send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)
