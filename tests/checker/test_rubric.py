"""Rubrics are data: the published one says what the course published; a wrong one is refused by line and reason."""

from __future__ import annotations

import pytest

from awskit.grade import CHECKS
from awskit.rubric import BadRubric, load, parse

# Points and memory points of the 35 items as the course publishes them.
PUBLISHED = [
    *[(1, 0)] * 12,  # 1 to 12: the executable, its life, epoll
    (2, 1), (1, 0), (2, 0), (2, 0), (4, 1), (2, 0), (4, 1), (2, 0), (2, 0), (2, 1), (3, 1), (4, 1), (2, 0),
    (2, 0), (4, 1), (2, 0), (4, 1), (2, 0), (3, 1), (4, 1), (5, 1), (3, 1), (4, 1),
]  # fmt: skip

GOOD = """\
title = "Two"
total = 3

[[item]]
number = 1
name = "small"
points = 1.5
checks = ["static.small_equal"]

[[item]]
number = 2
name = "large"
points = 0.5
memory = 1
checks = ["static.large_equal", "static.large_received"]
visibility = "hidden"
"""


SHORT = """\
title = "Homework"
total = 3
groups = {files = 3}
[[item]]
group = "files"
points = 1
checks = ["static.small_equal"]
[[item]]
group = "files"
name = "both large ones"
points = 2
checks = ["static.large_equal", "dynamic.large_equal"]
"""


def test_the_published_list_has_the_published_points() -> None:
    rubric = load("assignment", CHECKS)
    assert [item.number for item in rubric.items] == list(range(1, 36))
    assert [(item.points, item.memory) for item in rubric.items] == PUBLISHED
    assert rubric.total == 90


def test_every_check_of_the_published_list_is_due_to_a_submission() -> None:
    names = {name for item in load("assignment", CHECKS).items for name in item.checks}
    assert all(CHECKS[name].submission for name in names)


def test_a_rubric_of_ones_own_is_read() -> None:
    rubric = parse(GOOD, CHECKS, "own.toml")
    assert rubric.title == "Two"
    assert [(item.number, item.points, item.memory, item.visibility) for item in rubric.items] == [
        (1, 1.5, 0, "visible"),
        (2, 0.5, 1, "hidden"),
    ]


def test_a_rubric_of_ten_lines_is_one() -> None:
    """What staff write: no number, a name only where there is more than one check."""
    rubric = parse(SHORT, CHECKS, "own.toml")
    assert [(item.number, item.name, item.group) for item in rubric.items] == [
        (1, CHECKS["static.small_equal"].title, "files"),
        (2, "both large ones", "files"),
    ]
    assert rubric.groups == ("files",)


def test_what_a_group_comes_to_must_be_what_it_says() -> None:
    with pytest.raises(BadRubric, match="own.toml:3: group 'files' is 4, and the items' points come to 3"):
        parse(SHORT.replace("files = 3", "files = 4"), CHECKS, "own.toml")
    with pytest.raises(BadRubric, match="own.toml:1: total is 5"):
        parse(SHORT.replace("total = 3", "total = 5"), CHECKS, "own.toml")


def test_the_full_rubric_has_100_points_and_every_check_once() -> None:
    rubric = load("full", CHECKS)
    assert rubric.total == 100
    names = [name for item in rubric.items if item.points for name in item.checks]
    assert len(names) == len(set(names))
    due = {check.id for check in CHECKS.values() if check.submission}
    assert due == set(names)


def test_items_are_chosen_by_number_and_by_check() -> None:
    rubric = parse(GOOD, CHECKS, "own.toml")
    assert [item.number for item in rubric.only(["2"]).items] == [2]
    assert [item.number for item in rubric.only(["static.small_equal"]).items] == [1]
    assert rubric.only(["1"]).total == 1.5


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("total = 3", "total = 4", "own.toml:1: total is 4, and the items' points come to 3"),
        ("total = 3", 'total = "3"', "own.toml:1: total must be a number"),
        ("total = 3", "totl = 3", "own.toml:1: unknown key 'totl'"),
        ("number = 2", "number = 1", "own.toml:10: two items have the number 1"),
        ("number = 2", "number = 0", "own.toml:10: number must be a whole number from 1 on"),
        ("number = 2", "number = true", "own.toml:10: number must be a whole number from 1 on"),
        ("points = 0.5", "points = -1", "own.toml:10: points must be a number from 0 on"),
        ("points = 0.5", "points = nan", "own.toml:10: points must be a number from 0 on"),
        ("points = 0.5\n", "", "own.toml:10: points must be a number from 0 on"),
        ("memory = 1", "memroy = 1", "own.toml:10: unknown key 'memroy'"),
        ('name = "large"', "", "own.toml:10: name must be a line of text"),
        ('name = "large"', 'name = "a\\u001bb"', "own.toml:10: name must be a line of text"),
        ('"static.large_equal", ', '"static.lrge_equal", ', "own.toml:10: there is no check 'static.lrge_equal'"),
        ('["static.small_equal"]', "[]", "own.toml:4: checks must be a list of the ids of checks"),
        ('"hidden"', '"invisible"', "own.toml:10: visibility must be one of visible, hidden"),
        ('["static.small_equal"]', '["static.small_equal", "static.small_equal"]', "own.toml:4: the check 'static.sma"),
        ('["static.small_equal"]', '["head.method_head"]', "own.toml:4: the check 'head.method_head' is about the ref"),
        ("points = 1.5", 'points = 1.5\ngroup = "x"', "own.toml:4: there is no group 'x' in [groups]"),
        ("total = 3", "total = 3\n[groups]\nall = 3", "own.toml:6: group must be a line of text"),
        ("total = 3", 'total = 3\n[groups]\nall = "x"', "own.toml:4: all must be a number from 0 on"),
        ("total = 3", "total = 3\ngroups = 1", "own.toml:1: groups must be a table"),
        ("total = 3", "total = 3\n[groups]\na = {points = 3, visible = 1}", "own.toml:4: unknown key 'visible'"),
        ("total = 3", "total = 3\n[groups]\na = {points = 'x'}", "own.toml:4: points must be a number from 0 on"),
        ("total = 3", "total = 3\n[groups]\na = {points = 3, visibility = 'x'}", "own.toml:4: visibility must be"),
        ("total = 3", "total = 3\n[groups]\na = {visibility = 'hidden'}", "own.toml:4: points must be a number"),
        ("[[item]]", "[[itm]]", "own.toml:1: unknown key 'itm'"),
        ('title = "Two"', 'title = "Two', "own.toml: Illegal character"),
    ],
)
def test_a_wrong_rubric_is_refused_with_line_and_reason(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BadRubric) as caught:
        parse(GOOD.replace(old, new), CHECKS, "own.toml")
    assert str(caught.value).startswith(says)


def test_an_item_is_as_visible_as_its_group_unless_it_says_otherwise() -> None:
    grouped = SHORT.replace("{files = 3}", '{files = {points = 3, visibility = "after_published"}}')
    assert [item.visibility for item in parse(grouped, CHECKS, "own.toml").items] == ["after_published"] * 2
    one_shown = grouped.replace("points = 2\n", 'points = 2\nvisibility = "visible"\n')
    assert [item.visibility for item in parse(one_shown, CHECKS, "own.toml").items] == ["after_published", "visible"]
    with pytest.raises(BadRubric, match="own.toml:3: group 'files' is 4, and the items' points come to 3"):
        parse(grouped.replace("points = 3", "points = 4"), CHECKS, "own.toml")


def test_a_rubric_without_items_is_refused() -> None:
    with pytest.raises(BadRubric, match="own.toml:1: there is no"):
        parse('title = "None"\ntotal = 0\n', CHECKS, "own.toml")
