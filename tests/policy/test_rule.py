"""How a line of the configuration is named."""

from __future__ import annotations

from mailhub.policy.rule import Rule


def test_named_as_it_is_written() -> None:
    """A rule reads as a person would look for it in the file."""
    assert str(Rule("queue", "longest delay")) == "[queue] longest delay"
    assert str(Rule("route partner")) == "[route partner]"
