"""Names: no ending, other endings, sub-folders, the folders' own names inside a name; escapes and links."""

from __future__ import annotations

from urllib.parse import quote

from ..bench import KINDS, Bench
from ..model import check

# A submission may refuse them: it need not decode, and may refuse two dots, or a first one, wherever they stand.
UNUSUAL = ("with space.dat", "é.dat", "a%41b.dat", "a+b&c=d.dat", "?.dat", "a..b.dat", "...", ".hidden")


NEEDS = ("static.small_equal", "dynamic.small_equal")


@check("name.endings", "files of any ending, of none, and of a long name", "S2", needs=NEEDS)
def endings(bench: Bench) -> None:
    _expect_served(
        bench,
        ("yellow.txt", "page.html", "noending", "two.dots.dat", "x" * 255),
    )


@check("name.subfolders", "files in folders below the two", "S2", needs=NEEDS)
def subfolders(bench: Bench) -> None:
    _expect_served(
        bench,
        ("below/deep.dat", "a/b/c/d/e.dat"),
    )


@check("name.folder_words", "files whose names hold the folders' names", "S2", needs=NEEDS)
def folder_words(bench: Bench) -> None:
    _expect_served(
        bench,
        ("static.dat", "dynamic.dat", "a-static-b.dat", "a-dynamic-b.dat"),
    )


def _expect_served(bench: Bench, names: tuple[str, ...]) -> None:
    """Files of these names, of both kinds, are served."""
    for kind in KINDS:
        for number, name in enumerate(names):
            target = bench.tree.pair(name, 100 + number)[kind]
            reply = bench.get(target)
            if reply.status != 200:
                bench.fail(reply, f"GET {target}: {reply.outline()}", expected="status 200 and the file")
            bench.expect_file(reply, target)


def _register(kind: str) -> None:
    @check(f"name.{kind}_escaped", f"{kind} names with blanks, UTF-8 and dots", "S13", submission=False)
    def escaped(bench: Bench) -> None:
        for number, name in enumerate(UNUSUAL):
            target = bench.tree.pair(name, 200 + number)[kind]
            request = f"GET {quote(target)} HTTP/1.1\r\nHost: a\r\n\r\n"
            bench.expect_file(bench.ask(request.encode(), target), target)

    @check(f"name.{kind}_forms", f"absolute-form and a query name the same {kind} file", "S13", submission=False)
    def forms(bench: Bench) -> None:
        target = bench.small(kind)
        for form in (
            f"http://localhost:{bench.server.port}{target}",
            f"{target}?x=1",
            f"{target}?",
            f"HTTP://h{target}?a/../b",
        ):
            bench.expect_file(bench.ask(f"GET {form} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), target), target)


for _kind in KINDS:
    _register(_kind)
