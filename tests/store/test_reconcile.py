"""Index and files brought together: what other programs did, and new messages."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mailhub.ports.message import Change, FlagAction
from mailhub.ports.store import StoreRefused
from mailhub.store import reconcile
from mailhub.store.files import Files
from mailhub.store.mailbox import SharedMailbox
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, contents


def history(mailbox: SharedMailbox, cursor: int) -> list[tuple[Change, int]]:
    run(mailbox.refresh())
    changes = mailbox.changes(cursor)
    assert changes is not None
    return [(change, int(uid)) for change, uid in changes]


class TestNewMessages:
    def test_delivered_while_others_are_numbered(self, tmp_path: Path) -> None:
        """A file that comes into `new` amid the renames of others is seen at the next look."""
        dropped: list[str] = []

        def rename(source: bytes, target: bytes) -> None:
            if b"/new/" in source and not dropped:
                dropped.append("late")
                hub.drop("1700000009.M1P1.late")
            os.rename(source, target)

        hub = Hub(tmp_path, files=(files := Files()))
        vars(files)["rename"] = rename
        run(hub.stores.of(hub.account))
        for name in ("1700000001.M1P1.x", "1700000002.M1P1.x"):
            hub.drop(name)
        os.utime(hub.maildir / "new", (1_000_000_000, 1_000_000_000))
        mailbox = hub.open()
        assert dropped
        run(mailbox.refresh())
        assert list(mailbox.uids) == [1, 2, 3]

    def test_order_of_delivery(self, tmp_path: Path) -> None:
        """Delivered messages get UIDs in the order in which they came, and move to cur."""
        hub = Hub(tmp_path)
        for when in (5, 3, 4):
            hub.deliver(f"q{when}", arrived=1_700_000_000.0 + when)
        hub.drop("1700000001.M1P1.other")
        hub.drop("unknown")
        names = [name.split(",")[0] for name in hub.cur()]
        mailbox = hub.open()
        rows = mailbox.box.rows(mailbox.uids)
        assert [row.name.split(b".")[1].split(b"_")[-1] for row in rows[2:]] == [
            b"q3",
            b"q4",
            b"q5",
        ]
        assert rows[0].name.startswith(b"unknown,")
        assert os.listdir(hub.maildir / "new") == names == []
        assert list(mailbox.uids) == [1, 2, 3, 4, 5]

    def test_foreign_file(self, tmp_path: Path) -> None:
        """Size as served, date of the file, flags of its name; its name's size is not believed."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))
        path = hub.drop("1.M1.x,S=4,W=999:2,FS", b"A: b\n\nc\n", "cur")
        os.utime(path, (77, 77))
        mailbox = hub.open()
        assert (mailbox.sizes[0], mailbox.dates[0], mailbox.flags[0]) == (11, 77, 5)
        assert hub.cur() == ["1.M1.x,S=8,W=11,U=1:2,FS"]
        assert run(contents(mailbox)) == [b"A: b\r\n\r\nc\r\n"]
        hub.lose_index()
        mailbox = hub.open()
        assert (mailbox.sizes[0], hub.cur()) == (11, ["1.M1.x,S=8,W=11,U=1:2,FS"])

    def test_own_binary(self, tmp_path: Path) -> None:
        """Octets that we were given are served as they are, bare LF and all."""
        hub = Hub(tmp_path)
        hub.deliver("q", content=b"A: b\r\n\r\nbare\nlf")
        assert run(contents(hub.open())) == [b"A: b\r\n\r\nbare\nlf"]

    def test_recent(self, tmp_path: Path) -> None:
        """New messages are recent to the first session that asks, and to no other."""
        hub = Hub(tmp_path)
        hub.deliver("a")
        mailbox = hub.open()
        assert mailbox.take_recent() == {1}
        assert mailbox.take_recent() == frozenset()
        hub.deliver("b")
        run(mailbox.release())
        hub.restart()
        mailbox = hub.open()
        assert mailbox.take_recent() == {2}
        assert run(hub.store.status("INBOX")).recent == 0

    def test_torn_by_a_crash(self, tmp_path: Path) -> None:
        """A file of ours that is shorter than its name says is no message."""
        hub = Hub(tmp_path)
        hub.deliver("a", "b")
        path = next((hub.maildir / "new").glob("*_a.*"))
        path.write_bytes(b"")
        mailbox = hub.open()
        assert len(mailbox.uids) == 1
        assert path.exists()
        assert "torn" in hub.logged[0]

    def test_many_programs_at_once(self, tmp_path: Path) -> None:
        """A file that goes away while we look is passed over."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))

        class Racing(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return [*super().listdir(path), b"5.M5.ghost"]

        hub.files = Racing()
        hub.restart()
        assert list(hub.open().uids) == []


class TestOthersChanges:
    def test_flags(self, tmp_path: Path) -> None:
        """mutt marks a message: the flags change, the UID does not, the MODSEQ grows."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        cursor, modseq = mailbox.cursor, mailbox.highest_modseq
        (name, _) = hub.cur()
        (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / (name + "RS"))
        assert history(mailbox, cursor) == [(Change.FLAGGED, 1)]
        assert list(mailbox.flags) == [3, 0]
        assert mailbox.modseqs[0] > modseq

    def test_same_flags_otherwise_spelt(self, tmp_path: Path) -> None:
        """A name that means the same is no change, but is remembered."""
        hub = Hub(tmp_path)
        hub.append(TEXT, flags=("\\Seen", "\\Flagged"))
        mailbox = hub.open()
        cursor = mailbox.cursor
        (name,) = hub.cur()
        (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / name.replace(":2,FS", ":2,SF"))
        assert history(mailbox, cursor) == []
        assert run(mailbox.store([1], FlagAction.ADD, ["\\Draft"])).changed == (1,)
        hub.follow()
        assert hub.cur()[0].endswith(":2,DFS")

    def test_removed_and_added(self, tmp_path: Path) -> None:
        """Files that go are expunged, files that come arrive."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        cursor = mailbox.cursor
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        hub.drop("9.M9.mutt:2,S", place="cur")
        assert history(mailbox, cursor) == [(Change.EXPUNGED, 1), (Change.ARRIVED, 3)]
        assert list(mailbox.uids) == [2, 3]

    def test_back_to_new(self, tmp_path: Path) -> None:
        """mutt marks a message as new by moving it: it stays the same message."""
        hub = Hub(tmp_path)
        hub.append(TEXT, flags=("\\Seen",))
        mailbox = hub.open()
        cursor = mailbox.cursor
        (name,) = hub.cur()
        (hub.maildir / "cur" / name).rename(hub.maildir / "new" / name.partition(":")[0])
        assert history(mailbox, cursor) == [(Change.FLAGGED, 1)]
        assert list(mailbox.uids) == [1]
        assert hub.cur() == [name.replace(":2,S", ":2,")]

    def test_moved_here_from_another_mailbox(self, tmp_path: Path) -> None:
        """A ``U=`` that this mailbox did not give is no UID of it."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT)
        hub.append(TEXT, name="Sent")
        inbox, sent = hub.open(), hub.open("Sent")
        name = hub.cur()[1]
        (hub.maildir / "cur" / name).rename(hub.maildir / ".Sent/cur" / name)
        run(inbox.refresh())
        run(sent.refresh())
        assert list(inbox.uids) == [1, 3]
        assert sent.uids[0] == 1
        assert len(sent.uids) == 2
        assert sent.uids[1] >= 2

    def test_comes_back_after_its_removal(self, tmp_path: Path) -> None:
        """A message that was expunged and is put back is a new one."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        (name,) = hub.cur()
        (hub.maildir / "copy").write_bytes(TEXT)
        run(mailbox.expunge([1]))
        (hub.maildir / "copy").rename(hub.maildir / "cur" / name)
        run(mailbox.refresh())
        assert list(mailbox.uids) == [2]

    def test_renamed_under_our_eyes(self, tmp_path: Path) -> None:
        """readdir(3) may miss a file that is being renamed: it is not gone."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()

        class Missing(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return sorted(super().listdir(path))[1:]

        ground = mailbox.box.ground
        object.__setattr__(ground, "files", Missing())
        mailbox.box.missed()
        run(mailbox.refresh())
        # Missing each time it looks gone; a name seen in the first listing keeps it.
        object.__setattr__(ground, "files", Files())
        mailbox.box.missed()
        run(mailbox.refresh())
        assert len(run(contents(mailbox))) == 2

    def test_seen_once_of_two_listings(self, tmp_path: Path) -> None:
        """A file that one of two listings shows is there."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        first, second = (os.fsencode(name) for name in hub.cur())
        answers = [[], [b"%b" % first + b"S"], [second]]

        class Flickering(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return answers.pop(0)

        object.__setattr__(mailbox.box.ground, "files", Flickering())
        mailbox.box.missed()
        run(mailbox.refresh())
        assert list(mailbox.uids) == [1, 2]
        assert mailbox.box.seen == (0, 0)

    def test_shown_under_two_names(self, tmp_path: Path) -> None:
        """A file that a listing shows under its old and its new name is one message."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        (name,) = hub.cur()
        (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / (name + "S"))

        class Doubling(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                found = super().listdir(path)
                return [*found, os.fsencode(name)] if path.endswith(b"cur") else found

        object.__setattr__(mailbox.box.ground, "files", Doubling())
        run(mailbox.refresh())
        assert (list(mailbox.uids), list(mailbox.flags)) == ([1], [1])

    def test_true_copies(self, tmp_path: Path) -> None:
        """Two files that differ in their flags alone are two messages."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        (name,) = hub.cur()
        (hub.maildir / "cur" / (name + "S")).write_bytes(TEXT)
        hub.drop("7.M7.x:2,S", place="cur")
        hub.drop("7.M7.x:2,F", place="cur")
        for _ in range(2):
            run(mailbox.refresh())
        assert len(mailbox.uids) == 4
        assert mailbox.uids[0] == 1


class TestSameTick:
    def test_new_mail_in_the_same_tick(self, tmp_path: Path) -> None:
        """``new`` that changed this moment is looked at once more."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.drop("1.M1.x")
        run(mailbox.refresh())
        assert mailbox.box.seen[0] == 0
        now = time.time()
        hub.clock = lambda: now + 5
        object.__setattr__(mailbox.box.ground, "clock", hub.clock)
        run(mailbox.refresh())
        assert mailbox.box.seen[0] != 0

    @pytest.mark.parametrize("own", [True, False])
    def test_hidden_change(self, tmp_path: Path, own: bool) -> None:
        """What hides behind a change of the same moment is found by a later look at all names.

        Soon, if that change was another program's; by and by, if it was ours.
        """
        now = [time.time()]
        hub = Hub(tmp_path, clock=lambda: now[0])
        hub.append(TEXT)
        mailbox = hub.open()
        now[0] += 10
        run(mailbox.refresh())
        (name,) = hub.cur()
        if own:
            run(mailbox.store([1], FlagAction.ADD, ["\\Flagged"]))
            hub.follow()
            (name,) = hub.cur()
        else:
            hub.drop("5.M5.x", place="cur")
            os.utime(hub.maildir / "cur", (now[0], now[0]))
            run(mailbox.refresh())
        (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / (name + "S"))
        mailbox.box.seen = mailbox.box.look()
        run(mailbox.refresh())
        assert mailbox.flags[0] & 1 == 0
        now[0] += hub.limits.verify if own else reconcile.SOON
        run(mailbox.refresh())
        assert mailbox.flags[0] & 1 == 1
        assert not mailbox.box.must_verify


class TestLosses:
    def test_index_deleted(self, tmp_path: Path) -> None:
        """UIDs, UIDVALIDITY, flags, keywords, sizes and dates come back from the names."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT, flags=("Junk", "\\Seen"), internal_date=99.0)
        mailbox = hub.open()
        run(mailbox.expunge([2]))
        kept = [
            list(column) for column in (mailbox.uids, mailbox.flags, mailbox.sizes, mailbox.dates)
        ]
        validity, uid_next, modseq = mailbox.uid_validity, mailbox.uid_next, mailbox.highest_modseq
        hub.lose_index()
        again = hub.open()
        assert kept == [
            list(column) for column in (again.uids, again.flags, again.sizes, again.dates)
        ]
        assert (again.uid_validity, again.keywords) == (validity, ("Junk",))
        assert again.uid_next >= uid_next
        assert again.highest_modseq > modseq
        assert again.take_recent() == frozenset()

    def test_last_uid_is_not_given_twice(self, tmp_path: Path) -> None:
        """UIDs of messages that are gone stay used, index or no index."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        run(hub.open().expunge([1, 2]))
        hub.lose_index()
        assert hub.append(TEXT).uids[0] > 2

    def test_crash_of_the_machine(self, tmp_path: Path) -> None:
        """Under another boot the index may be old: UIDs begin at the ceiling."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        hub.boot = "second boot"
        hub.restart()
        mailbox = hub.open()
        assert list(mailbox.uids) == [1]
        assert mailbox.uid_next == mailbox.box.ceiling > 2
        hub.restart()
        assert hub.open().uid_next == mailbox.uid_next

    def test_killed_before_the_index_knew(self, tmp_path: Path) -> None:
        """A message whose name has the next UID keeps it."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        hub.restart()
        (name,) = hub.cur()
        (hub.maildir / "cur" / name.replace("U=1", "U=5")).write_bytes(TEXT)
        mailbox = hub.open()
        assert list(mailbox.uids) == [1, 5]
        assert mailbox.uid_next == 6

    def test_above_the_ceiling(self, tmp_path: Path) -> None:
        """A UID that was never given out here is none."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        hub.restart()
        (name,) = hub.cur()
        (hub.maildir / "cur" / name.replace("U=1", "U=99999")).write_bytes(TEXT)
        assert list(hub.open().uids) == [1, 2]

    def test_two_claim_one_uid(self, tmp_path: Path) -> None:
        """Of two files with one UID the first keeps it."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        (name,) = hub.cur()
        hub.lose_index()
        (hub.maildir / "cur" / ("9" + name)).write_bytes(TEXT)
        uids = list(hub.open().uids)
        assert uids[0] == 1
        assert len(uids) == 2

    def test_rename_undone_by_a_crash(self, tmp_path: Path) -> None:
        """A message that lost the UID in its name is known by its stem."""
        hub = Hub(tmp_path)
        hub.deliver("a")
        hub.open()
        (name,) = hub.cur()
        hub.restart()
        (hub.maildir / "cur" / name).rename(hub.maildir / "new" / name.partition(",U=")[0])
        mailbox = hub.open()
        assert list(mailbox.uids) == [1]
        assert hub.cur() == [name]

    def test_moved_and_not_moved(self, tmp_path: Path) -> None:
        """A message that a crash of the machine left in ``new`` and in ``cur`` is one message."""
        hub = Hub(tmp_path)
        hub.deliver("a")
        hub.open()
        (name,) = hub.cur()
        octets = (hub.maildir / "cur" / name).read_bytes()
        before = hub.maildir / "new" / name.partition(",U=")[0]
        before.write_bytes(octets)
        hub.boot = "second boot"
        hub.restart()
        assert list(hub.open().uids) == [1]
        assert hub.cur() == [name]
        assert not before.exists()
        before.write_bytes(octets.swapcase())
        hub.boot = "third boot"
        hub.restart()
        assert len(hub.open().uids) == 2, "only what is the same to the octet goes"

    def test_names_of_another_program(self, tmp_path: Path) -> None:
        """mbsync writes ``U=`` too: without a UID list of ours it means nothing."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))
        for uid in (9, 4):
            hub.drop(f"1700000000.{uid}.x,U={uid}:2,S", place="cur")
        assert list(hub.open().uids) == [1, 2]


class TestFailures:
    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """Whichever call fails, the next look finds all messages, each once."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        run(hub.stores.of(hub.account))
        mailbox = hub.open()
        seen: set[int] = set()
        for at in range(40):
            hub.deliver(f"d{at}")
            hub.drop(f"{at}.M{at}.x")
            files.arm(at)
            try:
                run(mailbox.refresh())
            except StoreRefused:
                assert files.failed
            files.disarm()
            run(mailbox.refresh())
            assert len(mailbox.uids) == 2 * (at + 1)
            assert seen <= set(mailbox.uids)
            seen = set(mailbox.uids)
        stems = [name.split(",")[0] for name in hub.cur()]
        assert len(set(stems)) == len(stems) == 80

    def test_index_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What the index did not take it takes the next time."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.drop("1.M1.x")
        mailbox.box.kept.stale = True
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.put", _full)
            with pytest.raises(StoreRefused):
                run(mailbox.refresh())
        assert mailbox.box.kept.stale
        run(mailbox.refresh())
        assert len(mailbox.uids) == 1


def _full(*_: object) -> None:
    raise OSError("full")


def test_renamed_again_meanwhile(tmp_path: Path) -> None:
    """A file that loses its place while we give it its name back is found the next time."""
    hub = Hub(tmp_path)
    hub.append(TEXT)
    mailbox = hub.open()
    (name,) = hub.cur()
    bare = name.partition(",U=")[0]
    (hub.maildir / "cur" / name).rename(hub.maildir / "new" / bare)

    class Racing(Files):
        @staticmethod
        def rename(*_: object, **__: object) -> None:
            raise FileNotFoundError

    ground = mailbox.box.ground
    object.__setattr__(ground, "files", Racing())
    run(mailbox.refresh())
    object.__setattr__(ground, "files", Files())
    run(mailbox.refresh())
    assert list(mailbox.uids) == [1]
    assert hub.cur() == [name]


def test_without_numbers(tmp_path: Path) -> None:
    """Where no UIDs may be given out, messages without one wait."""
    hub = Hub(tmp_path)
    hub.append(TEXT)
    box = hub.box()
    hub.drop("1.M1.x", place="cur")
    hub.drop("2.M1.x")
    box.missed()
    assert not reconcile.reconcile(box, number=False)
    assert len(reconcile.reconcile(box).added) == 2
