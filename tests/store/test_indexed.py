"""The full-text index: what it finds is what reading every message finds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailhub.mail.collation import fold
from mailhub.mail.digest import digest
from mailhub.ports.finding import Conversation, Place, SentOn, Sorting, SortKey, Sought
from mailhub.ports.message import FlagAction
from mailhub.store import learning, texts
from mailhub.store.indexed import Memo
from mailhub.store.limits import Limits
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.rows import Transaction
from tests.imap.fakes import holds
from tests.rig import run
from tests.store.world import TEXT, Hub

WORDS = ["Äpfel", "apple", 'a"b', "ab", "{x}", "NEAR", "x*", "größe", "日本語", "\r\n", "a", "(b"]
MESSAGE = st.builds(
    lambda subject, body: (
        (
            f"Subject: {' '.join(subject)}\n".replace("\r\n", "")
            + f"Content-Type: text/plain; charset=utf-8\n\n{''.join(body)}\n"
        )
        .encode()
        .replace(b"\n", b"\r\n")
    ),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.lists(st.sampled_from(WORDS), max_size=6),
)


def learn(mailbox: SharedMailbox) -> None:
    for _ in range(1000):
        if not run(mailbox.learn()):
            return
    raise AssertionError("it never ends")


def find(mailbox: SharedMailbox, sought: Sought | SentOn) -> list[int]:
    answer = run(mailbox.find(sought))
    assert answer is not None
    assert not answer.unsure
    return list(answer.sure)


class TestExact:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(MESSAGE, min_size=1, max_size=5),
        st.lists(st.tuples(st.sampled_from(Place), st.text('aÄpl"{x}*日本 \r\ne:', max_size=5))),
        st.sampled_from(WORDS),
    )
    def test_substrings(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        messages: list[bytes],
        keys: list[tuple[Place, str]],
        word: str,
    ) -> None:
        """Any string of three characters and more is found exactly where it stands."""
        hub = Hub(tmp_path_factory.mktemp("hub"))
        hub.append(*messages)
        mailbox = hub.open()
        learn(mailbox)
        for place, text in [*keys, (Place.TEXT, word), (Place.BODY, word), (Place.SUBJECT, word)]:
            sought = Sought(place, fold(text))
            answer = run(mailbox.find(sought))
            if answer is None:
                assert place in (Place.HEAD, Place.BODY, Place.TEXT)
                assert len(sought.text) < 3
                continue
            expected = [
                uid for uid, message in enumerate(messages, 1) if holds(digest(message), sought)
            ]
            assert list(answer.sure) == expected, sought
        hub.stores.close()

    def test_long(self, tmp_path: Path) -> None:
        """Of a very long text only the beginning is looked up: its messages must be read."""
        hub = Hub(tmp_path)
        hub.append(b"\r\n" + b"ab" * 300, b"\r\n" + b"ab" * 100)
        mailbox = hub.open()
        learn(mailbox)
        answer = run(mailbox.find(Sought(Place.BODY, "AB" * 250)))
        assert answer is not None
        assert (list(answer.sure), list(answer.unsure)) == ([], [1])

    def test_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A message too long for the index must be read."""
        monkeypatch.setattr(texts, "DOCUMENT_LIMIT", 100)
        hub = Hub(tmp_path)
        hub.append(b"\r\n" + b"word " * 30, b"\r\nword")
        mailbox = hub.open()
        learn(mailbox)
        answer = run(mailbox.find(Sought(Place.BODY, "WORD")))
        assert answer is not None
        assert (list(answer.sure), list(answer.unsure)) == ([2], [1])

    def test_without_trigrams(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A SQLite without full-text search keeps digests, and cannot tell of bodies."""
        monkeypatch.setattr(texts, "trigrams_available", lambda: False)
        monkeypatch.setattr("mailhub.store.indexed.trigrams_available", lambda: False)
        hub = Hub(tmp_path)
        hub.append(b"Subject: fine\r\n\r\nword")
        mailbox = hub.open()
        learn(mailbox)
        assert run(mailbox.find(Sought(Place.BODY, "WORD"))) is None
        assert find(mailbox, Sought(Place.SUBJECT, "FIN")) == [1]

    def test_dates(self, tmp_path: Path) -> None:
        """Days are those of the sender; without a Date, of arrival."""
        hub = Hub(tmp_path, clock=lambda: 86400.0 * 5 + 7)
        hub.append(b"Date: Fri, 2 Jan 1970 23:30:00 -0200\r\n\r\n", b"\r\n")
        mailbox = hub.open()
        learn(mailbox)
        assert find(mailbox, SentOn("=", 1)) == [1]
        assert find(mailbox, SentOn(">=", 5)) == [2]
        assert find(mailbox, SentOn("<", 6)) == [1, 2]


class TestFollowing:
    def test_copies(self, tmp_path: Path) -> None:
        """A copy is found though it was never read; what is gone is not found."""
        hub = Hub(tmp_path)
        hub.append(b"Subject: one\r\n\r\nfirst words", b"Subject: two\r\n\r\nother words")
        inbox = hub.open()
        learn(inbox)
        run(inbox.copy([1, 2], "Sent"))
        run(inbox.move([2], "Trash"))
        sent, trash = hub.open("Sent"), hub.open("Trash")
        (hub.maildir / ".Sent/cur").chmod(0)  # nothing can be read there
        try:
            learn(sent)
        finally:
            (hub.maildir / ".Sent/cur").chmod(0o700)
        learn(trash)
        words = Sought(Place.BODY, "WORDS")
        assert find(inbox, words) == [1]
        assert find(sent, words) == [1, 2]
        assert find(trash, words) == [1]
        run(sent.expunge([1]))
        assert find(sent, words) == [2]
        assert find(sent, Sought(Place.SUBJECT, "O")) == [2]

    def test_growth(self, tmp_path: Path) -> None:
        """Only what came later is indexed, in steps; nothing that is gone is waited for."""
        hub = Hub(tmp_path, limits=Limits(index_batch=2))
        mailbox = hub.open()
        hub.append(*[b"\r\nsome words"] * 5)
        assert mailbox.unlearnt == 5
        assert run(mailbox.learn()) == 3
        run(mailbox.expunge([3]))
        assert run(mailbox.learn()) == 0
        assert run(mailbox.learn()) == 0
        hub.append(b"\r\nmore words")
        assert mailbox.unlearnt == 1
        learn(mailbox)
        assert find(mailbox, Sought(Place.BODY, "WORDS")) == [1, 2, 4, 5, 6]

    def test_restart(self, tmp_path: Path) -> None:
        """The index is kept, and made anew where it was lost."""
        hub = Hub(tmp_path)
        hub.append(b"\r\nsome words")
        learn(hub.open())
        hub.restart()
        mailbox = hub.open()
        learn(mailbox)
        hub.lose_index()
        again = hub.open()
        assert again.unlearnt == 1
        learn(again)
        assert find(again, Sought(Place.BODY, "WORDS")) == [1]

    def test_nothing_is_asked_for_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a start the index knows what it has learnt, unless it has lost some of it."""
        monkeypatch.setattr("mailhub.store.indexed.NOTED", 1)
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        learn(hub.open())
        hub.restart()
        mailbox = hub.open()
        asked: list[object] = []
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.learning.learn", lambda *_: asked.append(1))
            learn(mailbox)
        assert asked == []
        with closing(sqlite3.connect(hub.maildir / "mailhub-index")) as database, database:
            Transaction(database).texts.forget()  # as another process rebuilds it
            Transaction(database).rebuilt()
        hub.append(TEXT)
        mailbox = hub.open()
        learn(mailbox)
        assert find(mailbox, Sought(Place.HEAD, fold("one"))) == [1, 2, 3]

    def test_noted_for_what_there_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is dropped amid learning is not noted as learnt."""
        monkeypatch.setattr("mailhub.store.indexed.NOTED", 1)
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox, index = hub.open(), hub.open().box.index
        inner = learning.learn

        def dropped(*arguments: Any) -> int:
            index._compacted += 1
            return inner(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.learning.learn", dropped)
            run(mailbox.learn())
        with mailbox.box.transaction(write=False) as transaction:
            assert transaction.texts.learnt(mailbox.box.kept.id) == 0

    def test_compaction(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A shard of which little is left is dropped, and that little indexed anew."""
        monkeypatch.setattr(texts, "SHARD_SIZE", 4)
        monkeypatch.setattr(texts, "SHARD_BITS", 2)
        hub = Hub(tmp_path)
        hub.append(*[b"\r\nsome words %d" % n for n in range(10)])
        mailbox = hub.open()
        learn(mailbox)
        run(mailbox.expunge([2, 3, 4]))
        assert mailbox.box.index.compact()
        assert not mailbox.box.index.compact()
        assert run(mailbox.find(Sought(Place.BODY, "WORDS"))) is None  # it may not know all
        assert mailbox.unlearnt == 7
        learn(mailbox)
        assert find(mailbox, Sought(Place.BODY, "WORDS")) == [1, 5, 6, 7, 8, 9, 10]
        with mailbox.box.transaction(write=False) as transaction:
            assert transaction.texts.shards() == [2, 3]

    def test_unreadable(self, tmp_path: Path) -> None:
        """A file that cannot be read does not keep the others from being found."""
        hub = Hub(tmp_path)
        hub.append(b"\r\nsome words", b"\r\nmore words")
        mailbox = hub.open()
        [name, _] = hub.cur()
        (hub.maildir / "cur" / name).unlink()
        (hub.maildir / "cur" / name).mkdir()  # EISDIR
        learn(mailbox)
        assert find(mailbox, Sought(Place.BODY, "WORDS")) == [2]


class TestOrder:
    def test_keys(self, tmp_path: Path) -> None:
        """Each criterion, and UIDs where they are equal, reversed or not."""
        hub = Hub(tmp_path)
        hub.append(
            b"Subject: Re:beta\r\nFrom: Z <a@x>\r\nTo: c@x\r\nDate: 3 Jan 2020 1:00 +0000\r\n\r\n",
            b"Subject: alpha\r\nFrom: Ann <b@x>\r\nCc: b@x\r\nDate: 1 Jan 2020 1:00 +0000\r\n\r\n",
            b"Subject: BETA\r\nFrom: c@x\r\nTo: B <b@x>\r\nDate: 2 Jan 2020 1:00 +0000\r\n\r\nlong",
        )
        mailbox = hub.open()
        learn(mailbox)

        def order(*criteria: Sorting) -> list[int]:
            return list(run(mailbox.order(criteria)))

        assert order(Sorting(SortKey.SUBJECT)) == [2, 1, 3]
        assert order(Sorting(SortKey.SUBJECT, reverse=True)) == [1, 3, 2]
        assert order(Sorting(SortKey.SUBJECT), Sorting(SortKey.DATE)) == [2, 3, 1]
        assert order(Sorting(SortKey.FROM)) == [1, 2, 3]
        assert order(Sorting(SortKey.DISPLAYFROM)) == [2, 3, 1]
        assert order(Sorting(SortKey.TO)) == [2, 3, 1]
        assert order(Sorting(SortKey.DISPLAYTO)) == [2, 3, 1]
        assert order(Sorting(SortKey.CC)) == [1, 3, 2]
        assert order(Sorting(SortKey.SIZE, reverse=True)) == [3, 1, 2]
        assert order(Sorting(SortKey.ARRIVAL)) == [1, 2, 3]

    def test_threadables(self, tmp_path: Path) -> None:
        """What THREAD needs, in pieces."""
        hub = Hub(tmp_path)
        hub.append(
            b"Message-ID: <1@x>\r\nSubject: x\r\nDate: 1 Jan 1970 00:01 +0000\r\n\r\n",
            b"Message-ID: <2@x>\r\nReferences: <1@x>\r\nSubject: Re: x\r\n\r\n",
            internal_date=7.0,
        )
        mailbox = hub.open()
        learn(mailbox)
        [one] = run(mailbox.threadables(1, 1))
        [other] = run(mailbox.threadables(2, 5))
        assert (one.uid, one.reply, one.base) == (1, 0, "X")
        assert (other.uid, other.reply, other.base) == (2, 1, "X")
        # Without a date it goes by when it came                            (RFC 5256 §2.2)
        assert list(run(mailbox.order([Sorting(SortKey.DATE)]))) == [2, 1]
        assert other.ids[8:] == one.ids

    def test_related(self, tmp_path: Path) -> None:
        """By an id that is borne or spoken of, or by a base subject; in this mailbox alone."""
        hub = Hub(tmp_path)
        letters = [
            b"Message-ID: <1@x>\r\nSubject: one\r\n\r\n",
            b"Message-ID: <2@x>\r\nReferences: <9@x> <1@x>\r\nSubject: two\r\n\r\n",
            b"Message-ID: <3@x>\r\nSubject: Re: three\r\n\r\n",
        ]
        hub.append(*letters, name="Sent")
        hub.append(*letters)
        mailbox = hub.open()
        learn(mailbox)
        learn(hub.open("Sent"))
        first, second, _ = run(mailbox.threadables_of([1, 2, 3]))
        assert [it.uid for it in run(mailbox.threadables_of([3, 77, 1]))] == [1, 3]
        nine = second.ids[8:16]
        assert list(run(mailbox.related([first.ids], []))) == [1, 2]
        assert list(run(mailbox.related([nine], ["THREE"]))) == [2, 3]
        assert list(run(mailbox.related([], ["FOUR"]))) == []

    def test_conversations(self, tmp_path: Path) -> None:
        """What is kept of threads outlives the process, and goes with the mailbox."""
        hub = Hub(tmp_path)
        hub.append(b"Subject: one\r\n\r\n", name="Sent")
        kept = Conversation(1, 1, 1, b"(%d)", b"1234")
        run(hub.open("Sent").keep_conversations("REFS", (), [kept]))
        hub.restart()
        assert run(hub.open("Sent").conversations("REFS")) == [kept]
        assert run(hub.open().conversations("REFS")) == []
        run(hub.store.delete("Sent"))
        run(hub.store.create("Sent"))
        assert run(hub.open("Sent").conversations("REFS")) == []


class TestMemo:
    def test_forgets(self, tmp_path: Path) -> None:
        """Results are kept until messages come or go, and only a few."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.append(b"\r\n")
        mailbox.memo["x"] = 1
        run(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        assert mailbox.memo == {"x": 1}
        hub.append(b"\r\n")
        assert not mailbox.memo
        memo = Memo()
        for number in range(6):
            memo[number] = number
        memo[2] = "again"
        assert list(memo) == [3, 4, 5, 2]


def test_available() -> None:
    """Whether SQLite can is asked of it."""
    assert texts.trigrams_available() == (sqlite3.sqlite_version_info >= (3, 34))
