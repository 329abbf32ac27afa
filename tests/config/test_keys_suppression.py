"""The keys of suppression lists."""

from __future__ import annotations

import pytest

from mailhub.config.keys_suppression import LOCAL, SENDING, SUPPRESSION


def test_the_same_keys() -> None:
    """What can be said for all domains can be said for some, and means the same."""
    common = {key.name: key for key in SUPPRESSION.keys}
    for key in SENDING.keys[1:]:
        assert common[key.name].target == f"suppression.terms.{key.target}"
        assert common[key.name].why == key.why


@pytest.mark.parametrize("text", ["abuse@hub.example", "", "a b", ".a", "a..b", "ä"])
def test_no_names(text: str) -> None:
    """A name is a local part alone."""
    with pytest.raises(ValueError):  # noqa: PT011  # a kind's error carries no text
        LOCAL.parse(text)


def test_names() -> None:
    """In lower case, as they are compared."""
    assert LOCAL.parse("Abuse.In") == "abuse.in"
