"""Delivery status notifications, read back with Python's email package."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.config.words import shipped
from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Body, DeliverBy, Recipient, Return
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.queue import item as queue
from mailhub.queue.dsn import (
    Limits,
    Notice,
    Source,
    compose,
    from_xtext,
    notices,
    octets_needed,
    returns_all,
)
from mailhub.queue.item import Delivered, Expanded, Failed, Item, Pending, Relayed
from mailhub.queue.telling import Action
from mailhub.queue.words import Words
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK, SENDER
from tests.wording import ENGLISH

SOURCE = Source("hub.example", 1_000_000_000.0, "<n1@hub.example>", "=_boundary", ENGLISH)
MESSAGE = (
    b"From: alice@hub.example\r\nSubject: hello\r\nMessage-ID: <m1@hub.example>\r\n\r\n"
    b"Hello!\r\n--=_boundary\r\n"
)
UMLAUT = Path("grüße", "remote.example")


def failed(*recipients: Recipient | Path, content: bytes = MESSAGE, **envelope: Any) -> Item:
    item = make.item(*recipients, content=content, **envelope)
    fate = Failed(NO, 1001.0, "mx.remote.example")
    return replace(item, fates=(fate,) * len(item.fates))


def parse(notice: Notice) -> EmailMessage:
    message = email.message_from_bytes(notice.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert not any(part.defects for part in message.iter_parts())
    return message


def parts(notice: Notice) -> tuple[EmailMessage, EmailMessage, EmailMessage]:
    human, machine, returned = parse(notice).iter_parts()
    assert isinstance(human, EmailMessage)
    assert isinstance(machine, EmailMessage)
    assert isinstance(returned, EmailMessage)
    return human, machine, returned


def fields(machine: EmailMessage) -> list[dict[str, str]]:
    """The groups of fields of a delivery-status part."""
    blocks = machine.as_bytes(policy=email.policy.SMTPUTF8).decode().split("\r\n\r\n")[1:]
    policy = email.policy.SMTPUTF8
    groups = [email.message_from_string(b, policy=policy) for b in blocks if b.strip()]
    return [{name: str(value) for name, value in group.items()} for group in groups]


def check(notice: Notice) -> None:
    """What every notice keeps: line ends, lengths, 8-bit octets, boundaries."""
    octets = notice.content
    assert octets.endswith(b"\r\n")
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    assert b"\0" not in octets
    assert octets.isascii() or notice.envelope.body is Body.EIGHT_BIT
    body = octets[octets.index(b"\r\n\r\n") :]
    assert body.isascii() or parse(notice)["Content-Transfer-Encoding"] == "8bit"
    assert notice.envelope.reverse_path == NULL
    header = octets[: octets.index(b"\r\n\r\n")]
    assert header.isascii() or notice.envelope.utf8
    message = parse(notice)
    assert message.get_content_type() == "multipart/report"
    boundary = message.get_boundary()
    assert boundary is not None
    assert octets.count(b"\r\n--" + boundary.encode()) == 4
    assert len(list(message.iter_parts())) == 3


class TestFailure:
    def test_a_helper(self) -> None:
        """Who helps is named, if there is somebody, as people write the address."""
        source = replace(SOURCE, helper=Path("hilfe", "xn--bcher-kva.example"))
        notice = compose(failed(BOB), {0: Action.FAILED}, MESSAGE, source)
        check(notice)
        human, _, _ = parts(notice)
        assert "For help, write to <hilfe@bücher.example>" in human.get_content()

    def test_whole(self) -> None:
        """A failure in full: header, text, facts, and the message as it was."""
        notice = compose(failed(BOB), {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        assert notice.envelope.recipients == (Recipient(SENDER),)
        message = parse(notice)
        assert message["From"] == "Mail Delivery System <MAILER-DAEMON@hub.example>"
        assert message["To"] == "alice@hub.example"
        assert message["Subject"] == "Not delivered: bob@remote.example"
        assert message["Auto-Submitted"] == "auto-replied"
        assert message["Message-ID"] == "<n1@hub.example>"
        assert message["In-Reply-To"] == message["References"] == "<m1@hub.example>"
        assert b"\r\nDate: Sun, 9 Sep 2001 01:46:40 +0000\r\n" in notice.content
        assert message.get_param("report-type") == "delivery-status"
        human, machine, returned = parts(notice)
        text = human.get_content()
        assert "could not be delivered to:" in text
        assert "<bob@remote.example>" in text
        assert "mx.remote.example said:\n    550 5.1.1 No such user" in text.replace("\r\n", "\n")
        assert fields(machine) == [
            {
                "Reporting-MTA": "dns; hub.example",
                "Arrival-Date": "Thu, 1 Jan 1970 00:16:40 +0000",
            },
            {
                "Final-Recipient": "rfc822; bob@remote.example",
                "Action": "failed",
                "Status": "5.1.1",
                "Remote-MTA": "dns; mx.remote.example",
                "Diagnostic-Code": "smtp; 550 5.1.1 No such user",
                "Last-Attempt-Date": "Sun, 9 Sep 2001 01:46:40 +0000",
                "Final-Log-Id": failed().queue_id,
            },
        ]
        assert returned.get_content_type() == "message/rfc822"
        assert MESSAGE in notice.content

    def test_what_the_client_asked_for(self) -> None:
        """ENVID and ORCPT come back decoded (RFC 3461 §6.3)."""
        item = failed(Recipient(BOB, None, "rfc822;Bob+2B1@x.example"), envid="QQ+3D1")
        _, machine, _ = parts(compose(item, {0: Action.FAILED}, MESSAGE, SOURCE))
        first, second = fields(machine)
        assert first["Original-Envelope-Id"] == "QQ=1"
        assert second["Original-Recipient"] == "rfc822; Bob+1@x.example"

    def test_several(self) -> None:
        """One notice tells of all its recipients, each with its own words."""
        item = failed(BOB, CAROL, DAVE)
        item = replace(item, fates=(item.fates[0], Failed(LATER, 1.0, "", expired=True), NO_FATE))
        notice = compose(item, {0: Action.FAILED, 1: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        human, machine, _ = parts(notice)
        assert parse(notice)["Subject"] == "Not delivered: 2 recipients"
        assert "We tried for as long as we are set to" in human.get_content()
        assert "come back" in human.get_content()
        _, bob, carol = fields(machine)
        assert bob["Final-Recipient"] == "rfc822; bob@remote.example"
        assert carol["Status"] == "4.4.7"
        assert "Remote-MTA" not in carol
        assert carol["Diagnostic-Code"] == "x-mailhub; 451 4.7.1 Greylisted come back"

    @pytest.mark.parametrize(
        ("host", "name"),
        [
            ("mx.remote.example", "mx.remote.example"),
            ("192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ],
    )
    def test_host(self, host: str, name: str) -> None:
        """A host that has no name is an address in brackets (RFC 3464 §2.1.2)."""
        item = replace(failed(BOB), fates=(Failed(NO, 1.0, host),))
        _, machine, _ = parts(compose(item, {0: Action.FAILED}, MESSAGE, SOURCE))
        assert fields(machine)[1]["Remote-MTA"] == f"dns; {name}"


NO_FATE = Pending(1.0)


class TestReturned:
    @pytest.mark.parametrize(
        ("change", "whole"),
        [
            ({}, True),
            ({"ret": Return.FULL}, True),
            ({"ret": Return.HEADERS}, False),
            ({"require_tls": True}, False),
            ({"body": Body.BINARY}, False),
        ],
    )
    def test_what_is_returned(self, change: dict[str, Any], whole: bool) -> None:
        """The message comes back whole unless it must not or cannot."""
        item = failed(BOB, **change)
        notice = compose(item, {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        *_, returned = parts(notice)
        kind = "message/rfc822" if whole else "text/rfc822-headers"
        assert returned.get_content_type() == kind
        assert (b"Hello!" in notice.content) == whole
        assert b"Subject: hello" in notice.content
        assert octets_needed(item, {0: Action.FAILED}, Limits()) == len(MESSAGE)

    def test_large(self) -> None:
        """A large message comes back as its header, of which a bounded part is read."""
        item = replace(failed(BOB, ret=Return.FULL), size=10**9)
        assert not returns_all(item, {0: Action.FAILED}, Limits())
        assert octets_needed(item, {0: Action.FAILED}, Limits(header=100)) == 100
        notice = compose(item, {0: Action.FAILED}, MESSAGE, SOURCE)
        assert b"Hello!" not in notice.content

    def test_a_header_cut_in_the_middle(self) -> None:
        """Of a header longer than what is read, whole lines come back."""
        item = replace(failed(BOB), size=10**9)
        notice = compose(item, {0: Action.FAILED}, b"Subject: x\r\nLong: aaaa", SOURCE)
        check(notice)
        assert b"Subject: x\r\n" in notice.content
        assert b"Long" not in notice.content

    def test_only_failures(self) -> None:
        """RET=FULL is for failures: delays and successes return the header (RFC 3461 §4.3)."""
        item = replace(failed(BOB, ret=Return.FULL), fates=(Relayed(OK, 1.0, "mx"),))
        assert not returns_all(item, {0: Action.RELAYED}, Limits())

    def test_unreadable(self) -> None:
        """A notice without its message is still a notice."""
        check(compose(failed(BOB), {0: Action.FAILED}, b"", SOURCE))

    @pytest.mark.parametrize(
        "content",
        [
            b"Subject: \xfc\r\n\r\nx\r\n",
            b"Subject: x\r\n\r\n" + b"y" * 2000 + b"\r\n",
            b"Subject: x\r\n\r\na\nb\rc\0d\r\n",
            b"\r\nno header\r\n",
            b"no header at all",
            b"Subject: x\r\nMessage-ID: <a b>\r\n\r\nno line end",
            b"X: " + b"z" * 3000 + b"\r\n\r\nx\r\n",
        ],
    )
    def test_unclean(self, content: bytes) -> None:
        """Whatever a message holds, the notice is well-formed."""
        for body in (Body.EIGHT_BIT, Body.BINARY):
            item = failed(BOB, content=content, body=body)
            check(compose(item, {0: Action.FAILED}, content, SOURCE))

    def test_eight_bit(self) -> None:
        """A message with 8-bit octets comes back as it is, as 8BITMIME."""
        content = b"Subject: x\r\n\r\n\xc3\xbc\r\n"
        notice = compose(failed(BOB, content=content), {0: Action.FAILED}, content, SOURCE)
        check(notice)
        assert notice.envelope.body is Body.EIGHT_BIT
        *_, returned = parts(notice)
        assert returned["Content-Transfer-Encoding"] == "8bit"


class TestOthers:
    def test_delay(self) -> None:
        """A delay says how long it goes on, and that nothing is to be done."""
        item = replace(failed(BOB), fates=(Pending(5.0, 7, LATER, "mx", True),))
        notice = compose(item, {0: Action.DELAYED}, MESSAGE, SOURCE, 1_000_432_000.0)
        check(notice)
        human, machine, returned = parts(notice)
        assert parse(notice)["Subject"] == "Delayed: bob@remote.example"
        assert "until Fri, 14 Sep 2001 01:46:40 +0000" in human.get_content()
        assert fields(machine)[1]["Will-Retry-Until"] == "Fri, 14 Sep 2001 01:46:40 +0000"
        assert fields(machine)[1]["Action"] == "delayed"
        assert returned.get_content_type() == "text/rfc822-headers"

    def test_success(self) -> None:
        """Delivered, relayed and expanded are told apart."""
        item = failed(BOB, CAROL, DAVE)
        fates = (Delivered(OK, 1.0), Relayed(OK, 1.0, "mx"), Expanded(OK, 1.0))
        actions = {0: Action.DELIVERED, 1: Action.RELAYED, 2: Action.EXPANDED}
        notice = compose(replace(item, fates=fates), actions, MESSAGE, SOURCE)
        check(notice)
        human, machine, _ = parts(notice)
        assert "does not confirm delivery" in human.get_content()
        groups = fields(machine)[1:]
        assert [g["Action"] for g in groups] == ["delivered", "relayed", "expanded"]
        assert [g["Status"] for g in groups] == ["2.1.5"] * 3
        assert [g.get("Diagnostic-Code") for g in groups] == [
            None,
            "smtp; 250 2.1.5 Ok",
            None,
        ]
        assert parse(notice)["Subject"] == "Delivered: 3 recipients"

    def test_in_time(self) -> None:
        """What came too late has a status of its own, and the time is told (RFC 2852 §4.1.3)."""
        item = failed(BOB, by=DeliverBy(60, returned=True))
        late = replace(item, fates=(Failed(LATER, 5.0, "mx", expired=True),))
        _, machine, _ = parts(compose(late, {0: Action.FAILED}, MESSAGE, SOURCE))
        message, recipient = fields(machine)
        assert message["Deliver-By-Date"] == "Thu, 1 Jan 1970 00:17:40 +0000"
        assert recipient["Status"] == "5.4.7"
        waiting = replace(item, fates=(Pending(5.0, 7, LATER, "mx", True),))
        _, machine, _ = parts(compose(waiting, {0: Action.DELAYED}, MESSAGE, SOURCE))
        assert fields(machine)[1]["Status"] == "4.4.7"
        early = replace(SOURCE, date=1001.0)
        _, machine, _ = parts(compose(waiting, {0: Action.DELAYED}, MESSAGE, early))
        assert fields(machine)[1]["Status"] == "4.7.1"

    def test_released_later(self) -> None:
        """What its sender wished is told as it was asked for (RFC 4865 §5.1.2)."""
        for wish, told in (
            ({"hold_for": 600}, "for;600"),
            ({"hold_until": 1_000_000.0}, "until;1970-01-12T13:46:40Z"),
        ):
            notice = compose(failed(BOB, **wish), {0: Action.FAILED}, MESSAGE, SOURCE)
            _, machine, _ = parts(notice)
            assert fields(machine)[0]["Future-Release-Request"] == told

    def test_priority(self) -> None:
        """A notice is as urgent as what it is about (RFC 6710 §4.6)."""
        notice = compose(failed(BOB, priority=-4), {0: Action.FAILED}, MESSAGE, SOURCE)
        assert notice.envelope.priority == -4

    def test_one_notice_for_each_kind(self) -> None:
        """Failures, delays and successes are told in notices of their own."""
        actions = {
            0: Action.FAILED,
            1: Action.DELIVERED,
            2: Action.RELAYED,
            3: Action.FAILED,
            4: Action.DELAYED,
        }
        assert notices(actions) == [
            {0: Action.FAILED, 3: Action.FAILED},
            {4: Action.DELAYED},
            {1: Action.DELIVERED, 2: Action.RELAYED},
        ]
        assert notices({}) == []

    def test_require_tls(self) -> None:
        """A notice is as confidential as what it is about (RFC 8689 §5)."""
        notice = compose(failed(BOB, require_tls=True), {0: Action.FAILED}, MESSAGE, SOURCE)
        assert notice.envelope.require_tls

    def test_without_words(self) -> None:
        """A delay that nothing is known of yet has a status all the same."""
        item = replace(failed(BOB), fates=(Pending(5.0, warned=True),))
        _, machine, _ = parts(compose(item, {0: Action.DELAYED}, MESSAGE, SOURCE))
        assert fields(machine)[1]["Status"] == "4.0.0"


class TestUtf8:
    def test_types(self) -> None:
        """Mail sent with SMTPUTF8 is answered in the types that hold UTF-8 (RFC 6533)."""
        item = failed(Recipient(UMLAUT, None, r"utf-8;gr\x{FC}\x{DF}e@x"), utf8=True)
        notice = compose(item, {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        human, machine, returned = parts(notice)
        assert machine.get_content_type() == "message/global-delivery-status"
        assert returned.get_content_type() == "message/global"
        assert "Final-Recipient: utf-8; grüße@remote.example\r\n".encode() in notice.content
        assert "Original-Recipient: utf-8; grüße@x\r\n".encode() in notice.content
        assert "grüße" in human.get_content()
        assert not notice.envelope.utf8
        assert parse(notice)["Subject"] == "Not delivered: 1 recipient"
        header = replace(item, envelope=replace(item.envelope, ret=Return.HEADERS))
        *_, returned = parts(compose(header, {0: Action.FAILED}, MESSAGE, SOURCE))
        assert returned.get_content_type() == "message/global-headers"

    def test_to(self) -> None:
        """A sender whose address is not ASCII can only be written to with SMTPUTF8."""
        notice = compose(failed(BOB, sender=UMLAUT, utf8=True), {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        assert notice.envelope.utf8
        assert "To: <grüße@remote.example>".encode() in notice.content

    def test_ascii_facts(self) -> None:
        """Words in another script are quoted for people, and made ASCII for programs."""
        item = failed(BOB)
        fate = Failed(Reply(550, "1.1", ("Nutzer unbekannt: grüße",)), 1.0, "mx")
        notice = compose(replace(item, fates=(fate,)), {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        human, machine, _ = parts(notice)
        assert "grüße" in human.get_content()
        assert fields(machine)[1]["Diagnostic-Code"].endswith("gr??e")


class TestStrangersWords:
    @pytest.mark.parametrize(
        ("text", "plain"),
        [
            ("a+2Bb", "a+b"),
            ("a+0D+0ABcc: x", "a+0D+0ABcc: x"),
            ("a+FC", "a+FC"),
            ("a+zz", "a+zz"),
        ],
    )
    def test_xtext(self, text: str, plain: str) -> None:
        """Xtext is decoded, unless it hides controls or 8-bit octets."""
        assert from_xtext(text) == plain

    @pytest.mark.parametrize("bad", [r"utf-8;\x{D800}", r"utf-8;\x{110000}", r"utf-8;\x{0A}x"])
    def test_embedded(self, bad: str) -> None:
        """Characters that cannot be, or must not, stay spelled out."""
        item = failed(Recipient(UMLAUT, None, bad), utf8=True)
        notice = compose(item, {0: Action.FAILED}, MESSAGE, SOURCE)
        check(notice)
        assert bad.replace(";", "; ").encode() in notice.content

    @given(
        st.lists(st.text(max_size=200), min_size=1, max_size=3),
        st.binary(max_size=300),
        st.text(max_size=40),
        st.booleans(),
    )
    def test_nothing_breaks_out(
        self, words: list[str], content: bytes, orcpt: str, utf8: bool
    ) -> None:
        """Whatever a peer said and a message holds, a notice is one well-formed report."""
        item = failed(Recipient(BOB, None, orcpt), content=content, envid=orcpt, utf8=utf8)
        fate = Failed(Reply(550, "1.1", tuple(words)), 1.0, "mx")
        notice = compose(replace(item, fates=(fate,)), {0: Action.FAILED}, content, SOURCE)
        octets = notice.content
        assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
        assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
        assert octets.isascii() or notice.envelope.body is Body.EIGHT_BIT
        message = email.message_from_bytes(octets, policy=email.policy.compat32)
        payload = message.get_payload()
        assert isinstance(payload, list)
        assert len(payload) == 3
        assert sum(b"Action: failed" in line for line in octets.split(b"\r\n")) >= 1

    def test_boundary(self) -> None:
        """A boundary that occurs in the message is made longer until it does not."""
        content = MESSAGE + b"--=_boundary-1\r\n--=_boundary-2--\r\n"
        notice = compose(failed(BOB, content=content), {0: Action.FAILED}, content, SOURCE)
        check(notice)
        assert parse(notice).get_boundary() == "=_boundary-3"

    def test_cancelled_by_nobody(self) -> None:
        """Fates that are never reported have no words."""
        item = queue.cancel(make.item(BOB, content=MESSAGE), [0], 1.0)
        check(compose(item, {0: Action.FAILED}, MESSAGE, SOURCE))


class TestWords:
    """What is told to people."""

    def told(self, words: Words, cause: Cause) -> tuple[str, str]:
        """The subject, and the text for people."""
        item = replace(make.item(BOB), fates=(Failed(NO, 5.0, "mx.far.example"),))
        source = replace(SOURCE, words=words, causes={0: cause})
        notice = compose(item, {0: Action.FAILED}, MESSAGE, source)
        message = email.message_from_bytes(notice.content, policy=email.policy.default)
        part = next(message.iter_parts())
        assert isinstance(part, EmailMessage)
        return str(message["Subject"]), part.get_content()

    def test_advice(self) -> None:
        """What happened, whether to try again, what to do; then their words, whole."""
        _, text = self.told(ENGLISH, Cause.UNKNOWN_USER)
        lines = text.splitlines()
        at = lines.index(f"  <{BOB}>")
        assert lines[at + 1].startswith("    What happened: There is no mailbox of that name")
        assert "    Is it worth trying again? No." in lines
        assert any("Check the address" in line for line in lines)
        assert lines.index("    mx.far.example said:") > at
        assert all(len(line) <= 76 for line in lines if "arrived" not in line)

    def test_alike(self) -> None:
        """What is to be said of several is said once, below all of them."""
        fate, other = Failed(NO, 5.0, "mx.far.example"), Failed(LATER, 5.0, expired=True)
        item = replace(make.item(BOB, CAROL, DAVE), fates=(fate, other, fate))
        causes = {0: Cause.UNKNOWN_USER, 1: Cause.BUSY, 2: Cause.UNKNOWN_USER}
        notice = compose(
            item, dict.fromkeys(range(3), Action.FAILED), MESSAGE, replace(SOURCE, causes=causes)
        )
        lines = parts(notice)[0].get_content().splitlines()
        at = lines.index(f"  <{BOB}>")
        assert lines[at + 1] == f"  <{DAVE}>"
        assert lines.index(f"  <{CAROL}>") > at + 1
        assert sum("no mailbox of that name" in line for line in lines) == 1
        assert [it["Final-Recipient"] for it in fields(parts(notice)[1])[1:]] == [
            f"rfc822; {path}" for path in (BOB, CAROL, DAVE)
        ]

    def test_vietnamese(self) -> None:
        """In another language, subject and all; what programs read stays as it is."""
        subject, text = self.told(shipped()["vi"], Cause.MAILBOX_FULL)
        assert subject == f"Không chuyển được: {BOB}"
        assert "Hộp thư của người nhận đã đầy." in text
        assert "mx.far.example trả lời:" in text
