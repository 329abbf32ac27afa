"""Usage by Maildir++'s maildirsize."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mailhub.ports.accounts import Quota
from mailhub.ports.message import Appending
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import quota
from mailhub.store.files import Files
from mailhub.store.quota import Sum
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, each_failure

FILES = Files()
SIZE = len(TEXT)
LIMITED = Quota(octets=10 * SIZE, messages=5)


class TestFile:
    def test_definition(self) -> None:
        """Octets with S, messages with C, as far as they are limited."""
        assert quota.definition(Quota(10, 5)) == b"10S,5C"
        assert quota.definition(Quota(messages=5)) == b"5C"
        assert not quota.limited(Quota())

    def test_parse(self) -> None:
        """Lines add up; another quota or broken lines are worth nothing."""
        assert quota.parse(b"10S\n5 1\n-2 -1\n7 1\n", Quota(10)) == Sum(10, 1)
        assert quota.parse(b"11S\n5 1\n", Quota(10)) is None
        assert quota.parse(b"10S\nx\n", Quota(10)) is None
        assert quota.parse(b"", Quota(10)) is None

    def test_exceeds(self) -> None:
        """Either limit counts; none is no limit."""
        assert Sum(11, 0).exceeds(Quota(octets=10))
        assert Sum(0, 6).exceeds(Quota(messages=5))
        assert not Sum(10, 5).exceeds(Quota(10, 5))
        assert not Sum(10**12, 10**9).exceeds(Quota())


class TestUsage:
    def test_made_when_missing(self, tmp_path: Path) -> None:
        """The file is made from the maildirs, also by files whose names say no size."""
        hub = Hub(tmp_path, quota=LIMITED)
        hub.append(TEXT, TEXT)
        hub.drop("1.M1.other", b"12345")
        (hub.maildir / "maildirsize").unlink(missing_ok=True)
        usage = run(hub.store.usage())
        assert (usage.octets, usage.messages) == (2 * SIZE + 5, 3)
        text = (hub.maildir / "maildirsize").read_bytes()
        assert text == b"%dS,5C\n%d 3\n" % (10 * SIZE, 2 * SIZE + 5)

    def test_counted_by_two_at_once(self, tmp_path: Path) -> None:
        """Two threads that make the file at the same moment both have their sum."""

        class Slow(Files):
            """Another thread makes the file while this one does."""

            waiting = True

            def listdir(self, path: bytes) -> list[bytes]:
                return os.listdir(path)

            def rename(self, source: bytes, target: bytes) -> None:  # type: ignore[override]
                if source.endswith(b"maildirsize") and self.waiting:
                    self.waiting = False
                    os.rename(source, target)
                os.rename(source, target)

        hub = Hub(tmp_path, quota=LIMITED)
        hub.append(TEXT)
        (hub.maildir / "maildirsize").unlink()
        account = os.fsencode(hub.maildir)
        assert quota.usage(Slow(), account, LIMITED, 0.0) == Sum(SIZE, 1)
        assert quota.usage(FILES, account, LIMITED, 0.0) == Sum(SIZE, 1)

    def test_kept_by_each_change(self, tmp_path: Path) -> None:
        """Deliveries, appends, copies and removals each add a line."""
        hub = Hub(tmp_path, quota=LIMITED)
        run(hub.store.usage())
        hub.deliver("a")
        hub.append(TEXT)
        mailbox = hub.open()
        run(mailbox.copy(mailbox.uids, "Sent"))
        run(mailbox.move(mailbox.uids[:1], "Trash"))
        run(mailbox.expunge(mailbox.uids))
        lines = (hub.maildir / "maildirsize").read_bytes().splitlines()[2:]
        expected = [b"%d 1", b"%d 1", b"%d 2", b"-%d -1"]
        sizes = [SIZE, SIZE, 2 * SIZE, SIZE]
        assert lines == [line % size for line, size in zip(expected, sizes, strict=True)]
        assert run(hub.store.usage()).messages == 3

    def test_long_file_is_made_anew(self, tmp_path: Path) -> None:
        """From 5120 octets on the lines are summed up."""
        hub = Hub(tmp_path, quota=LIMITED)
        hub.append(TEXT)
        path = hub.maildir / "maildirsize"
        path.write_bytes(quota.definition(LIMITED) + b"\n" + b"1 0\n" * 2000)
        assert run(hub.store.usage()).octets == SIZE
        assert path.stat().st_size < 100

    @pytest.mark.parametrize(
        ("lines", "age", "believed"), [(1, 0, True), (2, 0, False), (1, 2000, False)]
    )
    def test_over_quota_is_doubted(
        self, tmp_path: Path, lines: int, age: int, believed: bool
    ) -> None:
        """A file that says "over quota" is believed only while it is fresh and short."""
        hub = Hub(tmp_path, quota=LIMITED)
        hub.append(TEXT)
        path = hub.maildir / "maildirsize"
        path.write_bytes(quota.definition(LIMITED) + b"\n" + b"999999 1\n" * lines)
        when = time.time() - age
        os.utime(path, (when, when))
        assert (run(hub.store.usage()).octets == 999999) == believed

    def test_without_quota(self, tmp_path: Path) -> None:
        """No quota, no file: what was left of one is taken away."""
        hub = Hub(tmp_path, quota=LIMITED)
        run(hub.store.usage())
        hub.account = hub.account.__class__(hub.account.id, hub.account.path, hub.account.maildir)
        hub.append(TEXT)
        assert not (hub.maildir / "maildirsize").exists()
        assert run(hub.store.usage()).octets == SIZE

    def test_file_vanishes_while_measured(self, tmp_path: Path) -> None:
        """A message that goes away meanwhile does not count."""

        class Vanishing(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return [*super().listdir(path), b"ghost"]

        hub = Hub(tmp_path)
        hub.append(TEXT)
        assert quota.measure(Vanishing(), os.fsencode(hub.maildir)) == Sum(SIZE, 1)


class TestRefusals:
    def test_append_and_copy(self, tmp_path: Path) -> None:
        """What would exceed the quota is refused, and nothing changes."""
        hub = Hub(tmp_path, quota=Quota(messages=2))
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        with pytest.raises(StoreRefused) as refused:
            hub.append(TEXT)
        assert refused.value.fault is StoreFault.OVER_QUOTA
        with pytest.raises(StoreRefused) as refused:
            run(mailbox.copy(mailbox.uids, "Sent"))
        assert refused.value.fault is StoreFault.OVER_QUOTA
        assert hub.cur(".Sent") == []
        run(mailbox.move(mailbox.uids, "Sent"))  # a move needs no room
        assert len(hub.cur(".Sent")) == 2

    def test_instead(self, tmp_path: Path) -> None:
        """What goes when a message is there is counted as gone (RFC 8508 §3.4)."""
        hub = Hub(tmp_path, quota=Quota(octets=SIZE, messages=1))
        hub.append(TEXT)
        with pytest.raises(StoreRefused):
            run(hub.store.upload(SIZE + 1, freed=SIZE))
        upload = run(hub.store.upload(SIZE, freed=SIZE))
        run(upload.write(TEXT))
        assert len(run(hub.store.append("INBOX", [Appending(upload)], SIZE)).uids) == 1
        with pytest.raises(StoreRefused):
            run(hub.store.upload(1))
        upload = run(hub.store.upload(SIZE - 1, freed=SIZE))  # though it is over by now
        run(upload.abort())

    def test_recipient(self, tmp_path: Path) -> None:
        """RCPT learns whether one more message of a size would fit."""
        hub = Hub(tmp_path, quota=Quota(octets=100))
        assert not run(hub.stores.over_quota(hub.account, 100))
        assert run(hub.stores.over_quota(hub.account, 101))
        assert not run(Hub(tmp_path / "free").stores.over_quota(Hub(tmp_path / "x").account, 10**9))

    def test_upload_says_its_size(self, tmp_path: Path) -> None:
        """A literal that would not fit is refused before it is sent."""
        hub = Hub(tmp_path, quota=Quota(octets=10))
        with pytest.raises(StoreRefused) as refused:
            run(hub.store.upload(11))
        assert refused.value.fault is StoreFault.OVER_QUOTA
        run(hub.store.upload(9))


def test_note_fails_quietly(tmp_path: Path) -> None:
    """A line that cannot be written costs accuracy only."""
    path, files = os.fsencode(tmp_path), FailingFiles()
    (tmp_path / "maildirsize").write_bytes(b"5C\n")
    for _ in each_failure(files, lambda: quota.note(files, path, Quota(messages=5), Sum(1, 1))):
        pass
    assert (tmp_path / "maildirsize").read_bytes() == b"5C\n1 1\n"
