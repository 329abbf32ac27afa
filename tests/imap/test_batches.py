"""UIDBATCHES: bounds of pieces of a mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.batches import FEWEST, MOST, batches
from tests.imap.fakes import FakeStore
from tests.imap.given import BARE, Talk


@given(st.sets(st.integers(1, 400)), st.integers(1, 50))
def test_batches(known: set[int], size: int) -> None:
    """The ranges lie beside each other down to 1, and each holds so many but the last."""
    uids = sorted(known)
    found = list(batches(uids, size))
    assert [low - 1 for _, low in found[:-1]] == [high for high, _ in found[1:]]
    held = [sum(low <= uid <= high for uid in uids) for high, low in found]
    assert held[:-1] == [size] * (len(held) - 1)
    assert sum(held) == len(uids)
    if uids:
        assert (found[0][0], found[-1][1]) == (uids[-1], 1)
        assert 0 < held[-1] <= size


def talk(count: int) -> Talk:
    mail = FakeStore()
    for _ in range(count):
        mail.inbox.deliver(BARE)
    return Talk(mail).select()


def test_command() -> None:
    """All batches, or some of them; none where there are none."""
    session = talk(2 * FEWEST + 1)
    whole = '* UIDBATCHES (TAG "a") 1001:502,501:2,1:1'
    assert session.say(f"a UIDBATCHES {FEWEST}") == [whole, "a OK Uidbatches completed"]
    assert session.say("a UIDBATCHES 4000") == [
        '* UIDBATCHES (TAG "a") 1001:1',
        "a OK Uidbatches completed",
    ]
    assert session.say(f"a UIDBATCHES {FEWEST} 2:9")[0] == '* UIDBATCHES (TAG "a") 501:2,1:1'
    assert session.say(f"a UIDBATCHES {FEWEST} 4:9")[0] == '* UIDBATCHES (TAG "a")'
    assert talk(0).say(f"a UIDBATCHES {FEWEST}")[0] == '* UIDBATCHES (TAG "a")'


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("UIDBATCHES", "BAD Expected a space"),
        ("UIDBATCHES x", "BAD Expected a number"),
        ("UIDBATCHES 0", "BAD Expected a number above 0"),
        ("UIDBATCHES 500 10", "BAD Expected ':'"),
        ("UIDBATCHES 500 2:1", "BAD [CLIENTBUG] The first batch comes first"),
        ("UIDBATCHES 499", "NO [TOOFEW] A batch has 500 messages at least"),
        (f"UIDBATCHES 500 1:{MOST + 1}", f"NO [TOOMANY] At most {MOST} batches at once"),
    ],
)
def test_refused(command: str, said: str) -> None:
    """What cannot be asked for."""
    assert talk(1).say(f"a {command}") == [f"a {said}"]


def test_beside_others() -> None:
    """It goes with UIDONLY, and leaves a saved result alone."""
    session = talk(3)
    session.say("s UID SEARCH RETURN (SAVE) UID 2")
    session.say("e ENABLE UIDONLY")
    assert session.say("a UIDBATCHES 500")[-1].startswith("a OK")
    assert session.say("b UID FETCH $ FLAGS")[0].startswith("* 2 UIDFETCH")
    assert Talk().login().say("a UIDBATCHES 500") == ["a BAD No mailbox is selected"]
