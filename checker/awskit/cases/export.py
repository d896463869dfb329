"""A case as a program of its own: one readable Python 3 file that needs nothing but the standard library.

Its script is written out step by step; of runtime/ it gets the definitions that the script uses. Nothing is dropped
silently: what only the checker can do, and what does not change the verdict, stands there as a comment "left out: …";
where nothing would be left, the case is refused.
"""

from __future__ import annotations

import builtins
import itertools
import keyword
import textwrap

from ..bench import request_bytes
from ..plain import alone
from .case import (
    Answer, Case, Change, ClientStep, Close, Compare, Connect, Cut, File, Get, HalfClose, Hold, Link, Receive, Refuse,
    Remember, Reset, Send, ServerStep, Silence, Special, Wait
)  # fmt: skip
from .contents import file_behind
from .definitions import all_names, definitions
from .entries import FILE_MOST
from .kinds import Data
from .target import Unfit
from .write import inline

WIDTH = 110
EMPTY = "b''"
MORE = " + b'+' * "  # what is appended to a file
SUMMANDS = 20  # of a sum of bytes, at most: Python reads no sum of a thousand
WHOLE_MOST = 16 << 20  # characters of an exported file: one that a person looks into is far shorter
BY_HAND_MOST = 500  # characters: no longer line for a shell is put into the exported file


def export(case: Case) -> str:
    """The file's text. Unfit if nothing would be left of the case."""
    _expect_something_left(case)
    script = _Script(case).text()
    table = _files(case)
    main = 'if __name__ == "__main__":\n    raise SystemExit(main(MAKERS, case))\n'
    rest = f"{table}\n\n\n{script}\n\n\n{main}"
    if len(rest) > WHOLE_MOST:
        raise Unfit(f"{case.title}: as a program it would have {len(rest):,} characters: awscheck replay")
    begin = f"{_docstring(case)}\n{_comments(case)}\nfrom __future__ import annotations\n\n"
    return f"{begin}{definitions(rest)}\n\n\n{rest}"


def curl(case: Case) -> str:
    """A line for a shell that shows the same with curl, or with nc. Unfit where one cannot express it."""
    plain = [step for step in case.steps if not isinstance(step, Answer)]
    if case.all_faults or case.evidence or len(plain) != 1 or not isinstance(plain[0], Get | Send):
        raise Unfit(f"{case.title}: more than one request, or more than sending it: see export without --curl")
    (step,) = plain
    if step.split or step.each:
        raise Unfit(f"{case.title}: curl and nc send a request in one piece")
    data = step.data if isinstance(step, Send) else request_bytes(step.target)
    if isinstance(step, Get) and "#" not in step.target:  # curl takes what follows for a fragment, and sends it not
        target = data.split(b" ")[1].decode()  # with the escapes that it is sent with, which curl leaves as they are
        return f"curl --noproxy 127.0.0.1 --path-as-is --include --output - {_quoted(f'http://127.0.0.1:8888{target}')}"
    parts = Data(1 << 20).write(data)
    pieces = [f"printf -- {_quoted(_printf(part))}" if isinstance(part, str) else
              f"printf -- {_quoted(_printf(part['repeat']) + '%.0s')} $(seq {part['times']})"
              for part in (parts if isinstance(parts, list) else [parts])]  # fmt: skip
    sent = pieces[0] if len(pieces) == 1 else f"{{ {'; '.join(pieces)}; }}"
    return f"{sent} | timeout 5 nc 127.0.0.1 8888"  # not every nc knows -q


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
    if faults and all(_is_plain(step) for step in case.steps):
        raise Unfit(f"{case.title}: without its fault ({'; '.join(faults)}) nothing is left of it: awscheck replay")


def _is_plain(step: object) -> bool:
    """Whether it is what every client does to every server, of which a fault alone makes a test."""
    if isinstance(step, Get | Send):
        return not step.split and not step.each
    if isinstance(step, Connect):
        return not step.receive_buffer
    return isinstance(step, Answer) or step == ServerStep("alive")


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
    if case.shows:
        lines += [*textwrap.wrap(f"Samples of the project that do wrong here: {', '.join(case.shows)}.", WIDTH), ""]
    start = "The server listens at port 8888 and serves the folder in which this is run (or --port, --root), where the"
    lines += [f"{start} files are made", "and removed again. Exit code 0: it did right; 1: it did not, which is told;"
              " 2: that cannot be told."]  # fmt: skip
    if case.descriptors:
        lines += ["", f"Start the server with few descriptors: (ulimit -n {case.descriptors}; exec ./aws)"]
    if any(isinstance(entry, File) and entry.unreadable for _, entry in case.files):
        lines += ["", "Start the server as an ordinary user: root may read every file."]
    text = alone("\n".join(lines)).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'#!/usr/bin/env python3\n"""{text}\n"""'


def _comments(case: Case) -> str:
    """What stands below the docstring, where a line for a shell needs no escapes to be one of Python's."""
    lines = [_left_out(_told(fault), "only the checker can do it") for fault in case.all_faults]
    if case.may_miss:
        lines.append(_left_out("may_miss = true", "it is about the faults"))
    if case.unserved is not None:
        lines.append(_left_out(f"unserved = {case.unserved}", "it is about those whom the faults hit"))
    try:
        by_hand = curl(case)
        lines += [f"# The same by hand: {by_hand}"] if len(by_hand) <= BY_HAND_MOST else []
    except Unfit:
        pass
    return "".join(f"{line}\n" for line in lines)


def _left_out(what: str, why: str) -> str:
    """The comment about something of the case that the exported file does not do."""
    return f"# left out: {what}: {why}"


# -- the files ---------------------------------------------------------------------------------------------------------


def _files(case: Case) -> str:
    """FILES: sizes and texts that contents() knows; MAKERS: how each path is made."""
    known = {target: entry for target, entry in case.files if isinstance(entry, File) and _is_known(entry)}
    lines = [f"SEED = {case.seed}", "FILES = {"]
    for target, entry in known.items():
        lines.append(f"    {target!r}: {literal(entry.text) if entry.text is not None else entry.size},")
    lines += ["}", "MAKERS = {"]
    for target, entry in case.files:
        lines.append(f"    {target!r}: lambda path: {_maker(target, entry)},")
    return "\n".join([*lines, "}"]).replace("{\n}", "{}")


def _is_known(entry: File) -> bool:
    """Whether contents() knows its bytes, which are not all zeros."""
    return not entry.sparse


def _contents(target: str, entry: File) -> str:
    """The expression for the bytes of a file as it is made."""
    return f"contents({target!r})" if _is_known(entry) else f"bytes({entry.size})"


def _maker(target: str, entry: File | Link | Special) -> str:
    if isinstance(entry, Link):
        return f"os.symlink({entry.to!r}, path)"
    if isinstance(entry, Special):
        return {"fifo": "os.mkfifo(path)", "socket": "make_socket(path)", "directory": "os.mkdir(path)"}[entry.what]
    made = f"make_file(path, {target!r})" if _is_known(entry) else f"make_sparse(path, {entry.size})"
    return f"({made}, os.chmod(path, 0))" if entry.unreadable else made


def literal(data: bytes) -> str:
    """Bytes as Python spells them, long runs by a product."""
    parts = Data(1 << 20).write(data)
    parts = parts if isinstance(parts, list) else [parts]
    spelled = [repr(part.encode("latin-1")) if isinstance(part, str) else
               f"{part['repeat'].encode('latin-1')!r} * {part['times']}" for part in parts]  # fmt: skip
    return (" + ".join(spelled) if len(spelled) <= SUMMANDS else f"b''.join(({', '.join(spelled)}))") if data else EMPTY


# -- the script --------------------------------------------------------------------------------------------------------


class _Names:
    """Hands out names for variables: as like the wanted one as can be, no two alike, and none that Python, the
    definitions of runtime/ or the script itself have."""

    def __init__(self) -> None:
        own = {"MAKERS", "case", "root", "one", "stream"}
        self._taken = {*all_names(), *dir(builtins), *keyword.kwlist, *keyword.softkwlist, *own}

    def new(self, wanted: str) -> str:
        """A name that nothing else has: `a_b` of a-b, or else `a_b_`, `a_b_2`, `a_b_3`."""
        plain = wanted.replace("-", "_")
        tries = itertools.chain((plain, f"{plain}_"), (f"{plain}_{number}" for number in itertools.count(2)))
        name = next(one for one in tries if one not in self._taken)
        self._taken.add(name)
        return name


class _Script:
    """Writes the steps as statements."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._names = _Names()
        clients = dict.fromkeys(step.client for step in case.steps if isinstance(step, ClientStep))
        self._clients = {name: self._names.new(name) for name in clients}
        self._figures: dict[str, str] = {}  # the variables with what is remembered
        self._counts = {step.client: step.count for step in case.steps if isinstance(step, Connect)}
        # What has the bytes of a file as it is now; of one that is not there nobody knows any.
        self._appended: dict[str, int] = {}  # how many bytes at the end of each
        self._contents = {target: _contents(target, entry) for target, entry in case.files if isinstance(entry, File)}
        self._asked: dict[str, tuple[str, str]] = {}  # the target, and what has the bytes that it had then, or ""
        self._by_get: set[str] = set()
        self._opened: set[str] = set()
        self._lines: list[str] = []
        self._stopped_at = 0  # the line from which on the server stands still; 0: it does not

    def text(self) -> str:
        """The function `case`."""
        for step in self._case.steps:
            if isinstance(step, ClientStep):
                self._client(step)
            else:
                self._add(*self._other(step))
        return "\n".join(["def case(root: str) -> None:", *(f"    {line}" for line in self._lines)])

    def _add(self, *lines: str) -> None:
        self._lines += [f"    {line}" for line in lines] if self._stopped_at else lines

    def _client(self, step: ClientStep) -> None:
        name, count = self._clients[step.client], self._counts.get(step.client, 1)
        if step.client not in self._opened:
            self._opened.add(step.client)
            buffer = getattr(step, "receive_buffer", 0)
            made = f"Client({f'receive_buffer={buffer}' if buffer else ''})"
            self._add(f"{name} = [{made} for _ in range({count})]" if count > 1 else f"{name} = {made}")
        lines = self._doing(step, "one" if count > 1 else name)
        if count > 1 and lines:
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
                known = self._contents.get(file_behind(self._case, step.target), "")
                self._asked[step.client] = step.target, known
            return [f"{one}.send({literal(data)}{cuts})"]
        if isinstance(step, Answer):
            return self._answer(step, one)
        if isinstance(step, Receive):
            return [f"expect_bytes({one}, {step.count})"]
        if isinstance(step, Wait):
            return [f"wait_{step.event}({one})"]
        return {Connect: [], Silence: [f"expect_silence({one})"], HalfClose: [f"{one}.half_close()"],
                Reset: [f"{one}.reset()"], Close: [f"{one}.close()"]}[type(step)]  # fmt: skip

    # -- answers -------------------------------------------------------------------------------------------------------

    def _answer(self, step: Answer, one: str) -> list[str]:
        """Each key of the step is in the statements, or in a comment."""
        target, right = (step.file, self._contents.get(step.file, "")) if step.file else \
            self._asked.get(step.client, ("", ""))  # fmt: skip
        lines = self._head_alone(step, one) if step.head_only else self._whole(step, one, target, right)
        if step.fields:
            lines.append(f"expect_fields({one}, {dict(step.fields)!r})")
        if step.grammar:
            lines.append(f"expect_grammar({one})")
        return lines

    @staticmethod
    def _head_alone(step: Answer, one: str) -> list[str]:
        code = f", {step.expected}" if isinstance(step.expected, int) else ""
        said = [_left_out(f"file = {inline(step.file)}", "of this answer only the head is read")] if step.file else []
        return [*said, f"expect_head({one}{code})"]

    def _whole(self, step: Answer, one: str, target: str, right: str) -> list[str]:
        lines = []
        file = self._case.file(file_behind(self._case, target))
        may_come = [file] if right else []
        if step.client not in self._asked and step.expected in (200, "any", "part", "either"):
            may_come = [entry for _, entry in self._case.files]  # bytes that are sent may ask for each
        largest = max((entry.size or 0 for entry in may_come if isinstance(entry, File)), default=0)
        if largest > FILE_MOST:
            raise Unfit(f"{self._case.title}: an exported case keeps an answer in memory, and no {largest:,} bytes:"
                        " awscheck replay, or head_only")  # fmt: skip
        compared = bool(right) and step.expected in (200, "part", "either")
        if step.file and not compared:
            why = "its bytes are not known" if not right else "this answer need not bring it"
            lines.append(_left_out(f"file = {inline(step.file)}", why))
        if step.ends == "server":
            lines.append(f"expect_closed_by_server({one}{f', len({right})' if right else ''})")
        elif step.ends == "any" and isinstance(step.expected, str):
            lines.append(_left_out('ends = "any"', f"an answer that is {inline(step.expected)} says how it ends"))
        if step.never:
            lines.append(self._never(step, one))
        return [*lines, self._judged(step, one, target, right if compared else "")]

    def _never(self, step: Answer, one: str) -> str:
        secret = self._contents.get(step.never, EMPTY)
        if secret == EMPTY:
            return _left_out(f"never = {inline(step.never)}", "there are no bytes of it now")
        return f"expect_nothing_of({one}, {secret})"

    def _judged(self, step: Answer, one: str, target: str, right: str) -> str:
        """The statement that reads the answer to its end. `right`: what has the bytes that it is compared with."""
        ends = ', ends="any"' if step.ends == "any" else ""
        if step.expected in ("refused", "either") and not right:
            return f"expect_refusal({one})"
        if step.expected == "either":
            return f"expect_either({one}, {target!r}, {right})"
        if step.expected == "any":
            return f"expect_any({one})"
        if step.expected == "part":
            return f"expect_part({one}, {right or None})"
        if right:
            return f"expect_file({one}, {target!r}, {right}{ends})"
        whole = "" if step.client in self._by_get else ", whole=False"
        return f"expect_status({one}, {step.expected}{ends}{whole})"

    # -- the server and its files --------------------------------------------------------------------------------------

    def _other(self, step: object) -> list[str]:
        """What is no client's."""
        if isinstance(step, Change):
            return self._change(step)
        if isinstance(step, Remember):
            if step.figure not in self._figures:
                self._figures[step.figure] = self._names.new(f"{step.figure}_before")
            now = f"stays(lambda: figure({step.figure!r}) + 1, 'the figure settles') - 1"
            return [f"{self._figures[step.figure]} = {now}"]
        if isinstance(step, Compare):
            return [f"expect_figure({step.figure!r}, {self._figures[step.figure]} + {step.more})"]
        assert isinstance(step, ServerStep)
        if step.what in ("stop", "continue"):
            self._stand_still(step.what == "stop")
            return []
        return {"idle": ["wait_idle()"], "full": ["wait_full()"], "alive": ["expect_alive()"]}[step.what]

    def _stand_still(self, begin: bool) -> None:
        """Begin the block in which the server is stopped, or end it: so it goes on whatever happens."""
        if begin:
            self._add("with ServerStopped():")
            self._stopped_at = len(self._lines)
        else:
            self._add(*(["pass"] if len(self._lines) == self._stopped_at else []))
            self._stopped_at = 0

    def _change(self, step: Change) -> list[str]:
        target, lines = step.file, []
        appended = self._appended.pop(target, 0)
        if step.how == "append":
            known = self._contents[target].removesuffix(f"{MORE}{appended}" if appended else "")
            self._appended[target] = appended + step.size
            self._contents[target] = f"{known}{MORE}{appended + step.size}"
            return [f"with open(root + {target!r}, 'ab') as stream:", f"    stream.write(b'+' * {step.size})"]
        if step.how == "replace":
            now = f"contents({target!r})"
            asked = [client for client, (_, known) in self._asked.items() if now in known]
            if asked:  # and who asked before must still have what was there then
                old = self._names.new("old")
                lines.append(f"{old} = {now}")
                for client in asked:
                    wanted, known = self._asked[client]
                    self._asked[client] = wanted, known.replace(now, old)
            self._contents[target] = now
            return [*lines, f"replace_file(root, {target!r}, random.Random('new').randbytes({step.size}))"]
        if step.how == "empty":
            self._contents[target] = EMPTY
            return [f"os.truncate(root + {target!r}, 0)"]
        self._contents.pop(target, None)
        return [f"remove_all([root + {target!r}])"]
