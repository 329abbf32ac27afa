"""Dovecot's maildirs taken over, and given back: UIDs, flags, keywords, subscriptions, UIDLs."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import poplib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.peers import wait_for
from bench.postfix import search_path
from tests.interop.peers import PASSWORD, Twistd, free_ports, home

pytestmark = pytest.mark.interop

KEYWORDS = ("$Forwarded", "$Label1", "NonJunk", "Projekt-7")
MAILBOXES = ("INBOX", "Work", "Work.2026", "Entw&APw-rfe", "Sent", "Empty")


class Dovecot:
    """Dovecot on private ports, over a maildir that belongs to nobody (it refuses root)."""

    def __init__(self, place: Path, maildir: Path) -> None:
        self.maildir = maildir
        imap, pop3 = free_ports(2)
        self.ports = {"imap": imap, "pop3": pop3}
        self._place = place
        place.mkdir(parents=True, exist_ok=True)
        (place / "dovecot.conf").write_text(
            f"""
base_dir = {place}/run
protocols = imap pop3
listen = 127.0.0.1
log_path = {place}/dovecot.log
mail_location = maildir:{maildir}
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
default_internal_user = dovecot
default_login_user = dovenull
disable_plaintext_auth = no
ssl = no
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "_")}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place} allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
""",
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("dovecot", path=search_path())
        assert program
        shutil.chown(self._place, "nobody", "nogroup")
        own(self.maildir)
        command = [program, "-F", "-c", str(self._place / "dovecot.conf")]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(self.ports["imap"], b"* OK")
        wait_for(self.ports["pop3"], b"+OK")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(10)

    @property
    def log(self) -> str:
        return (self._place / "dovecot.log").read_text(encoding="utf-8", errors="replace")

    def imap(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"])
        client.login("ann", PASSWORD.replace(" ", "_"))
        return client


def own(place: Path) -> None:
    """Give a directory, and all that is in it, to nobody."""
    place.mkdir(exist_ok=True)
    for found in (place, *place.rglob("*")):
        shutil.chown(found, "nobody", "nogroup")


# ---- What a client sees ----------------------------------------------------------------------


@dataclass
class Mailbox:
    """A mailbox as a client sees it; messages by UID."""

    validity: int
    following: int
    flags: dict[int, frozenset[str]] = field(default_factory=dict)
    dates: dict[int, str] = field(default_factory=dict)
    octets: dict[int, bytes] = field(default_factory=dict)


def names(client: imaplib.IMAP4, command: str) -> set[str]:
    """The mailboxes that LIST or LSUB tells, levels separated by dots."""
    _, lines = getattr(client, command)('""', "*")
    found = set()
    for line in lines:
        if line is None:
            continue
        flags, separator, name = re.fullmatch(  # type: ignore[union-attr]
            rb'\((.*?)\) "(.)" "?([^"]*)"?', line
        ).groups()
        if b"\\Noselect" not in flags and b"\\NonExistent" not in flags:
            found.add(name.decode().replace(separator.decode(), "."))
    return found


def seen(client: imaplib.IMAP4, name: str) -> Mailbox:
    """All of a mailbox."""
    status, _ = client.select(f'"{name}"', readonly=True)
    assert status == "OK", name
    [validity] = client.response("UIDVALIDITY")[1]
    [following] = client.response("UIDNEXT")[1]
    made = Mailbox(int(validity), int(following))
    _, data = client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
    for item in data:
        if not isinstance(item, tuple):
            continue
        told, octets = item
        uid = int(re.search(rb"UID (\d+)", told)[1])  # type: ignore[index]
        flags = re.search(rb"FLAGS \(([^)]*)\)", told)[1].decode().split()  # type: ignore[index]
        date = re.search(rb'INTERNALDATE "([^"]*)"', told)[1].decode()  # type: ignore[index]
        made.flags[uid] = frozenset(flags) - {"\\Recent"}
        made.dates[uid] = imaplib.Internaldate2tuple(f'INTERNALDATE "{date}"'.encode())  # type: ignore[assignment]
        made.octets[uid] = octets
    return made


def everything(client: imaplib.IMAP4, separator: str) -> dict[str, Mailbox]:
    """All that a client sees."""
    return {
        name: seen(client, name.replace(".", separator)) for name in sorted(names(client, "list"))
    }


def uidls(port: int, user: str, password: str) -> list[bytes]:
    """The unique ids that POP3 tells."""
    client = poplib.POP3("127.0.0.1", port)
    client.user(user)
    client.pass_(password)
    _, lines, _ = client.uidl()
    client.quit()
    return lines


def compare(before: dict[str, Mailbox], after: dict[str, Mailbox]) -> None:
    """Nothing that a client would notice."""
    assert set(before) <= set(after)
    for name, mailbox in before.items():
        other = after[name]
        assert other.validity == mailbox.validity, name
        assert other.following >= mailbox.following, name
        assert other.flags == mailbox.flags, name
        assert other.dates == mailbox.dates, name
        assert other.octets == mailbox.octets, name


# ---- The world under Dovecot -------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    if not shutil.which("dovecot", path=search_path()):
        pytest.skip("dovecot is not installed")
    if os.geteuid() != 0:
        pytest.skip("dovecot is started as root")
    with home("dovecot") as found:
        yield found


def populate(client: imaplib.IMAP4) -> None:
    """Mailboxes with gaps in their UIDs, flags, keywords, dates and subscriptions."""
    for name in MAILBOXES[1:]:
        assert client.create(f'"{name}"')[0] == "OK", name
    for name in ("INBOX", "Work.2026", "Entw&APw-rfe"):
        client.subscribe(f'"{name}"')
    flags = ["", r"\Seen", r"\Seen \Flagged", r"\Answered $Forwarded", "$Label1 NonJunk", r"\Draft"]
    for name in MAILBOXES[:-1]:
        for number in range(12):
            octets = f"Subject: {name} {number}\r\n\r\nText {number}\r\n.dot\r\n".encode()
            date = f'"{number + 1:2d}-Feb-2024 03:04:{number:02d} +0100"'
            client.append(f'"{name}"', f"({flags[number % 6]})", date, octets)
        client.select(f'"{name}"')
        client.store("3,7,12", "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.store("5", "+FLAGS", "(Projekt-7)")
    client.close()
    # Delivered and never looked at: without a UID.


def deliver(maildir: Path, name: str, number: int) -> None:
    """Put a message into ``new``, as a delivery agent does."""
    temporary = maildir / "tmp" / name
    temporary.write_bytes(b"Subject: new %d\n\nUnix line ends\n" % number)
    temporary.rename(maildir / "new" / name)


def test_adopted_and_given_back(place: Path) -> None:
    """A client notices nothing when Dovecot's maildir becomes ours, nor when it goes back."""
    theirs = place / "Maildir"
    dovecot = Dovecot(place / "dovecot", theirs)
    with contextlib.ExitStack() as stack:
        stack.callback(dovecot.stop)
        dovecot.start()
        client = dovecot.imap()
        populate(client)
        deliver(theirs, "1700000000.M1P1.elsewhere", 1)
        before = everything(client, ".")
        subscribed = names(client, "lsub")
        client.logout()
        before_uidls = uidls(dovecot.ports["pop3"], "ann", PASSWORD.replace(" ", "_"))
        dovecot.stop()

        hub = Twistd(place / "hub", services=("smtp", "submission", "imap", "pop3"))
        ann = hub.add("ann")
        ours = hub.state / accounts(hub)[ann]["maildir"]
        # As docs/operator.md says it: rsync -a --delete, then index rebuild.
        shutil.copytree(theirs, ours)
        hub.operate("index", "rebuild")
        stack.callback(hub.stop)
        hub.start()
        client = hub.imap(ann)
        after = everything(client, "/")
        assert names(client, "lsub") == {*subscribed, "Queue"}
        compare(before, after)
        assert uidls(hub.ports["pop3"], ann, PASSWORD) == before_uidls

        # Some life under us, then back.
        client.select('"Work/2026"')
        client.store("1", "+FLAGS", "(Ours)")
        client.store("2", "-FLAGS", r"(\Seen)")
        client.copy("1", "INBOX")
        client.append("INBOX", r"(\Flagged)", None, b"Subject: appended by us\r\n\r\nx\r\n")
        client.create('"New/Below"')
        client.subscribe('"New/Below"')
        client.select('"Sent"')
        client.store("4", "+FLAGS", r"(\Deleted)")
        client.expunge()
        hub.submit(ann, ann, subject="delivered by us")
        hub.message(ann, "delivered by us")
        with_us = everything(client, "/")
        del with_us["Queue"]  # which is nowhere on disk
        client.logout()
        hub.stop()

        shutil.rmtree(theirs)
        shutil.copytree(ours, theirs)
        dovecot.start()
        client = dovecot.imap()
        back = everything(client, ".")
        assert names(client, "lsub") == {*subscribed, "New.Below"}
        client.logout()
        assert set(back) == set(with_us)
        for name, mailbox in with_us.items():
            assert known(back[name]) == known(mailbox), name
        assert "Error" not in dovecot.log


def known(mailbox: Mailbox) -> set[tuple[bytes, frozenset[str]]]:
    r"""What another server shows of our maildir: octets and system flags, under new UIDs."""
    return {
        (octets, frozenset(flag for flag in mailbox.flags[uid] if flag.startswith("\\")))
        for uid, octets in mailbox.octets.items()
    }


def accounts(hub: Twistd) -> dict[str, dict[str, Any]]:
    """Accounts by address, as the command line lists them."""
    listed = json.loads(hub.operate("account", "list", "--json"))
    return {account["address"]: account for account in listed}
