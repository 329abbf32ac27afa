"""The SMTP session: dialogues under three cuts, limits, state, and random talk."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.mail.envelope import Body, Notify, Return
from mailhub.mail.reply import Refusal
from mailhub.ports.conversation import Client
from mailhub.smtp.session import Limits, Session, Site
from tests.rig import dialogues, hear, replay, run
from tests.smtp.fakes import ACCOUNT, TLS, FakeIntake, FakeLogins, FakeMechanisms

SITE = Site("hub.example", tls=True)
LIMITS = Limits(command_line=200, auth_line=400, text_line=100, size=1000, recipients=3)
CLIENT = Client("192.0.2.1", 4711)
OPENING = b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@hub.example>\r\n"


class Talk:
    """A session, its intake, and a client that says things to it."""

    def __init__(
        self,
        *,
        site: Site = SITE,
        limits: Limits = LIMITS,
        client: Client = CLIENT,
        mechanisms: FakeMechanisms | None = None,
    ) -> None:
        self.intake = FakeIntake()
        logins = FakeLogins() if mechanisms else None
        self.session = Session(client, site, limits, self.intake, logins, mechanisms)

    def say(self, octets: bytes) -> list[str]:
        """What the session answers."""
        self.session.feed(octets)
        return run(hear(self.session.respond())).decode().split("\r\n")[:-1]

    def codes(self, octets: bytes) -> list[str]:
        """The codes of it."""
        return [line[:3] for line in self.say(octets)]

    def secured(self) -> None:
        assert self.session.wants_tls
        self.session.secured(TLS)


def submission() -> Session:
    client = replace(CLIENT, tls=TLS, submission=True)
    site = replace(SITE, submission=True)
    return Talk(site=site, client=client, mechanisms=FakeMechanisms()).session


@pytest.mark.parametrize("path", dialogues("smtp"), ids=lambda path: path.stem)
def test_dialogues(path: File) -> None:
    """Each dialogue sounds the same however the network cuts it."""
    replay(path, submission if path.stem.startswith("auth_") else lambda: Talk().session)


class TestTransactions:
    def test_envelope(self) -> None:
        """All that MAIL and RCPT say reaches the intake, and is kept (RFC 3461 §4)."""
        talk = Talk()
        talk.say(
            b"EHLO c\r\nMAIL FROM:<a@b.example> BODY=8BITMIME RET=FULL ENVID=x SIZE=7 SMTPUTF8\r\n"
            b"RCPT TO:<ann@hub.example> NOTIFY=NEVER ORCPT=rfc822;x\r\nDATA\r\nhello\r\n.\r\n"
        )
        [draft] = talk.intake.drafts
        envelope = draft.envelope
        assert (envelope.body, envelope.ret, envelope.envid) == (
            Body.EIGHT_BIT,
            Return.FULL,
            "x",
        )
        assert (envelope.size, envelope.utf8, envelope.require_tls) == (7, True, False)
        [recipient] = envelope.recipients
        assert (recipient.notify, recipient.orcpt) == (Notify.NEVER, "rfc822;x")
        assert talk.intake.contents == [b"hello\r\n"]

    def test_pipelined(self) -> None:
        """One burst may hold whole transactions: each is answered in order (RFC 2920 §3.1)."""
        talk = Talk()
        transaction = OPENING[8:] + b"DATA\r\nx\r\n.\r\n"
        codes = talk.codes(OPENING[:8] + 3 * transaction + b"QUIT\r\nNOOP\r\n")[14:]
        assert codes == 3 * ["250", "250", "354", "250"] + ["221"]
        assert talk.intake.contents == 3 * [b"x\r\n"]
        assert talk.session.closed

    def test_protocol(self) -> None:
        """The keyword of Received tells what was used (RFC 3848, RFC 6531 §4.3)."""
        talk = Talk(mechanisms=FakeMechanisms(in_the_clear=True))
        mail = b"MAIL FROM:<a@b.example>\r\nRSET\r\n"
        talk.say(b"HELO c\r\n" + mail + b"EHLO c\r\n" + mail)
        talk.say(b"AUTH PLAIN cmlnaHQ=\r\n" + mail + b"STARTTLS\r\n")
        talk.secured()
        talk.say(b"EHLO d\r\n" + mail + b"AUTH PLAIN cmlnaHQ=\r\n" + mail)
        talk.say(b"MAIL FROM:<a@b.example> SMTPUTF8\r\nRSET\r\n" + mail)
        assert [(client.protocol, client.helo) for client in talk.intake.clients] == [
            ("SMTP", "c"),
            ("ESMTP", "c"),
            ("ESMTPA", "c"),
            ("ESMTPS", "d"),
            ("ESMTPSA", "d"),
            ("UTF8SMTPSA", "d"),
            ("ESMTPSA", "d"),
        ]

    def test_commit_refused(self) -> None:
        """A refusal at the end is the reply, and the transaction is over."""
        talk = Talk()
        assert talk.say(OPENING + b"DATA\r\nspam\r\n.\r\n")[-1] == "550 5.7.1 No spam"
        assert talk.codes(b"DATA\r\n") == ["503"]

    def test_draft_refused(self) -> None:
        """Without a draft there is no 354, and a chunk is dropped."""
        talk = Talk()
        opening = OPENING.replace(b"<a@", b"<nodraft@")
        assert talk.say(opening + b"DATA\r\n")[-1] == "452 4.3.1 Disk full"
        assert talk.say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n") == [
            "452 4.3.1 Disk full",
            "250 2.0.0 Ok",
        ]

    def test_write_refused(self) -> None:
        """A draft that fails is aborted at once, and the refusal told at the end."""
        talk = Talk()
        talk.say(OPENING + b"DATA\r\nfull disk\r\n")
        assert talk.intake.drafts[0].ended == "aborted"
        assert talk.say(b"QUIT\r\n.\r\n") == ["452 4.3.1 Disk full"]

    def test_abandoned(self) -> None:
        """RSET between chunks, and the end of the conversation, abort the draft."""
        for ending in (b"RSET\r\n", b"EHLO again\r\n"):
            talk = Talk()
            talk.say(OPENING + b"BDAT 1\r\nx" + ending)
            assert talk.intake.drafts[0].ended == "aborted"
        talk = Talk()
        talk.say(OPENING + b"DATA\r\nx")
        run(talk.session.close())
        assert talk.intake.drafts[0].ended == "aborted"
        assert talk.session.closed

    def test_injection(self) -> None:
        """Replies never echo what could end a line, nor non-ASCII without SMTPUTF8."""
        talk = Talk()
        assert talk.say(OPENING + b"RCPT TO:<echo@hub.example>\r\n")[-1] == (
            "550 5.1.1 No??250 such ?"
        )
        talk.say(b"RSET\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\n")
        assert talk.say(b"RCPT TO:<echo@hub.example>\r\n") == ["550 5.1.1 No??250 such ü"]

    def test_utf8_recipient(self) -> None:
        """A non-ASCII recipient needs SMTPUTF8 at MAIL (RFC 6531 §3.5)."""
        talk = Talk()
        recipient = "RCPT TO:<jürgen@hub.example>\r\n".encode()
        assert talk.codes(OPENING + recipient)[-1] == "553"
        assert talk.codes(b"RSET\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\n" + recipient)[2] == "250"

    def test_normalised(self) -> None:
        """A configured peer may use bare LF; another may not."""
        site = replace(SITE, normalise=(ipaddress.ip_network("192.0.2.0/24"),))
        lines = OPENING.replace(b"\r\n", b"\n") + b"DATA\nx\n.y\r\n.\r\n"
        talk = Talk(site=site)
        assert talk.codes(lines)[-2:] == ["354", "250"]
        assert talk.intake.contents == [b"x\r\ny\r\n"]
        assert "354" not in Talk(site=site, client=Client("198.51.100.1", 1)).codes(lines)

    def test_bad_bdat_line(self) -> None:
        """A BDAT that cannot be read ends the session: its octets would be obeyed (RFC 3030 §2)."""
        for line in (b"BDAT 5 FIRST\r\n", b"BDAT 5\n", b"BDAT 5 " + b" " * 500 + b"\r\n"):
            talk = Talk()
            assert talk.codes(OPENING + line + b"QUIT\r\n")[-1][0] == "5"
            assert talk.session.closed


class TestLimits:
    def test_size(self) -> None:
        """Content over the limit is read to its end, then refused (RFC 1870 §6.3)."""
        talk = Talk()
        line = b"x" * 98 + b"\r\n"
        assert talk.codes(OPENING + b"DATA\r\n" + 10 * line + b".\r\n")[-1] == "250"
        talk.say(OPENING + b"DATA\r\n" + 11 * line)
        assert talk.intake.drafts[1].ended == "aborted"
        assert talk.say(1000 * line + b".\r\n") == ["552 5.3.4 Content may have 1000 octets"]

    def test_size_of_chunks(self) -> None:
        """So are chunks, as soon as they are announced."""
        talk = Talk()
        talk.say(OPENING + b"BDAT 600\r\n" + 300 * b"\r\n" + b"BDAT 600 LAST\r\n")
        assert talk.codes(600 * b"x") == ["552"]
        assert talk.codes(b"NOOP\r\n") == ["250"]

    def test_no_size_limit(self) -> None:
        """SIZE 0 announces none (RFC 1870 §3)."""
        talk = Talk(limits=replace(LIMITS, size=0))
        assert "250-SIZE 0" in talk.say(b"EHLO c\r\n")
        mail = OPENING[8:].replace(b">\r\nR", b"> SIZE=99999999999\r\nR")
        assert talk.codes(mail + b"BDAT 5000 LAST\r\n" + 2500 * b"\r\n") == ["250", "250", "250"]

    def test_errors(self) -> None:
        """After too many errors: 421, and the end."""
        talk = Talk(limits=replace(LIMITS, errors=3))
        answers = talk.say(b"X\r\nNOOP\r\nX\r\nX\r\nNOOP\r\n")
        assert [line[:9] for line in answers] == [
            "500 5.5.2",
            "250 2.0.0",
            "500 5.5.2",
            "500 5.5.2",
            "421 4.7.0",
        ]
        assert talk.session.closed

    def test_errors_forgiven(self) -> None:
        """An accepted message makes up for errors, and for idle talk."""
        talk = Talk(limits=replace(LIMITS, errors=3, idle_commands=3))
        for _ in range(5):
            assert talk.codes(b"X\r\nX\r\n" + OPENING + b"DATA\r\n.\r\n")[-1] == "250"

    def test_temporary(self) -> None:
        """452 for a recipient too many is no error: the client goes on (RFC 5321 §4.5.3.1.10)."""
        talk = Talk(limits=replace(LIMITS, errors=3))
        assert talk.codes(OPENING + 5 * b"RCPT TO:<ann@hub.example>\r\n" + b"DATA\r\n")[-1] == (
            "354"
        )

    def test_recipients_without_end(self) -> None:
        """Who goes on naming recipients beyond twice the limit errs, and is hung up on at last."""
        talk = Talk(limits=replace(LIMITS, errors=2))
        talk.say(OPENING)
        more = b"RCPT TO:<ann@hub.example>\r\n"
        assert talk.codes(more * 5) == ["250"] * 2 + ["452"] * 3
        assert talk.codes(more) == ["452"]
        assert talk.codes(more) == ["452", "421"]
        assert talk.session.closed

    def test_recipients_of_the_next_message(self) -> None:
        """What was refused for their number in one transaction is forgotten with it."""
        talk = Talk(limits=replace(LIMITS, errors=1))
        for _ in range(3):
            assert "421" not in talk.codes(OPENING + b"RCPT TO:<ann@hub.example>\r\n" * 5)
            talk.say(b"RSET\r\n")

    def test_bad_recipients(self) -> None:
        """Unknown recipients have a limit of their own."""
        talk = Talk(limits=replace(LIMITS, errors=2, bad_recipients=4))
        codes = talk.codes(OPENING + 5 * b"RCPT TO:<nobody@hub.example>\r\n")
        assert codes[-5:] == ["550", "550", "550", "550", "421"]

    def test_idle(self) -> None:
        """Commands that carry no mail are limited: 421."""
        talk = Talk(limits=replace(LIMITS, idle_commands=5))
        assert talk.codes(10 * b"NOOP\r\n") == 5 * ["250"] + ["421"]
        assert talk.session.closed

    def test_refusal_421(self) -> None:
        """421 from the intake ends the session (RFC 5321 §3.8)."""
        talk = Talk()
        assert talk.codes(OPENING + b"RCPT TO:<away@hub.example>\r\nNOOP\r\n")[-1] == "421"
        assert talk.session.closed

    def test_patience(self) -> None:
        """Each stage has its patience, begun anew by commands and blocks, not by octets."""
        talk = Talk(
            limits=replace(LIMITS, content_block=50), mechanisms=FakeMechanisms(in_the_clear=True)
        )
        session = talk.session
        assert session.patience == LIMITS.command_patience
        assert session.lifetime == LIMITS.lifetime

        def moves(octets: bytes) -> bool:
            before = session.stage
            talk.say(octets)
            return session.stage != before

        assert not moves(b"EHL")
        assert moves(b"O c\r\n")
        talk.say(b"AUTH PLAIN\r\n")
        assert session.patience == LIMITS.auth_patience
        talk.say(b"*\r\n")
        assert session.patience == LIMITS.command_patience
        talk.say(OPENING + b"DATA\r\n")
        assert session.patience == LIMITS.content_patience
        assert not moves(b"x" * 30)
        assert moves(b"x" * 30)
        assert not moves(b"x" * 30)
        assert moves(b"\r\n.\r\n")
        assert session.patience == LIMITS.command_patience

    def test_farewells(self) -> None:
        """421 to the silent and when the hub stops; the fault of content that does not end."""
        talk = Talk()
        assert talk.session.timed_out() == b"421 4.4.2 hub.example Too slow, closing\r\n"
        assert talk.session.going_down() == b"421 4.3.2 hub.example Shutting down\r\n"
        talk.say(OPENING + b"DATA\r\nx\n.\n")
        assert talk.session.timed_out().startswith(b"550 5.6.0 A bare")


class TestTls:
    def test_forgotten(self) -> None:
        """After the handshake the session begins anew (RFC 3207 §4.2)."""
        talk = Talk(mechanisms=FakeMechanisms(in_the_clear=True))
        talk.say(b"EHLO before\r\nAUTH PLAIN cmlnaHQ=\r\nSTARTTLS\r\n")
        talk.secured()
        assert talk.codes(b"MAIL FROM:<a@b.example>\r\n") == ["503"]
        announced = talk.say(b"EHLO after\r\n")
        assert "250-STARTTLS" not in announced
        assert "250-REQUIRETLS" in announced
        talk.say(b"MAIL FROM:<a@b.example> REQUIRETLS\r\n")
        assert talk.intake.clients[-1].helo == "after"
        assert talk.intake.clients[-1].account is None
        assert talk.intake.envelopes[-1].require_tls
        assert talk.codes(b"RSET\r\nSTARTTLS\r\n") == ["250", "503"]

    def test_injected(self) -> None:
        """What is pipelined behind STARTTLS is not obeyed: the connection is dropped."""
        talk = Talk()
        assert talk.codes(b"EHLO c\r\nSTARTTLS\r\nNOOP\r\n")[-1] == "250"
        assert talk.session.closed
        assert not talk.session.wants_tls

    def test_injected_later(self) -> None:
        """Neither is what comes between the reply and the handshake."""
        talk = Talk()
        talk.say(b"EHLO c\r\nSTARTTLS\r\n")
        assert talk.say(b"NOOP\r\n") == []
        talk.secured()
        assert talk.session.closed

    def test_unavailable(self) -> None:
        """Without a certificate STARTTLS is neither announced nor known."""
        talk = Talk(site=replace(SITE, tls=False))
        assert "250-STARTTLS" not in talk.say(b"EHLO c\r\n")
        assert talk.say(b"STARTTLS\r\n") == ["502 5.5.1 STARTTLS is not available"]

    def test_required(self) -> None:
        """A listener may demand TLS before all else (RFC 3207 §4)."""
        site = replace(SITE, require_tls=True)
        talk = Talk(site=site, mechanisms=FakeMechanisms(in_the_clear=True))
        assert not any("AUTH" in line for line in talk.say(b"EHLO c\r\n"))
        for command in (b"MAIL FROM:<a@b.example>", b"AUTH PLAIN", b"VRFY x", b"DATA"):
            assert talk.say(command + b"\r\n") == ["530 5.7.0 Must issue a STARTTLS command first"]
        assert talk.codes(b"BDAT 6\r\nQUIT\r\nNOOP\r\nSTARTTLS\r\n") == ["530", "250", "220"]

    def test_encryption_required(self) -> None:
        """AUTH in the clear is answered with what is missing (RFC 4954 §6)."""
        talk = Talk(mechanisms=FakeMechanisms())
        assert talk.say(b"EHLO c\r\nAUTH PLAIN cmlnaHQ=\r\n")[-1].startswith("538 5.7.11 ")
        assert talk.say(b"AUTH NOSUCH\r\n")[-1].startswith("504 5.5.4 ")


class TestAuth:
    def test_too_long(self) -> None:
        """An overlong line of AUTH has a status of its own, and ends the exchange (RFC 4954 §4)."""
        talk = Talk(mechanisms=FakeMechanisms(in_the_clear=True))
        talk.say(b"EHLO c\r\n")
        fine = b"AUTH PLAIN " + b"A" * 300 + b"\r\n"  # longer than a command, not than AUTH may be
        assert talk.say(fine) == ["501 5.5.2 Malformed authentication response"]
        too_long = b"A" * 500 + b"\r\n"
        assert talk.say(b"AUTH PLAIN " + too_long) == ["500 5.5.6 Authentication line too long"]
        assert talk.say(b"AUTH PLAIN\r\n" + too_long + b"NOOP\r\n") == [
            "334 ",
            "500 5.5.6 Authentication line too long",
            "250 2.0.0 Ok",
        ]

    def test_bare_newline(self) -> None:
        """A response with a bare LF ends the exchange."""
        talk = Talk(mechanisms=FakeMechanisms(in_the_clear=True))
        assert talk.codes(b"EHLO c\r\nAUTH PLAIN\r\ncmlnaHQ=\nNOOP\r\n")[-3:] == [
            "334",
            "500",
            "250",
        ]

    def test_submission(self) -> None:
        """A submission client is marked as one, and may send after its login (RFC 6409 §4.3)."""
        client = replace(CLIENT, tls=TLS, submission=True)
        talk = Talk(site=replace(SITE, submission=True), client=client, mechanisms=FakeMechanisms())
        assert talk.codes(b"EHLO c\r\nDATA\r\nBDAT 1\r\nx")[-2:] == ["503", "503"]
        assert talk.codes(b"AUTH PLAIN cmlnaHQ=\r\nMAIL FROM:<a@b.example>\r\n") == ["235", "250"]
        assert talk.intake.clients[0].submission
        assert talk.intake.clients[0].account is not None


WORDS = st.sampled_from(
    [
        *("EHLO c", "HELO c", "MAIL FROM:<a@b.example>", "MAIL FROM:<> BODY=BINARYMIME", "RSET"),
        *("RCPT TO:<ann@hub.example>", "RCPT TO:<nobody@hub.example>", "DATA", ".", "x", ""),
        *("BDAT 3", "BDAT 2 LAST", "BDAT 0 LAST", "AUTH PLAIN", "AUTH PLAIN cmlnaHQ=", "*", "="),
        *("AUTH LOGIN cmlnaHQ=", "NOOP", "VRFY x", "HELP", "EXPN x", "cmlnaHQ=", "..", "é"),
        *("MAIL FROM:<é@b> SMTPUTF8", "RCPT TO:<full@hub.example>", "RCPT TO:<", "STARTTLS x"),
    ]
)
ENDS = st.sampled_from(["\r\n"] * 8 + ["\n", "\r", "", "\r\n.\r\n"])
REPLY = re.compile(r"[2-5]\d\d[ -][ -~]{0,508}")
ENHANCED = re.compile(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} ")


class TestRandom:
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(WORDS, ENDS), max_size=25), st.integers(0, 3))
    def test_replies(self, said: list[tuple[str, str]], pace: int) -> None:
        """Whatever is said, well-formed replies come back, and drafts are ended once."""
        talk = Talk(mechanisms=FakeMechanisms(in_the_clear=True))
        octets = "".join(word + end for word, end in said).encode()
        step = [len(octets) or 1, 1, 7, 50][pace]
        answers = []
        for start in range(0, len(octets), step):
            answers += talk.say(octets[start : start + step])
        for line in answers:
            assert REPLY.fullmatch(line)
            if line[:3] not in ("334", "354") and "hub.example" not in line[:20]:
                assert ENHANCED.match(line) or line[:4] in ("250-", "250 ", "501 "), line
        run(talk.session.close())
        assert all(draft.ended for draft in talk.intake.drafts)

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(WORDS, ENDS), max_size=15), st.integers(1, 9))
    def test_cuts(self, said: list[tuple[str, str]], step: int) -> None:
        """It sounds the same however the network cut it."""
        octets = "".join(word + end for word, end in said).encode()
        whole, cut = (Talk(mechanisms=FakeMechanisms(in_the_clear=True)) for _ in range(2))
        pieces = [octets[start : start + step] for start in range(0, len(octets), step)]
        assert [line for piece in pieces for line in cut.say(piece)] == whole.say(octets)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=300))
    def test_octets(self, octets: bytes) -> None:
        """Random octets get replies, too."""
        for line in Talk().say(octets.replace(b"\n", b"\r\n") + b"\r\n"):
            assert REPLY.fullmatch(line)


def test_shared_refusals() -> None:
    """Refusals that are shared are answered and never raised: they would keep frames alive."""
    talk = Talk()
    talk.say(10 * b"DATA\r\n")
    from mailhub.smtp import sequence  # noqa: PLC0415

    kept = [refusal for refusal in vars(sequence).values() if isinstance(refusal, Refusal)]
    assert len(kept) == 3
    assert all(refusal.__traceback__ is None for refusal in kept)


class TestHeldForTheirSender:
    """FUTURERELEASE (RFC 4865)."""

    def say(self, parameters: bytes, **more: Any) -> str:
        client = replace(CLIENT, tls=TLS, submission=True, account=ACCOUNT)
        site = replace(SITE, submission=True, now=lambda: 1000.0)
        limits = replace(LIMITS, hold=100.0)
        self.talk = Talk(site=replace(site, **more), limits=limits, client=client)
        self.talk.say(b"EHLO x\r\n")
        [line] = self.talk.say(b"MAIL FROM:<ann@hub.example> " + parameters + b"\r\n")
        return line[:9]

    def test_taken(self) -> None:
        """As long as is announced, for seconds or until a moment."""
        assert self.say(b"HOLDFOR=100") == "250 2.1.0"
        assert self.say(b"HOLDUNTIL=1970-01-01T00:18:20Z") == "250 2.1.0"

    def test_refused(self) -> None:
        """Too long, both at once, and where it was not announced."""
        assert self.say(b"HOLDFOR=101") == "501 5.5.4"
        assert self.say(b"HOLDUNTIL=1970-01-01T00:18:21Z") == "501 5.5.4"
        assert self.say(b"HOLDFOR=1 HOLDUNTIL=1970-01-01T00:18:20Z") == "501 5.5.4"
        assert self.say(b"HOLDFOR=1", submission=False) == "555 5.5.4"


class TestToldOfRefusals:
    """The intake hears of every refusal of mail, whoever made it."""

    def told(self, octets: bytes, **more: Any) -> list[tuple[str, ...]]:
        talk = Talk(**more)
        talk.say(octets)
        return talk.intake.told

    def test_by_the_intake(self) -> None:
        """At each stage, with the names that were known then."""
        opening = OPENING.replace(b"<a@", b"<refused@")
        assert self.told(opening)[0] == (
            *("MAIL", "550 5.7.1 Not from you", "refused@b.example", "", ""),
        )
        found = self.told(
            OPENING + b"RCPT TO:<nobody@hub.example>\r\nRCPT TO:<full@hub.example>\r\n"
        )
        assert found == [
            ("RCPT", "550 5.1.1 No mailbox here", "a@b.example", "nobody@hub.example", ""),
            ("RCPT", "452 4.2.2 Over quota", "a@b.example", "full@hub.example", ""),
        ]
        spam = OPENING + b"DATA\r\nspam\r\n.\r\n"
        assert self.told(spam) == [("DATA", "550 5.7.1 No spam", "a@b.example", "", "")]
        chunk = OPENING + b"BDAT 9 LAST\r\nfull disk"
        assert [it[:3] for it in self.told(chunk)] == [
            ("DATA", "452 4.3.1 Disk full", "a@b.example")
        ]

    def test_by_limits(self) -> None:
        """With the line of the configuration that decides."""
        size = self.told(b"EHLO c\r\nMAIL FROM:<a@b.example> SIZE=1001\r\n")
        assert size == [
            *[("MAIL", "552 5.3.4 Content may have 1000 octets", "a@b.example", "",
               "[smtp] message limit")],
        ]  # fmt: skip
        many = OPENING + 3 * b"RCPT TO:<ann@hub.example>\r\n"
        assert [it[4] for it in self.told(many)] == ["[smtp] recipients"]
        big = OPENING + b"DATA\r\n" + 20 * (b"x" * 98 + b"\r\n") + b".\r\n"
        assert [(it[0], it[4]) for it in self.told(big)] == [("DATA", "[smtp] message limit")]
        chunk = OPENING + b"BDAT 1001\r\n" + 1001 * b"x"
        assert [(it[0], it[4]) for it in self.told(chunk)] == [("DATA", "[smtp] message limit")]

    def test_by_grammar(self) -> None:
        """What could not be read has no names."""
        assert [it[0::2] for it in self.told(b"EHLO c\r\nMAIL FROM:<a@>\r\n")] == [("MAIL", "", "")]

    def test_logins(self) -> None:
        """A login that comes to nothing is told, and mail without one."""
        mechanisms = FakeMechanisms(in_the_clear=True)
        found = self.told(b"EHLO c\r\nAUTH PLAIN d3Jvbmc=\r\n", mechanisms=mechanisms)
        assert [it[0] for it in found] == ["AUTH"]
        site = replace(SITE, submission=True)
        found = self.told(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\n", site=site)
        assert found == [("MAIL", "530 5.7.0 Authentication required", "a@b.example", "", "")]

    def test_not_about_mail(self) -> None:
        """Commands out of order, and others, are nobody's mail."""
        assert self.told(b"DATA\r\nEXPN x\r\nEHLO c\r\nDATA\r\nRCPT TO:<x@y.example>\r\n") == []
