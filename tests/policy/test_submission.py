"""Headers of our own users: what is refused, what is mended, and what is left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.policy.submission import addresses, check_authors, completed, foreign_sender, sections
from tests.policy.test_access import ALICE, DIRECTORY
from tests.rig import run

ACCOUNT = ALICE.account
assert ACCOUNT is not None


def header(text: str) -> Header:
    return Header(text.replace("\n", "\r\n").encode() + b"\r\n")


def authors(text: str) -> str:
    """The verdict on a header's From."""
    assert ACCOUNT is not None
    try:
        run(check_authors(header(text), ACCOUNT, DIRECTORY))
    except Refusal as refusal:
        return f"{refusal.reply.code} {refusal.reply.status}"
    return "ok"


class TestAuthors:
    @pytest.mark.parametrize(
        "field",
        [
            "From: alice@hub.example\n",
            "from: Alice <ALICE@Hub.Example>\n",
            'From: "Alice, of the hub" <alice+work@hub.example>\n',
            "From: =?utf-8?q?Al=C3=AFce?= <alice@hub.example>\n",
            "From: (a \\) comment (within another)) alice@hub.example (ceo@elsewhere.example)\n",
            "From: alice@hub.example <alice@hub.example>\n",
            "From: Us: alice@hub.example, team@hub.example;\n",
            "From:\n\tAlice\n\t<alice@hub.example>\n",
            "From: Team <team@hub.example>\n",
            "From: alice@hub.example, team@hub.example\n",
            "Subject: no From at all\n",
            "From: \n\t\n",
            'From: "bob@hub.example" <alice@hub.example>\n',
        ],
    )
    def test_own(self, field: str) -> None:
        """The account, its subaddresses and its aliases, however they are written."""
        assert authors(field) == "ok"

    @pytest.mark.parametrize(
        ("field", "verdict"),
        [
            ("From: bob@hub.example\n", "550 5.7.1"),
            ("From: alice@hub.example <bob@hub.example>\n", "550 5.7.1"),
            ("From: alice@hub.example, bob@hub.example\n", "550 5.7.1"),
            ("From: <alice@hub.example>, <ceo@elsewhere.example>\n", "550 5.7.1"),
            ("From: alice@hub.example\nFrom: bob@hub.example\n", "554 5.6.0"),
            ("From: alice@hub.example\nFROM : alice@hub.example\n", "554 5.6.0"),
            ("From: undisclosed\n", "550 5.7.1"),
            ("From: <>\n", "550 5.7.1"),
            ("From: Group: alice@hub.example, bob@hub.example;\n", "550 5.7.1"),
            ("From: Nobody:;\n", "550 5.7.1"),
            ("From: alice@hub.example <\n", "550 5.7.1"),
            ("From: <@hub.example:bob@elsewhere.example>\n", "550 5.7.1"),
            ('From: "alice@hub.example" <bob@elsewhere.example>\n', "550 5.7.1"),
            ("From: alice@hub.example@elsewhere.example\n", "550 5.7.1"),
            ("From: ceo@elsewhere.example (alice@hub.example)\n", "550 5.7.1"),
            ("From: alice\n @elsewhere.example\n", "550 5.7.1"),
            ("From: alice@hub.example <root>\n", "550 5.7.1"),
            ("From: root> alice@hub.example\n", "550 5.7.1"),
            ("From: <alice@hub.example> <\n", "550 5.7.1"),
            ("From: alice@hub.example@\n", "550 5.7.1"),
            ("From: @alice@hub.example\n", "550 5.7.1"),
            ("From: alice\\@elsewhere.example, alice@hub.example\n", "550 5.7.1"),
            ('From: "alice@hub.example\n', "550 5.7.1"),
            ("From: (alice@hub.example\n", "550 5.7.1"),
            ("From: alice@hub.example)(\n", "550 5.7.1"),
            ("From: alice @ hub . example\n", "550 5.7.1"),
            ("From: alice@[203.0.113.5]\n", "550 5.7.1"),
            ('From: "x"@hub.example\n', "550 5.7.1"),
        ],
    )
    def test_others(self, field: str, verdict: str) -> None:
        """Whatever a reader might take for somebody else."""
        assert authors(field) == verdict

    @pytest.mark.parametrize(
        ("text", "verdict"),
        [
            ("Resent-From: alice@hub.example\nFrom: carol@elsewhere.example\n", "ok"),
            ("Resent-From: team@hub.example\nFrom: alice@hub.example\n", "ok"),
            ("Resent-Sender: alice@hub.example\nFrom: carol@elsewhere.example\n", "ok"),
            ("Resent-From: alice@hub.example\nFrom: bob@hub.example\n", "550 5.7.1"),
            ("Resent-From: alice@hub.example\nFrom: c@x.example, bob@hub.example\n", "550 5.7.1"),
            ("Resent-From: alice@hub.example\nFrom: bob@hub.example <c@x.example\n", "550 5.7.1"),
            ("Resent-From: alice@hub.example\nFrom: c@x..example\n", "550 5.7.1"),
            ("Resent-From: bob@hub.example\nFrom: alice@hub.example\n", "550 5.7.1"),
            ("Resent-From: \nFrom: alice@hub.example\n", "550 5.7.1"),
            (
                (
                    "Resent-From: alice@hub.example\nResent-Sender: bob@hub.example\n"
                    "From: carol@elsewhere.example\n"
                ),
                "550 5.7.1",
            ),
            (
                (
                    "Resent-From: alice@hub.example\nReceived: x\nResent-From: bob@hub.example\n"
                    "From: carol@elsewhere.example\n"
                ),
                "ok",
            ),
            (
                "Received: x\nResent-From: alice@hub.example\nFrom: carol@elsewhere.example\n",
                "550 5.7.1",
            ),
            ("Received: x\nResent-From: bob@hub.example\nFrom: alice@hub.example\n", "ok"),
        ],
    )
    def test_resent(self, text: str, verdict: str) -> None:
        """Resent mail keeps its author, if the account resends it and nobody of ours is feigned."""
        assert authors(text) == verdict

    def test_octets(self) -> None:
        """Octets that are no text belong to nobody."""
        assert ACCOUNT is not None
        with pytest.raises(Refusal):
            run(check_authors(Header(b"From: \xff@hub.example\r\n\r\n"), ACCOUNT, DIRECTORY))

    def test_long_fields_are_quick(self) -> None:
        """Time does not explode on fields made for that."""
        start = time.perf_counter()
        for piece in (b"a", b'"', b'\\"', b"(", b"()", b"<", b"@", b'"a@b" ', b"a,"):
            addresses(piece * 20_000)
        assert time.perf_counter() - start < 2

    @given(st.text('ab@<>()"\\ ,.', max_size=12))
    def test_any_field(self, value: str) -> None:
        """Each at sign outside quotes and comments is in an address, or the field is doubtful."""
        found = addresses(value.encode())
        if found is not None and not set('"()') & set(value):
            assert len(found) == value.count("@")


class TestSender:
    @pytest.mark.parametrize(
        ("text", "foreign"),
        [
            ("Subject: x\n", False),
            ("Sender: alice@hub.example\n", False),
            ("Sender: Team <team@hub.example>\n", False),
            ("Sender: bob@hub.example\n", True),
            ("Sender: root\n", True),
            ("Sender:\n", True),
            ("Sender: alice@hub.example\nSender: alice@hub.example\n", True),
            ("Resent-From: alice@hub.example\nSender: list@elsewhere.example\n", False),
        ],
    )
    def test_foreign(self, text: str, foreign: bool) -> None:
        """Sender is one address of the account, or it is somebody else's."""
        assert ACCOUNT is not None
        assert run(foreign_sender(header(text), ACCOUNT, DIRECTORY)) is foreign


def done(text: str, *, drop_sender: bool = False) -> str:
    """A header, completed, with line ends of the test."""
    assert ACCOUNT is not None
    found = completed(header(text), ACCOUNT.path, 0.0, "<id@hub>", drop_sender=drop_sender)
    return found.block.decode().replace("\r\n", "\n")


ADDED = "Date: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <id@hub>\nFrom: <alice@hub.example>\n"
COMPLETE = "Date: Fri, 2 Jan 1970 00:00:00 +0000\nFrom: x@y.example\nMessage-ID: <a@b>\nSender: s\n"


class TestCompleted:
    def test_added(self) -> None:
        """Date, Message-ID and From are added where they are missing or empty (RFC 6409 §8)."""
        assert done("Subject: x\n") == ADDED + "Subject: x\n\n"
        assert done("date:  \nMESSAGE-ID:\nFrom: \n\t\nSubject: x\n") == ADDED + "Subject: x\n\n"
        assert done("") == ADDED + "\n"

    def test_left(self) -> None:
        """What is there stays, in its order and spelling."""
        assert done(COMPLETE) == COMPLETE + "\n"

    def test_dropped(self) -> None:
        """Blind copies stay blind; Return-Path is not the client's to write."""
        text = "Bcc: a@b,\n\tc@d\nTo: x\nBCC : y\nResent-Bcc: z\nReturn-Path: <q>\nX-Bcc: kept\n"
        assert done(COMPLETE + text) == COMPLETE + "To: x\nX-Bcc: kept\n\n"

    def test_sender(self) -> None:
        """A foreign Sender goes."""
        assert done(COMPLETE, drop_sender=True) == COMPLETE.replace("Sender: s\n", "") + "\n"


class TestSections:
    @pytest.mark.parametrize(
        ("text", "body"),
        [
            ("A: b\n\n", ""),
            ("A: b\n c\nD-e:\n\n", ""),
            ("A : b\n\n", ""),
            ("\n", ""),
            ("", ""),
            ("Hello\n", "\nHello\n"),
            ("A: b\nHello, Bob\nC: d\n\n", "\nHello, Bob\nC: d\n\n"),
            ("Dear Bob: hello\n\n", "\nDear Bob: hello\n\n"),
            ("A: b\n: c\n\n", "\n: c\n\n"),
            ("A: b\nNo end", "\nNo end"),
            ("Ä: b\n\n", "\nÄ: b\n\n"),
        ],
    )
    def test_where_fields_end(self, text: str, body: str) -> None:
        """The body begins behind the empty line, or where no field begins."""
        block = text.replace("\n", "\r\n").encode()
        found, rest = sections(block)
        assert rest.decode().replace("\r\n", "\n") == body
        assert found.block + rest.removeprefix(b"\r\n") == block

    def test_mbox(self) -> None:
        """The line that separates messages in mbox files is not sent on."""
        for line in (b"From alice@hub.example Thu Jan  1 00:00:00 1970\r\n", b">From x\r\n"):
            found, rest = sections(line + b"A: b\r\n\r\n")
            assert (found.block, rest) == (b"A: b\r\n\r\n", b"")

    @given(st.lists(st.sampled_from([b"A: b", b" c", b"x", b"", b"From y", b":"]), max_size=8))
    def test_nothing_lost(self, lines: list[bytes]) -> None:
        """But for that line, no octet is lost, and what is called header has fields alone."""
        block = b"".join(line + b"\r\n" for line in lines)
        found, rest = sections(block)
        kept = found.block + rest.removeprefix(b"\r\n")
        assert block.endswith(kept)
        assert len(block) - len(kept) in (0, 8)
        assert b"x" not in found.block
