"""The same submission, built again so that its memory can be looked into.

valgrind sees nothing of a program that is linked statically, and a sanitizer has to be compiled in. So the compilers
that the Makefile calls are ours: scripts that add or leave out options and call the real ones. Each build is made when
it is first asked for, and once.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from pathlib import Path

from . import handed_in, submission
from .boxed import Program
from .model import Failure
from .sandbox import Mount, Sandbox
from .submission import TOOLS

COMPILERS = ("cc", "gcc", "g++", "c++", "c99", "clang", "clang++", "tcc")
# Those that are put in their places, too, for a Makefile that calls them by their full path.
COVERED = ("gcc", "g++")
_SCRIPT = """\
#!/bin/sh
for word; do
    shift
    case $word in
    -static | --static | -static-pie | -fsanitize=* | -fno-sanitize*) ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec COMPILER "$@" OPTIONS
"""
# A compiler in another place than its own is told where its parts are (gcc(1), ENVIRONMENT).
_MOVED = f"/usr/bin/env GCC_EXEC_PREFIX=/usr/lib/gcc/ {TOOLS}/real-"
# Overruns of arrays inside of a struct are no error of an address: bounds sees them. The macros make attributes by
# which a function would be left out mean nothing.
_SANITIZE = (
    "-g -fno-omit-frame-pointer -fsanitize=address,bounds -fno-sanitize-recover=bounds"
    " '-Dno_sanitize(...)=' '-D__no_sanitize__(...)=' -Dno_sanitize_address= -D__no_sanitize_address__="
)


@dataclass
class Builds:
    """A submission at `path`, and the `program` that it was built to. `folder` is the checker's working folder."""

    path: Path
    sandbox: Sandbox
    folder: Path
    program: Program
    _made: dict[str, Program | None] = field(default_factory=dict)
    _making: threading.Lock = field(default_factory=threading.Lock)

    def transparent(self) -> Program:
        """A program that valgrind can look into: the one there is, or one of a second build. Where that does not
        succeed, the one there is: `hides_memory` says what is in the way."""
        if not self.program.hides_memory():
            return self.program
        return self._make("plain", "") or self.program

    def sanitized(self) -> Program | None:
        """A program with AddressSanitizer in it; None where the build does not succeed or does not use our compiler."""
        program = self._make("sanitized", _SANITIZE)
        return program if program is not None and program.sanitized() else None

    def _make(self, name: str, options: str) -> Program | None:
        with self._making:
            if name not in self._made:
                self._made[name] = None
                with contextlib.suppress(Failure):
                    self._made[name] = self._build(self.folder / f"submission-{name}", options)
            return self._made[name]

    def _build(self, folder: Path, options: str) -> Program:
        tools = folder.with_name(f"{folder.name}-compilers")
        tools.mkdir()
        tools.chmod(0o755)
        covers: list[Mount] = []
        for name in COMPILERS:
            real = Path("/usr/bin", name).resolve()
            if not real.exists():
                continue
            script, compiler = tools / name, f"/usr/bin/{name}"
            if name in COVERED and self.sandbox.isolation.box:
                (tools / f"real-{name}").touch()
                covers += [Mount(real, f"{TOOLS}/real-{name}"), Mount(script, str(real))]
                compiler = f"{_MOVED}{name}"
            script.write_text(_SCRIPT.replace("COMPILER", compiler).replace("OPTIONS", options))
            script.chmod(0o755)
        handed_in.take(self.path, folder)
        return submission.build(self.sandbox, folder, tools, tuple(covers))[0]
