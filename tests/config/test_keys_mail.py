"""Keys of the protocols: the standards' minima are minima here too."""

from __future__ import annotations

import pytest

from mailhub.config.load import parse


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ("smtp", "recipients = 99"),  # RFC 5321 §4.5.3.1.8
        ("smtp", "command line = 511"),  # RFC 5321 §4.5.3.1.4
        ("submission", "text line = 999"),  # RFC 5321 §4.5.3.1.6
        ("smtp", "hops = 99"),  # RFC 5321 §6.3
        ("imap", "patience = 29m"),  # RFC 3501 §5.4
        ("pop3", "patience = 9m"),  # RFC 1939 §3
        ("imap", "command line = 8K1"),
    ],
)
def test_too_little(section: str, setting: str) -> None:
    """What the standards promise to everybody cannot be configured away."""
    [mistake] = parse(f"[hub]\nhostname = hub.example\n[{section}]\n{setting}\n")[1]
    assert mistake.text.startswith("expected ")


def test_both_kinds_of_smtp() -> None:
    """Submission has limits of its own, with the same names."""
    settings, mistakes = parse(
        "[hub]\nhostname = hub.example\n[smtp]\nerrors = 3\n[submission]\nerrors = 4\n"
    )
    assert mistakes == []
    assert (settings.smtp.errors, settings.submission.errors) == (3, 4)
