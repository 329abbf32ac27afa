"""FETCH: rows, sections of small and large messages, and messages that vanish."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.fetch import Spans, gathered, spans
from mailhub.imap.response import PIECE
from mailhub.imap.sequence import merged
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreFault, StoreRefused
from tests.imap.fakes import FakeContent, FakeMailbox
from tests.imap.given import BARE, MULTIPART, PLAIN, Talk, store
from tests.rig import run

BIG = (
    b"Subject: big\r\nFrom: x@y\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n"
    b"--cut\r\nContent-Type: text/plain\r\n\r\nsmall\r\n--cut\r\nContent-Type: text/plain\r\n\r\n"
    + b"0123456789" * 20000
    + b"\r\n--cut--\r\n"
)


def with_big() -> Talk:
    mail = store()
    mail.inbox.deliver(BIG)
    return Talk(mail).select()


def literals(octets: bytes) -> list[bytes]:
    """All literals of an answer, by their announced sizes."""
    found = []
    while (match := re.search(rb"\{(\d+)\}\r\n", octets)) is not None:
        end = match.end() + int(match[1])
        found.append(octets[match.end() : end])
        octets = octets[end:]
    return found


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9)).map(lambda p: (p[0], p[0] + p[1]))),
    st.integers(1, 7),
)
def test_spans(ranges: list[tuple[int, int]], rows: int) -> None:
    """Batches hold all numbers in order, so many at a time."""
    whole = merged(ranges)
    batches = list(spans(whole, rows))
    numbers = [n for batch in batches for a, b in batch for n in range(a, b + 1)]
    assert numbers == [n for a, b in whole for n in range(a, b + 1)]
    sizes = [sum(b - a + 1 for a, b in batch) for batch in batches]
    assert all(size == rows for size in sizes[:-1])


class TestLarge:
    def test_whole(self) -> None:
        """A large message is read in pieces, and closed."""
        talk = with_big()
        assert literals(talk.raw(b"a FETCH 4 BODY.PEEK[]\r\n")) == [BIG]
        [content] = talk.store.inbox.contents
        assert content.closed
        assert all(length == PIECE or length is not None for _, length in content.reads)
        assert len(content.reads) > 3

    def test_sections(self) -> None:
        """Sections of a large message are stretches of it; fields are picked out."""
        talk = with_big()
        heard = talk.raw(
            b"a FETCH 4 (UID BODY.PEEK[1] BODY.PEEK[2]<199990.100> BODY.PEEK[2.MIME] BODY.PEEK[9]"
            b" BODY.PEEK[HEADER.FIELDS (From)] BODY.PEEK[])\r\n"
        )
        assert literals(heard) == [
            b"small",
            b"0123456789",
            b"Content-Type: text/plain\r\n\r\n",
            b"From: x@y\r\n\r\n",
            BIG,
        ]
        assert b'BODY[9] ""' in heard

    def test_text(self) -> None:
        """BODY[TEXT] needs no structure: the header's length is enough."""
        talk = with_big()
        body = BIG.index(b"\r\n\r\n") + 4
        heard = talk.raw(b"a FETCH 4 (BODY.PEEK[TEXT] BODY.PEEK[HEADER] BODY.PEEK[TEXT]<5.4>)\r\n")
        assert literals(heard) == [BIG[body:], BIG[:body], BIG[body + 5 : body + 9]]
        assert (0, None) not in talk.store.inbox.contents[0].reads

    def test_structure_is_remembered(self) -> None:
        """Who fetches a part in many pieces has the message parsed once."""
        talk = with_big()
        for start in range(0, 1000, 100):
            talk.raw(b"a FETCH 4 BODY.PEEK[2]<%d.100>\r\n" % start)
        assert talk.store.inbox.parsed == [4]

    @pytest.mark.parametrize(
        "fault", [OSError("gone"), StoreRefused(StoreFault.SERVER_BUG, "gone"), None]
    )
    def test_broken(self, fault: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Amid a literal an error can only end the connection, without a word."""
        talk = with_big()
        read = FakeContent.read

        async def failing(self: FakeContent, offset: int = 0, length: int | None = None) -> bytes:
            if offset < 100000:
                return await read(self, offset, length)
            if fault is not None:
                raise fault
            return b""

        monkeypatch.setattr(FakeContent, "read", failing)
        heard = talk.raw(b"a FETCH 4 BODY.PEEK[]\r\n")
        assert talk.session.closed
        assert BIG.startswith(heard.partition(b"}\r\n")[2])

    def test_unreadable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before a literal has begun an error is NO."""

        async def failing(self: FakeContent, offset: int = 0, length: int | None = None) -> bytes:
            raise OSError

        monkeypatch.setattr(FakeContent, "read", failing)
        assert with_big().say("a FETCH 4 BODY.PEEK[TEXT]")[-1].startswith("a NO [SERVERBUG]")

        async def refusing(self: FakeMailbox, uids: object) -> Sequence[bytes | None]:
            raise StoreRefused(StoreFault.SERVER_BUG, "no")

        monkeypatch.setattr(FakeMailbox, "whole", refusing)
        assert with_big().say("a FETCH 1 BODY[]")[-1].startswith("a NO [SERVERBUG]")

    def test_gone(self) -> None:
        """One that goes before its turn has come is left out."""
        talk = with_big()
        box = talk.store.inbox

        def expunge() -> None:
            box.during = lambda: None
            run(box.expunge([Uid(4)]))

        box.during = expunge
        heard = talk.say("a FETCH 3:4 (BODY.PEEK[TEXT] BODY.PEEK[1])")
        assert next(line for line in heard if "FETCH (" in line).startswith("* 3 FETCH")
        assert heard[-1].startswith("a OK [EXPUNGEISSUED]")


class TestVanishing:
    @pytest.mark.parametrize(
        "items",
        ["ENVELOPE", "BODY.PEEK[HEADER]", "BODY.PEEK[]", "(BODYSTRUCTURE BODY.PEEK[1])", "BODY[]"],
    )
    def test_amid(self, items: str) -> None:
        """A message that goes while it is being fetched is left out; by number that is a NO."""
        talk = Talk().select()

        def expunge() -> None:
            talk.store.inbox.during = lambda: None
            run(talk.store.inbox.expunge([Uid(2)]))

        talk.store.inbox.during = expunge
        heard = talk.raw(f"a FETCH 1:3 {items}\r\n".encode())
        assert re.findall(rb"\* (\d) FETCH", heard) == [b"1", b"3"]
        assert b"a OK [EXPUNGEISSUED]" in heard
        assert b"EXPUNGE\r" not in heard
        assert talk.say("b NOOP")[0] == "* 2 EXPUNGE"

    def test_by_uid(self) -> None:
        """By UID it is passed over in silence."""
        mail = store()
        talk = Talk(mail).select()
        run(mail.inbox.expunge([Uid(2)]))
        heard = talk.say("a UID FETCH 2 FLAGS")
        assert heard == ["* 2 EXPUNGE", "a OK Fetch completed"]

    def test_all_gone(self) -> None:
        """Nothing is left, and that is no failure of ours."""
        talk = Talk().select()
        run(talk.store.inbox.expunge([Uid(1)]))
        assert talk.say("a FETCH 1 BODY[]")[-1].startswith("a OK [EXPUNGEISSUED]")


class TestSeen:
    def test_set_and_told(self) -> None:
        r"""BODY[] sets ``\Seen`` and says so once; BODY.PEEK[] does not."""
        talk = Talk().select()
        assert "FLAGS" not in talk.say("a FETCH 1 BODY.PEEK[TEXT]<0.1>")[0]
        assert talk.say("b FETCH 1 BODY[TEXT]<0.1>")[0].startswith(
            "* 1 FETCH (FLAGS (\\Seen \\Recent)"
        )
        assert "FLAGS" not in talk.say("c FETCH 1 BODY[TEXT]<0.1>")[0]
        assert talk.say("d FETCH 3 (FLAGS BODY[TEXT]<0.1>)")[0].count("FLAGS") == 1

    def test_read_only(self) -> None:
        """After EXAMINE nothing is set."""
        talk = Talk().login()
        talk.say("a EXAMINE INBOX")
        assert "FLAGS" not in talk.say("b FETCH 1 BODY[TEXT]<0.1>")[0]

    def test_full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A store that cannot note it is no reason not to show the message."""

        async def failing(*_: object) -> tuple[Uid, ...]:
            raise StoreRefused(StoreFault.SERVER_BUG, "full")

        talk = Talk().select()
        monkeypatch.setattr(FakeMailbox, "store", failing)
        assert literals(talk.raw(b"a FETCH 1 BODY[]\r\n")) == [PLAIN]


def test_labels() -> None:
    """A percent sign in a field's name stays one."""
    heard = Talk().select().raw(b'a FETCH 1 BODY.PEEK[HEADER.FIELDS ("%d" From)]\r\n')
    assert b'BODY[HEADER.FIELDS ("%d" From)] {' in heard


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("BODY.PEEK[1]", b"sch=F6n"),
        ("BODY.PEEK[TEXT]<0.5>", b"--cut"),
        ("BODY.PEEK[2.MIME]", b"Content-Type: text/html\r\n\r\n"),
        ("BODY.PEEK[]", MULTIPART),
    ],
)
def test_small(items: str, expected: bytes) -> None:
    """Sections of a small message are cut out of it in memory."""
    assert literals(Talk().select().raw(f"a FETCH 2 {items}\r\n".encode())) == [expected]


def test_many() -> None:
    """Batches of every kind join without gaps."""
    mail = store()
    for _ in range(1200):
        mail.inbox.deliver(BARE)
    talk = Talk(mail).select()
    for items in (b"UID", b"ENVELOPE", b"BODY.PEEK[HEADER]", b"BODY.PEEK[]"):
        heard = talk.raw(b"a FETCH 1:* %b\r\n" % items)
        numbers = re.findall(rb"^\* (\d+) FETCH", heard, re.MULTILINE)
        assert numbers == [b"%d" % n for n in range(1, 1204)]


class TestSteps:
    def test_rows_change(self) -> None:
        """A step's size may change from one to the next."""
        batches = Spans(((1, 10),), 4)
        seen = []
        for batch in batches:
            seen.append(batch)
            batches.rows = 1 if len(seen) < 3 else 9
        assert seen == [[(1, 4)], [(5, 5)], [(6, 6)], [(7, 10)]]

    def test_many_rows(self) -> None:
        """Whatever the sizes of steps, each message is told once, in pieces that are allowed."""
        mail = store()
        for n in range(300):
            mail.inbox.deliver(b"Subject: %d %b\r\n\r\n." % (n, b"x" * (n * 40)))
        talk = Talk(mail).select()
        talk.session.feed(b"a FETCH 1:* (ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])\r\n")
        heard = run(collected(talk.session.respond()))
        assert max(map(len, heard)) <= PIECE
        numbers = re.findall(rb"^\* (\d+) FETCH \(ENVELOPE", b"".join(heard), re.MULTILINE)
        assert list(map(int, numbers)) == list(range(1, 304))

    def test_large_header(self) -> None:
        """The header section of a large message is read in pieces; fields only at its beginning."""
        mail = store()
        subject = b"Subject: x\r\n\r\n"
        head = b"Subject: x\r\n" + b"A: b\r\n" * 100_000
        mail.inbox.deliver(head + b"\r\nbody")
        talk = Talk(mail).select()
        heard = talk.raw(
            b"a FETCH 3:* (BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS.NOT (a)] BODY.PEEK[TEXT]"
            b" BODY.PEEK[HEADER.FIELDS (Subject)])\r\n"
        )
        assert literals(heard)[4:] == [head + b"\r\n", subject, b"body", subject]
        heard = talk.raw(b"b FETCH 3:* (BODY.PEEK[HEADER])\r\n")
        assert literals(heard)[1:] == [head + b"\r\n"]
        assert (0, None) not in talk.store.inbox.contents[-1].reads

    def test_gathered(self) -> None:
        """Small pieces go together; an empty one lets others have their turn."""

        async def small() -> AsyncGenerator[bytes, None]:
            for piece in (b"a", b"b", b"", b"c", b"x" * (PIECE - 1), b"yy"):
                yield piece

        found = run(collected(gathered(small())))
        assert found == [b"ab", b"", b"c" + b"x" * (PIECE - 1), b"yy"]


async def collected(pieces: AsyncGenerator[bytes, None]) -> list[bytes]:
    return [piece async for piece in pieces]
