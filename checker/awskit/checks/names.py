"""Names: no ending, other endings, sub-folders, the folders' own names inside a name; escapes and links."""

from __future__ import annotations

from urllib.parse import quote

from ..bench import KINDS, Bench
from ..model import check

PLAIN = ("yellow.txt", "noending", "below/deep.dat", "below/static/x.dat", "static.dat", "dynamic.dat", "x" * 255)

# A submission may refuse them: it need not decode, and may refuse two dots, or a first one, wherever they stand.
UNUSUAL = ("with space.dat", "é.dat", "a%41b.dat", "a+b&c=d.dat", "?.dat", "a..b.dat", "...", ".hidden")


def _register(kind: str) -> None:
    @check(f"name.{kind}", f"{kind} files of all kinds of names", "S2", needs=(f"{kind}.small_equal",))
    def names(bench: Bench) -> None:
        for number, name in enumerate(PLAIN):
            target = bench.tree.pair(name, 100 + number)[kind]
            bench.expect_file(bench.get(target), target)

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


@check("name.too_long", "a name longer than any file's is 404", "S2", needs=("notfound.static",))
def too_long(bench: Bench) -> None:
    for kind in KINDS:
        bench.expect_404(bench.get(f"/{kind}/" + "x" * 256), f"GET of a {kind} name of 256 bytes (NAME_MAX is 255)")
    bench.expect_well("names of 256 bytes")
