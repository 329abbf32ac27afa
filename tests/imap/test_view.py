"""The view: what one client was told, against a mailbox that goes on changing."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import sequence
from mailhub.imap.view import FLAG_PENDING_LIMIT, View, flags_response, permanent_flags
from mailhub.mail.flag import KEYWORD_LIMIT
from mailhub.mail.rights import ALL, NONE, Rights
from mailhub.ports.message import FlagAction, Uid
from tests.imap.fakes import FakeMailbox
from tests.rig import run


def mailbox(count: int) -> FakeMailbox:
    box = FakeMailbox("INBOX")
    for _ in range(count):
        box.deliver(b"x")
    return box


def watching(box: FakeMailbox, recent: Iterable[int] = ()) -> View:
    view = View(box, recent)
    box.watch(view.catch_up)
    return view


def told(view: View, *, expunges: bool = True, recents: Iterable[int] = ()) -> list[bytes]:
    heard = b"".join(view.tell(expunges=expunges, recents=lambda: recents))
    return heard.split(b"\r\n")[:-1]


def expunge(box: FakeMailbox, *uids: int) -> None:
    run(box.expunge([Uid(uid) for uid in uids]))


def flag(box: FakeMailbox, *uids: int, name: str = "\\Seen") -> None:
    run(box.store([Uid(uid) for uid in uids], FlagAction.ADD, [name]))


class TestNumbers:
    def test_ghosts(self) -> None:
        """An expunged message keeps its number until the client is told."""
        box = mailbox(5)
        view = watching(box)
        expunge(box, 2, 4)
        assert view.exists == 5
        assert [tuple(run) for run in view.runs(1, 5)] == [(1, 0, 1), (3, 1, 1), (5, 2, 1)]
        assert [tuple(run) for run in view.runs(2, 2)] == []
        assert (view.seq(5), view.seq(2), view.seq(9)) == (5, None, None)
        assert told(view) == [b"* 4 EXPUNGE", b"* 2 EXPUNGE"]
        assert view.exists == 3
        assert view.seq(5) == 3

    def test_highest(self) -> None:
        """``*`` is the largest UID the client knows, even of a ghost."""
        box = mailbox(3)
        view = watching(box)
        expunge(box, 3)
        assert view.highest_uid == 3
        box.deliver(b"new")
        assert view.highest_uid == 3
        told(view)
        assert view.highest_uid == 4
        assert watching(mailbox(0)).highest_uid == 0

    def test_unknown(self) -> None:
        """Messages that came and went unheard of are never spoken of."""
        box = mailbox(1)
        view = watching(box)
        uid = box.deliver(b"new")
        flag(box, uid)
        expunge(box, uid)
        assert told(view) == []

    @given(st.integers(0, 12), st.data())
    def test_model(self, count: int, data: st.DataObject) -> None:
        """Numbers and UIDs correspond as in a plain list of what was told."""
        box = mailbox(count)
        view = watching(box)
        known = list(box.uids)
        gone = data.draw(st.lists(st.integers(1, count), unique=True) if count else st.just([]))
        for uid in gone[:2]:
            expunge(box, uid)
        expunge(box, *gone[2:])
        box.deliver(b"new")
        first, last = sorted((data.draw(st.integers(1, 14)), data.draw(st.integers(1, 14))))
        ranges = view.by_uids(sequence.parse(b"%d:%d" % (first, last), 9))
        numbered = [known[n - 1] for a, b in ranges for n in range(a, b + 1)]
        assert numbered == [uid for uid in known if first <= uid <= last]
        for one in view.runs(1, view.exists):
            for step in range(one.length):
                assert box.uids[one.position + step] == known[one.seq + step - 1]
                assert view.seq(known[one.seq + step - 1]) == one.seq + step
        numbers = view.by_numbers(sequence.parse(b"1:*", 9))
        assert numbers == (((1, count),) if count else None)
        assert view.by_numbers(sequence.parse(b"%d" % (count + 1), 9)) is None


class TestFlags:
    def test_late(self) -> None:
        """Flags are told once, as they are at that time, with the UID."""
        box = mailbox(3)
        view = watching(box)
        flag(box, 2)
        flag(box, 2, name="\\Draft")
        assert told(view) == [b"* 2 FETCH (UID 2 FLAGS (\\Seen \\Draft))"]
        assert told(view) == []

    def test_silence(self) -> None:
        """What the client knows already is not told."""
        box = mailbox(3)
        view = watching(box)
        flag(box, 1, 2)
        assert view.untold([1, 3]) == {1}
        view.silence([1])
        assert told(view) == [b"* 2 FETCH (UID 2 FLAGS (\\Seen))"]
        view.silence([1])

    def test_of_ghosts(self) -> None:
        """Of a ghost no flags are told; behind it the numbers are the client's."""
        box = mailbox(3)
        view = watching(box)
        flag(box, 1, 3)
        expunge(box, 1)
        assert told(view, expunges=False) == [b"* 3 FETCH (UID 3 FLAGS (\\Seen))"]

    def test_many(self) -> None:
        """Above a limit only the modification sequence is remembered; nothing is lost."""
        box = mailbox(FLAG_PENDING_LIMIT + 10)
        view = watching(box)
        flag(box, *range(5, FLAG_PENDING_LIMIT + 8))
        assert view._flagged == set()
        flag(box, 1)
        expunge(box, 7)
        box.deliver(b"new")
        assert view.untold([2]) == {2}
        heard = told(view)
        assert heard[:3] == [b"* 7 EXPUNGE", b"* 1010 EXISTS", b"* 0 RECENT"]
        assert len(heard) - 3 == FLAG_PENDING_LIMIT + 4  # with those of the new message
        assert told(view) == []

    def test_many_that_are_gone(self) -> None:
        """That works even if all of them are gone by then."""
        box = mailbox(FLAG_PENDING_LIMIT + 5)
        view = View(box)
        flag(box, *box.uids)
        expunge(box, *list(box.uids))
        view.catch_up()
        assert len(told(view)) == FLAG_PENDING_LIMIT + 5

    def test_overtaken(self) -> None:
        """A message that goes between two pieces is passed over."""
        box = mailbox(600)
        view = watching(box)
        flag(box, *box.uids)
        pieces = view.tell(expunges=True, recents=lambda: ())
        next(pieces)
        expunge(box, 600)
        assert b"* 600 " not in b"".join(pieces)
        assert told(view) == [b"* 600 EXPUNGE"]

    def test_keywords(self) -> None:
        """A new keyword is introduced before a message bears it."""
        box = mailbox(1)
        view = watching(box)
        flag(box, 1, name="$New")
        heard = told(view)
        assert heard[0].endswith(b"\\Draft $New)")
        assert b"PERMANENTFLAGS" in heard[1]
        assert heard[2] == b"* 1 FETCH (UID 1 FLAGS ($New))"


class TestRecent:
    def test_claimed(self) -> None:
        r"""``\Recent`` is told with new mail and shown with flags, and goes with its message."""
        box = mailbox(3)
        view = watching(box, [3])
        assert view.recent == 1
        assert view.recent_among(1, 9) == {3}
        assert view.recent_among(1, 2) == set()
        box.deliver(b"new")
        assert told(view, recents=[4]) == [b"* 4 EXISTS", b"* 2 RECENT"]
        flag(box, 4)
        assert told(view) == [b"* 4 FETCH (UID 4 FLAGS (\\Seen \\Recent))"]
        expunge(box, 3)
        told(view)
        assert view.recent == 1


class TestLost:
    def test_lost(self) -> None:
        """Forgotten changes leave the view lost."""
        box = mailbox(2)
        view = View(box)
        box.memory = 0
        flag(box, 1)
        view.catch_up()
        assert view.lost


def test_permanent_flags() -> None:
    r"""``\*`` while a keyword is left; nothing when read-only."""
    assert b"\\*" in permanent_flags(["a"], ALL)
    assert b"\\*" not in permanent_flags(["k"] * KEYWORD_LIMIT, ALL)
    assert b"[PERMANENTFLAGS ()]" in permanent_flags([], NONE)
    assert b"[PERMANENTFLAGS (\\Seen \\Deleted)]" in permanent_flags(["a"], Rights("lrst"))
    assert flags_response([]).startswith(b"* FLAGS (\\Seen")
