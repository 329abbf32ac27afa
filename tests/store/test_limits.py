"""The store's limits are plain values, each documented."""

from __future__ import annotations

from dataclasses import fields

from mailhub.store.limits import Limits


def test_each_limit_is_documented() -> None:
    """Every field stands in the docstring, and is a positive number."""
    for field in fields(Limits):
        assert f"        {field.name}: " in str(Limits.__doc__)
        assert getattr(Limits(), field.name) > 0
