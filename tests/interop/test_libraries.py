"""Python's own mail libraries through every port."""

from __future__ import annotations

import imaplib
import poplib
import random
import smtplib
import time
from email import policy
from email.message import EmailMessage

import pytest

from tests.interop.conftest import Hub, message

pytestmark = pytest.mark.interop

ALICE, BOB, WORLD = "alice@hub.example", "bob@hub.example", "world@hub.example"


def submit(hub: Hub, sender: str, made: EmailMessage, *, implicit: bool = False) -> None:
    """Send through submission, by STARTTLS or implicit TLS."""
    if implicit:
        client: smtplib.SMTP = smtplib.SMTP_SSL(
            hub.host, hub.ports["submissions"], context=hub.context()
        )
    else:
        client = smtplib.SMTP(hub.host, hub.ports["submission"])
        client.starttls(context=hub.context())
    with client:
        client.login(sender, hub.passwords[sender])
        assert client.send_message(made) == {}


@pytest.mark.parametrize("implicit", [False, True])
def test_submission_to_a_neighbour(hub: Hub, *, implicit: bool) -> None:
    """A message submitted by alice is in bob's INBOX."""
    made = message(f"neighbour {implicit}")
    made.replace_header("From", ALICE)
    made.replace_header("To", BOB)
    submit(hub, ALICE, made, implicit=implicit)
    received = hub.wait(BOB, f"neighbour {implicit}")
    assert received.startswith(b"Return-Path: <alice@hub.example>\r\n")
    assert b"ESMTPSA" in received


def test_relay_to_the_world(hub: Hub) -> None:
    """A message to another domain leaves over SMTP and reaches the world."""
    made = message("to the world")
    made.replace_header("From", ALICE)
    made.replace_header("To", "carol@far.example")
    submit(hub, ALICE, made)
    received = hub.wait(WORLD, "to the world")
    assert b"Delivered-To: carol@far.example" in received


def test_not_an_open_relay(hub: Hub) -> None:
    """A stranger may write to us and not through us."""
    with smtplib.SMTP(hub.host, hub.ports["smtp"]) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            client.sendmail("a@elsewhere.example", ["b@far.example"], b"Subject: x\r\n\r\nx\r\n")
        assert caught.value.recipients["b@far.example"][0] == 550


def test_submission_needs_a_login(hub: Hub) -> None:
    """Port 587 takes nothing from strangers."""
    with smtplib.SMTP(hub.host, hub.ports["submission"]) as client:
        client.starttls(context=hub.context())
        with pytest.raises(smtplib.SMTPSenderRefused) as caught:
            client.sendmail(ALICE, [BOB], b"Subject: x\r\n\r\nx\r\n")
        assert caught.value.smtp_code == 530


def test_submission_as_somebody_else(hub: Hub) -> None:
    """A reverse-path must belong to the account."""
    with smtplib.SMTP_SSL(hub.host, hub.ports["submissions"], context=hub.context()) as client:
        client.login(ALICE, hub.passwords[ALICE])
        with pytest.raises(smtplib.SMTPException):
            client.sendmail(BOB, [BOB], b"Subject: x\r\n\r\nx\r\n")


@pytest.mark.parametrize("secure", [False, True])
def test_pop(hub: Hub, *, secure: bool) -> None:
    """POP3 gives back what SMTP took, and deletes it at QUIT."""
    hub.deliver(message(f"for pop {secure}", "one\n.two\n..three\n"))
    hub.wait(ALICE, f"for pop {secure}")
    if secure:
        client: poplib.POP3 = poplib.POP3_SSL(hub.host, hub.ports["pop3s"], context=hub.context())
    else:
        client = poplib.POP3(hub.host, hub.ports["pop3"])
        client.stls(context=hub.context())
    client.user(ALICE)
    client.pass_(hub.passwords[ALICE])
    count, _ = client.stat()
    _, lines, _ = client.retr(count)
    assert lines[-3:] == [b"one", b".two", b"..three"]
    _, uidls, _ = client.uidl()
    assert len(uidls) == count
    client.dele(count)
    client.quit()


def test_octets_survive(hub: Hub) -> None:
    """Whatever octets come in within SMTP's rules come out by IMAP and POP3 unchanged."""
    rng = random.Random(7)
    bodies = []
    for number in range(60):
        size = rng.choice([0, 1, 50, 998, 5000, 70_000])
        octets = bytes(rng.choice(b"ab.\t \xc3\xa9\x80\xff<=") for _ in range(size))
        lines = [octets[i : i + 900] for i in range(0, len(octets), 900)]
        body = b"".join(line + b"\r\n" for line in lines)
        head = b"Subject: octets %d\r\nFrom: a@elsewhere.example\r\n\r\n" % number
        bodies.append(head + body)
    with smtplib.SMTP(hub.host, hub.ports["smtp"]) as client:
        for body in bodies:
            client.sendmail("s@elsewhere.example", [BOB], body, ["BODY=8BITMIME"])
    hub.wait(BOB, "octets 59")
    imap = hub.imap(BOB)
    imap.select()
    for number, body in enumerate(bodies):
        _, [found] = imap.uid("SEARCH", "SUBJECT", f'"octets {number}"')
        uid = found.split()[0].decode()
        _, data = imap.uid("FETCH", uid, "(BODY.PEEK[] RFC822.SIZE)")
        octets = data[0][1]
        assert octets.endswith(body)
        assert b"RFC822.SIZE %d" % len(octets) in b"".join(
            part if isinstance(part, bytes) else part[0] for part in data
        )
    imap.logout()


def test_imap_walk(hub: Hub) -> None:
    """The commands of RFC 3501, as imaplib sends them."""
    imap = hub.imap()
    for name in ("Work", "Work/2026", "Büro"):
        imap.create(f'"{name.encode("ascii", "ignore").decode()}"')
    now = imaplib.Time2Internaldate(time.time())
    flags = r"(\Seen $Label1)"
    octets = message("appended").as_bytes(policy=policy.SMTP)
    status, _ = imap.append("Work", flags, now, octets)
    assert status == "OK"
    assert imap.select("Work")[0] == "OK"
    status, data = imap.fetch("1", "(FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
    assert isinstance(data[0], bytes)
    assert b"$Label1" in data[0]
    assert imap.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
    assert imap.copy("1", "Work/2026")[0] == "OK"
    assert imap.search(None, "FLAGGED")[1] == [b"1"]
    assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[1] == [b"1"]
    assert imap.select("Work/2026")[1] == [b"1"]
    imap.close()
    assert imap.delete("Work/2026")[0] == "OK"
    assert imap.rename("Work", "Done")[0] == "OK"
    assert any(b"Done" in line for line in imap.list()[1] if isinstance(line, bytes))
    imap.delete("Done")
    imap.logout()


def test_two_sessions_see_each_other(hub: Hub) -> None:
    """What one session does another hears at its next command."""
    hub.deliver(message("seen by two"))
    hub.wait(ALICE, "seen by two")
    one, two = hub.imap(), hub.imap()
    _, [count] = one.select()
    assert count is not None
    two.select()
    one.store(count.decode(), "+FLAGS", r"(\Flagged)")
    two.noop()
    assert rb"\Flagged" in b"".join(two.response("FETCH")[1])
    one.store(count.decode(), "+FLAGS", r"(\Deleted)")
    one.expunge()
    two.noop()
    assert two.response("EXPUNGE")[1] == [count]
    one.logout()
    two.logout()


def test_wrong_password(hub: Hub) -> None:
    """A wrong password is refused by all three protocols."""
    with pytest.raises(imaplib.IMAP4.error):
        imaplib.IMAP4_SSL(hub.host, hub.ports["imaps"], ssl_context=hub.context()).login(BOB, "x")
    smtp = smtplib.SMTP_SSL(hub.host, hub.ports["submissions"], context=hub.context())
    with smtp, pytest.raises(smtplib.SMTPAuthenticationError):
        smtp.login(BOB, "x")
    pop = poplib.POP3_SSL(hub.host, hub.ports["pop3s"], context=hub.context())
    pop.user(BOB)
    with pytest.raises(poplib.error_proto):
        pop.pass_("x")
    pop.close()


def test_imap_searches(hub: Hub) -> None:
    """imaplib searches, sorts and threads by the server; what has come is found at once."""
    for number, subject in enumerate(("zebra", "Re: apple", "apple")):
        made = message(subject, f"body of größe {number}\n")
        made["Message-ID"] = f"<s{number}@x.example>"
        if number == 1:
            made["References"] = "<s2@x.example>"
        made["X-Mark"] = "imap-searches"
        hub.deliver(made)
    hub.wait("alice@hub.example", "apple")
    with hub.imap() as imap:
        imap.select(readonly=True)
        mine = 'HEADER X-Mark "imap-searches"'
        [found] = imap.search(None, mine)[1]
        one, two, three = found.split()
        assert imap.sort("(SUBJECT)", "UTF-8", mine)[1] == [b" ".join((two, three, one))]
        assert imap.sort("(REVERSE SUBJECT)", "UTF-8", mine)[1] == [b" ".join((one, two, three))]
        [threads] = imap.thread("REFERENCES", "UTF-8", mine)[1]
        assert b"(%b %b)" % (three, two) in threads
        imap.literal = "GRÖßE 2".encode()  # type: ignore[assignment]  # octets are sent
        assert imap.search("UTF-8", mine, "BODY")[1] == [three]
