"""What comes back to a return path: bounces of many programs, and what is none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.config.replies import known
from mailhub.mail.bounce import QUOTED_LIMIT, Bounce, Kind, bounce
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier

CORPUS = Path(__file__).parents[1] / "corpus" / "bounces"
BOB = "bob@far.example"

MEANT = (
    ("postfix", Kind.FAILED, 550, "1.1", "store.far.example"),
    ("postfix-delayed", Kind.DELAYED, 450, "4.1", "mx.far.example"),
    ("postfix-expired", Kind.FAILED, 450, "4.1", "mx.far.example"),
    ("exim", Kind.FAILED, 550, "1.1", "store.far.example"),
    ("exim-old", Kind.FAILED, 550, "", ""),
    ("exim-old-delayed", Kind.DELAYED, 450, "", ""),
    ("gmail", Kind.FAILED, 550, "1.1", "store.far.example"),
    ("exchange-online", Kind.FAILED, 550, "1.10", "DB9PR01MB0001.eurprd01.prod.exchangelabs.com"),
    ("exchange-full", Kind.FAILED, 550, "2.2", "ex1.far.example"),
    ("qmail", Kind.FAILED, 550, "1.1", ""),
    ("qmail-local", Kind.FAILED, 550, "1.1", ""),
    ("sendmail", Kind.FAILED, 550, "1.1", "store.far.example"),
    ("sendmail-old", Kind.FAILED, 550, "", ""),
    ("yahoo", Kind.FAILED, 554, "7.1", ""),
    ("opensmtpd", Kind.FAILED, 550, "", ""),
    ("domino", Kind.FAILED, 550, "1.1", "notes.far.example"),
    ("several", Kind.FAILED, 550, "2.1", "mx.far.example"),
    ("utf8", Kind.FAILED, 550, "1.1", "mx.far.example"),
    ("generic", Kind.FAILED, 550, "1.1", ""),
)
"""File, what it means, code and status of the reply behind it, and whose that is."""
NO_FAILURES = (
    ("relayed", Kind.SUCCESS),
    ("receipt", Kind.ANSWER),
    ("vacation", Kind.ANSWER),
    ("vacation-unmarked", Kind.ANSWER),
    ("challenge", Kind.OTHER),
    ("person", Kind.OTHER),
    ("unworded", Kind.OTHER),
)
UNKNOWN_USER = [
    name
    for name, kind, *_ in MEANT
    if kind is Kind.FAILED and name not in ("postfix-expired", "exchange-full")
]


def read(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes().replace(b"\n", b"\r\n")


def of(name: str) -> Bounce:
    return bounce(read(name), BOB)


def reply_of(name: str) -> Reply:
    reply = of(name).reply
    assert reply is not None
    return reply


class TestCorpus:
    @pytest.mark.parametrize(("name", "kind", "code", "detail", "host"), MEANT)
    def test_failures(self, name: str, kind: Kind, code: int, detail: str, host: str) -> None:
        """What a program has written is understood: the reply behind it, and who gave that."""
        found, reply = of(name), reply_of(name)
        assert (found.kind, reply.code, reply.detail, found.host) == (kind, code, detail, host)
        assert reply.lines[0].strip()

    @pytest.mark.parametrize(("name", "kind"), NO_FAILURES)
    def test_no_failures(self, name: str, kind: Kind) -> None:
        """Answers, receipts, challenges and letters are no bounces (RFC 3834 §4)."""
        assert of(name) == Bounce(kind, None, of(name).host)

    def test_all_are_tried(self) -> None:
        """Each file of the corpus has its line here."""
        named = {name for name, *_ in (*MEANT, *NO_FAILURES)}
        assert named == {path.stem for path in CORPUS.glob("*.eml")}

    @pytest.mark.parametrize("name", UNKNOWN_USER)
    def test_unknown_users(self, name: str) -> None:
        """The table of replies tells that there is no such mailbox, whoever has said it."""
        reply = reply_of(name)
        assert reply.permanent
        assert Classifier(known()).verdict(reply).cause is Cause.UNKNOWN_USER

    def test_full(self) -> None:
        """A full mailbox is not an unknown one."""
        verdict = Classifier(known()).verdict(reply_of("exchange-full"))
        assert verdict.cause is Cause.MAILBOX_FULL

    def test_returned_text_is_not_the_bounce(self) -> None:
        """What the returned message says of itself is not taken for the reason."""
        assert "reasons" not in reply_of("qmail").lines[0]
        assert reply_of("qmail").code == 550
        assert "unknown user" in reply_of("exim-old").lines[0]

    def test_lines_that_were_joined(self) -> None:
        """The codes at the beginnings of lines are left out when the lines are one."""
        assert "550" not in reply_of("gmail").text.removeprefix("550 5.1.1 ")


class TestFields:
    def told(self, *fields: str, recipient: str = BOB) -> Bounce:
        groups = "\r\n\r\n".join(("Reporting-MTA: dns; mx.far.example", *fields))
        body = f"--b\r\nContent-Type: message/delivery-status\r\n\r\n{groups}\r\n--b--\r\n"
        head = "Content-Type: multipart/report; boundary=b; report-type=delivery-status"
        return bounce(f"{head}\r\n\r\n{body}".encode(), recipient)

    def test_ours_among_others(self) -> None:
        """Of several recipients ours counts, even if another fared worse."""
        others = "Final-Recipient: rfc822; eve@far.example\r\nAction: failed\r\nStatus: 5.1.1"
        ours = f"Final-Recipient: rfc822; {BOB.upper()}\r\nAction: delayed\r\nStatus: 4.2.2"
        assert self.told(others, ours).kind is Kind.DELAYED

    def test_others_with_a_similar_name(self) -> None:
        """An address that ends like ours is another."""
        other = f"Final-Recipient: rfc822; not{BOB}\r\nAction: failed\r\nStatus: 5.1.1"
        ours = f"Original-Recipient: rfc822;<{BOB}>\r\nAction: delivered\r\nStatus: 2.0.0"
        assert self.told(other, ours).kind is Kind.SUCCESS

    def test_the_worst_of_strangers(self) -> None:
        """Where ours is not named, for it was forwarded, a failure counts before all else."""
        one = "Final-Recipient: rfc822; a@x.example\r\nAction: delivered\r\nStatus: 2.0.0"
        two = "Final-Recipient: rfc822; b@x.example\r\nAction: failed\r\nStatus: 5.1.1"
        assert self.told(one, two).kind is Kind.FAILED

    def test_without_action(self) -> None:
        """The status says it where no known action does."""
        assert self.told("Action: relaxed\r\nStatus: 5.1.1").kind is Kind.FAILED
        assert self.told("Status: 4.4.1 (later)").kind is Kind.DELAYED

    def test_exacter_status(self) -> None:
        """Of two statuses the one counts that says more."""
        vague = self.told("Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 No")
        assert vague.reply == Reply(550, "1.1", ("No",))
        exact = self.told("Action: failed\r\nStatus: 5.0.0\r\nDiagnostic-Code: smtp; 550 5.2.1 No")
        assert exact.reply == Reply(550, "2.1", ("No",))

    def test_too_old(self) -> None:
        """What was given up for its age is no permanent refusal (RFC 3463 §3.5)."""
        found = self.told(
            "Action: failed\r\nStatus: 4.4.7\r\nDiagnostic-Code: smtp; 550 5.4.300 expired"
        )
        assert found.reply is not None
        assert not found.reply.permanent

    def test_quoted_words_are_bounded(self) -> None:
        """However much is said, so much is quoted."""
        found = self.told(f"Action: failed\r\nDiagnostic-Code: smtp; 550 {'no ' * 1000}")
        assert found.reply is not None
        assert len(found.reply.lines[0]) <= QUOTED_LIMIT


class TestPeople:
    @pytest.mark.parametrize(
        "text",
        [
            "Hi. This is the office of Bob. The form had errors.",
            "Transcript of session follows: 550 5.1.1 User unknown",
            "Sorry, we were unable to deliver your message to the following address",
        ],
    )
    def test_they_may_say_anything(self, text: str) -> None:
        """Only what calls itself a mailer bounces: people, and their assistants, do not."""
        for fields, kind in (("", Kind.OTHER), ("Auto-Submitted: auto-replied\r\n", Kind.ANSWER)):
            content = f"From: Bob <bob@far.example>\r\n{fields}\r\n{text}\r\n"
            assert bounce(content.encode(), BOB).kind is kind


class TestWords:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("It cannot be delivered to bob.", Kind.FAILED),
            ("It can not be delivered to bob.", Kind.FAILED),
            ("It couldn't be delivered to bob.", Kind.FAILED),
            ("Undeliverable for now. We will keep trying.", Kind.DELAYED),
            ("Undeliverable for now; it will continue\nto be tried.", Kind.DELAYED),
        ],
    )
    def test_worded_for_people(self, text: str, kind: Kind) -> None:
        """Words are found however they are joined, and wherever lines are broken."""
        octets = f"From: mailer-daemon@far.example\r\n\r\n{text}\r\n".encode()
        assert bounce(octets, BOB).kind is kind


class TestStrangers:
    @given(st.binary(max_size=200), st.sampled_from([name for name, *_ in MEANT]), st.integers())
    def test_any_octets(self, octets: bytes, name: str, at: int) -> None:
        """Nothing raises, whatever is cut out of a bounce or put into it."""
        content = read(name)
        place = at % len(content)
        bounce(octets)
        bounce(content[:place] + octets + content[place:])
        bounce(content[:place])

    @pytest.mark.parametrize(
        "piece",
        ["could not be ", "550 ", "a@", "\n", "550-5.1.1 ", "<a@b>:\n", "undelivered\n \n", " \n"],
    )
    def test_time(self, piece: str) -> None:
        """Reading takes time in proportion to the length, whatever it says."""
        head = "From: mailer-daemon@far.example\r\n\r\nundelivered; will keep "
        began = time.process_time()
        bounce((head + piece * (200_000 // len(piece))).encode())
        assert time.process_time() - began < 1.0
