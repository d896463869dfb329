"""A case as a program of its own: one readable Python 3 file that needs nothing but the standard library.

Its script is written out step by step; of runtime/ it gets the definitions that the script uses. What only the
checker can do is left out, with a line that says so; where nothing would be left, the case is refused.
"""

from __future__ import annotations

import builtins
import keyword
import textwrap

from ..bench import request_bytes
from .case import (
    Answer, Case, Change, ClientStep, Close, Compare, Connect, Cut, File, Get, HalfClose, Hold, Link, Receive, Refuse,
    Remember, Reset, Send, ServerStep, Silence, Special, Wait
)  # fmt: skip
from .definitions import all_names, definitions
from .kinds import Data
from .target import Unfit

WIDTH = 110


def export(case: Case) -> str:
    """The file's text. Unfit if nothing would be left of the case."""
    _expect_something_left(case)
    script = _Script(case).text()
    table = _files(case)
    main = 'if __name__ == "__main__":\n    sys.exit(main(MAKERS, case))\n'
    rest = f"{table}\n\n\n{script}\n\n\n{main}"
    return f"{_docstring(case)}\n\nfrom __future__ import annotations\n\n{definitions(rest)}\n\n\n{rest}"


def curl(case: Case) -> str:
    """A line for a shell that shows the same with curl, or with nc. Unfit where one cannot express it."""
    plain = [step for step in case.steps if not isinstance(step, Answer)]
    if case.all_faults or case.evidence or len(plain) != 1 or not isinstance(plain[0], Get | Send):
        raise Unfit(f"{case.title}: more than one request, or more than sending it: see export without --curl")
    (step,) = plain
    if step.split or step.each:
        raise Unfit(f"{case.title}: curl and nc send a request in one piece")
    if isinstance(step, Get):
        return f"curl --path-as-is --include --output - http://127.0.0.1:8888{_quoted(step.target)}"
    parts = Data(1 << 20).write(step.data)
    pieces = [f"printf {_quoted(_printf(part))}" if isinstance(part, str) else
              f"printf {_quoted(_printf(part['repeat']) + '%.0s')} $(seq {part['times']})"
              for part in (parts if isinstance(parts, list) else [parts])]  # fmt: skip
    return f"{{ {'; '.join(pieces)}; }} | nc -q 5 127.0.0.1 8888"


def _printf(text: str) -> str:
    """As printf(1) takes it: octal digits for what is no plain character."""
    names = {"\r": "\\r", "\n": "\\n", "\\": "\\\\", "%": "%%"}
    return "".join(names.get(one) or (one if " " <= one <= "~" else f"\\{ord(one):03o}") for one in text)


def _quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


# -- what can be told without the checker ------------------------------------------------------------------------------


def _expect_something_left(case: Case) -> None:
    """A fault makes a plain request a test; without it nothing is tested."""
    faults = [_told(fault) for fault in case.all_faults]
    if any(isinstance(fault, Hold) for fault in case.all_faults):
        raise Unfit(f"{case.title}: reads are held, which only the checker can do: awscheck replay")
    if case.evidence:
        raise Unfit(f"{case.title}: it is about {', '.join(case.evidence)}, which strace shows: awscheck replay")
    if faults and all(isinstance(step, Get | Send | Answer) and not getattr(step, "split", ()) for step in case.steps):
        raise Unfit(f"{case.title}: without its fault ({'; '.join(faults)}) nothing is left of it: awscheck replay")


def _told(fault: Cut | Refuse | Hold) -> str:
    """A fault in words."""
    if isinstance(fault, Cut):
        parts = [f"{fault.most} at most"] if fault.most else []
        return f"{_which(fault)} moves {' and '.join([*parts, *([fault.share] if fault.share else [])])}"
    if isinstance(fault, Refuse):
        return f"{_which(fault)} fails with {fault.error}"
    return "reads are held"


def _which(fault: Cut | Refuse) -> str:
    """Which calls it hits, in words."""
    on = f" on connection {fault.connection}" if fault.connection else ""
    if (fault.first, fault.every) == (1, 1):
        return f"each {fault.calls}{on}"
    again = f", and every {fault.every}. after it," if fault.every else ""
    return f"the {fault.first}. {fault.calls}{again}{on}"


def _docstring(case: Case) -> str:
    lines = [case.title, "", *textwrap.wrap(case.about, WIDTH), ""]
    lines += [f"Rule {case.rule}. Written by awscheck export.", ""]
    start = "The server listens at port 8888 and serves the folder in which this is run (or --port, --root), where the"
    lines += [f"{start} files are made", "and removed again. Exit code 0: it did right; 1: it did not, which is told."]
    if case.descriptors:
        lines += ["", f"Start the server with few descriptors: (ulimit -n {case.descriptors}; exec ./aws)"]
    for fault in case.all_faults:
        lines += ["", f"Left out, because only the checker can do it: {_told(fault)}."]
    try:
        lines += ["", f"The same by hand: {curl(case)}"]
    except Unfit:
        pass
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'#!/usr/bin/env python3\n"""{text}\n"""'


# -- the files ---------------------------------------------------------------------------------------------------------


def _files(case: Case) -> str:
    """FILES: sizes and texts that contents() knows; MAKERS: how each path is made."""
    known = {target: entry for target, entry in case.files if isinstance(entry, File) and not entry.sparse}
    lines = [f"SEED = {case.seed}", "FILES = {"]
    for target, entry in known.items():
        lines.append(f"    {target!r}: {literal(entry.text) if entry.text is not None else entry.size},")
    lines += ["}", "MAKERS = {"]
    for target, entry in case.files:
        lines.append(f"    {target!r}: lambda path: {_maker(target, entry)},")
    return "\n".join([*lines, "}"]).replace("{\n}", "{}")


def _maker(target: str, entry: File | Link | Special) -> str:
    if isinstance(entry, Link):
        return f"os.symlink({entry.to!r}, path)"
    if isinstance(entry, Special):
        return {"fifo": "os.mkfifo(path)", "socket": "make_socket(path)", "directory": "os.mkdir(path)"}[entry.what]
    made = f"make_sparse(path, {entry.size})" if entry.sparse else f"make_file(path, {target!r})"
    return f"({made}, os.chmod(path, 0))" if entry.unreadable else made


def literal(data: bytes) -> str:
    """Bytes as Python spells them, long runs by a product."""
    parts = Data(1 << 20).write(data)
    parts = parts if isinstance(parts, list) else [parts]
    spelled = [repr(part.encode("latin-1")) if isinstance(part, str) else
               f"{part['repeat'].encode('latin-1')!r} * {part['times']}" for part in parts]  # fmt: skip
    return " + ".join(spelled) if data else "b''"


# -- the script --------------------------------------------------------------------------------------------------------


class _Script:
    """Writes the steps as statements."""

    def __init__(self, case: Case) -> None:
        self._case = case
        taken = {*all_names(), *dir(builtins), *keyword.kwlist, "case", "root", "one", "stream"}
        names = {step.client for step in case.steps if isinstance(step, ClientStep)}
        self._names = {name: self._free(name.replace("-", "_"), taken) for name in names}
        self._counts = {step.client: step.count for step in case.steps if isinstance(step, Connect)}
        self._asked: dict[str, str] = {}
        self._before: dict[str, str] = {}  # the variable that has what a client's file was when it asked
        self._by_get: set[str] = set()
        self._opened: set[str] = set()
        self._lines: list[str] = []

    @staticmethod
    def _free(name: str, taken: set[str]) -> str:
        return f"{name}_" if name in taken else name

    def text(self) -> str:
        """The function `case`."""
        for step in self._case.steps:
            if isinstance(step, ClientStep):
                self._client(step)
            else:
                self._add(*self._other(step))
        return "\n".join(["def case(root: str) -> None:", *(f"    {line}" for line in self._lines)])

    def _add(self, *lines: str) -> None:
        self._lines += lines

    def _client(self, step: ClientStep) -> None:
        name = self._names[step.client]
        if step.client not in self._opened:
            self._opened.add(step.client)
            buffer = getattr(step, "receive_buffer", 0)
            count = self._counts.get(step.client, 1)
            made = f"Client({f'receive_buffer={buffer}' if buffer else ''})"
            self._add(f"{name} = [{made} for _ in range({count})]" if count > 1 else f"{name} = {made}")
        several = self._counts.get(step.client, 1) > 1
        lines = self._doing(step, "one" if several else name)
        if several and lines:
            lines = [f"for one in {name}:", *(f"    {line}" for line in lines)]
        self._add(*lines)

    def _doing(self, step: ClientStep, one: str) -> list[str]:
        """What one connection does."""
        if isinstance(step, Send | Get):
            data = step.data if isinstance(step, Send) else request_bytes(step.target)
            cuts = f", tuple(range(1, {len(data)}))" if step.each else f", {step.split!r}" if step.split else ""
            if data.startswith(b"GET "):
                self._by_get.add(step.client)
            if isinstance(step, Get):
                self._asked[step.client] = step.target
                self._before.pop(step.client, None)
            return [f"{one}.send({literal(data)}{cuts})"]
        if isinstance(step, Answer):
            return self._answer(step, one)
        if isinstance(step, Receive):
            return [f"{one}.read_ahead({step.count})"]
        if isinstance(step, Wait):
            return [f"wait_{step.event}({one})"]
        return {Connect: [], Silence: [f"expect_silence({one})"], HalfClose: [f"{one}.half_close()"],
                Reset: [f"{one}.reset()"], Close: [f"{one}.close()"]}[type(step)]  # fmt: skip

    def _answer(self, step: Answer, one: str) -> list[str]:
        lines = []
        code = step.expected if isinstance(step.expected, int) else None
        if step.fields or step.grammar or step.head_only:
            more = ", grammar=True" if step.grammar else ""
            lines.append(f"expect_head({one}, {code}, {dict(step.fields)!r}{more})")
        if step.head_only:
            return lines
        if step.ends == "server":
            lines.append(f"expect_closed_by_server({one})")
        target = step.file or self._asked.get(step.client, "")
        file = self._case.file(target)
        right = self._before.get(step.client, f"contents({target!r})")
        ends = ', "any"' if step.ends == "any" else ""
        if step.expected == "refused":
            never = f", contents({step.never!r})" if step.never else ""
            return [*lines, f"expect_refusal({one}{never})"]
        if step.expected == "either":
            return [*lines, f"expect_either({one}, {target!r}, {right})" if file else f"expect_refusal({one})"]
        if step.expected == "any":
            return [*lines, f"expect_any({one})"]
        if step.expected == "part":
            return [*lines, f"expect_part({one}, {right})"]
        if step.expected == 200 and file and not file.sparse:
            return [*lines, f"expect_file({one}, {target!r}, {right}{ends})"]
        whole = "" if step.client in self._by_get else ", whole=False"
        return [*lines, f"expect_status({one}, {step.expected}{ends}{whole})"]

    def _other(self, step: object) -> list[str]:
        """What is no client's."""
        if isinstance(step, Change):
            return self._change(step)
        if isinstance(step, Remember):
            return [f"{step.figure} = stays(lambda: figure({step.figure!r}) + 1, 'the figure settles') - 1"]
        if isinstance(step, Compare):
            return [f"expect_figure({step.figure!r}, {step.figure} + {step.more})"]
        assert isinstance(step, ServerStep)
        return {"stop": ["signal_server(signal.SIGSTOP)"], "continue": ["signal_server(signal.SIGCONT)"],
                "idle": ["wait_idle()"], "full": ["wait_full()"], "alive": ["Client().close()  # it lives"]}[step.what]

    def _change(self, step: Change) -> list[str]:
        lines = []
        for client, target in self._asked.items():
            if target == step.file and client not in self._before:
                self._before[client] = f"before_{self._names[client]}"
                lines.append(f"{self._before[client]} = contents({target!r})")
        path = f"root + {step.file!r}"
        return lines + {
            "empty": [f"os.truncate({path}, 0)"],
            "append": [f"with open({path}, 'ab') as stream:", f"    stream.write(b'+' * {step.size})"],
            "replace": [
                f"FILES[{step.file!r}] = random.Random('new').randbytes({step.size})",
                f"make_file({path} + '.new', {step.file!r})",
                f"os.replace({path} + '.new', {path})",
            ],
            "remove": [f"os.unlink({path})"],
        }[step.how]
