"""Subscriptions, in Dovecot's file."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mailhub.store import subscriptions
from mailhub.store.files import Files
from tests.store.test_name import LEVEL

FILES = Files()


def test_version_2() -> None:
    """Levels by tabs, in modified UTF-7: what Dovecot 2.3 writes."""
    text = b"V\t2\n\nA\tB\nEntw&APw-rfe\nINBOX\n"
    assert subscriptions.parse(text) == ["A/B", "Entwürfe", "INBOX"]
    assert subscriptions.render(["A/B", "Entwürfe", "INBOX"]) == text


def test_version_1() -> None:
    """Levels by dots, without a header."""
    assert subscriptions.parse(b"A.B\ninbox\nEntw&APw-rfe\n") == ["A/B", "INBOX", "Entwürfe"]


def test_what_does_not_decode_stays() -> None:
    """A name that we cannot read is kept for whoever can."""
    text = b"V\t2\n\n\xe4\nA.B\nok\n"
    names = subscriptions.parse(text)
    assert names == [b"\xe4", b"A.B", "ok"]
    assert subscriptions.render(names) == text


@given(st.lists(LEVEL, min_size=1, max_size=3).map("/".join))
def test_round_trip(name: str) -> None:
    """Any name comes back, also one with dots in it."""
    if not name.upper().startswith("INBOX"):
        assert subscriptions.parse(subscriptions.render([name])) == [name]


def test_change(tmp_path: Path) -> None:
    """Names are added once, taken off, and bounded in number."""
    path = os.fsencode(tmp_path)
    assert subscriptions.load(FILES, path) == []
    for _ in range(2):
        assert subscriptions.change(FILES, path, "inbox/a", subscribed=True)
    assert subscriptions.load(FILES, path) == ["INBOX/a"]
    assert not subscriptions.change(FILES, path, "b", subscribed=True, limit=1)
    assert subscriptions.change(FILES, path, "INBOX/a", subscribed=False)
    assert subscriptions.change(FILES, path, "never", subscribed=False)
    assert subscriptions.load(FILES, path) == []
