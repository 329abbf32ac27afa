"""MAIL and RCPT as they are said, and the messages a server cannot have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body, DeliverBy, Envelope, Notify, Recipient, Return
from mailhub.smtp.announce import lacking, mail_line, needs, rcpt_line, unreachable
from mailhub.smtp.features import NOTHING, Features

ALL = Features(
    sized=True,
    size=1000,
    eight_bit=True,
    binary=True,
    chunking=True,
    utf8=True,
    dsn=True,
    require_tls=True,
)
ANN = Recipient(Path("ann", "example.org"))
BOB = Path("bob", "example.com")


def line(envelope: Envelope, features: Features, octets: bytes = b"a: b\r\n\r\n") -> bytes:
    need = needs(envelope, octets, len(octets), ascii_only=octets.isascii())
    return mail_line(envelope, need, features)


class TestMailLine:
    def test_bare(self) -> None:
        """To a server that announced nothing, nothing is said (RFC 5321 §2.2.1)."""
        envelope = Envelope(BOB, (ANN,), ret=Return.FULL, envid="x", utf8=True)
        assert line(envelope, NOTHING) == b"MAIL FROM:<bob@example.com>\r\n"

    def test_everything(self) -> None:
        """Each parameter is passed on where its keyword was announced."""
        envelope = Envelope(
            BOB, (ANN,), Body.EIGHT_BIT, Return.HEADERS, "QQ314159", utf8=True, require_tls=True
        )
        assert line(envelope, ALL) == (
            b"MAIL FROM:<bob@example.com> SIZE=8 BODY=8BITMIME SMTPUTF8 RET=HDRS"
            b" ENVID=QQ314159 REQUIRETLS\r\n"
        )

    def test_null(self) -> None:
        """The null reverse-path is an empty pair of brackets."""
        assert line(Envelope(NULL, (ANN,)), NOTHING) == b"MAIL FROM:<>\r\n"

    def test_undeclared(self) -> None:
        """8-bit content is declared even if the client did not."""
        said = line(Envelope(BOB, (ANN,)), ALL, "a: b\r\n\r\n\u00e9".encode())
        assert b"BODY=8BITMIME" in said
        assert b"SMTPUTF8" not in said

    def test_utf8_recipient(self) -> None:
        """A recipient that needs SMTPUTF8 makes the transaction one, asked for or not."""
        envelope = Envelope(BOB, (Recipient(Path("\u00e9va", "example.org")),))
        assert b" SMTPUTF8" in line(envelope, ALL)

    def test_no_second_command(self) -> None:
        """What would end the line early is a bug, and does not leave the house."""
        with pytest.raises(ValueError, match="two commands"):
            line(Envelope(BOB, (ANN,), envid="x\r\nRSET"), ALL)


class TestRcptLine:
    def test_dsn(self) -> None:
        """NOTIFY and ORCPT are passed on to a server with DSN, and to no other."""
        recipient = replace(
            ANN, notify=Notify.SUCCESS | Notify.DELAY, orcpt="rfc822;ann@example.org"
        )
        assert rcpt_line(recipient, ALL) == (
            b"RCPT TO:<ann@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann@example.org\r\n"
        )
        assert rcpt_line(recipient, NOTHING) == b"RCPT TO:<ann@example.org>\r\n"

    def test_never(self) -> None:
        """NEVER stands alone (RFC 3461 §4.1)."""
        assert b" NOTIFY=NEVER\r\n" in rcpt_line(replace(ANN, notify=Notify.NEVER), ALL)

    def test_utf8_orcpt(self) -> None:
        """An ORCPT in UTF-8 is spelled in ASCII for those who cannot take it (RFC 6533 §3)."""
        recipient = replace(ANN, orcpt="utf-8;\u00e9va\\x{2B}1@example.org")
        assert "ORCPT=utf-8;éva\\x{2B}1@example.org\r\n".encode() in rcpt_line(recipient, ALL)
        ascii_only = rcpt_line(recipient, replace(ALL, utf8=False))
        assert rb"ORCPT=utf-8;\x{E9}va\x{2B}1@example.org" in ascii_only


class TestLacking:
    def check(self, envelope: Envelope, features: Features, octets: bytes = b"a: b\r\n\r\n") -> str:
        need = needs(envelope, octets, len(octets), ascii_only=octets.isascii())
        reply = lacking(need, features, verified=True)
        return "" if reply is None else f"{reply.code} {reply.status}"

    def test_ordinary(self) -> None:
        """ASCII mail goes everywhere."""
        assert not self.check(Envelope(BOB, (ANN,)), NOTHING)

    def test_eight_bit(self) -> None:
        """8-bit content is not sent to a server without 8BITMIME, declared or not."""
        octets = "a: b\r\n\r\n\u00e9".encode()
        assert self.check(Envelope(BOB, (ANN,)), NOTHING, octets) == "554 5.6.3"
        declared = Envelope(BOB, (ANN,), Body.EIGHT_BIT)
        assert self.check(declared, NOTHING) == "554 5.6.3"
        assert not self.check(declared, ALL)

    def test_binary(self) -> None:
        """Binary content needs BINARYMIME (RFC 3030 §3)."""
        binary = Envelope(BOB, (ANN,), Body.BINARY)
        assert self.check(binary, replace(ALL, binary=False)) == "554 5.6.3"
        assert not self.check(binary, ALL)

    def test_utf8(self) -> None:
        """Non-ASCII reverse-paths and headers need SMTPUTF8; asking is not needing."""
        plain = replace(ALL, utf8=False)
        assert self.check(Envelope(Path("\u00e9va", "example.com"), (ANN,)), plain) == "553 5.6.7"
        asked = Envelope(BOB, (ANN,), utf8=True)
        assert not self.check(asked, plain)
        assert self.check(asked, plain, "a: \u00e9\r\n\r\n".encode()) == "554 5.6.9"
        assert not self.check(asked, plain, "a: b\r\n\r\n\u00e9".encode())

    def test_size(self) -> None:
        """A message beyond the announced size is not tried (RFC 1870 §5)."""
        assert self.check(Envelope(BOB, (ANN,)), replace(ALL, size=5)) == "552 5.3.4"

    def test_require_tls(self) -> None:
        """REQUIRETLS needs the keyword and a good certificate (RFC 8689 §4.2.1)."""
        envelope = Envelope(BOB, (ANN,), require_tls=True)
        assert self.check(envelope, NOTHING) == "550 5.7.30"
        assert not self.check(envelope, ALL)
        need = needs(envelope, b"", 0, ascii_only=True)
        assert lacking(need, ALL, verified=False) is not None

    def test_require_tls_of_a_bounce(self) -> None:
        """A bounce is rather sent unprotected than lost (RFC 8689 §5)."""
        bounce = Envelope(NULL, (ANN,), require_tls=True)
        assert not self.check(bounce, NOTHING)
        need = needs(bounce, b"", 0, ascii_only=True)
        assert b"REQUIRETLS" not in mail_line(bounce, need, NOTHING)
        assert mail_line(bounce, need, ALL).endswith(b" REQUIRETLS\r\n")

    def test_in_time(self) -> None:
        """What is to come back when it is late goes only where that is known (RFC 2852 §4.2)."""
        late = Envelope(BOB, (ANN,), by=DeliverBy(60, returned=True, trace=True))
        knows = replace(ALL, keywords={**ALL.keywords, "DELIVERBY": "", "MT-PRIORITY": ""})
        assert self.check(late, replace(ALL, keywords={})) == "554 5.4.7"
        assert not self.check(late, knows)
        told = Envelope(BOB, (ANN,), by=DeliverBy(-5, returned=False), priority=-3)
        assert not self.check(told, ALL)
        need = needs(told, b"", 0, ascii_only=True)
        assert mail_line(told, need, knows).endswith(b" BY=-5;N MT-PRIORITY=-3\r\n")
        assert b"BY=" not in mail_line(told, need, replace(ALL, keywords={}))

    def test_least_time(self) -> None:
        """Nor where there is less time left than the server wants (RFC 2852 §4.1.4.1)."""
        late = Envelope(BOB, (ANN,), by=DeliverBy(59, returned=True))
        wants = replace(ALL, keywords={**ALL.keywords, "DELIVERBY": "60,X"})
        assert self.check(late, wants) == "554 5.4.7"
        assert not self.check(replace(late, by=DeliverBy(60, returned=True)), wants)
        assert not self.check(replace(late, by=DeliverBy(59, returned=False)), wants)

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            (None, b" NOTIFY=FAILURE,DELAY"),
            (Notify.SUCCESS, b" NOTIFY=SUCCESS,DELAY"),
            (Notify.NEVER, b" NOTIFY=NEVER"),
        ],
    )
    def test_nobody_watches(self, asked: Notify | None, expected: bytes) -> None:
        """Where DELIVERBY is unknown, a report of delays is the next best (RFC 2852 §4.1.4.2)."""
        by = DeliverBy(60, returned=False)
        recipient = replace(ANN, notify=asked)
        assert rcpt_line(recipient, ALL, by).endswith(expected + b"\r\n")
        knows = replace(ALL, keywords={"DELIVERBY": ""})
        for features, time in ((knows, by), (ALL, replace(by, seconds=-1)), (ALL, None)):
            assert (b"NOTIFY=" in rcpt_line(recipient, features, time)) is (asked is not None)
            assert b"DELAY" not in rcpt_line(recipient, features, time)

    def test_unreachable(self) -> None:
        """One non-ASCII recipient is refused for itself."""
        reply = unreachable(Recipient(Path("\u00e9va", "example.org")), NOTHING)
        assert reply is not None
        assert reply.status == "5.6.7"
        assert unreachable(ANN, NOTHING) is None
