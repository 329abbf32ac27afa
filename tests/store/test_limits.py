"""The store's limits are plain values, each documented."""

from __future__ import annotations

from dataclasses import fields

from mailhub.store.limits import Limits


def test_each_limit_is_documented() -> None:
    """Every field stands in the docstring, and every number is positive."""
    for field in fields(Limits):
        assert f"        {field.name}: " in str(Limits.__doc__)
        value = getattr(Limits(), field.name)
        assert isinstance(value, str) or value > 0
