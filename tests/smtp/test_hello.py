"""What EHLO announces, and the name of the protocol."""

from __future__ import annotations

from dataclasses import replace

from mailhub.ports.conversation import Client
from mailhub.smtp import hello
from mailhub.smtp.limits import Limits, Site
from tests.smtp.fakes import ACCOUNT, TLS

SITE = Site("hub.example", tls=True)


def test_keywords() -> None:
    """STARTTLS outside TLS (RFC 3207 §4.2), REQUIRETLS within (RFC 8689 §2), AUTH if any."""
    clear = hello.keywords(SITE, Limits(size=5), (), secure=False)
    secure = hello.keywords(SITE, Limits(), ("PLAIN", "LOGIN"), secure=True)
    assert clear[1] == "SIZE 5"
    assert set(clear) - set(secure) == {"STARTTLS", "SIZE 5"}
    assert set(secure) - set(clear) == {"REQUIRETLS", "AUTH PLAIN LOGIN", "SIZE 52428800"}
    assert "STARTTLS" not in hello.keywords(replace(SITE, tls=False), Limits(), (), secure=False)


def test_response() -> None:
    """The reply has no enhanced status (RFC 2034 §4), and its last line no hyphen."""
    assert hello.response("hub.example", ["A", "B"]) == b"250-hub.example\r\n250-A\r\n250 B\r\n"


def test_protocol() -> None:
    """The ``with`` keywords (RFC 3848, RFC 6531 §4.3)."""
    client = Client("192.0.2.1", 1)
    assert hello.protocol(client, extended=False, utf8=True) == "SMTP"
    assert hello.protocol(client, extended=True) == "ESMTP"
    assert hello.protocol(client, extended=True, utf8=True) == "UTF8SMTP"
    both = replace(client, tls=TLS, account=ACCOUNT)
    assert hello.protocol(both, extended=True) == "ESMTPSA"
    assert hello.protocol(replace(both, tls=None), extended=True) == "ESMTPA"


def test_held_for_their_sender() -> None:
    """Submission tells how long, and until when (RFC 4865 §4); others do not."""
    site = replace(SITE, submission=True, now=lambda: 0.0)
    assert "FUTURERELEASE 60 1970-01-01T00:01:00Z" in hello.keywords(
        site, Limits(hold=60.0), (), secure=True
    )
    for other in (replace(site, submission=False), replace(site, now=None)):
        announced = hello.keywords(other, Limits(hold=60.0), (), secure=True)
        assert not any(it.startswith("FUTURERELEASE") for it in announced)
