"""APPEND: streamed, refused early, aborted whatever happens."""

from __future__ import annotations

from typing import Any

from mailhub.imap.append import MESSAGES
from mailhub.imap.settings import Limits
from mailhub.ports.accounts import Quota
from mailhub.ports.store import StoreFault, StoreRefused
from tests.imap.fakes import NOW
from tests.imap.given import Talk, store

REFUSAL = StoreRefused(StoreFault.OVER_QUOTA, "Over quota")


def test_streamed() -> None:
    """A large message is handed on as it arrives, never held whole."""
    talk = Talk().login()
    talk.raw(b"a APPEND Work {500000}\r\n")
    for _ in range(50):
        assert talk.raw(b"x" * 10000) == b""
    assert talk.raw(b"\r\n").startswith(b"a OK [APPENDUID")
    [upload] = talk.store.uploads
    assert upload.octets == b"x" * 500000
    assert upload.largest == 10000


def test_large_without_mailbox() -> None:
    """Before a large message is sent it is looked whether the mailbox is there."""
    talk = Talk().login()
    assert talk.say("a APPEND Nowhere {100000}") == ["a NO [TRYCREATE] No mailbox Nowhere"]
    assert not talk.store.uploads


def test_quota_before() -> None:
    """So is the quota."""
    mail = store()
    mail.quota = Quota(1000)
    talk = Talk(mail).login()
    assert talk.say("a APPEND Work {2000}") == ["a NO [OVERQUOTA] Over quota"]


def test_refused_amid() -> None:
    """A refusal amid the message is said when it has gone by, and nothing is filed."""
    mail = store()
    mail.refusal = REFUSAL
    talk = Talk(mail).login()
    talk.say("a APPEND Work {10}")
    assert talk.raw(b"12345") == b""
    assert talk.raw(b"67890\r\nb NOOP\r\n").split(b"\r\n")[:2] == [
        b"a NO [OVERQUOTA] Over quota",
        b"b OK Nothing done",
    ]
    assert mail.uploads[0].aborted
    assert not mail.boxes["Work"].octets


def test_refused_amid_several() -> None:
    """In an APPEND of several the others are read and dropped."""
    mail = store()
    mail.refusal = REFUSAL
    talk = Talk(mail).login()
    heard = talk.raw(b"a APPEND Work {2+}\r\n12 {3+}\r\n345\r\nb NOOP\r\n")
    assert heard.split(b"\r\n")[:2] == [b"a NO [OVERQUOTA] Over quota", b"b OK Nothing done"]


def test_several() -> None:
    """Several messages are filed together, each with its flags and date."""
    talk = Talk().login()
    assert talk.say("a APPEND Work (\\Seen) {2}") == ["+ Ready for the message"]
    assert talk.say('12 (k) " 1-Jan-1970 00:00:05 +0000" {3}') == ["+ Ready for the message"]
    assert talk.say("345") == ["a OK [APPENDUID 8 1:2] Append completed"]
    box = talk.store.boxes["Work"]
    assert list(box.octets.values()) == [b"12", b"345"]
    assert list(box.dates) == [NOW, 5]
    assert [box.names_of(bits) for bits in box.flags] == [["\\Seen"], ["k"]]


def test_bad_second() -> None:
    """A second message that is refused undoes the first."""
    talk = Talk(limits=Limits(append=10)).login()
    assert talk.raw(b"a APPEND Work {2+}\r\n12 {11+}\r\n12345678901\r\n").startswith(
        b"a NO [TOOBIG]"
    )
    assert talk.raw(b"b APPEND Work {2+}\r\n12 (\\Recent) {1+}\r\n1\r\n").startswith(b"b BAD")
    assert talk.raw(b"c APPEND Work {2+}\r\n12 junk\r\n").startswith(b"c BAD")
    assert talk.raw(b"d APPEND Work {2+}\r\n12" + b"x" * 70000 + b"\r\n").startswith(b"d BAD")
    assert [upload.aborted for upload in talk.store.uploads] == [True] * 4
    assert not talk.store.boxes["Work"].octets


def test_told() -> None:
    """Who appends to the selected mailbox hears of it before the OK."""
    talk = Talk().select()
    heard = talk.say("a APPEND INBOX {5+}\r\nHello")
    assert heard == ["* 4 EXISTS", "* 4 RECENT", "a OK [APPENDUID 7 4] Append completed"]


def test_no_right_time() -> None:
    """Before login there is no APPEND; its message is dropped."""
    talk = Talk()
    assert talk.raw(b"a APPEND Work {5+}\r\nHello\r\n") == b"a BAD Log in first\r\n"
    assert talk.say("b APPEND Work {5}") == ["b BAD Log in first"]


class TestCatenated:
    def test_limit_of_each(self) -> None:
        """Each message of several has the limit for itself, whatever it is made of."""
        talk = Talk(limits=Limits(append=100)).login()
        url = b'URL "/INBOX/;UID=3"'
        heard = talk.raw(
            b"a APPEND Work {90+}\r\n" + b"x" * 90 + b" CATENATE (" + url + b" TEXT {50+}\r\n"
            + b"y" * 50 + b") {95+}\r\n" + b"z" * 95 + b"\r\n"
        )  # fmt: skip
        assert heard.startswith(b"a OK [APPENDUID 8 1:3]")
        assert [len(octets) for octets in talk.store.boxes["Work"].octets.values()] == [90, 69, 95]

    def test_sizes_said(self) -> None:
        """The store is told the size of a message where it is known, and of no other."""
        talk = Talk().login()
        sizes: list[int | None] = []
        upload = talk.store.upload

        async def watched(size: int | None, *rest: Any) -> Any:
            sizes.append(size)
            return await upload(size, *rest)

        talk.store.upload = watched  # type: ignore[assignment, method-assign]
        talk.raw(b'a APPEND Work CATENATE (URL "/INBOX/;UID=3") {5+}\r\nHello\r\n')
        assert sizes == [None, 5]

    def test_too_big_together(self) -> None:
        """What is too large only together is refused before the client sends it."""
        talk = Talk(limits=Limits(append=100)).login()
        [said] = talk.say('a APPEND Work CATENATE (URL "/INBOX/;UID=3" TEXT {90}')
        assert said == "a NO [TOOBIG] A message may have 100 octets"
        assert all(upload.aborted for upload in talk.store.uploads)

    def test_too_many(self) -> None:
        """Small messages wait in memory for the last one: so there is a limit."""
        talk = Talk().login()
        messages = b"".join(b" {1+}\r\nx" for _ in range(MESSAGES + 1))
        assert b"a NO [LIMIT]" in talk.raw(b"a APPEND Work" + messages + b"\r\n")
        assert not talk.store.boxes["Work"].octets
