"""The facts of attempts, as rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.ports.outgoing import Attempt
from mailhub.queue.journey import (
    ATTEMPTS_LIMIT,
    bounded,
    from_row,
    numbers_from_text,
    numbers_to_text,
    reply_from_text,
    reply_to_text,
    to_row,
)
from tests.queue import given as make

attempts = st.builds(
    Attempt,
    make.moments,
    make.moments,
    make.texts,
    make.texts,
    st.integers(0, 65535),
    make.texts,
    make.texts,
    st.booleans(),
    st.sampled_from(["connect", "rcpt", "done"]),
    make.replies,
    st.booleans(),
)


@given(attempts)
def test_nothing_is_lost(attempt: Attempt) -> None:
    """A row holds all facts of an attempt."""
    assert from_row(to_row(attempt)) == attempt


@given(st.sets(st.integers(0, 300)))
def test_numbers(numbers: set[int]) -> None:
    """Any set of recipients is written as runs, and read back."""
    ascending = tuple(sorted(numbers))
    assert numbers_from_text(numbers_to_text(ascending)) == ascending


def test_runs() -> None:
    """A thousand recipients in a row take a few octets."""
    assert numbers_to_text(range(1000)) == "0-999"
    assert numbers_to_text((0, 2, 3, 9)) == "0,2-3,9"


def test_octets_that_are_no_utf8() -> None:
    """What a peer said in another charset can be kept, and does not raise."""
    kept = reply_from_text(reply_to_text(Reply(550, "1.1", ("Gr\udcfc\udce9e",))))
    assert kept == Reply(550, "1.1", ("Gr??e",))


def test_many_connections_are_cut() -> None:
    """Of a long row of connections the first and the latest are kept."""
    few = [make.attempt(str(n)) for n in range(ATTEMPTS_LIMIT)]
    assert bounded(few) == few
    kept = bounded([make.attempt(str(n)) for n in range(100)])
    assert [a.host for a in kept] == ["0", "93", "94", "95", "96", "97", "98", "99"]
