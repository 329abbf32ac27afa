"""Which journeys fit, and by which checksums they are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.queue.event import Accepted
from mailhub.queue.wanted import Wanted, keys

TAKEN = Accepted(
    1000.0, 1000.1, "a@hub.example", ("b@far.example", "c@far.example"), 9,
    account="A@hub.example", message_id="<1@hub.example>",
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(sender="A@Hub.Example"), True),
        (Wanted(recipient="C@far.example"), True),
        (Wanted(message_id="1@hub.example"), True),
        (Wanted(message_id="<1@hub.example>", account="a@hub.example"), True),
        (Wanted(sender="b@far.example"), False),
        (Wanted(sender="a@hub.example", recipient="d@far.example"), False),
        (Wanted(account="b@hub.example"), False),
        (Wanted(since=1000.0), True),
        (Wanted(since=1000.5), False),
    ],
)
def test_fits(wanted: Wanted, fits: bool) -> None:
    """All that is asked must fit; in any case, a Message-ID without its brackets."""
    assert wanted.fits(TAKEN) is fits
    assert not fits or set(wanted.keys) <= set(keys(TAKEN))


def test_kinds() -> None:
    """One name is another key as a sender's than as an account's."""
    assert len(set(keys(TAKEN))) == 5
    assert Wanted(sender="x").keys != Wanted(account="x").keys
    assert list(keys(Accepted(0, 0, "", (), 0))) == Wanted(sender="").keys


@given(st.text())
def test_any_name(name: str) -> None:
    """What a message is written by is what it is looked for by, in whatever letters."""
    taken = Accepted(0, 0, "", (name,), 0)
    assert set(Wanted(recipient=name.upper().lower()).keys) <= set(keys(taken)) or (
        name.upper().lower().casefold() != name.casefold()
    )
