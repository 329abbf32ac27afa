"""The client that test suites use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mailhub.lab.client import Lab, LabError, Message, started

Hand = Callable[..., Any]


def test_waiting_says_what_there_was(lab: Lab, hand_in: Hand) -> None:
    """A test that fails says what came instead."""
    inbox = lab.inbox("other@inbox.test")
    hand_in("a@b.test", inbox.address, subject="Bill")
    inbox.wait(subject="Bill")
    with pytest.raises(AssertionError, match=r"there is \['Bill'\]"):
        inbox.wait(subject="Welcome", timeout=0.05)


def test_journeys_say_what_happened(lab: Lab, hand_in: Hand) -> None:
    """Likewise of a journey that went another way."""
    hand_in("a@b.test", "other@unknown.test")
    lab.journey(to="other@unknown.test", state="failed")
    with pytest.raises(AssertionError, match="No such user"):
        lab.journey(to="other@unknown.test", state="delivered", timeout=0.05)
    with pytest.raises(AssertionError, match="no such message"):
        lab.journey(to="never@unknown.test", timeout=0.05)


def test_links() -> None:
    """Web addresses in a text, without what ends a sentence."""
    text = "Go to https://shop.test/confirm?t=1. Or (http://b.test/x), if you like."
    found = Message(1, 0, "", "", "", [("X-A", "b")], text, "", [])
    assert found.links == ["https://shop.test/confirm?t=1", "http://b.test/x"]
    assert (found.header("x-a"), found.header("y")) == ("b", None)


def test_it_does_not_start() -> None:
    """Why is told."""
    with pytest.raises(LabError, match="no-such-file"), started("no-such-file"):
        pass
