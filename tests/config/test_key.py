"""Keys and sections."""

from __future__ import annotations

import pytest

from mailhub.config.key import AT_LEAST_ONE, PATIENCE, Key, Section


def test_find() -> None:
    """A section knows its keys by name."""
    key = Key("errors", AT_LEAST_ONE, "smtp.errors", "Why.")
    section = Section("smtp", "Mail.", (key,))
    assert section.find("errors") is key
    assert section.find("error") is None


def test_bounds() -> None:
    """Nothing that is counted is none, and nothing is waited for less than a second."""
    for kind, text in ((AT_LEAST_ONE, "0"), (PATIENCE, "0"), (PATIENCE, "999ms")):
        with pytest.raises(ValueError):  # noqa: PT011  # kinds raise it without words
            kind.parse(text)
    assert (AT_LEAST_ONE.parse("1"), PATIENCE.parse("1s")) == (1, 1.0)
