"""A whole lab: each domain does what its name says, and the clock brings what comes late."""

from __future__ import annotations

import poplib
import re
import smtplib
import ssl
import time
from collections.abc import Callable
from imaplib import IMAP4
from pathlib import Path
from typing import Any

import pytest

from mailhub.config.load import ConfigError
from mailhub.lab.client import Lab, started
from mailhub.lab.lab import world_named

Hand = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("domain", "waits", "state"),
    [
        ("inbox.test", "0", "delivered"),
        ("anything.example", "0", "delivered"),
        ("unknown.test", "0", "failed"),
        ("no-such-domain.test", "0", "failed"),
        ("greylist.test", "0", "delayed"),
        ("greylist.test", "1h", "delivered"),
        ("full.test", "1d", "delayed"),
        ("full.test", "6d", "failed"),
        ("slow.test", "2m", "delivered"),
        ("down.test", "6d", "failed"),
        ("silent.test", "6d", "failed"),
        ("busy.test", "6d", "failed"),
        ("hangs-up.test", "6d", "failed"),
        ("in-doubt.test", "1d", "delivered"),
        ("dns-fails.test", "6d", "failed"),
        ("bad-tls.test", "1m", "delivered"),
        ("small.test", "0", "delivered"),
    ],
)
def test_behaviours(lab: Lab, hand_in: Hand, domain: str, waits: str, state: str) -> None:
    """What becomes of a message is what its recipient's domain is for."""
    to = f"u{waits}@{domain}"
    hand_in(f"s{waits}@{domain}.sender.test", to)
    lab.advance(waits)
    lab.journey(to=to, state=state)


def test_delay_warning_and_bounce(lab: Lab, hand_in: Hand) -> None:
    """The sender is told that mail waits, and days later that it was given up."""
    sender = lab.inbox("shop@delays.test")
    hand_in(sender.address, "ann@down.test")
    lab.advance("5h")
    delayed = sender.wait(subject="Delayed")
    lab.advance("6d")
    failed = sender.wait(subject="Not delivered")
    assert "ann@down.test" in delayed.subject
    assert failed.received - delayed.received > 4 * 86400
    assert len(sender.messages()) == 2


def test_bounces_later(lab: Lab, hand_in: Hand) -> None:
    """It is taken, and comes back from there ten minutes later; a complaint likewise."""
    sender = lab.inbox("shop@later.test")
    hand_in(sender.address, "ann@bounces-later.test")
    hand_in(sender.address, "ann@complains.test")
    lab.journey(to="ann@bounces-later.test", state="delivered")
    assert sender.messages() == []
    lab.advance("2h")
    assert "could not be delivered" in sender.wait(subject="ann@bounces-later.test").subject
    assert "abuse" in sender.wait(subject="ann@complains.test").subject


@pytest.mark.parametrize("domain", ["unknown.test", "bounces-later.test", "complains.test"])
def test_newsletters_come_once(lab: Lab, domain: str) -> None:
    """Whoever does not exist, or has complained, gets no more newsletters of that sender."""
    sender, to = lab.inbox(f"news@{domain}.shop.test"), f"reader@{domain}"
    content = f"From: {sender.address}\r\nList-Id: <news>\r\nSubject: News\r\n\r\nBuy\r\n"
    for subject, waits in ((to, "2h"), ("Not delivered", "0")):
        with smtplib.SMTP(lab.host, lab.ports["smtp"]) as smtp:
            smtp.sendmail(sender.address, [to], content)
        lab.advance(waits)
        notice = sender.wait(subject=subject)
        lab.advance("1m")
        sender.clear()
    assert "on the suppression list of" in notice.text


def test_rate_limit(lab: Lab, hand_in: Hand) -> None:
    """More than five in a minute wait, and all arrive."""
    for number in range(8):
        hand_in("shop@rates.test", f"u{number}@ratelimit.test")
    lab.advance("1s")
    states = [it.state for it in lab.journeys(sender="shop@rates.test")]
    assert states.count("delivered") == 5
    lab.advance("1d")
    assert {it.state for it in lab.journeys(sender="shop@rates.test")} == {"delivered"}


def test_limits(lab: Lab, hand_in: Hand) -> None:
    """Too large a message comes back, and what is sent to those who have blocked us."""
    hand_in("shop@limits.test", "large@small.test", ("x" * 78 + "\r\n") * 200)
    lab.journey(to="large@small.test", state="failed")
    hand_in("shop@limits.test", "first@blocks.test")
    lab.journey(to="first@blocks.test", state="delivered")
    hand_in("shop@limits.test", "second@blocks.test")
    assert "is blocked here" in str(lab.journey(to="second@blocks.test", state="failed"))


def test_many_recipients(lab: Lab) -> None:
    """Each of a message's recipients has it, and the journey tells of each."""
    recipients = [f"many{number}@inbox.test" for number in range(5)]
    with smtplib.SMTP(lab.host, lab.ports["smtp"]) as smtp:
        smtp.sendmail("a@many.test", recipients, "Subject: All\r\n\r\nHello\r\n")
    for recipient in recipients:
        assert lab.inbox(recipient).wait().header("delivered-to") == recipient
    lab.journey(to=recipients[-1], state="delivered")


def test_login(lab: Lab) -> None:
    """Who logs in may send as anybody; a wrong password is refused."""
    context = ssl.create_default_context(cafile=lab.ca)
    with smtplib.SMTP(lab.host, lab.ports["submission"]) as smtp:
        smtp.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login(lab.login, "wrong")
        smtp.login(lab.login, lab.password)
        smtp.sendmail("any@body.test", ["login@inbox.test"], "Subject: In\r\n\r\nHello\r\n")
    assert lab.inbox("login@inbox.test").wait(subject="In").text == "Hello\n"


def test_bounces_to_the_login(lab: Lab, hand_in: Hand) -> None:
    """What comes back to the address that programs log in as is in its inbox, as everybody's."""
    inbox = lab.inbox(lab.login)
    hand_in(lab.login, "login@unknown.test")
    assert "login@unknown.test" in inbox.wait(subject="Not delivered").subject


def test_imap_and_pop3(lab: Lab, hand_in: Hand) -> None:
    """Inboxes are ordinary ones; a client stays connected when the clock is moved."""
    inbox = lab.inbox("reader@inbox.test")
    with IMAP4(lab.host, lab.ports["imap"]) as imap:
        imap.login(inbox.address, lab.password)
        imap.select("INBOX")
        hand_in("a@b.test", inbox.address, "..dots\r\n.")
        inbox.wait()
        lab.advance("5h")
        imap.noop()
        _, found = imap.fetch("1", "(BODY.PEEK[TEXT])")
        assert isinstance(found[0], tuple)
        assert found[0][1] == b"..dots\r\n.\r\n"
    pop = poplib.POP3(lab.host, lab.ports["pop3"])
    pop.user(inbox.address)
    pop.pass_(lab.password)
    assert pop.stat()[0] == 1
    pop.quit()


def test_journeys_tell_the_moved_time(lab: Lab, hand_in: Hand) -> None:
    """What happened minutes later is told with its own moment, and not with that of the end."""
    before = lab.now
    hand_in("shop@moments.test", "moments@greylist.test")
    lab.advance("1d")
    journey = lab.journey(to="moments@greylist.test", state="delivered")
    moments = [event["at"] for event in journey.events]
    assert moments == sorted(moments)
    assert moments[0] - before < 60
    assert 300 <= moments[-1] - moments[0] < 3600
    received = lab.inbox("moments@greylist.test").wait().received
    assert abs(received - moments[-1]) < 5


def test_time_is_quick(lab: Lab) -> None:
    """A month passes in moments."""
    started = time.process_time()
    before = lab.now
    lab.advance("30d")
    assert lab.now - before >= 30 * 86400
    assert time.process_time() - started < 1


def test_worlds(tmp_path: Path) -> None:
    """Other worlds can be had, and a file's mistakes are all told."""
    assert world_named("providers").provider("gmail.com") is not None
    file = tmp_path / "world.ini"
    file.write_text("[provider X]\ndomain = x\ngreylist = soon\n")
    with pytest.raises(ConfigError) as told:
        world_named(str(file))
    assert len(told.value.mistakes) >= 2


@pytest.mark.parametrize("name", ["lab", "hostile"])
def test_what_comes_back_arrives(name: str) -> None:
    """In each world somebody takes mail for inbox.test, and for domains that are nobody's."""
    world = world_named(name)
    [refuge] = [it for it in world.providers if "inbox.test" in it.domains]
    assert refuge.chances == {}
    assert world.provider("sender.example") is not None


def test_every_domain_is_documented() -> None:
    """docs/lab.md has a line for each domain of the lab's world, and no other."""
    text = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([\w.-]+\.test)` \|", text, re.MULTILINE))
    domains = {name for it in world_named("lab").providers for name in it.domains}
    assert told == domains - {"*", "inbox.test"}


def _hand_in(lab: Lab, to: str) -> None:
    with smtplib.SMTP(lab.host, lab.ports["smtp"]) as smtp:
        smtp.sendmail("a@kept.test", [to], "Subject: Kept\r\n\r\nHello\r\n")


def test_begun_anew(tmp_path: Path) -> None:
    """A lab goes on where it was, its clock too; and begins anew when it is told to.

    Nothing is left then: no inbox, nothing that waits, no journey, no memory of a greylist.
    """
    kept = str(tmp_path / "state")
    with started(state=kept) as lab:
        _hand_in(lab, "ann@inbox.test")
        _hand_in(lab, "ann@greylist.test")
        lab.journey(to="ann@inbox.test", state="delivered")
        lab.advance("2m")
        before = lab.now
    with started(state=kept) as lab:
        assert lab.now >= before
        assert [it.subject for it in lab.inbox("ann@inbox.test").messages()] == ["Kept"]
        waiting = IMAP4(lab.host, lab.ports["imap"])
        lab.reset()
        assert abs(lab.now - time.time()) < 30
        assert lab.now < before
        assert lab.ask("GET", "/inboxes") == []
        assert lab.journeys() == []
        lab.advance("1h")
        assert lab.ask("GET", "/inboxes") == []
        _hand_in(lab, "ann@greylist.test")
        lab.journey(to="ann@greylist.test", state="delayed")
        with pytest.raises(IMAP4.abort):
            waiting.noop()
        lab.reset()
        assert lab.journeys() == []
