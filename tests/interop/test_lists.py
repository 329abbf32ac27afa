"""Lists and access control beside Dovecot's: the same questions, the same answers."""

from __future__ import annotations

import imaplib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.peers import wait_for
from bench.postfix import search_path
from tests.interop.conftest import call, program
from tests.interop.peers import PASSWORD, Twistd, free_ports, home

pytestmark = pytest.mark.interop

SECRET = PASSWORD.replace(" ", "_")
MAILBOXES = ("Work", "Work/2026", "Work/2026/May", "Play/Chess", "Sent", "Drafts", "Entw&APw-rfe")
SUBSCRIBED = ("INBOX", "Work/2026", "Play/Chess", "Sent")


class Dovecot:
    """Dovecot with its ACL and quota plugins, on a private port, for several users."""

    def __init__(self, place: Path) -> None:
        [self.port] = free_ports(1)
        self._place = place
        place.mkdir(parents=True, exist_ok=True)
        (place / "dovecot.conf").write_text(
            f"""
base_dir = {place}/run
protocols = imap
listen = 127.0.0.1
log_path = {place}/dovecot.log
mail_location = maildir:{place}/mail/%u
first_valid_uid = 1
mail_uid = nobody
mail_gid = nogroup
default_internal_user = dovecot
default_login_user = dovenull
disable_plaintext_auth = no
ssl = no
mail_plugins = acl
mail_attribute_dict = file:{place}/mail/%u/attributes
protocol imap {{
  mail_plugins = acl imap_acl
  imap_metadata = yes
}}
plugin {{
  acl = vfile
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Sent {{
    special_use = \\Sent
  }}
  mailbox Drafts {{
    special_use = \\Drafts
  }}
}}
passdb {{
  driver = static
  args = password={SECRET}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place}/mail/%u allow_all_users=yes
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""",
            encoding="utf-8",
        )
        (place / "mail").mkdir()
        for path in (place, place / "mail"):
            shutil.chown(path, "nobody", "nogroup")
        program = shutil.which("dovecot", path=search_path())
        if program is None:
            pytest.skip("dovecot is not installed")
        command = [program, "-F", "-c", str(place / "dovecot.conf")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.port, b"* OK")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)


class Line:
    """A connection on which we say what we like."""

    def __init__(self, port: int, user: str, password: str, place: Path) -> None:
        self.port, self.place = port, place
        self._user, self._password = user, password
        self._client = imaplib.IMAP4("127.0.0.1", port)
        self._client.login(user, password)
        self._number = 0

    def say(self, command: str) -> list[str]:
        """The untagged responses to a command, then the tagged one's condition and code."""
        self._number += 1
        tag = f"x{self._number}"
        self._client.send(f"{tag} {command}\r\n".encode())
        heard: list[str] = []
        while True:
            line = self._client.readline().decode().rstrip("\r\n")
            if line.startswith(f"{tag} "):
                found = re.match(r"\S+ (\w+)( \[[A-Z]+)?", line)
                assert found is not None
                return [*heard, found[1] + (found[2] or "").replace(" [", " ")]
            heard.append(line)

    def connected(self, user: str = "") -> imaplib.IMAP4:
        """Another connection, of another user."""
        client = imaplib.IMAP4("127.0.0.1", self.port)
        client.login(user or self._user, self._password)
        return client


class Pair:
    """The same account at Dovecot and at ours."""

    def __init__(self, theirs: Line, ours: Line) -> None:
        self.theirs, self.ours = theirs, ours

    def do(self, command: str) -> None:
        """Something that both must do."""
        for line in (self.theirs, self.ours):
            assert line.say(command)[-1].startswith("OK"), command


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with home("lists") as place:
        hub = Twistd(place / "hub", "[journey]\nmailbox =\n[auth]\nplaintext on loopback = yes\n")
        ann = hub.add("ann", SECRET)
        hub.add("bob", SECRET)
        dovecot = Dovecot(place / "dovecot")
        try:
            hub.start()
            theirs = Line(dovecot.port, ann, SECRET, place / "dovecot")
            ours = Line(hub.ports["imap"], ann, SECRET, place / "hub")
            for name in ("Archive", "Junk", "Trash", "Sent", "Drafts"):
                ours.say(f"UNSUBSCRIBE {name}")
                ours.say(f"DELETE {name}")
            for name in MAILBOXES:
                use = {"Sent": " (USE (\\Sent))", "Drafts": " (USE (\\Drafts))"}.get(name, "")
                assert ours.say(f"CREATE {name}{use}")[-1].startswith("OK")
                assert theirs.say(f"CREATE {name}")[-1] == "OK"
            for name in SUBSCRIBED:
                theirs.say(f"SUBSCRIBE {name}")
                ours.say(f"SUBSCRIBE {name}")
            yield Pair(theirs, ours)
        finally:
            hub.stop()
            dovecot.stop()


ATTRIBUTES = re.compile(r"\* (LIST|LSUB) \(([^)]*)\) (\S+) (\S+)(.*)")


def told(lines: list[str], *, ignore: frozenset[str] = frozenset()) -> list[object]:
    """Responses as values: attributes have no order, and names may be quoted or not."""
    found: list[object] = []
    for line in lines:
        row = ATTRIBUTES.fullmatch(line)
        if row is None:
            found.append(line)
            continue
        attributes = frozenset(row[2].lower().split()) - ignore
        found.append((row[1], attributes, row[4].strip('"'), row[5].replace('"', "")))
    return sorted(found[:-1], key=str) + found[-1:]


UNASKED = frozenset({"\\haschildren", "\\hasnochildren", "\\sent", "\\drafts"})
"""Attributes that we tell though nobody asked, and Dovecot keeps to itself."""
ASKED = [
    'LIST "" ""',
    'LIST "" *',
    'LIST "" %',
    'LIST "" Work/%',
    'LIST "" inbox',
    'LIST "Work/" %',
    'LIST "" "" RETURN (CHILDREN)',
    'LIST () "" %',
    'LIST (REMOTE) "" %',
    'LIST (SUBSCRIBED) "" *',
    'LIST (SUBSCRIBED) "" %',
    'LIST (SUBSCRIBED REMOTE) "" *',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" %',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" *',
    'LIST (SUBSCRIBED RECURSIVEMATCH) "" Work',
    'LIST (RECURSIVEMATCH) "" %',
    'LIST "" (INBOX Work/%) RETURN (CHILDREN SUBSCRIBED)',
    'LIST "" Play RETURN (CHILDREN)',
    'LIST (SUBSCRIBED) "" * RETURN (SUBSCRIBED CHILDREN)',
    'LIST (SPECIAL-USE) "" *',
    'LIST (SPECIAL-USE RECURSIVEMATCH) "" %',
    'LIST (SUBSCRIBED SPECIAL-USE) "" *',
    'LIST "" * RETURN (SPECIAL-USE)',
    'LIST "" % RETURN (STATUS (MESSAGES UNSEEN))',
    'LSUB "" *',
    'LSUB "" %',
    "GETACL Nowhere",
    "SETACL Nowhere bob@hub.example l",
    "SETACL Work bob@hub.example z",
    "GETMETADATA Work /private/none",
    'GETMETADATA "" /shared/comment',
]


@pytest.mark.parametrize("command", ASKED)
def test_same_lists(pair: Pair, command: str) -> None:
    """What Dovecot lists we list, and what it refuses we refuse."""
    ignore = UNASKED
    if "SPECIAL-USE" in command:
        ignore = UNASKED - {"\\sent", "\\drafts"}
    if "CHILDREN" in command:
        ignore = frozenset({"\\sent", "\\drafts"})
    theirs, ours = pair.theirs.say(command), pair.ours.say(command)
    assert told(ours, ignore=ignore) == told(theirs, ignore=ignore)


def entries(lines: list[str]) -> dict[str, frozenset[str]]:
    """A GETACL response as a mapping."""
    [line] = [line for line in lines if line.startswith("* ACL ")]
    words = line.split()[3:]
    return {name: frozenset(given) for name, given in zip(words[::2], words[1::2], strict=True)}


def test_same_acl(pair: Pair) -> None:
    """The same changes lead to the same access control list."""
    for change in (
        "SETACL Work bob@hub.example lrs",
        "SETACL Work bob@hub.example +wi",
        "SETACL Work bob@hub.example -s",
        "SETACL Work -bob@hub.example w",
        "SETACL Work/2026 bob@hub.example lrd",
    ):
        pair.do(change)
        for name in ("Work", "Work/2026"):
            command = f"GETACL {name}"
            assert entries(pair.ours.say(command)) == entries(pair.theirs.say(command)), change
    for line in (pair.theirs, pair.ours):
        [said] = [it for it in line.say("MYRIGHTS Work") if it.startswith("* MYRIGHTS")]
        assert set(said.split()[-1]) == set("lrswipkxteacd")
        [said] = [it for it in line.say("LISTRIGHTS Work bob@hub.example") if "* " in it]
        assert set(said.split()[5:]) == set("lrswipkxteacd")
    inherited = "CREATE Work/2027"
    pair.do(inherited)
    command = "GETACL Work/2027"
    assert entries(pair.ours.say(command)) == entries(pair.theirs.say(command))


def test_their_list_counts(pair: Pair) -> None:
    """A list that Dovecot wrote means here what it means there, byte for byte."""
    pair.do("SETACL Play/Chess bob@hub.example lrstwi")
    theirs = next(Path(pair.theirs.place).rglob(".Play.Chess/dovecot-acl"))
    ours = next(Path(pair.ours.place).rglob(".Play.Chess/dovecot-acl"))
    before = entries(pair.ours.say("GETACL Play/Chess"))
    shutil.copyfile(theirs, ours)
    assert entries(pair.ours.say("GETACL Play/Chess")) == before
    ours.write_text("user=bob@hub.example lrs\n-user=eve@hub.example r\n", encoding="utf-8")
    shutil.copyfile(ours, theirs)
    shutil.chown(theirs, "nobody", "nogroup")
    command = "GETACL Play/Chess"
    assert entries(pair.ours.say(command)) == entries(pair.theirs.say(command))


def test_imaplib_shares(pair: Pair) -> None:
    """imaplib's own methods share a mailbox, annotate it, and look at its quota."""
    ann = pair.ours.connected()
    assert ann.setacl("Sent", "bob@hub.example", "lrswi")[0] == "OK"
    assert ann.getacl("Sent")[1] == [b"Sent ann@hub.example lrswipkxteacd bob@hub.example lrswi"]
    bob = pair.ours.connected("bob@hub.example")
    name = '"Other Users/ann@hub.example/Sent"'
    assert bob.namespace()[1] == [b'(("" "/")) (("Other Users/" "/")) NIL']
    assert bob.myrights(name)[1] == [name.encode() + b" lrswi"]
    assert any(b"Other Users/ann@hub.example/Sent" in row for row in bob.list()[1] if row)
    text = b"Subject: shared\r\n\r\nHello.\r\n"
    assert bob.append(name, "(\\Seen)", None, text)[0] == "OK"
    ann.select("Sent", readonly=True)
    assert ann.search(None, "UNSEEN")[1] == [b"1"]
    assert bob.select(name)[0] == "OK"
    assert bob.search(None, "UNSEEN")[1] == [b""]
    assert bob.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
    ann.noop()
    assert ann.search(None, "FLAGGED")[1] == [b"1"]
    assert bob.store("1", "+FLAGS", "(\\Deleted)")[0] == "NO"
    assert bob.expunge()[0] == "NO"
    assert bob.getquotaroot(name)[0] == "OK"
    assert ann.deleteacl("Sent", "bob@hub.example")[0] == "OK"
    with pytest.raises(imaplib.IMAP4.abort, match="may not read this mailbox any more"):
        bob.noop()
    again = pair.ours.connected("bob@hub.example")
    assert again.select(name)[0] == "NO"
    again.logout()
    ann.logout()


def test_mbsync_shares(pair: Pair, tmp_path: Path) -> None:
    """Mbsync takes shared mailboxes for mailboxes, with patterns and subfolders, both ways."""
    ann = pair.ours.connected()
    text = b"Subject: for mbsync\r\n\r\nHello.\r\n"
    for folder in ("Work", "Work/2026/May", "Sent"):
        assert ann.append(folder, None, None, text)[0] == "OK"
        rights = "lr" if folder == "Sent" else "lrswite"
        assert ann.setacl(folder, "bob@hub.example", rights)[0] == "OK"
    store = tmp_path / "Mail"
    store.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""
IMAPAccount hub
Host 127.0.0.1
Port {pair.ours.port}
User bob@hub.example
Pass {SECRET}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account hub

MaildirStore near
Path {store}/
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns "Other Users/ann@hub.example/*" !*/Play*
Create Near
Expunge Both
SyncState *
""",
        encoding="utf-8",
    )
    call(program("mbsync"), "-c", str(config), "-a")
    shared = store / "Other Users/ann@hub.example"
    for folder in ("Work", "Work/2026/May", "Sent"):
        copied = [*(shared / folder / "new").iterdir(), *(shared / folder / "cur").iterdir()]
        assert sum(b"for mbsync" in path.read_bytes() for path in copied) == 1, folder
    (shared / "Work/cur/1.x.y:2,S").write_bytes(b"Subject: pushed\n\nHello.\n")
    call(program("mbsync"), "-c", str(config), "-a")
    ann.select("Work", readonly=True)
    assert ann.search(None, "SUBJECT", "pushed")[1] == [b"2"]
    ann.logout()


def test_neomutt_shares(pair: Pair, tmp_path: Path) -> None:
    """Neomutt opens a shared mailbox and copies from it into its own."""
    ann = pair.ours.connected()
    assert ann.append("Drafts", None, None, b"Subject: for mutt\r\n\r\nHello.\r\n")[0] == "OK"
    assert ann.setacl("Drafts", "bob@hub.example", "lrs")[0] == "OK"
    ann.logout()
    rc = tmp_path / "rc"
    rc.write_text(
        f"""
set folder = "imap://127.0.0.1:{pair.ours.port}/"
set imap_user = "bob@hub.example"
set imap_pass = "{SECRET}"
set ssl_starttls = no
set ssl_force_tls = no
set sleep_time = 0
set header_cache = ""
set confirmappend = no
push "<tag-pattern>~A<enter><tag-prefix><copy-message>=INBOX<enter><quit>y"
""",
        encoding="utf-8",
    )
    box = f"imap://127.0.0.1:{pair.ours.port}/Other Users/ann@hub.example/Drafts"
    command = f"{program('neomutt')} -n -F {rc} -f '{box}'"
    environment = {"TERM": "xterm", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    call(program("script"), "-qec", command, "/dev/null", env=environment)
    bob = pair.ours.connected("bob@hub.example")
    bob.select("INBOX", readonly=True)
    assert bob.search(None, "SUBJECT", '"for mutt"')[1] == [b"1"]
    bob.logout()
