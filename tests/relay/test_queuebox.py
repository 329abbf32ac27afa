"""The mailbox of what was sent, as sessions see it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailhub.mail.address import parse_address
from mailhub.mail.flag import DELETED, SEEN
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.message import Change, FlagAction, ModSeq, Placed, Rendering, Uid, UidValidity
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.queue.event import Accepted, Dismissed, Event, Fated, State, to_text
from mailhub.queue.journeys import Written
from mailhub.relay.queuebox import Entry, QueueBox, keyword_bits
from tests.rig import run

ANN = Account(AccountId(1), parse_address("ann@hub.example"), "ann")
ONE, TWO = QueueId("d21m6d8nes8h"), QueueId("d21m6d8pzzyc")
FLOOR = 100


def taken(at: float = 1.0) -> Accepted:
    return Accepted(
        at, at, "ann@hub.example", ("b@far.example",), 9, account="ann@hub.example", subject="Hi"
    )


def fated(state: State, at: float = 2.0) -> Fated:
    return Fated(at, (0,), state, "450 Later")


class FakeDesk:
    host = "hub.example"

    def __init__(self) -> None:
        self.cancelled: list[QueueId] = []
        self.busy: set[QueueId] = set()
        self.targets: list[str] = []
        self.asked = 0

    async def cancel(self, account: Account, entry: Entry) -> None:
        if entry.queue_id in self.busy:
            raise StoreRefused(StoreFault.IN_USE, "busy")
        self.cancelled.append(entry.queue_id)

    async def give_back(self, account: Account, entries: Sequence[Entry], target: str) -> Placed:
        for entry in entries:
            await self.cancel(account, entry)
        return await self.place(account, entries, target)

    async def place(self, account: Account, letters: Sequence[Entry], target: str) -> Placed:
        self.targets.append(target)
        return Placed(UidValidity(5), (), tuple(Uid(n) for n in range(1, len(letters) + 1)))

    async def news(self, box: QueueBox) -> None:
        self.asked += 1


class Rig:
    def __init__(self) -> None:
        self.desk = FakeDesk()
        self.closed: list[QueueBox] = []
        self.owners: dict[QueueId, QueueBox] = {}
        self.box = QueueBox(ANN, "Queue", self.desk, self.closed.append, 3, FLOOR, self.owners)
        self.woken = 0
        self.box.show(ONE, FLOOR + 1, [taken()])
        self.box.show(TWO, FLOOR + 4, [taken(), fated(State.DEFERRED)])
        self.cursor = self.box.cursor
        self.box.watch(self.wake)

    def wake(self) -> None:
        self.woken += 1

    def news(self) -> list[tuple[Change, Uid]]:
        found = self.box.changes(self.cursor)
        assert found is not None
        self.cursor = self.box.cursor
        return list(found)

    def written(self, number: int, *events: Event, queue_id: QueueId = ONE) -> None:
        self.box.written(Written(FLOOR + number, queue_id, to_text(events)))

    def subject(self, uid: int) -> bytes:
        [block] = run(self.box.fields([b"subject"], [Uid(uid)]))
        assert block is not None
        return block.strip()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_shown(rig: Rig) -> None:
    """Each item is a message that was seen, with its state for keywords."""
    box = rig.box
    assert list(box.uids) == [1, 4]
    assert (box.uid_next, box.uid_validity) == (5, 3)
    assert list(box.flags) == [
        SEEN | keyword_bits(["$SubmitPending"]),
        SEEN | keyword_bits(["$SubmitPending", "$Delayed"]),
    ]
    assert rig.subject(4) == b"Subject: Delayed: b@far.example: Hi"
    assert rig.owners == {ONE: box, TWO: box}
    status = box.status()
    assert (status.messages, status.unseen, status.recent, status.size) == (2, 0, 0, sum(box.sizes))
    assert box.take_recent() == frozenset()


def test_a_change_is_told_twice(rig: Rig) -> None:
    """Keywords change at once; the story comes under a new UID once it is written."""
    before = rig.box.highest_modseq
    rig.box.happened(ONE, [fated(State.RELAYED)])
    assert rig.news() == [(Change.FLAGGED, 1)]
    assert rig.box.flags[0] == SEEN | keyword_bits(["$Submitted", "$Delivered"])
    assert before < rig.box.modseqs[0] == rig.box.highest_modseq
    assert rig.subject(1) == b"Subject: Waiting: b@far.example: Hi"
    rig.written(6, fated(State.RELAYED))
    assert rig.news() == [(Change.EXPUNGED, 1), (Change.ARRIVED, 6)]
    assert list(rig.box.uids) == [4, 6]
    assert rig.subject(6) == b"Subject: Delivered: b@far.example: Hi"
    assert rig.woken == 2


def test_what_says_nothing_new(rig: Rig) -> None:
    """What leaves the state as it was wakes nobody before it is written."""
    rig.box.happened(TWO, [fated(State.DEFERRED, 9.0)])
    assert rig.woken == 0
    rig.written(4, queue_id=TWO)
    assert list(rig.box.uids) == [1, 4]


def test_arrivals(rig: Rig) -> None:
    """An item that begins is shown; what is known only in part, or dismissed, is not."""
    three, four = QueueId("d21m6d8pzzz0"), QueueId("d21m6d8pzzz1")
    rig.written(7, fated(State.RELAYED), queue_id=three)
    rig.written(8, taken(), Dismissed(2.0, "ann@hub.example"), queue_id=three)
    rig.written(9, taken(), queue_id=four)
    assert rig.news() == [(Change.ARRIVED, 9)]
    assert rig.box.uid_next == 10


def test_flags_of_clients(rig: Rig) -> None:
    r"""\Deleted and \Seen are theirs, all others the hub's."""
    box = rig.box
    stored = run(box.store([Uid(1), Uid(99)], FlagAction.ADD, ["\\Deleted"]))
    assert stored.changed == (1,)
    assert box.flags[0] & DELETED
    run(box.store([Uid(1)], FlagAction.REPLACE, []))
    assert box.flags[0] == keyword_bits(["$SubmitPending"])
    run(box.store([Uid(1)], FlagAction.ADD, ["\\seen"]))
    run(box.store([Uid(1)], FlagAction.REMOVE, ["\\Deleted"]))
    assert box.flags[0] == SEEN | keyword_bits(["$SubmitPending"])
    for name in ("\\Flagged", "$Delivered", "Junk"):
        with pytest.raises(StoreRefused, match="cannot be changed"):
            run(box.store([Uid(1)], FlagAction.ADD, [name]))
    assert run(box.store([Uid(1)], FlagAction.ADD, ["\\Seen"])).changed == ()


def test_flags_unless_changed(rig: Rig) -> None:
    """UNCHANGEDSINCE leaves alone what has changed (RFC 7162 §3.1.3)."""
    old = ModSeq(rig.box.modseqs[1])
    run(rig.box.store([Uid(4)], FlagAction.ADD, ["\\Deleted"]))
    stored = run(rig.box.store([Uid(1), Uid(4)], FlagAction.REMOVE, ["\\Deleted", "\\Seen"], old))
    assert (stored.changed, stored.modified) == ((1,), (4,))


def test_deleted_survives_a_change(rig: Rig) -> None:
    r"""The letter that replaces a deleted one is deleted too."""
    run(rig.box.store([Uid(1)], FlagAction.ADD, ["\\Deleted"]))
    rig.written(6, fated(State.DEFERRED))
    assert rig.box.flags[-1] & DELETED


def test_expunge_cancels(rig: Rig) -> None:
    """What is removed is cancelled; what is being sent stays, and that is said."""
    rig.desk.busy.add(TWO)
    with pytest.raises(StoreRefused, match="busy"):
        run(rig.box.expunge([Uid(1), Uid(4), Uid(50)]))
    assert rig.desk.cancelled == [ONE]
    assert list(rig.box.uids) == [4]
    assert ONE not in rig.owners
    rig.desk.busy.clear()
    assert run(rig.box.expunge([Uid(4)])) == (4,)


def test_move_takes_back(rig: Rig) -> None:
    """What is moved leaves, and COPYUID tells where it went."""
    placed = run(rig.box.move([Uid(4)], "Drafts"))
    assert (placed.sources, placed.uids, rig.desk.targets) == ((4,), (1,), ["Drafts"])
    assert list(rig.box.uids) == [1]
    rig.desk.busy.add(ONE)
    with pytest.raises(StoreRefused):
        run(rig.box.move([Uid(1)], "Drafts"))
    assert list(rig.box.uids) == [1]


def test_copy_takes_nothing(rig: Rig) -> None:
    """A copy is a letter somewhere else."""
    placed = run(rig.box.copy([Uid(4), Uid(1)], "Archive"))
    assert (placed.sources, rig.desk.targets, rig.desk.cancelled) == ((1, 4), ["Archive"], [])
    assert list(rig.box.uids) == [1, 4]


def test_the_old_retire(rig: Rig) -> None:
    """What has ended is shown for a while, what has not as long as it takes."""
    rig.box.happened(ONE, [fated(State.RELAYED, 50.0)])
    rig.written(6, fated(State.RELAYED, 50.0))
    woken = rig.woken
    rig.box.retire(50.0)
    assert list(rig.box.uids) == [4, 6]
    assert rig.woken == woken, "nobody is woken for nothing"
    rig.box.retire(51.0)
    assert list(rig.box.uids) == [4]


def test_read(rig: Rig) -> None:
    """Content, headers, renderings and identities agree; what is gone is None."""
    box = rig.box
    content = run(box.content(Uid(1)))
    assert content is not None
    octets = run(content.read())
    assert len(octets) == content.size == box.sizes[0]
    [head, gone] = run(box.headers([Uid(1), Uid(2)]))
    assert head is not None
    assert octets.startswith(head)
    assert head.endswith(b"\r\n\r\n")
    assert gone is None
    [envelope, nothing] = run(box.rendered(Rendering.ENVELOPE, [Uid(1), Uid(2)]))
    assert envelope is not None
    assert b"Waiting: b@far.example: Hi" in envelope
    assert nothing is None
    one, two, none = run(box.identities([Uid(1), Uid(4), Uid(2)]))
    assert one is not None
    assert two is not None
    assert one.email != two.email
    assert none is None
    structure = run(box.structure(Uid(1)))
    assert structure is not None
    assert structure.end == content.size
    assert run(box.structure(Uid(2))) is None
    assert run(box.content(Uid(2))) is None


def test_who_comes_back(rig: Rig) -> None:
    """What has left is not remembered: a client must look for itself."""
    assert run(rig.box.vanished(ModSeq(1))) is None
    assert not rig.box.doubtful(rig.box.highest_modseq)
    assert rig.box.doubtful(ModSeq(rig.box.highest_modseq + 1))


def test_refresh_and_release(rig: Rig) -> None:
    """A poll asks the desk for what others wrote; the last word is the desk's too."""
    run(rig.box.refresh())
    assert rig.desk.asked == 1
    run(rig.box.release())
    assert rig.closed == [rig.box]
    rig.box.unwatch(rig.wake)
    rig.box.happened(ONE, [fated(State.RELAYED)])
    assert rig.woken == 0
