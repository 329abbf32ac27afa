"""The example project of docs/ works as it is."""

from __future__ import annotations

import shutil
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "signup"
NAME = "mailhub.lab.pytest_plugin"
FOUND = any(it.value == NAME for it in entry_points(group="pytest11"))


def test_signup(pytester: pytest.Pytester) -> None:
    """Its tests pass, with Flask and without."""
    for path in EXAMPLE.glob("*.py"):
        shutil.copy(path, pytester.path)
    result = pytester.runpytest_subprocess(*(() if FOUND else ("-p", NAME)))
    outcomes = result.parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes.get("skipped", 0) == 5
    assert outcomes["passed"] >= 4
