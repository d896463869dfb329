"""What is told of a failure survives results.json."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

import toldsample
from awskit.told import Told, from_json, to_json


@pytest.mark.parametrize("bare", [False, True])
def test_json_and_back_again(bare: bool) -> None:
    told = toldsample.told()
    if bare:
        told = replace(told, difference=None, cause=None, frame=None, moments=())
    assert from_json(json.loads(json.dumps(to_json(told)))) == told


def test_the_sample_fills_every_field() -> None:
    told = toldsample.told()
    assert not [field.name for field in fields(Told) if not getattr(told, field.name)]


@pytest.mark.parametrize(
    "name, value",
    [("lost", "3"), ("check", 5), ("rules", "S6"), ("traced", 1), ("moments_cut", True), ("moments", [{"at": 1}]),
     ("difference", {"offset": 1, "begins": 1, "got": "xy", "expected": ""}), ("frame", [])],
)  # fmt: skip
def test_what_is_no_told_is_refused(name: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_json(to_json(toldsample.told()) | {name: value})


def test_a_field_too_many_or_too_few_is_refused() -> None:
    data = to_json(toldsample.told())
    with pytest.raises(ValueError):
        from_json(data | {"more": ""})
    del data["log"]
    with pytest.raises(ValueError):
        from_json(data)
