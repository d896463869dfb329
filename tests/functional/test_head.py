"""Plain GET and HEAD as an everyday library sees them (requests): what raw sockets show is the checks' matter."""

from __future__ import annotations

import hashlib

import pytest
import requests

from awskit.bench import KINDS, MIB, Bench
from awskit.tree import Content


def url(bench: Bench, target: str) -> str:
    return f"http://127.0.0.1:{bench.server.port}{target}"


def digest(content: Content) -> str:
    whole = hashlib.sha256()
    for chunk in content.chunks():
        whole.update(chunk)
    return whole.hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_get_brings_the_file(bench: Bench, kind: str) -> None:
    target = bench.large(kind)
    answer = requests.get(url(bench, target), timeout=bench.patience)
    assert (answer.status_code, answer.reason) == (200, "OK")
    assert answer.headers["Content-Length"] == str(len(answer.content)) == str(bench.tree.content(target).size)
    assert hashlib.sha256(answer.content).hexdigest() == digest(bench.tree.content(target))


@pytest.mark.parametrize("kind", KINDS)
def test_head_brings_the_same_fields_and_nothing_else(bench: Bench, kind: str) -> None:
    target = bench.large(kind)
    full = requests.get(url(bench, target), timeout=bench.patience)
    head = requests.head(url(bench, target), timeout=bench.patience)
    assert head.status_code == 200
    assert head.content == b""
    assert {**head.headers, "Date": ""} == {**full.headers, "Date": ""}


@pytest.mark.parametrize("target", ["/", "/static/", "/static/none", "/dynamic/none", "/none", "/secret"])
def test_what_is_not_there_is_404(bench: Bench, target: str) -> None:
    answer = requests.get(url(bench, target), timeout=bench.patience)
    assert (answer.status_code, answer.reason) == (404, "Not Found")
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert 0 < len(answer.content) < 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_404_and_their_bodies_do_no_harm(bench: Bench, method: str) -> None:
    # A body larger than any buffer: the answer must survive what of it is never read.
    answer = requests.request(method, url(bench, bench.small("static")), data=b"x" * MIB, timeout=bench.patience)
    assert answer.status_code == 404
    assert len(answer.content) == int(answer.headers["Content-Length"])


def test_names_with_blanks_and_utf8(bench: Bench) -> None:
    for number, name in enumerate(("with space", "é", "日本語.txt", "100%")):
        target = bench.tree.pair(name, 50 + number)["dynamic"]
        answer = requests.get(url(bench, "/dynamic/" + requests.utils.quote(name)), timeout=bench.patience)
        assert answer.status_code == 200
        assert answer.content == bench.tree.content(target).read(0, 100)


def test_a_session_of_many_requests(bench: Bench) -> None:
    """A client that would keep connections alive is told each time that they are closed."""
    with requests.Session() as session:
        for number in range(20):
            answer = session.get(url(bench, bench.small(KINDS[number % 2], number)), timeout=bench.patience)
            assert answer.status_code == 200
            assert answer.headers["Connection"] == "close"
