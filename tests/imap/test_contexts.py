"""CONTEXT: results that are kept up to date (RFC 5267 §4)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.imap.settings import Limits
from mailhub.mail.digest import digest
from mailhub.ports.message import FlagAction, Uid
from mailhub.ports.store import StoreFault, StoreRefused
from tests.imap.fakes import FakeStore
from tests.imap.given import Talk
from tests.imap.test_searches import letter, talk
from tests.rig import run


class TestSearch:
    def test_changes(self) -> None:
        """What comes to match, and what no longer does, is told in time."""
        session = talk(letter(1, "a"), letter(2, "b"), letter(3, "c"))
        inbox = session.store.inbox
        heard = session.say("b UID SEARCH RETURN (UPDATE COUNT) UNSEEN")
        assert heard[0] == '* ESEARCH (TAG "b") UID COUNT 3'
        run(inbox.store([Uid(12)], FlagAction.ADD, ["\\Seen"]))
        assert '* ESEARCH (TAG "b") UID REMOVEFROM (0 12)' in session.say("c NOOP")
        run(inbox.store([Uid(12)], FlagAction.REMOVE, ["\\Seen"]))
        inbox.deliver(letter(4, "d"))
        heard = session.say("d NOOP")
        assert heard.index("* 4 EXISTS") < heard.index('* ESEARCH (TAG "b") UID ADDTO (0 12,14)')
        assert session.say("e NOOP") == ["e OK Nothing done"]

    def test_items(self) -> None:
        """What was asked for of new messages is told after EXISTS, before ADDTO (RFC 5465 §7)."""
        session = talk(letter(1, "a"), letter(2, "b"))
        inbox = session.store.inbox
        session.say("b UID SEARCH RETURN (UPDATE (UID RFC822.SIZE) COUNT) UNSEEN")
        octets = letter(3, "c")
        inbox.deliver(octets)
        heard = session.say("c NOOP")
        row = f"* 3 FETCH (UID 13 RFC822.SIZE {len(octets)})"
        order = ["* 3 EXISTS", row, '* ESEARCH (TAG "b") UID ADDTO (0 13)']
        assert [line for line in heard if line in order] == order
        run(inbox.store([Uid(13)], FlagAction.ADD, ["\\Seen"]))
        session.say("d NOOP")
        run(inbox.store([Uid(13)], FlagAction.REMOVE, ["\\Seen"]))
        heard = session.say("e NOOP")
        assert '* ESEARCH (TAG "b") UID ADDTO (0 13)' in heard
        assert not any("RFC822.SIZE" in line for line in heard)
        assert session.say("f SEARCH RETURN (UPDATE ()) ALL")[-1].startswith("f BAD")

    def test_numbers(self) -> None:
        """Sequence numbers mean something when they are said (RFC 5267 §4.3.3, §4.3.4)."""
        session = talk(letter(1, "a"), letter(2, "b"), letter(3, "c"))
        session.say("b SEARCH RETURN (UPDATE) ALL")
        run(session.store.inbox.expunge([Uid(11), Uid(13)]))
        session.store.inbox.deliver(letter(4, "d"))
        assert session.say("c NOOP") == [
            '* ESEARCH (TAG "b") REMOVEFROM (0 1,3)',
            "* 3 EXPUNGE",
            "* 1 EXPUNGE",
            "* 2 EXISTS",
            "* 2 RECENT",
            '* ESEARCH (TAG "b") ADDTO (0 2)',
            "c OK Nothing done",
        ]

    def test_idle(self) -> None:
        """Amid IDLE it is told at once."""
        session = talk(letter(1, "a"))
        session.say("b UID SEARCH RETURN (UPDATE) SUBJECT new")
        session.say("i IDLE")
        session.store.inbox.deliver(letter(2, "new"))
        assert session.woken == 1
        assert session.heard()[-1] == '* ESEARCH (TAG "b") UID ADDTO (0 12)'

    def test_cancelled(self) -> None:
        """CANCELUPDATE ends it, and so does leaving the mailbox (RFC 5267 §4.3.5)."""
        session = talk(letter(1, "a"))
        session.say("b SEARCH RETURN (UPDATE) ALL")
        session.say("c SEARCH RETURN (UPDATE CONTEXT) ALL")
        assert session.say('d CANCELUPDATE "b" "none"') == ["d OK No more updates"]
        session.store.inbox.deliver(letter(2, "new"))
        assert [line for line in session.say("e NOOP") if "ESEARCH" in line] == [
            '* ESEARCH (TAG "c") ADDTO (0 2)'
        ]
        session.say("s SELECT INBOX")
        session.store.inbox.deliver(letter(2, "new"))
        assert not any("ESEARCH" in line for line in session.say("f NOOP"))

    def test_refused(self) -> None:
        """One too many is searched for, and no more (RFC 5267 §4.3.1)."""
        mail = FakeStore()
        mail.inbox.deliver(letter(1, "a"))
        session = Talk(mail, limits=Limits(contexts=1)).select()
        session.say("b SEARCH RETURN (UPDATE) ALL")
        assert session.say("c SEARCH RETURN (UPDATE ALL) ALL") == [
            '* NO [NOUPDATE "c"] Too many contexts',
            '* ESEARCH (TAG "c") ALL 1',
            "c OK Search completed",
        ]

    def test_tag(self) -> None:
        """A tag that has a context is not given another; nothing of the search is done (§4.3)."""
        session = talk(letter(1, "a"))
        session.say("B01 UID SEARCH RETURN (UPDATE COUNT) ALL")
        for again in ("SEARCH RETURN (UPDATE SAVE) 1", "SORT RETURN (UPDATE) (DATE) UTF-8 1"):
            assert session.say(f"B01 {again}") == ["B01 BAD That tag has a context already"]
        assert session.say("B01 SEARCH ALL")[0] == "* SEARCH 1"
        session.say('c CANCELUPDATE "B01"')
        assert session.say("B01 SEARCH RETURN (UPDATE) ALL")[-1] == "B01 OK Search completed"

    def test_numbers_of_the_program(self) -> None:
        """They, and $, mean what they meant when the search was asked for (RFC 5267 §4.3)."""
        session = talk(*(letter(n + 1, "abcd"[n]) for n in range(4)))
        inbox = session.store.inbox
        session.say("a SEARCH RETURN (SAVE) UID 12:13")
        session.say("b UID SEARCH RETURN (UPDATE ALL) 2:3,9 UNSEEN")
        session.say("c UID SEARCH RETURN (UPDATE ALL SAVE) OR $ NOT 1:* UNSEEN")
        run(inbox.expunge([Uid(11)]))
        run(inbox.store([Uid(12), Uid(14)], FlagAction.ADD, ["\\Seen"]))
        heard = [line for line in session.say("d NOOP") if "ESEARCH" in line]
        assert heard == [
            '* ESEARCH (TAG "b") UID REMOVEFROM (0 12)',
            '* ESEARCH (TAG "c") UID REMOVEFROM (0 12)',
        ]
        run(inbox.store([Uid(12), Uid(14)], FlagAction.REMOVE, ["\\Seen"]))
        heard = [line for line in session.say("e NOOP") if "ESEARCH" in line]
        assert heard == [
            '* ESEARCH (TAG "b") UID ADDTO (0 12)',
            '* ESEARCH (TAG "c") UID ADDTO (0 12)',
        ]

    @pytest.mark.parametrize("moment", range(1, 7))
    def test_gone_meanwhile(self, moment: int) -> None:
        """What leaves while a sorted result is brought up to date leaves that, too."""
        session = talk(letter(1, "a"), letter(2, "b"))
        inbox = session.store.inbox
        session.say("b UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8 ALL")
        inbox.deliver(letter(3, "c"))

        left = [moment]

        def during() -> None:
            left[0] -= 1
            if not left[0]:
                run(inbox.expunge([Uid(11)]))

        inbox.during = during
        heard = [line for line in session.say("c NOOP") if "ESEARCH" in line]
        inbox.during = lambda: None
        run(inbox.expunge([Uid(11)]))
        heard += [line for line in session.say("d NOOP") if "ESEARCH" in line]
        client = Client([11, 12])
        for line in heard:
            client.hear(line)
        assert client.numbers == [12, 13]

    def test_faults(self) -> None:
        """Where what has changed cannot be searched any more, that is said, and all else told."""
        session = talk(letter(1, "a"))
        inbox = session.store.inbox
        session.say("b UID SEARCH RETURN (UPDATE) TEXT body")
        session.say("c UID SEARCH RETURN (UPDATE) ALL")
        inbox.deliver(letter(2, "b"))

        def during() -> None:
            if session.session._tag == b"d":
                raise StoreRefused(StoreFault.SERVER_BUG, "Cannot store: broken")

        inbox.indexed = False
        inbox.during = during
        session.session.feed(b"d STATUS INBOX (MESSAGES)\r\n")
        heard = session.heard()
        assert '* NO [NOUPDATE "b"] What has changed cannot be searched' in heard
        assert '* ESEARCH (TAG "c") UID ADDTO (0 12)' in heard
        assert heard[-1] == "d OK Status completed"

    def test_forgetful(self) -> None:
        """A mailbox that has forgotten what changed is searched whole."""
        session = talk(letter(1, "a"), letter(2, "b"))
        session.say("b UID SEARCH RETURN (UPDATE) UNSEEN")
        inbox = session.store.inbox
        run(inbox.store([Uid(12)], FlagAction.ADD, ["\\Seen"]))
        session.session._state.box.view.catch_up()
        inbox.memory = 0
        run(inbox.store([], FlagAction.ADD, ["\\Seen"]))
        assert '* ESEARCH (TAG "b") UID REMOVEFROM (0 12)' in session.say("c NOOP")


class Client:
    """What a client makes of a context's updates (RFC 5267 §4.3)."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = list(numbers)

    def hear(self, line: str) -> None:
        words = line.replace("(", " ( ").replace(")", " ) ").split()
        action = "ADDTO" if "ADDTO" in words else "REMOVEFROM"
        pairs = words[words.index(action) + 2 : -1]
        for place, said in zip(map(int, pairs[::2]), pairs[1::2], strict=True):
            numbers = [n for part in said.split(",") for n in _range(part)]
            if action == "REMOVEFROM":
                if place:
                    assert self.numbers[place - 1 : place - 1 + len(numbers)] == numbers
                self.numbers = [n for n in self.numbers if n not in numbers]
            elif place:
                self.numbers[place - 1 : place - 1] = numbers
            else:
                self.numbers = sorted([*self.numbers, *numbers])


def _range(text: str) -> list[int]:
    first, _, last = text.partition(":")
    return list(range(int(first), int(last or first) + 1))


STEP = st.one_of(
    st.tuples(st.just("deliver"), st.sampled_from("abc")),
    st.tuples(st.just("expunge"), st.integers(0, 9)),
    st.tuples(st.just("see"), st.integers(0, 9)),
    st.tuples(st.just("unsee"), st.integers(0, 9)),
)


class TestModel:
    @settings(max_examples=60)
    @given(st.lists(st.lists(STEP, max_size=4), max_size=6), st.booleans())
    def test_followed(self, rounds: list[list[tuple[str, object]]], sort: bool) -> None:
        """A client that applies the updates has what a new search would give."""
        session = talk(*(letter(n + 1, "cabbac"[n]) for n in range(6)))
        inbox = session.store.inbox
        verb = (
            "UID SORT RETURN (UPDATE ALL) (SUBJECT) UTF-8"
            if sort
            else ("UID SEARCH RETURN (UPDATE ALL)")
        )
        session.say(f"b {verb} UNSEEN")
        client = Client(_expected(session, sort=sort))
        for steps in rounds:
            for action, value in steps:
                _do(session, action, value)
            for line in session.say("n NOOP"):
                if "ESEARCH" in line:
                    client.hear(line)
            assert client.numbers == _expected(session, sort=sort)
            assert not inbox.indexed or inbox.left == 0


def _expected(session: Talk, *, sort: bool) -> list[int]:
    inbox = session.store.inbox
    pairs = zip(inbox.uids, inbox.flags, strict=True)
    uids = [uid for uid, bits in pairs if not bits & 1]
    if sort:
        uids.sort(key=lambda uid: (digest(inbox.octets[Uid(uid)]).base, uid))
    return uids


def _do(session: Talk, action: str, value: object) -> None:
    inbox = session.store.inbox
    if isinstance(value, str):
        inbox.deliver(letter(9, value))
        return
    assert isinstance(value, int)
    uids = [Uid(uid) for uid in inbox.uids[value : value + 1]]
    if action == "expunge":
        run(inbox.expunge(uids))
    else:
        how = FlagAction.ADD if action == "see" else FlagAction.REMOVE
        run(inbox.store(uids, how, ["\\Seen"]))
