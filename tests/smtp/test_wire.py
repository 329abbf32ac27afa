"""Failures as values: what each of them tells those who decide what comes next."""

from __future__ import annotations

from mailhub.mail.reply import Reply
from mailhub.ports.conversation import Tls
from mailhub.smtp.wire import Broken, LoginFailed, Secured, Unwelcome

TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", lambda _: None)


def test_secured() -> None:
    """Only the one word means that we know whom we talk to."""
    assert Secured(TLS, "verified").verified
    assert not Secured(TLS, "unverified: expired").verified


def test_broken() -> None:
    """A failure carries its reply, and is shown with it."""
    fault = Broken(Reply(451, "4.2", ("Lost",)), "mail")
    assert str(fault) == "451 4.4.2 Lost"
    assert (fault.heard, fault.in_doubt, fault.handshake) == (False, False, False)


def test_login_failed() -> None:
    """A refused login never fails a message for good: the password is the operator's."""
    fault = LoginFailed(Reply(535, "7.8", ("Wrong",)))
    assert not fault.reply.permanent
    assert fault.refused.permanent
    assert fault.stage == "auth"


def test_unwelcome() -> None:
    """A refusal at the greeting is for good only where it says so (RFC 7504 §3)."""
    for greeting, code, heard in (
        (Reply(554, "7.1", ("Blocked",)), 451, False),
        (Reply(521, "", ("No mail here",)), 521, True),
        (Reply(450, "", ("Later",)), 450, True),
    ):
        fault = Unwelcome(greeting)
        assert (fault.reply.code, fault.heard, fault.greeting) == (code, heard, greeting)
        assert greeting.lines[0] in fault.reply.text
