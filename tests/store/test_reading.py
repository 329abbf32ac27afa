"""Messages read whole, in pieces, by header, by summary."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.mail.header import SECTION_LIMIT
from mailhub.mail.part import parse
from mailhub.ports.message import Rendering
from mailhub.store import reading
from mailhub.store.excerpts import Excerpts
from mailhub.store.files import Files
from mailhub.store.limits import Limits
from mailhub.store.lines import to_crlf
from mailhub.store.reading import LargeFile
from mailhub.store.rows import Transaction
from tests.rig import run
from tests.store.test_lines import OCTETS
from tests.store.world import TEXT, FailingFiles, Hub, summary


def large(path: Path, octets: bytes, size: int | None = None) -> LargeFile:
    path.write_bytes(octets)
    descriptor = os.open(path, os.O_RDONLY)
    return LargeFile(Files(), descriptor, len(octets) if size is None else size)


class TestLargeFile:
    @given(OCTETS, st.lists(st.tuples(st.integers(0, 70), st.integers(0, 40)), max_size=8))
    @settings(max_examples=60)
    def test_any_pieces(self, octets: bytes, pieces: list[tuple[int, int]]) -> None:
        """Any pieces in any order are those of the whole, with bare LFs made CR LF or not."""
        with TemporaryDirectory() as path:
            for expected, size in ((octets, len(octets)), (to_crlf(octets), -1)):
                file = large(Path(path) / "x", octets, size)
                assert file.size == len(expected)
                for offset, length in pieces:
                    assert file.read(offset, length) == expected[offset : offset + length]
                file.close()

    def test_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A converted file is read once, however many pieces it is read in."""
        monkeypatch.setattr(reading, "_PIECE", 7)
        octets = b"one\ntwo\r\nthree\r" * 20
        file = large(tmp_path / "x", octets, 5)
        served, found = to_crlf(octets), b""
        while piece := file.read(len(found), 5):
            found += piece
        assert found == served

    def test_cut_short_meanwhile(self, tmp_path: Path) -> None:
        """A file that another program cuts short ends where it ends."""
        file = large(tmp_path / "x", b"one\ntwo\n", 5)
        (tmp_path / "x").write_bytes(b"one\n")
        assert file.read(0, 100) == b"one\r\n"

    def test_closed_while_it_reads(self, tmp_path: Path) -> None:
        """The descriptor is not taken from under a read that is under way."""
        file = large(tmp_path / "x", b"abc")
        with file._lock:
            file.close()
            assert file._descriptor >= 0
        assert file.read(0, 3) == b""
        assert file._descriptor == -1
        file.close()


class TestReadAhead:
    def test_follows(self, tmp_path: Path) -> None:
        """The messages that follow come along, within the limits."""
        hub = Hub(tmp_path, limits=Limits(read_ahead_octets=30, read_whole=40))
        hub.append(b"a" * 10, b"b" * 10, b"c" * 15, b"d" * 41, b"e")
        box = hub.box()
        assert set(reading.read_ahead(box, 1, 10).whole) == {1, 2}
        assert set(reading.read_ahead(box, 3, 10).whole) == {3}
        ahead = reading.read_ahead(box, 4, 10)
        assert ahead.whole == {}
        assert ahead.large is not None
        assert ahead.large.read(0, 50) == b"d" * 41
        ahead.large.close()
        assert reading.read_ahead(box, 9, 10).whole == {}

    def test_first_comes_whatever_its_size(self, tmp_path: Path) -> None:
        """The message that was asked for is read, even if it is all there is room for."""
        hub = Hub(tmp_path, limits=Limits(read_ahead_octets=5))
        hub.append(b"a" * 10, b"b")
        assert set(reading.read_ahead(hub.box(), 1, 10).whole) == {1}

    def test_renamed_or_gone(self, tmp_path: Path) -> None:
        """A renamed file is found; one that is gone is not there."""
        hub = Hub(tmp_path, limits=Limits(read_whole=10))
        hub.append(b"small", b"large" * 9, b"y")
        box = hub.box()
        for name in hub.cur()[:2]:
            (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / (name + "S"))
        (hub.maildir / "cur" / hub.cur()[2]).unlink()
        assert set(reading.read_ahead(box, 1, 1).whole) == {1}
        found = reading.read_ahead(box, 2, 1).large
        assert found is not None
        found.close()
        assert reading.read_ahead(box, 3, 1).whole == {}
        (hub.maildir / "cur" / hub.cur()[1]).unlink()
        assert reading.read_ahead(box, 2, 1).large is None

    def test_found_and_lost_again(self, tmp_path: Path) -> None:
        """A file that is renamed a second time meanwhile counts as gone for now."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        box = hub.box()

        class Racing(Files):
            def listdir(self, path: bytes) -> list[bytes]:
                return [name + b"S" for name in super().listdir(path)]

        (name,) = hub.cur()
        (hub.maildir / "cur" / name).rename(hub.maildir / "cur" / (name + "F"))
        object.__setattr__(box.ground, "files", Racing())
        assert reading.read_ahead(box, 1, 1).whole == {}


class TestWhole:
    def test_in_one_go(self, tmp_path: Path) -> None:
        """Several messages as they are served; those that are gone are None."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        run(hub.stores.of(hub.account))
        hub.drop("1.M1.x", b"A: b\n\nc\n")
        mailbox = hub.open()
        assert run(mailbox.whole([2, 1, 3])) == [b"A: b\r\n\r\nc\r\n", TEXT, None]

    def test_renamed_or_removed(self, tmp_path: Path) -> None:
        """One that another program has renamed is found, and one that it has removed is not."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()
        first, second, _ = (hub.maildir / "cur" / name for name in hub.cur())
        first.rename(str(first) + "F")
        second.unlink()
        assert run(mailbox.whole([1, 2, 3])) == [TEXT, None, TEXT]

    def test_structure(self, tmp_path: Path) -> None:
        """So is the structure of one."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        assert run(mailbox.structure(1)) == parse(TEXT)
        assert run(mailbox.structure(2)) is None


class TestHeaders:
    @pytest.mark.parametrize(
        ("content", "header"),
        [
            (TEXT, TEXT[:-8]),
            (b"\r\nbody", b"\r\n"),
            (b"A: b\r\n", b"A: b\r\n"),
            (b"A: " + b"x" * 20_000 + b"\r\n\r\nbody", b"A: " + b"x" * 20_000 + b"\r\n\r\n"),
            (b"A: b\n\nc", b"A: b\n\nc"),
        ],
    )
    def test_ours(self, tmp_path: Path, content: bytes, header: bytes) -> None:
        """Up to the empty line and with it; all of a message that has none."""
        hub = Hub(tmp_path)
        hub.append(content)
        assert run(hub.open().headers([1])) == [header]

    def test_others(self, tmp_path: Path) -> None:
        """Bare LFs are served as CR LF; messages that are gone are None."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))
        hub.drop("1.M1.x", b"A: b\n\nc\n")
        mailbox = hub.open()
        assert run(mailbox.headers([5, 1])) == [None, b"A: b\r\n\r\n"]
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        assert run(mailbox.headers([1])) == [None]


class TestFields:
    def test_learnt(self, tmp_path: Path) -> None:
        """Fields that were asked for once are given without a look at the file."""
        hub = Hub(tmp_path)
        hub.append(TEXT, b"Subject: two\r\n\r\n")
        mailbox = hub.open()
        expected = [b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n"]
        assert run(mailbox.fields([b"Subject"], [1, 2])) == expected
        for name in hub.cur():
            (hub.maildir / "cur" / name).unlink()
        assert run(mailbox.fields([b"SUBJECT", b"subject"], [2, 1, 3])) == [*expected[::-1], None]
        assert run(mailbox.fields([b"From"], [1])) == [None]

    def test_too_large_to_keep(self, tmp_path: Path) -> None:
        """Fields of unusual size are read each time."""
        hub = Hub(tmp_path)
        hub.append(b"To: " + b"a@b, " * 1000 + b"\r\n\r\n")
        mailbox = hub.open()
        [first] = run(mailbox.fields([b"to"], [1]))
        assert run(mailbox.fields([b"to"], [1])) == [first]
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        assert run(mailbox.fields([b"to"], [1])) == [None]

    def test_disk_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be kept is given all the same."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(Excerpts, "put", full)
        monkeypatch.setattr(Transaction, "put_summaries", full)
        for _ in range(2):
            assert run(mailbox.fields([b"subject"], [1])) == [b"Subject: one\r\n\r\n"]
            assert run(mailbox.rendered(Rendering.BODY, [1])) == [b"body"]

    def test_endless_header(self, tmp_path: Path) -> None:
        """Of a header section without end only its beginning is read."""
        hub = Hub(tmp_path)
        hub.append(b"Subject: x\r\n" + b"A: b\r\n" * 100_000)
        mailbox = hub.open()
        [section] = run(mailbox.headers([1]))
        assert section is not None
        assert section.endswith(b"\r\nA: b\r\n\r\n")
        assert SECTION_LIMIT - 10 < len(section) <= SECTION_LIMIT
        assert run(mailbox.fields([b"subject"], [1])) == [b"Subject: x\r\n\r\n"]


class TestSummaries:
    def test_made_once(self, tmp_path: Path) -> None:
        """A summary is made of the content as served, then kept."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        run(hub.stores.of(hub.account))
        hub.drop("1.M1.x", b"A: b\n\nc\n")
        mailbox = hub.open()
        expected = [summary(TEXT).envelope, summary(b"A: b\r\n\r\nc\r\n").envelope]
        lazily = run(mailbox.rendered(Rendering.ENVELOPE, [1, 2], make=False))
        assert list(lazily) == [None, None]
        assert run(mailbox.rendered(Rendering.ENVELOPE, [1, 2])) == expected
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        assert run(mailbox.rendered(Rendering.ENVELOPE, [1, 2, 3])) == [*expected, None]

    def test_gone(self, tmp_path: Path) -> None:
        """A message that is gone has none."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        assert run(mailbox.rendered(Rendering.BODY, [1])) == [None]


def test_changed_in_its_place(tmp_path: Path) -> None:
    """A file that was edited is served as it is now, with its true length."""
    hub = Hub(tmp_path, limits=Limits(read_whole=100))
    hub.append(TEXT, b"x" * 200)
    for name in hub.cur():
        with (hub.maildir / "cur" / name).open("ab") as file:
            file.write(b"more\n")
    mailbox = hub.open()
    for uid, expected in ((1, TEXT + b"more\r\n"), (2, b"x" * 200 + b"more\r\n")):
        content = run(mailbox.content(uid))
        assert content is not None
        assert run(content.read()) == expected
        assert content.size == len(expected)
        content.close()


def test_errors_come_out(tmp_path: Path) -> None:
    """A disk that fails is an OSError for whoever reads."""
    hub = Hub(tmp_path, files=(files := FailingFiles()))
    hub.append(TEXT)
    box = hub.box()
    for function in (
        reading.headers,
        partial(reading.fields, [b"a"]),
        partial(reading.rendered, Rendering.BODY),
    ):
        files.arm(0)
        with pytest.raises(OSError, match="output"):
            function(box, [1])
        files.disarm()
