"""Signed URLs that the dialogue does not show: large messages, odd encodings, other servers."""

from __future__ import annotations

import pytest

from mailhub.imap.response import PIECE
from mailhub.imap.settings import Limits
from mailhub.imap.urlaccess import signed
from tests.imap.given import Talk, store

KEY = b"%032d" % 1


def url(rest: str) -> str:
    return signed(f"imap://alice@hub.example/INBOX/;UID={rest}".encode(), KEY).decode()


def talk(message: bytes, limits: Limits | None = None) -> Talk:
    """A session of which the URLs of INBOX are signed with `KEY`; its fourth message is this."""
    mail = store()
    mail.inbox.deliver(message)
    made = Talk(mail, limits=limits or Limits()).login()
    rump = "imap://alice@hub.example/INBOX/;UID=4;URLAUTH=authuser"
    assert made.say(f'k GENURLAUTH "{rump}" INTERNAL')[-1].startswith("k OK")
    return made


def fetched(session: Talk, argument: str) -> bytes:
    """What URLFETCH gives behind the URL."""
    said = session.raw(f"a URLFETCH {argument}\r\n".encode())
    head, _, rest = said.partition(b'"')[2].partition(b'" ')
    assert head
    return rest.removesuffix(b"\r\na OK That is what the URLs name\r\n")


def part(encoding: str, body: bytes) -> bytes:
    return f"MIME-Version: 1.0\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


def test_large() -> None:
    """A large message is told in pieces, and nothing of it is lost."""
    message = part("binary", b"x" * (3 * PIECE) + b"\0end")
    session = talk(message)
    whole = url("4;URLAUTH=authuser")
    plain = message.replace(b"\0", b"\x80")
    assert fetched(session, whole) == b"{%d}\r\n" % len(message) + plain
    assert fetched(session, f"({whole} BINARY)") == b"(BINARY ~{%d}\r\n%b)" % (
        len(message),
        message,
    )
    some = url(f"4/;SECTION=1/;PARTIAL={3 * PIECE}.9;URLAUTH=authuser")
    assert fetched(session, f"({some} BINARY)") == b"(BINARY ~{4}\r\n\0end)"


def test_unknown_encoding() -> None:
    """What cannot be decoded is NIL, and its structure is told all the same (RFC 5524 §3.2)."""
    session = talk(part("x-own", b"??"))
    asked = f"({url('4/;SECTION=1;URLAUTH=authuser')} BINARY BODYPARTSTRUCTURE)"
    assert fetched(session, asked) == (
        b'(BODYPARTSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "x-own" 2'
        b" 0 NIL NIL NIL NIL)) (BINARY NIL)"
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [(b"=41=0D=0A", b'"7bit" 3 1'), (b"=C3", b'"8bit" 1 0'), (b"=C3=00", b'"binary" 2 0')],
)
def test_decoded_structure(body: bytes, told: bytes) -> None:
    """With BINARY the structure is that of what is told (RFC 5524 §3)."""
    session = talk(part("quoted-printable", body))
    asked = f"({url('4/;SECTION=1;URLAUTH=authuser')} BINARY BODYPARTSTRUCTURE)"
    assert told in fetched(session, asked)


def test_whole_structure() -> None:
    """Of a URL without section the message's structure is told."""
    session = talk(part("7bit", b"a\r\n"))
    said = fetched(session, f"({url('4;URLAUTH=authuser')} BODYPARTSTRUCTURE)")
    assert said.startswith(b'(BODYPARTSTRUCTURE ("text" "plain"')


def test_submitters() -> None:
    """What any submission server may have, those get whom the operator trusts."""
    asked = url("4;URLAUTH=submit+bob")
    assert fetched(talk(b"a: b\r\n\r\n"), asked) == b"NIL"
    trusted = Limits(submitters=("alice@hub.example",))
    assert fetched(talk(b"a: b\r\n\r\n", trusted), asked) == b"{8}\r\na: b\r\n\r\n"


@pytest.mark.parametrize(
    "wanted", ["4/;SECTION=2", "4/;SECTION=1.HEADER", "5", "4;URLAUTH=authuser;x"]
)
def test_nothing_there(wanted: str) -> None:
    """Who signs what is not there has signed nothing."""
    assert fetched(talk(b"a: b\r\n\r\n"), url(f"{wanted};URLAUTH=authuser")) == b"NIL"


def test_own_key() -> None:
    """Each mailbox has a key of its own."""
    session = talk(b"a: b\r\n\r\n")
    session.say("c COPY 1 Work")
    rump = b"imap://alice@hub.example/Work/;UID=1;URLAUTH=authuser"
    assert fetched(session, signed(rump, KEY).decode()) == b"NIL"
    said = session.say(f'd GENURLAUTH "{rump.decode()}" INTERNAL')[0]
    assert said == f'* GENURLAUTH "{signed(rump, b"%032d" % 2).decode()}"'
