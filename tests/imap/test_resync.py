"""What a client that comes back is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.modifier import Resync
from mailhub.imap.resync import credible, matched
from mailhub.imap.sequence import SequenceSet, merged
from mailhub.ports.message import ModSeq, Uid
from tests.imap.fakes import FakeMailbox
from tests.imap.given import BARE, Talk
from tests.rig import run


def mailbox(*uids: int) -> FakeMailbox:
    made = FakeMailbox("INBOX")
    for uid in uids:
        made.uid_next = Uid(uid)
        made.deliver(BARE)
    return made


def numbers(*those: int) -> SequenceSet:
    return SequenceSet(merged((number, number) for number in those))


def test_credible() -> None:
    """A MODSEQ from the future, or of what a crash undid, counts as none."""
    made = mailbox(1, 2)
    assert credible(made, 2) == 2
    assert credible(made, 4) == 0
    made.doubt = (1, 3)
    assert credible(made, 2) == 0
    assert credible(made, 1) == 1


@given(
    st.sets(st.integers(1, 40), max_size=20),
    st.lists(st.integers(1, 25), unique=True, max_size=8),
    st.sets(st.integers(1, 40), max_size=8),
)
def test_matched(uids: set[int], seqs: list[int], theirs: set[int]) -> None:
    """The highest UID that both sides give the same number, as one by one would find it."""
    made = mailbox(*sorted(uids))
    count = min(len(seqs), len(theirs))
    pairs = list(zip(sorted(seqs)[:count], sorted(theirs)[:count], strict=True))
    known = Resync(7, 1, None, numbers(*(a for a, _ in pairs)), numbers(*(b for _, b in pairs)))
    agreed = [b for a, b in pairs if a <= len(made.uids) and made.uids[a - 1] == b]
    assert matched(made, known) == max(agreed, default=0)
    everything = SequenceSet(((1, 2**32 - 1),))
    assert matched(made, Resync(7, 1, None, everything, everything)) >= 0


class TestHistory:
    def test_too_old(self) -> None:
        """Where history is forgotten all that is not there is told, but what both sides know."""
        talk = Talk()
        inbox = talk.store.inbox
        for _ in range(7):
            inbox.deliver(BARE)
        run(inbox.expunge([Uid(2), Uid(5), Uid(6)]))
        inbox.floor = inbox.highest_modseq
        talk.login().say("e ENABLE QRESYNC")
        heard = talk.say("a SELECT INBOX (QRESYNC (7 9))")
        assert "* VANISHED (EARLIER) 2,5:6" in heard
        heard = talk.say("b SELECT INBOX (QRESYNC (7 9 1:10 (3 4)))")
        assert "* VANISHED (EARLIER) 5:6" in heard
        heard = talk.say("c SELECT INBOX (QRESYNC (7 9 1:10 (1:7 1,3:4,7:10)))")
        assert not any("VANISHED" in line for line in heard)
        assert "* VANISHED (EARLIER) 5" in talk.say("d UID FETCH 3:5 UID (CHANGEDSINCE 9 VANISHED)")

    def test_above_all(self) -> None:
        """The last messages, too, may have gone: 1:* means those as well."""
        talk = Talk()
        talk.login().say("e ENABLE QRESYNC")
        talk.say("s SELECT INBOX")
        known = talk.store.inbox.highest_modseq
        run(talk.store.inbox.expunge([Uid(3)]))
        talk.say("n NOOP")
        heard = talk.say(f"a UID FETCH 1:* FLAGS (CHANGEDSINCE {known} VANISHED)")
        assert heard[0] == "* VANISHED (EARLIER) 3"

    def test_seen_and_gone(self) -> None:
        """What the client sees is never EARLIER: its removal is told by itself, and first."""
        talk = Talk()
        talk.login().say("e ENABLE QRESYNC")
        talk.say("s SELECT INBOX")
        inbox = talk.store.inbox
        known = inbox.highest_modseq
        run(inbox.expunge([Uid(1)]))

        def during() -> None:
            inbox.during = lambda: None
            run(inbox.expunge([Uid(2)]))

        inbox.during = during
        heard = talk.say(f"a UID FETCH 1:* FLAGS (CHANGEDSINCE {known} VANISHED)")
        assert heard == [
            "* VANISHED 1",
            "* VANISHED (EARLIER) 1",
            "* VANISHED 2",
            "a OK Fetch completed",
        ]

    def test_long(self) -> None:
        """Thousands of gaps are told in lines of bounded length."""
        talk = Talk()
        inbox = talk.store.inbox
        for _ in range(5000):
            inbox.deliver(BARE)
        run(inbox.expunge([Uid(uid) for uid in inbox.uids if uid % 2]))
        talk.login().say("e ENABLE QRESYNC")
        heard = talk.say("a SELECT INBOX (QRESYNC (7 5003))")
        told = [line for line in heard if "VANISHED" in line]
        assert max(map(len, told)) < 10_000
        gone = [int(it) for line in told for it in line.split()[-1].split(",")]
        assert gone == list(range(1, 5004, 2))


def test_held_back() -> None:
    """While an EXPUNGE waits the client is told how much it knows for certain."""
    talk = Talk()
    talk.login().say("e ENABLE QRESYNC")
    talk.say("s SELECT INBOX")
    inbox = talk.store.inbox
    known = inbox.highest_modseq
    run(inbox.expunge([Uid(1)]))
    assert talk.say("a FETCH 2 (MODSEQ)") == [
        "* 2 FETCH (MODSEQ (3))",
        f"* OK [HIGHESTMODSEQ {known}] Some have gone since",
        "a OK Fetch completed",
    ]
    assert talk.say("b NOOP") == ["* VANISHED 1", "b OK Nothing done"]
    assert known < ModSeq(inbox.highest_modseq)
