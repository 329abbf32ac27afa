"""Events, as values and as text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.ports.outgoing import Attempt
from mailhub.queue.event import (
    Accepted,
    Complained,
    Decided,
    Dismissed,
    Event,
    Fated,
    Filed,
    Looked,
    Reported,
    State,
    Tried,
    as_json,
    from_text,
    name_of,
    to_text,
    tried,
)

moments = st.floats(0, 4e9, allow_nan=False)
texts = st.text(max_size=20)
numbers = st.lists(st.integers(0, 9), max_size=3).map(tuple)
verdicts = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Accepted,
        at=moments,
        spooled=moments,
        sender=texts,
        recipients=st.lists(texts, max_size=3).map(tuple),
        size=st.integers(0, 1 << 40),
        subject=texts,
        verdicts=verdicts,
    ),
    st.builds(Looked, moments, moments, texts, texts, st.booleans()),
    st.builds(Decided, moments, numbers, verdicts),
    st.builds(
        Tried,
        *(moments, moments, numbers, texts, texts, st.integers(0, 65535), texts, texts),
        *(st.booleans(), texts, texts, st.booleans(), st.lists(texts, max_size=3).map(tuple)),
    ),
    st.builds(Fated, moments, numbers, st.sampled_from(State), texts, texts, moments, texts),
    st.builds(Filed, moments, st.integers(0, 9), texts, texts, st.integers(0, 99)),
    st.builds(Reported, moments, numbers, texts, texts),
    st.builds(Complained, moments, texts, texts, texts),
    st.builds(Dismissed, moments, texts),
)


@given(st.lists(events, max_size=5))
def test_text_and_back(given: list[Event]) -> None:
    """What was written is what is read, whatever somebody said in it."""
    assert from_text(to_text(given)) == given
    pieces = ",".join(to_text([event]) for event in given)
    assert from_text(pieces) == given


def test_unknown_kinds() -> None:
    """What a later mailhub wrote is passed over, and the rest is read."""
    text = '["teleported", 1.0], ["dismissed", 2.0, "a@hub.example"]'
    assert from_text(text) == [Dismissed(2.0, "a@hub.example")]


def test_octets_that_are_no_text() -> None:
    """A peer may say what is no UTF-8: it comes back as it came."""
    event = Dismissed(1.0, b"\xff".decode("utf-8", "surrogateescape"))
    text = to_text([event])
    assert text.isascii()
    assert from_text(text) == [event]


def test_an_attempts_facts() -> None:
    """An attempt becomes an event with its reply's codes and its dialogue."""
    reply = Reply(450, "2.0", ("Later",))
    attempt = Attempt(
        *(1.0, 2.0, "mx.far.example", "192.0.2.1", 25, "TLSv1.3 X", "verified", True, "rcpt"),
        reply,
        dialogue=(">>> MAIL", "<<< 250"),
    )
    event = tried((0, 2), attempt)
    assert (event.at, event.until, event.numbers) == (1.0, 2.0, (0, 2))
    assert event.reply == "450 4.2.0 Later"
    assert event.dialogue == (">>> MAIL", "<<< 250")


def test_for_a_program() -> None:
    """JSON names every field, and a state by its word."""
    told = as_json(Fated(3.0, (1,), State.RELAYED, "250 Ok", "mx.far.example"))
    assert (told["event"], told["state"], told["numbers"]) == ("fated", "relayed", (1,))
    json.dumps(told)
    assert name_of(Dismissed(1.0, "")) == "dismissed"
