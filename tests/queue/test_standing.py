"""How a message stands."""

from __future__ import annotations

import pytest

from mailhub.queue.event import Accepted, Dismissed, Event, Fated, Filed, State
from mailhub.queue.standing import standing

TAKEN = Accepted(1.0, 1.1, "a@hub.example", ("b@far.example", "c@near.example"), 10)


def fated(number: int, state: State, at: float = 2.0) -> Fated:
    return Fated(at, (number,), state)


@pytest.mark.parametrize(
    ("events", "keywords", "word"),
    [
        ([], ("$SubmitPending",), "Waiting"),
        ([fated(0, State.RELAYED)], ("$SubmitPending", "$Submitted"), "Partly sent"),
        (
            [fated(0, State.RELAYED), fated(1, State.DEFERRED)],
            ("$SubmitPending", "$Submitted", "$Delayed"),
            "Delayed",
        ),
        ([fated(0, State.HELD)], ("$SubmitPending", "$Delayed"), "Delayed"),
        (
            [fated(0, State.DEFERRED), fated(0, State.RELEASED, 3.0)],
            ("$SubmitPending",),
            "Waiting",
        ),
        (
            [fated(0, State.RELAYED), Filed(2.0, 1, "c@near.example", "INBOX", 4)],
            ("$Submitted", "$Delivered"),
            "Delivered",
        ),
        (
            [fated(0, State.RELAYED), fated(1, State.FAILED)],
            ("$Submitted", "$Failed"),
            "Partly failed",
        ),
        ([fated(0, State.FAILED), fated(1, State.EXPIRED)], ("$Failed",), "Failed"),
        ([fated(0, State.CANCELLED), fated(1, State.CANCELLED)], (), "Cancelled"),
        (
            [fated(0, State.CANCELLED), fated(1, State.RELAYED)],
            ("$Submitted",),
            "Partly cancelled",
        ),
    ],
)
def test_states(events: list[Event], keywords: tuple[str, ...], word: str) -> None:
    """Each keyword promises one thing about the recipients, and the word sums them up."""
    found = standing([TAKEN, *events])
    assert found.keywords == keywords
    assert found.word == word
    assert found.ended is ("$SubmitPending" not in keywords)


def test_open_recipients() -> None:
    """Whoever was not attempted, or put off, is still to be attempted."""
    found = standing([TAKEN, fated(0, State.FAILED)])
    assert found.open == [1]
    found.take([fated(1, State.DEFERRED, 9.0)])
    assert found.open == [1]
    assert found.changed == 9.0


def test_nothing_known() -> None:
    """Without its beginning nothing is claimed of a message."""
    found = standing([fated(0, State.RELAYED)])
    assert (found.keywords, found.word, found.ended) == ((), "Unknown", False)


def test_dismissed() -> None:
    """The sender may want to see no more of it."""
    assert not standing([TAKEN]).dismissed
    assert standing([TAKEN, Dismissed(2.0, "a@hub.example")]).dismissed
