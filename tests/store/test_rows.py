"""The index's tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from mailhub.ports.message import Rendering, Summary
from mailhub.store.files import Files
from mailhub.store.index import Index, IndexPool
from mailhub.store.rows import Renamed, Row, Totals, Transaction


def row(uid: int, flags: int = 0) -> Row:
    return Row(uid, b"name%d" % uid, flags, 10 + uid, 100, 1000, 2000)


@pytest.fixture
def transaction(tmp_path: Path) -> Iterator[Transaction]:
    index = Index(os.fsencode(tmp_path / "i"), IndexPool(2), Files(), "boot", print)
    with index.transaction() as transaction:
        yield transaction
    index.close()


class TestMailboxes:
    def test_life(self, transaction: Transaction) -> None:
        """A mailbox is added, saved, renamed and forgotten, with its messages."""
        assert transaction.mailbox(b".A") is None
        kept = transaction.add_mailbox(b".A", 77)
        kept.uid_next, kept.modseq, kept.stale = 9, 5, True
        transaction.save_mailbox(kept)
        transaction.put(kept.id, [row(1)])
        transaction.rename_mailbox(b".A", b".B")
        assert transaction.mailbox(b".A") is None
        found = transaction.mailbox(b".B")
        assert found is not None
        assert (found.uid_validity, found.uid_next, bool(found.stale)) == (77, 9, True)
        transaction.forget_mailbox(b".B")
        assert transaction.names(kept.id) == {}

    def test_added_anew(self, transaction: Transaction) -> None:
        """Adding a mailbox forgets what was kept of another in its place."""
        old = transaction.add_mailbox(b".A", 1)
        transaction.put(old.id, [row(1)])
        new = transaction.add_mailbox(b".A", 2)
        assert transaction.load(new.id).uids.tolist() == []


class TestMessages:
    def test_neighbours_stay_apart(self, transaction: Transaction) -> None:
        """A mailbox sees its own messages only, to the last UID."""
        one, two = (transaction.add_mailbox(name, 1).id for name in (b".1", b".2"))
        transaction.put(one, [row(1), row(4_294_967_295)])
        transaction.put(two, [row(0 + 1, 8)])
        assert transaction.load(one).uids.tolist() == [1, 4_294_967_295]
        assert transaction.load(two).flags.tolist() == [8]
        transaction.clear(one)
        assert transaction.load(two).uids.tolist() == [1]

    def test_rows(self, transaction: Transaction) -> None:
        """Rows of a dense or a sparse choice of UIDs; those that are gone are left out."""
        box = transaction.add_mailbox(b"", 1).id
        transaction.put(box, map(row, range(1, 200, 2)))
        assert [found.uid for found in transaction.rows(box, [1, 2, 3, 5])] == [1, 3, 5]
        assert [found.uid for found in transaction.rows(box, [1, 3])] == [1, 3]
        assert [found.uid for found in transaction.rows(box, [3, 100, 199])] == [3, 199]
        transaction.put(box, map(row, range(300, 310)))
        assert len(transaction.rows(box, range(300, 310))) == 10
        assert transaction.rows(box, []) == []
        assert [found.uid for found in transaction.rows_from(box, 4, 2)] == [5, 7]

    def test_changes(self, transaction: Transaction) -> None:
        """Flags change with name and MODSEQ; removed messages lose their summary too."""
        box = transaction.add_mailbox(b"", 1).id
        transaction.put(box, [row(1), row(2)])
        transaction.put_summaries(box, [(1, Summary(b"e", b"b", b"s"))])
        transaction.reflag(box, [(b"other", 9, 99, 2)])
        assert transaction.rows(box, [2]) == [Row(2, b"other", 9, 99, 100, 1000, 2000)]
        transaction.remove(box, [(1, 1)])
        assert transaction.names(box) == {b"other": 2}
        assert list(transaction.rendered(Rendering.BODY, box, [1])) == [None]

    def test_runs(self, transaction: Transaction) -> None:
        """Flags of runs of neighbours change alike: some stay, some are added."""
        one, two = (transaction.add_mailbox(name, 1).id for name in (b".1", b".2"))
        rows = [row(uid, uid) for uid in range(1, 6)]
        transaction.put(one, rows)
        transaction.put(two, rows)
        transaction.mark(one, [(1, 2), (4, 4)], keep=~4, add=8, modseq=50)
        expected = [(1, 9, 50), (2, 10, 50), (3, 3, 13), (4, 8, 50), (5, 5, 15)]
        assert transaction.marked(one, range(1, 6)) == expected
        assert transaction.marked(one, [1, 5]) == [expected[0], expected[4]]
        assert [it[1] for it in transaction.marked(two, range(1, 6))] == [1, 2, 3, 4, 5]

    def test_names_of_runs(self, transaction: Transaction) -> None:
        """The ends of names change alike, and octets that are no text stay as they are."""
        one, two = (transaction.add_mailbox(name, 1).id for name in (b".1", b".2"))
        odd = b"caf\xe9:2,S"
        rows = [row(uid, uid)._replace(name=odd) for uid in range(1, 6)]
        transaction.put(one, rows)
        transaction.put(two, rows)
        transaction.rename(one, [Renamed(1, 2, 4, b":2,FS"), Renamed(4, 4, 0, b"!")])
        expected = [
            (1, b"caf\xe9:2,FS", 1),
            (2, b"caf\xe9:2,FS", 2),
            (3, odd, 3),
            (4, odd + b"!", 4),
            (5, odd, 5),
        ]
        assert transaction.named(one, 1, 5, 9) == expected
        assert transaction.named(one, 2, 4, 2) == expected[1:3]
        assert [it[1] for it in transaction.named(two, 1, 5, 9)] == [odd] * 5
        assert all(type(it[1]) is bytes for it in transaction.named(one, 1, 5, 9))

    def test_totals(self, transaction: Transaction) -> None:
        """STATUS's sums; zeros for an empty mailbox."""
        box = transaction.add_mailbox(b"", 1).id
        assert transaction.totals(box, 1) == Totals(0, 0, 0, 0, 0)
        transaction.put(box, [row(1, 1), row(2, 8), row(3, 9)])
        assert transaction.totals(box, 3) == Totals(3, 1, 1, 2, 300)


class TestSummaries:
    def test_choice(self, transaction: Transaction) -> None:
        """Those of a dense or sparse choice of UIDs, as far as they are kept."""
        box = transaction.add_mailbox(b"", 1).id
        kept = Summary(b"e", b"b", b"s")
        transaction.put_summaries(box, [(1, kept), (2, kept), (90, kept)])
        envelopes = partial(transaction.rendered, Rendering.ENVELOPE, box)
        assert list(envelopes([1, 2])) == [b"e", b"e"]
        assert list(envelopes([1, 2, 3])) == [b"e", b"e", None]
        assert list(envelopes([1, 90])) == [b"e", b"e"]
        assert list(envelopes([3, 4])) == [None, None]
        assert list(envelopes([])) == []

    def test_values(self, transaction: Transaction) -> None:
        """Each value of a summary is found by itself."""
        box = transaction.add_mailbox(b"", 1).id
        transaction.put_summaries(box, [(1, Summary(b"e", b"b", b"s", b"p", b"t"))])
        found = [*chain.from_iterable(transaction.rendered(what, box, [1]) for what in Rendering)]
        assert found == [b"e", b"b", b"s", b"p", b"t"]

    def test_forgotten(self, transaction: Transaction) -> None:
        """With a message, or its mailbox, goes what was kept of it."""
        box = transaction.add_mailbox(b"", 1).id
        number = transaction.excerpts.admit(b"from", 0)
        assert number is not None
        for uid in (1, 2):
            transaction.put_summaries(box, [(uid, Summary(b"e", b"b", b"s"))])
            transaction.excerpt(number, box, [(uid, b"From: a\r\n\r\n")])
        transaction.remove(box, [(1, 1)])
        assert list(transaction.excerpted(number, box, [1, 2])) == [None, b"From: a\r\n\r\n"]
        assert list(transaction.rendered(Rendering.BODY, box, [1, 2])) == [None, b"b"]
        transaction.clear(box)
        assert list(transaction.excerpted(number, box, [2])) == [None]

    def test_copies(self, transaction: Transaction) -> None:
        """A copy has what its original had."""
        one, two = (transaction.add_mailbox(name, 1).id for name in (b".1", b".2"))
        kept = Summary(b"e", b"b", b"s")
        transaction.put_summaries(one, [(1, kept)])
        transaction.copy_summaries(one, two, [(1, 7), (2, 8)])
        assert list(transaction.rendered(Rendering.BODY, two, [7, 8])) == [b"b", None]
        transaction.copy_summaries(one, one, [(1, 2)])
        transaction.remove(one, [(1, 1)])
        for what in Rendering:
            assert None not in transaction.rendered(what, one, [2])
