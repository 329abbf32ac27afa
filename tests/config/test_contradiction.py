"""Contradictions that are none (those that are have their files in tests/config/bad)."""

from __future__ import annotations

import pytest

from mailhub.config.load import parse


@pytest.mark.parametrize(
    "text",
    [
        "[listen]\nsmtp = 127.0.0.1:25, [::1]:25\nsubmission = 127.0.0.1:587, 10.0.0.1:587",
        "[listen]\nsmtp = systemd:domain=INET:index=0\nimap = systemd:domain=INET:index=1",
        "[listen]\nsmtp = tcp:25:interface=10.0.0.1, tcp:port=25:interface=10.0.0.2",
        (
            "[tls]\noffered = no\n[listen]\nsubmission = 127.0.0.1:587\nsubmissions =\n"
            "imap = unix:/run/imap\nimaps =\npop3 = [::1]:110\npop3s ="
        ),
        "[route a]\nhost = localhost:10025",
        "[route a]\nhost = other.example:25",
        "[route a]\nhost = hub.example:10025",
        (
            "[route a]\nhost = a.example\nrecipients = x.example\nsenders = s.example\n"
            "[route b]\nhost = b.example\nrecipients = x.example\n[route c]\nhost = c.example"
        ),
        "[queue]\ndelay warning = 0",
    ],
)
def test_none(text: str) -> None:
    """Different addresses, other programs here, exceptions and switched-off limits are fine."""
    assert parse(f"[hub]\nhostname = hub.example\n{text}\n", str)[1] == []


def test_socket_of_systemd() -> None:
    """A socket that systemd opened counts as the service's usual port."""
    text = (
        "[hub]\nhostname = hub.example\n[listen]\nsmtp = systemd:domain=INET:index=0\n"
        "[route a]\nhost = hub.example:25\n"
    )
    [mistake] = parse(text, str)[1]
    assert "is this hub" in mistake.text
