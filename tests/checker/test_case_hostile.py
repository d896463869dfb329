"""Hostile case files: none reads or writes outside of its tree, reaches another server, or keeps the checker busy.

Each is tried as anybody would try it: from the command line.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from everyday import examples
from grading import AWSCHECK, LIMIT_S, ROOT, awscheck, called

HEAD = 'title = "a"\nabout = "b"\nrule = "S4"\n'
STEPS = 'steps = [{ get = "/static/a" }]\n'
CPU_S = 20  # of CPU time, which ends what is busy with a file; any of these takes two
MEMORY = 1 << 30


def bounded(command: str, path: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """Run a command on the file, with so much CPU time and memory."""
    line = ["prlimit", f"--cpu={CPU_S}", f"--as={MEMORY}", "--", AWSCHECK, command, path, *more]
    return subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def snapshot(folder: Path) -> dict[Path, bytes]:
    """All files below it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


OUTSIDE = {
    "a file above the tree": '"/../stolen" = "x"',
    "a file far above": '"/static/../../../../../../tmp/stolen" = "x"',
    "a file with an absolute name": '"//etc/stolen" = "x"',
    "a file by its bare name": '"etc/stolen" = "x"',
    "a name with a NUL": '"/static/a\\u0000/../../b" = "x"',
    "the folder itself": '"/static" = "x"',
    "a link to an absolute path": '"/static/a" = { link = "/etc/passwd" }',
    "a link that climbs": '"/static/a" = { link = "../../etc/passwd" }',
    "a link that climbs in its middle": '"/static/a" = { link = "../static/../../etc/passwd" }',
    "a link that climbs over a link": '"/static/a" = { link = "b/../../../etc/passwd" }\n"/static/b" = { link = "c" }',
    "a file below a link": '"/static/a" = { link = "../dynamic" }\n"/static/a/b" = "x"',
    "a device": '"/static/a" = { special = "device" }',
    "a program": '"/static/a" = { text = "x", mode = 4755 }',
}


@pytest.mark.parametrize("files", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_is_made_outside_of_the_tree(files: str, tmp_path: Path) -> None:
    path, site = tmp_path / "case.toml", tmp_path / "site"
    site.mkdir()
    (tmp_path / "stolen").write_text("mine")
    path.write_text(f"{HEAD}{STEPS}[files]\n{files}\n")
    before = snapshot(tmp_path)
    for command in (("replay",), ("replay", "--port", 1, "--root", site), ("export",)):
        done = called(command[0], path, *command[1:])
        assert done.code == 2 and "case.toml:" in done.errors, done
    assert snapshot(tmp_path) == before


def refused_for_its_step(path: Path) -> None:
    """Not for anything else that may be wrong in it."""
    done = called("replay", path)
    assert done.code == 2 and "case.toml:4: steps[0]" in done.errors, done


CHANGES = {
    "through a link": '{ change = "/static/link", how = "append", size = 5 }',
    "of a file of another": '{ change = "/static/../secret", how = "empty" }',
    "of what the case did not make": '{ change = "/static/other", how = "remove" }',
}


@pytest.mark.parametrize("step", CHANGES.values(), ids=CHANGES)
def test_nothing_is_changed_outside_of_the_tree(step: str, tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(f'{HEAD}steps = [{step}]\n[files]\n"/static/a" = 5\n"/static/link" = {{ link = "a" }}\n')
    refused_for_its_step(path)


ELSEWHERE = {
    "a key for an address": '{ get = "/a", host = "192.0.2.1" }',
    "a key for a port": '{ connect = 1, port = 22 }',
    "a client that is an address": '{ client = "192.0.2.1:80", get = "/a" }',
    "a command": '{ run = "true" }',
}


@pytest.mark.parametrize("step", ELSEWHERE.values(), ids=ELSEWHERE)
def test_no_key_names_another_server(step: str, tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(f"{HEAD}steps = [{step}]\n")
    refused_for_its_step(path)


def test_what_is_sent_reaches_its_server_alone(tmp_path: Path) -> None:
    """Also where the request names another one, on this machine."""
    (tmp_path / "site").mkdir()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.setblocking(False)
        address = f"127.0.0.1:{other.getsockname()[1]}"
        request = f"GET http://{address}/static/a HTTP/1.1\\r\\nHost: {address}\\r\\n\\r\\n"
        path = tmp_path / "case.toml"
        path.write_text(f'{HEAD}steps = [{{ send = "{request}" }}, {{ answer = "any" }}]\n')
        line = [ROOT / "aws", "-a", "127.0.0.1", "-p", "0", "-r", tmp_path / "site"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().split()[-1]
            done = awscheck("replay", path, "--port", port, "--root", tmp_path / "site")
            server.terminate()
        assert done.code == 0, done.text
        with pytest.raises(BlockingIOError):
            other.accept()


KEY = ".".join(["a"] * 4000)
NUMBERS = ("1," * 4000 + "\n") * 110
DIGITS = ("1" * 8000 + "\\\n") * 100
BOMBS = {
    "many values far down": "x = " + "[" * 400 + "\n" + NUMBERS + "]" * 400,
    "a text that is a long size": f'[files]\n"/static/a" = """{DIGITS}"""',
    "a long key": '"' + "\U0001f600" * 8000 + '" = 1',
    "a long sample": 'shows = ["""a/' + ("a-" * 4000 + "\\\n") * 100 + '"""]',
    "a long plain key": "k" * 8000 + " = 1",
    "keys of many parts": "".join(f"{KEY}.b{n} = 1\n" for n in range(120)),
    "headers of many parts": "".join(f"[{KEY}.b{n}]\n" for n in range(120)),
    "quoted keys of many parts": "".join('"a".' * 2000 + f"b{n} = 1\n" for n in range(120)),
    "a long line": "x = " + "1" * 900_000,
    "an integer of many digits": "seed = 0x" + "f" * 8000,
    "a decimal of many digits": "seed = " + "9" * 8000,
    "many long texts": "[files]\n" + "".join(
        f'"/static/a{n}" = {{ text = [{{ repeat = "x", times = 2000000 }}] }}\n' for n in range(200)),
    "deep arrays": "x = " + "[\n" * 200_000,
    "deep tables": "x = " + "{a=" * 2500,
    "many tables": "[[x]]\n" * 100_000,
    "many headers": "".join(f"[a{n}.b]\n" for n in range(60_000)),
    "many files": "[files]\n" + "".join(f'"/static/a{n}" = 1\n' for n in range(40_000)),
    "a folder far down": f'[files]\n"{"/x" * 1990}" = 1',
    "many folders": "[files]\n" + "".join(f'"/f{n}{"/x" * 40}" = 1\n' for n in range(200)),
    "a socket with a long name": f'[files]\n"/static/{"s" * 200}" = {{ special = "socket" }}',
    "a string that does not end": '"""\n' * 200_000,
    "a file of a terabyte": '[files]\n"/static/a" = 1000000000000',
    "many large files": "[files]\n" + "".join(f'"/static/a{n}" = 250000000\n' for n in range(150)),
    "more than a machine has": "[files]\n" + '"/static/a" = { size = 9000000000000000000, sparse = true }',
}
APPENDED = '{ change = "/static/a", how = "append", size = 16000000 },\n'
CROWD = '{ client = "a", connect = 300 },\n{ client = "a", get = "/static/a" },\n{ client = "a", answer = 200 },\n'
NAMES_BELOW = "/x" * 490
STEP_BOMBS = {
    "links that lead ever further down": '{ get = "/l0" },\n' * 1999 + '{ answer = 200 }]\n[files]\n' + "".join(
        f'"/l{n}" = {{ link = "l{n + 1}{NAMES_BELOW}" }}\n' for n in range(39)) + "# ",
    "much that may not come": '{ get = "/a" },\n{ answer = 404, never = "/static/a" }]\n'
    '[files]\n"/static/a" = 250000000\n# ',
    "much that is appended": APPENDED * 20 + ']\n[files]\n"/static/a" = 5\n# ',
    "answers of a file that grows": APPENDED * 15 + CROWD + ']\n[files]\n"/static/a" = 5\n# ',
    "answers of a long text": CROWD + '{ client = "a", answer = 200 },\n' * 7 + ']\n'
    '[files]\n"/static/a" = { text = [{ repeat = "x", times = 2000000 }] }\n# ',
    "endless steps": '{ get = "/static/a" },\n' * 50_000,
    "endless bytes": '{ send = [{ repeat = "xxxxxxxxxxxxxxxx", times = 1000000000000000000 }] }',
    "many long steps": '{ send = [{ repeat = "x", times = 2000000 }] },\n' * 1000,
    "endless pieces": '{ send = [{ repeat = "x", times = 2000000 }], each = true }',
    "endless clients": "".join(f'{{ client = "c{n}", connect = 300 }},\n' for n in range(1000)),
    "endless clients that leave": "".join(
        f'{{ client = "c{n}", connect = 300 }},\n{{ client = "c{n}", close = true }},\n' for n in range(900)),
    "answers without end": '{ get = "/static/a" },\n{ answer = 200 },\n' * 20
    + ']\n[files]\n"/static/a" = { size = 8000000000, sparse = true }\n# ',
}  # fmt: skip


SOME_BOMBS = ("keys of many parts", "a long line", "deep tables", "many large files")


@pytest.mark.parametrize("name", examples(BOMBS, lambda name: name in SOME_BOMBS))
def test_a_file_that_is_made_to_keep_the_checker_busy_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.toml"
    path.write_text(f"{HEAD}{STEPS}{BOMBS[name]}\n")
    done = bounded("replay", path)
    assert done.returncode == 2 and done.stderr.startswith("awscheck: ") and len(done.stderr) < 1000, done


@pytest.mark.parametrize("name", examples(STEP_BOMBS, lambda name: not name.startswith("links that lead")))
def test_steps_that_are_made_to_keep_the_machine_busy_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.toml"
    path.write_text(f"{HEAD}steps = [\n{STEP_BOMBS[name]}]\n")
    done = bounded("replay", path)
    assert done.returncode == 2 and done.stderr.startswith("awscheck: ") and len(done.stderr) < 1000, done
    assert "no TOML" not in done.stderr, done


def test_waits_in_vain_come_to_an_end(tmp_path: Path) -> None:
    """Each of many clients waits for bytes that never come: the first of them is the end of the case."""
    clients = "".join(f'{{ client = "c{n}", connect = 1 }},\n{{ client = "c{n}", receive = 9 }},\n' for n in range(200))
    path = tmp_path / "case.toml"
    path.write_text(f"{HEAD}steps = [\n{clients}]\n")
    done = awscheck("replay", path)
    assert done.code == 1 and "steps[1] (receive = 9, client = \"c0\"): 0 bytes came" in done.text


@pytest.mark.parametrize("steps", [
    '{ client = "a", connect = 300 }, { client = "a", wait = "received" }', '{ server = "idle" },' * 200,
], ids=["a crowd", "steps"])  # fmt: skip
def test_a_replay_comes_to_an_end(steps: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a right server needs for each of the steps: here they have a twentieth of a second."""
    from awskit.cases import play

    monkeypatch.setattr(play, "LONGEST_S", 0.05)
    path = tmp_path / "case.toml"
    path.write_text(f"{HEAD}steps = [{steps}]\n")
    done = called("replay", path)
    assert done.code == 3 and "after 0.05 s the case was not over" in done.text, done


def test_what_a_report_shows_of_a_long_step_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(f'{HEAD}steps = [{{ send = [{{ repeat = "123456789", times = 200000 }}] }}, {{ answer = 599 }}]\n')
    done = awscheck("replay", path, "--trace")
    assert done.code == 1 and len(done.text) < 20_000 and "more]" in done.text, done.text[:9999]


@pytest.mark.parametrize("link", ["sub", "static", "dynamic"])
def test_no_file_is_made_behind_a_link_that_was_there(link: str, tmp_path: Path) -> None:
    """Neither by a replay nor by the exported program, and nothing else is left of it."""
    case, site, other, program = (tmp_path / name for name in ("case.toml", "site", "other", "program.py"))
    site.mkdir()
    other.mkdir()
    (site / link).symlink_to(other)
    case.write_text(f'{HEAD}{STEPS}[files]\n"/sub/a" = 5\n"/static/b" = 5\n"/dynamic/c" = 5\n')
    program.write_text(called("export", case).text)
    before = sorted(site.iterdir())
    replayed = called("replay", case, "--port", 1, "--root", site)
    assert (replayed.code, sorted(site.iterdir()), list(other.iterdir())) == (2, before, []), replayed
    line = [sys.executable, program, "--root", site, "--port", "1"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 2 and f"{link} is a link" in done.stdout, done
    assert (sorted(site.iterdir()), list(other.iterdir())) == (before, [])


@pytest.mark.parametrize("kind", ["/dev/zero", "/proc/self/mem", "."])
def test_what_is_no_plain_file_is_not_read_for_ever(kind: str) -> None:
    assert bounded("replay", Path(kind)).returncode == 2


LARGE = '{ text = [{ repeat = "\\u0001\\u0002\\u0003\\u0004\\u0005\\u0006\\u0007\\u000b\\u000c", times = 200000 }] }'
TOO_MUCH = {
    "text": ('{ get = "/a" }', f'"/a" = {LARGE}\n"/b" = {LARGE}\n"/c" = {LARGE}'),
    "answers": ('{ send = "GET /a HTTP/1.0\\r\\n\\r\\n" }, { answer = "any" }',
                '"/a" = { size = 4000000000, sparse = true }'),
}


@pytest.mark.parametrize("steps, files", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_for_a_program_is_not_exported(steps: str, files: str, tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(f"{HEAD}steps = [{steps}]\n[files]\n{files}\n")
    done = bounded("export", path)
    assert done.returncode == 2 and "awscheck replay" in done.stderr and not done.stdout, done.stderr


COMMAND = "::error::pwned"


def commands(text: str) -> list[str]:
    """The lines that a runner of GitHub would take for commands, and what would reach a terminal."""
    return [line for line in text.splitlines() if line.strip().startswith("::") or "\x1b" in line]


def test_no_text_of_a_case_is_a_command_where_it_is_printed(tmp_path: Path) -> None:
    path, wide = tmp_path / "case.toml", "x" * 105
    head = f'title = "{COMMAND}"\nabout = "{COMMAND} {wide} {COMMAND}"\nrule = "S4"\n'
    target = f"/static/\\n{COMMAND}\\u001b[31m"
    path.write_text(f'{head}steps = [{{ get = "/none" }}, {{ answer = 200, file = "{target}" }}]\n')
    refused = called("replay", path)
    assert refused.code == 2 and "pwned" in refused.errors and not commands(refused.errors), refused
    path.write_text(f'{path.read_text()}[files]\n"{target}" = 5\n')
    exported, failed = called("export", path), awscheck("replay", path, "--trace")
    assert (exported.code, failed.code) == (0, 1)
    assert not commands(exported.text + failed.text + failed.errors), failed.text
