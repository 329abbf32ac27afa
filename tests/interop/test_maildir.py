"""A maildir that others write to while IMAP sessions have it open: mutt, maildrop, procmail, mv."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import program
from tests.interop.peers import PASSWORD, Twistd, home

pytestmark = pytest.mark.interop

TICK = 1.0
"""Seconds between two looks at open mailboxes, as the test's hub is configured."""


class Site:
    """A hub, an account, and its maildir."""

    def __init__(self, place: Path) -> None:
        self.hub = Twistd(place / "hub", "[store]\nlook = 1s\n")
        self.number = 0

    def account(self, name: str) -> tuple[str, Path]:
        """A new account's address and maildir, made by a first login."""
        address = self.hub.add(name)
        self.hub.imap(address).logout()
        listed = json.loads(self.hub.operate("account", "list", "--json"))
        [maildir] = [it["maildir"] for it in listed if it["address"] == address]
        return address, self.hub.state / maildir

    def fill(self, address: str, *subjects: str) -> None:
        """Put messages into the INBOX."""
        client = self.hub.imap(address)
        for subject in subjects:
            client.append("INBOX", "", None, f"Subject: {subject}\r\n\r\nHello.\r\n".encode())
        client.logout()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with home("shared") as place, contextlib.ExitStack() as stack:
        made = Site(place)
        made.hub.start()
        stack.callback(made.hub.stop)
        yield made


class Idler:
    """A client amid IDLE, which hears and says nothing."""

    def __init__(self, site: Site, address: str, mailbox: str = "INBOX") -> None:
        self.socket = socket.create_connection(("127.0.0.1", site.hub.ports["imap"]))
        self.heard = b""
        self._say(f'a LOGIN {address} "{PASSWORD}"', b"a OK")
        self._say(f'b SELECT "{mailbox}"', b"b OK")
        self._say("c IDLE", rb"\+ ")
        self.heard = b""

    def _say(self, line: str, answer: bytes) -> None:
        self.socket.sendall(line.encode() + b"\r\n")
        self.hears(answer)

    def hears(self, what: bytes, seconds: float = TICK + 4) -> None:
        """Wait for a response."""
        deadline = time.monotonic() + seconds
        while not re.search(what, self.heard, re.DOTALL):
            left = deadline - time.monotonic()
            assert left > 0, f"no {what!r} in {self.heard!r}"
            ready, _, _ = select.select([self.socket], [], [], left)
            if ready:
                octets = self.socket.recv(65536)
                assert octets, self.heard
                self.heard += octets

    def done(self) -> None:
        self._say("DONE", b"c OK")
        self.socket.close()


def drop(maildir: Path, name: str, subject: str) -> Path:
    """Deliver as any agent does: written in ``tmp``, moved into ``new``."""
    temporary, final = maildir / "tmp" / name, maildir / "new" / name
    temporary.write_bytes(f"Subject: {subject}\n\nHello.\n".encode())
    temporary.rename(final)
    return final


def test_moved_into_new(site: Site) -> None:
    """An idle client hears of a file that was moved into ``new``, and can fetch it."""
    address, maildir = site.account("mover")
    idler = Idler(site, address)
    drop(maildir, "1700000001.a.elsewhere", "by hand")
    idler.hears(rb"\* 1 EXISTS")
    idler.done()
    assert "by hand" in site.hub.message(address, "by hand")


def test_flags_and_files(site: Site) -> None:
    """Renamed for its flags, removed, moved to another mailbox: idle clients hear of each."""
    address, maildir = site.account("renamer")
    site.fill(address, "one", "two", "three")
    idler, other = Idler(site, address), Idler(site, address, "Archive")
    first, second, third = sorted((maildir / "cur").iterdir(), key=_uid)
    first.rename(first.with_name(first.name + "FS"))
    idler.hears(rb"\* 1 FETCH \(.*FLAGS \(.*\\Seen.*\)")
    second.unlink()
    idler.hears(rb"\* 2 EXPUNGE")
    third.rename(maildir / ".Archive/cur" / third.name)
    idler.hears(rb"\* 2 EXPUNGE.*\* 2 EXPUNGE")
    other.hears(rb"\* 1 EXISTS")
    idler.done()
    other.done()
    client = site.hub.imap(address)
    client.select("Archive")
    assert client.uid("SEARCH", "SUBJECT", "three")[1] == [b"1"]
    client.logout()


def _uid(path: Path) -> int:
    found = re.search(r",U=(\d+)", path.name)
    assert found
    return int(found[1])


def test_removed_under_a_session(site: Site) -> None:
    """A message whose file has gone is no fault: the others are answered for, it is expunged."""
    address, maildir = site.account("remover")
    site.fill(address, *(f"message {number}" for number in range(5)))
    client = site.hub.imap(address)
    client.select()
    files = sorted((maildir / "cur").iterdir(), key=_uid)
    files[1].unlink()
    files[3].unlink()
    status, data = client.fetch("1:5", "(UID BODY.PEEK[])")
    assert status == "OK"  # libraries throw away all that came before a NO
    octets = b"".join(item[1] for item in data if isinstance(item, tuple))
    for number in (0, 2, 4):
        assert b"message %d" % number in octets
    client.noop()
    assert client.select()[1] == [b"3"]
    assert client.uid("SEARCH", "ALL")[1] == [b"1 3 5"]
    client.logout()


@pytest.mark.parametrize("agent", ["maildrop", "procmail"])
def test_delivery_agents(site: Site, tmp_path: Path, agent: str) -> None:
    """Agents that deliver into a maildir themselves."""
    command = program(agent)
    address, maildir = site.account(agent)
    idler = Idler(site, address)
    rules = tmp_path / "rules"
    if agent == "maildrop":
        rules.write_text(f'to "{maildir}/"\n', encoding="utf-8")
        arguments = [str(rules)]
    else:
        rules.write_text(f":0\n{maildir}/\n", encoding="utf-8")
        arguments = ["-m", f"ORGMAIL={maildir}/", str(rules)]
    rules.chmod(0o600)
    for number in range(3):
        text = f"From: a@far.example\nSubject: {agent} {number}\n\nHello.\n"
        environment = {**os.environ, "HOME": str(tmp_path)}
        subprocess.run([command, *arguments], input=text.encode(), check=True, env=environment)
    idler.hears(rb"\* 3 EXISTS")
    idler.done()
    assert f"{agent} 2" in site.hub.message(address, f"{agent} 2")


def test_mutt_on_the_files(site: Site, tmp_path: Path) -> None:
    """Mutt reads, flags, deletes and moves in the maildir itself; idle clients follow."""
    mutt = program("mutt")
    address, maildir = site.account("mutt")
    site.fill(address, *(f"mutt {number}" for number in range(6)))
    idler, other = Idler(site, address), Idler(site, address, "Archive")
    rc = tmp_path / "muttrc"
    # 1 is read, 2 flagged, 3 deleted, 4 moved, the others marked as old.
    rc.write_text(
        f"set mbox_type=Maildir\nset folder={maildir}\nset spoolfile={maildir}\n"
        "set confirmappend=no\nset confirmcreate=no\nset delete=yes\nset move=no\n"
        "set sort=subject\nset resolve=no\n"
        "set quit=yes\nset wait_key=no\nset sleep_time=0\n"
        "set mark_old=no\nset header_cache=\nset maildir_trash=no\n"
        "push '<first-entry><clear-flag>N<next-entry><flag-message><next-entry><delete-message>"
        f"<jump>4<enter><save-message>{maildir}/.Archive<enter><quit>'\n",
        encoding="utf-8",
    )
    run_on_terminal(mutt, "-n", "-F", str(rc), "-f", str(maildir))
    idler.hears(rb"EXPUNGE.*EXPUNGE")
    other.hears(rb"\* 1 EXISTS")
    idler.done()
    other.done()
    client = site.hub.imap(address)
    client.select()
    assert client.uid("SEARCH", "ALL")[1] == [b"1 2 5 6"]
    assert client.uid("SEARCH", "FLAGGED")[1] == [b"2"]
    assert client.uid("SEARCH", "SEEN")[1] == [b"1"]
    client.select("Archive")
    assert client.search(None, "SUBJECT", "mutt")[1] == [b"1"]
    client.logout()


def run_on_terminal(*command: str, seconds: float = 30) -> None:
    """Run a program that wants a terminal, to its end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(command[0], command)
    deadline = time.monotonic() + seconds
    shown = b""
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 0.2)
            if ready:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:
                    os.waitpid(pid, 0)
                    return
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        raise AssertionError(f"{command[0]} does not end: {shown[-1000:]!r}")
    finally:
        os.close(terminal)


def test_mailbox_removed(site: Site) -> None:
    """A mailbox whose directory is removed under idle clients is told as emptied, and no fault."""
    address, maildir = site.account("emptier")
    client = site.hub.imap(address)
    client.append("Archive", "", None, b"Subject: x\r\n\r\nx\r\n")
    idler = Idler(site, address, "Archive")
    shutil.rmtree(maildir / ".Archive")
    idler.hears(rb"\* 1 EXPUNGE|\* BYE")
    assert client.select("Archive")[0] == "NO"
    assert client.noop()[0] == "OK"
    client.logout()


# ---- Without the index -------------------------------------------------------------------------


def facts(hub: Twistd, address: str) -> tuple[bytes | None, bytes | None, list[bytes]]:
    """UIDVALIDITY, UIDs and flags of the INBOX."""
    client = hub.imap(address)
    client.select(readonly=True)
    [validity] = client.response("UIDVALIDITY")[1]
    [uids] = client.uid("SEARCH", "ALL")[1]
    _, data = client.uid("FETCH", "1:*", "(FLAGS)")
    client.logout()
    told = [item for item in data if isinstance(item, bytes)]
    return validity, uids, [item.replace(rb" \Recent", b"") for item in told]


@pytest.mark.parametrize("running", [True, False])
def test_index_removed(site: Site, *, running: bool) -> None:
    """The index is a cache: without it UIDs, flags, keywords and UIDVALIDITY are the same."""
    address, maildir = site.account(f"index{running}".lower())
    site.fill(address, *(f"message {number}" for number in range(8)))
    client = site.hub.imap(address)
    client.select()
    client.store("1:2", "+FLAGS", r"(\Flagged Blue)")
    client.store("3,8", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.logout()
    before = facts(site.hub, address)
    open_session = site.hub.imap(address)
    open_session.select()
    if not running:
        site.hub.stop()
    removed = list(maildir.glob("mailhub-index*"))
    assert removed
    for path in removed:
        path.unlink()
    if not running:
        site.hub.start()
    else:
        assert open_session.store("1", "+FLAGS", r"(\Answered)")[0] == "OK"
        assert open_session.store("1", "-FLAGS", r"(\Answered)")[0] == "OK"
        open_session.logout()
    assert facts(site.hub, address) == before
    site.fill(address, "later")
    _, uids, _ = facts(site.hub, address)
    assert uids is not None
    assert int(uids.split()[-1]) > 8, "no UID is used twice"
    site.hub.operate("index", "rebuild", address)
    validity, uids_after, flags = facts(site.hub, address)
    assert (validity, uids_after) == (before[0], uids)
    assert flags[: len(before[2])] == before[2]
