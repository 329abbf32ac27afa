"""The account's text file: UIDVALIDITY and special uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.store import profile
from mailhub.store.durable import Corrupt
from mailhub.store.files import Files
from mailhub.store.profile import Profile, Profiles


def profiles(path: Path, now: float = 1000.0, log: list[str] | None = None) -> Profiles:
    lines = [] if log is None else log
    return Profiles(Files(), os.fsencode(path), lambda: now, lines.append)


def test_round_trip() -> None:
    """What is written is read."""
    kept = Profile(7, 3, {b".Sent": ("\\Sent",), b".A B.C": ("\\All", "\\Archive")})
    assert profile.parse(bytes(kept)) == kept


@pytest.mark.parametrize("octets", [b"", b"\xff", b"other 1\n", b"mailhub-account 1\nuse x\n"])
def test_corrupt(octets: bytes) -> None:
    """A file with any line that is not ours is corrupt."""
    with pytest.raises(Corrupt):
        profile.parse(octets)


class TestUidValidity:
    def test_grows(self, tmp_path: Path) -> None:
        """Each is greater than the last, within one second and over restarts."""
        first = [profiles(tmp_path).next_uid_validity() for _ in range(3)]
        assert first == [1000, 1001, 1002]
        assert profiles(tmp_path, now=10.0).next_uid_validity() == 1003

    def test_follows_the_clock(self, tmp_path: Path) -> None:
        """A lost file does not bring old numbers back: the date is greater."""
        assert profiles(tmp_path, now=5000.0).next_uid_validity() == 5000

    def test_another_servers(self, tmp_path: Path) -> None:
        """One that was adopted counts as given out."""
        kept = profiles(tmp_path)
        kept.seen(2000)
        kept.seen(1500)
        assert kept.next_uid_validity() == 2001

    def test_retired(self, tmp_path: Path) -> None:
        """The greatest UIDVALIDITY that lost its name is remembered."""
        kept = profiles(tmp_path)
        kept.retire(9)
        kept.retire(4)
        assert profiles(tmp_path).get().retired == 9


def test_uses(tmp_path: Path) -> None:
    """Special uses are set, changed and taken off."""
    kept = profiles(tmp_path)
    kept.use(b".S", ("\\Sent",))
    kept.use(b".S", ("\\Sent",))
    kept.use(b".T", ("\\Trash",))
    assert profiles(tmp_path).get().uses == {b".S": ("\\Sent",), b".T": ("\\Trash",)}
    kept.use(b".S", ())
    assert profiles(tmp_path).get().uses == {b".T": ("\\Trash",)}


def test_corrupt_is_set_aside(tmp_path: Path) -> None:
    """A broken file is kept under another name, and said so; we begin anew."""
    (tmp_path / "mailhub-account").write_bytes(b"junk")
    log: list[str] = []
    assert profiles(tmp_path, log=log).next_uid_validity() == 1000
    assert (tmp_path / "mailhub-account.corrupt").read_bytes() == b"junk"
    assert "mailhub-account" in log[0]
