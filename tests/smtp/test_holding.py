"""What may be held for its sender (RFC 4865 §4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL
from mailhub.mail.envelope import DeliverBy
from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule
from mailhub.smtp.command import Mail
from mailhub.smtp.holding import check_hold
from mailhub.smtp.limits import Site

SITE = Site("hub.example", submission=True, now=lambda: 1000.0)
PLAIN = Mail(NULL)


def test_allowed() -> None:
    """Whatever is not to be held, and what is within the limit."""
    check_hold(PLAIN, replace(SITE, submission=False), 100.0)
    check_hold(replace(PLAIN, hold_for=100), SITE, 100.0)
    check_hold(replace(PLAIN, hold_until=1100.0), SITE, 100.0)


@pytest.mark.parametrize(
    ("mail", "site", "limit", "code"),
    [
        (replace(PLAIN, hold_for=101), SITE, 100.0, 501),
        (replace(PLAIN, hold_until=1101.0), SITE, 100.0, 501),
        (replace(PLAIN, hold_for=1, hold_until=1001.0), SITE, 100.0, 501),
        (replace(PLAIN, hold_for=1), replace(SITE, submission=False), 100.0, 555),
        (replace(PLAIN, hold_for=1), replace(SITE, now=None), 100.0, 555),
        (replace(PLAIN, hold_for=1), SITE, 0.0, 555),
    ],
)
def test_refused(mail: Mail, site: Site, limit: float, code: int) -> None:
    """Too long, both ways at once, or not offered."""
    with pytest.raises(Refusal) as caught:
        check_hold(mail, site, limit)
    assert caught.value.reply.code == code


def test_beside_a_time_to_be_delivered_by() -> None:
    """A message is not held beyond the time by which it is to be there (RFC 4865 §5.2.2)."""
    by = DeliverBy(50, returned=True)
    check_hold(replace(PLAIN, hold_for=50, by=by), SITE, 100.0)
    for wish in ({"hold_for": 51}, {"hold_until": 1051.0}):
        with pytest.raises(Refusal, match=r"501 5\.5\.4"):
            check_hold(replace(PLAIN, by=by, **wish), SITE, 100.0)


def test_the_line() -> None:
    """Too long is decided by a line of the configuration."""
    with pytest.raises(Refusal) as caught:
        check_hold(replace(PLAIN, hold_for=101), SITE, 100.0)
    assert caught.value.rule == Rule("submission", "longest hold")
