#!/usr/bin/python3
"""The stories of the museum: replays each, compares what its text says with what comes out, and draws its picture.

    tests/checker/stories.py [NAME…]

reads `fixtures/bugs/STORIES.md`; of each story (or of those whose cases' names contain one of the words) it runs the
command that stands at its end, which makes `fixtures/bugs/stories/CASE.svg`. Exit code 1 if words of one are untrue.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bugs import BUGS
from grading import AWSCHECK, LIMIT_S, ROOT

STORIES = BUGS / "STORIES.md"
_COMMAND = re.compile(r"^    checker/awscheck draw (.+)$", re.MULTILINE)
_CALL = re.compile(r"`(\w+ → [\w,]+)`")


@dataclass(frozen=True)
class Story:
    """One of them. `command` are the arguments of `awscheck draw`."""

    title: str
    text: str
    command: tuple[str, ...]

    @property
    def case(self) -> Path:
        """The file of its case."""
        return ROOT / self.command[0]

    @property
    def sample(self) -> Path:
        """The server that it is about."""
        return ROOT / self.command[self.command.index("--server") + 1]

    @property
    def picture(self) -> Path:
        """Where its picture is."""
        return BUGS / "stories" / f"{self.case.stem}.svg"

    def untrue_of_files(self) -> list[str]:
        """What in it is not so, as far as no server has to run."""
        found = []
        table = tomllib.loads(self.case.read_text())
        if f"{self.sample.parent.name}/{self.sample.name}" not in table["shows"]:
            found.append(f"{self.case.name} does not name {self.sample.name}")
        if f"![{table['title']}](stories/{self.picture.name})" not in self.text:
            found.append("its picture is another one, or not called like its case")
        diff = (self.sample / "defect.diff").read_text()
        added = {line[1:].strip() for line in diff.splitlines() if line.startswith("+")}
        for block in re.findall(r"```c\n(.*?)```", self.text, re.DOTALL):
            found += [f"the sample has no line {line.strip()!r}" for line in block.splitlines()
                      if line.strip() not in added]  # fmt: skip
        return found

    def untrue_of_picture(self) -> list[str]:
        """Which of the calls in its text are not in its picture."""
        shown = {"".join(text.itertext()) for text in ElementTree.fromstring(self.picture.read_text()).iter()}
        return [f"its picture does not show {call!r}" for call in _CALL.findall(self.text) if call not in shown]

    def untrue_of_replay(self) -> list[str]:
        """Which of the words that it quotes do not come when it is replayed."""
        line = [AWSCHECK, "replay", self.case, "--server", self.sample]
        done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode != 1:
            return [f"its replay ends with exit code {done.returncode}: {done.stdout}{done.stderr}"]
        return [f"its replay does not say {text!r}: {done.stdout}"
                for text in re.findall(r"^> (.+)$", self.text, re.MULTILINE) if text not in done.stdout]  # fmt: skip

    def draw(self) -> None:
        """Make its picture."""
        line = [AWSCHECK, "draw", *self.command, "--out", self.picture]
        subprocess.run(line, check=True, cwd=ROOT, timeout=LIMIT_S)


def stories(words: tuple[str, ...] = ()) -> list[Story]:
    """Those whose cases' names contain one of the words; without words all."""
    found = []
    for part in STORIES.read_text().split("\n## ")[1:]:
        (command,) = _COMMAND.findall(part)
        found.append(Story(part.split("\n")[0], part, tuple(shlex.split(command))))
    return [story for story in found if not words or any(word in story.case.name for word in words)]


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description="Replay and draw the stories of the museum.")
    parser.add_argument("words", nargs="*", metavar="NAME")
    chosen = stories(tuple(parser.parse_args().words))
    wrong = 0
    for story in chosen:
        story.draw()
        found = [*story.untrue_of_files(), *story.untrue_of_replay(), *story.untrue_of_picture()]
        wrong += len(found)
        print("\n".join(f"{story.title}: {what}" for what in found) or f"ok: {story.title}", flush=True)
    print(f"{len(chosen)} stories, {wrong} untrue")
    return int(wrong > 0 or not chosen)


if __name__ == "__main__":
    raise SystemExit(main())
