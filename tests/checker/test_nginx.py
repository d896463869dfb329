"""Cases that need no fault, on nginx at a port. Where there is no nginx nothing is said: `make nginx` installs it."""

from __future__ import annotations

import pytest

import nginx
from bugs import BUGS, cases

from awskit.model import Trouble

SHORT = ("D11-target", "D07-full-socket-static", "half-close", "D40", "D06-directory.", "two-hundred")


@pytest.mark.skipif(nginx.NGINX is None, reason="there is no nginx on this machine: make nginx installs it")
def test_an_ordinary_server_holds_what_needs_no_fault() -> None:
    chosen = [path for path in cases(SHORT) if nginx.fits(path)]
    try:
        found = nginx.outcomes(chosen)
    except (Trouble, OSError) as trouble:
        pytest.skip(f"nginx cannot be started here: {trouble}")
    otherwise = {name for name, (outcome, _) in found.items() if outcome != "passed"}
    assert len(found) == len(chosen) > 5 and otherwise == {"D06-directory"}, found


def test_what_nginx_does_otherwise_is_about_cases_that_fit_it() -> None:
    assert all(nginx.fits(BUGS / f"{name}.toml") for name in nginx.OTHERWISE)


def test_a_case_with_a_fault_does_not_fit_a_server_that_runs() -> None:
    assert not nginx.fits(BUGS / "course-stress.toml") and nginx.fits(BUGS / "D40-missing.toml")
