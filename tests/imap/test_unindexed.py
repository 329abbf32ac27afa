"""A mailbox without an index answers by its messages."""

from __future__ import annotations

from array import array

import pytest

from mailhub.imap.unindexed import Unindexed
from mailhub.ports.finding import Place, Sorting, SortKey, Sought
from mailhub.ports.message import Uid
from tests.rig import run

LETTERS = {
    1: b"Subject: beta\r\nFrom: Zoe <a@x>\r\nDate: 3 Jan 2020 1:00 +0000\r\n\r\n",
    2: b"Subject: Re: alpha\r\nCc: c@x\r\nTo: Bob <b@x>\r\n\r\nlonger than the others, is it not",
    3: b"Subject: BETA\r\nFrom: b@x\r\nDate: 1 Jan 2020 1:00 +0000\r\n\r\n",
}


class Few(Unindexed):
    def __init__(self) -> None:
        self.uids = array("I", LETTERS)
        self.sizes = array("Q", map(len, LETTERS.values()))
        self.dates = array("q", (5, 4, 6))

    def octets_of(self, uid: Uid) -> bytes | None:
        return LETTERS.get(uid)


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (SortKey.ARRIVAL, [2, 1, 3]),
        (SortKey.DATE, [2, 3, 1]),
        (SortKey.SIZE, [3, 1, 2]),
        (SortKey.SUBJECT, [2, 1, 3]),
        (SortKey.FROM, [2, 1, 3]),
        (SortKey.TO, [1, 3, 2]),
        (SortKey.CC, [1, 3, 2]),
        (SortKey.DISPLAYFROM, [2, 3, 1]),
        (SortKey.DISPLAYTO, [1, 3, 2]),
        (SortKey.RELEVANCY, [1, 2, 3]),
    ],
)
def test_order(key: SortKey, order: list[int]) -> None:
    """Each criterion; equals by UID, reversed or not."""
    assert list(run(Few().order([Sorting(key)]))) == order
    both = run(Few().order([Sorting(key, reverse=True), Sorting(SortKey.ARRIVAL)]))
    assert sorted(both) == [1, 2, 3]


def test_some() -> None:
    """Only some, by how well they fit."""
    found = run(Few().order([Sorting(SortKey.RELEVANCY)], [Uid(1), Uid(2)], {1: 50}))
    assert list(found) == [2, 1]


def test_rest() -> None:
    """It knows no more than its messages."""
    few = Few()
    assert run(few.learn()) == 0
    assert run(few.find(Sought(Place.BODY, "LONGER"))) is None
    assert [it and it.base for it in run(few.digests([Uid(2), Uid(9)]))] == ["ALPHA", None]
    assert [it.uid for it in run(few.threadables(Uid(2), 1))] == [2]
    few.memo["x"] = 1
    assert not few.memo
