"""Clients that Debian packages: each does its usual work; skipped where one is not installed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.conftest import Hub, call, message, program

pytestmark = pytest.mark.interop

ALICE, BOB, WORLD = "alice@hub.example", "bob@hub.example", "world@hub.example"


def secret(directory: Path, hub: Hub, address: str) -> Path:
    """A file that holds a password."""
    path = directory / "secret"
    path.write_text(hub.passwords[address] + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_curl_smtp(hub: Hub, tmp_path: Path) -> None:
    """curl submits by STARTTLS and by implicit TLS."""
    curl = program("curl")
    for scheme, port in (("smtp", "submission"), ("smtps", "submissions")):
        mail = tmp_path / "mail"
        mail.write_text(f"From: {ALICE}\r\nSubject: curl {scheme}\r\n\r\nHi\r\n", encoding="ascii")
        call(
            curl, "-sS", "--ssl-reqd", "--cacert", hub.ca, f"{scheme}://{hub.host}:{hub.ports[port]}",
            "--user", f"{ALICE}:{hub.passwords[ALICE]}", "--mail-from", ALICE, "--mail-rcpt", BOB,
            "--upload-file", str(mail),
        )  # fmt: skip
        hub.wait(BOB, f"curl {scheme}")


def test_curl_reads(hub: Hub) -> None:
    """curl lists and fetches over IMAP and POP3."""
    curl = program("curl")
    hub.deliver(message("for curl"))
    hub.wait(ALICE, "for curl")
    login = ("--user", f"{ALICE}:{hub.passwords[ALICE]}", "--cacert", hub.ca, "-sS")
    listing = call(curl, *login, f"imaps://{hub.host}:{hub.ports['imaps']}/")
    assert b"INBOX" in listing
    found = call(
        curl, *login, f"imaps://{hub.host}:{hub.ports['imaps']}/INBOX?SUBJECT%20%22for%20curl%22"
    )
    number = found.split()[-1].decode()
    text = call(curl, *login, f"imaps://{hub.host}:{hub.ports['imaps']}/INBOX;MAILINDEX={number}")
    assert b"Subject: for curl" in text
    assert call(curl, *login, f"pop3s://{hub.host}:{hub.ports['pop3s']}/").strip()
    starttls = ("--ssl-reqd", f"pop3://{hub.host}:{hub.ports['pop3']}/")
    assert call(curl, *login, *starttls).strip()


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
def test_swaks(hub: Hub, auth: str) -> None:
    """Swaks submits with each mechanism it knows."""
    swaks = program("swaks")
    call(
        swaks, "--server", hub.host, "--port", str(hub.ports["submission"]), "--tls",
        "--auth", auth, "--auth-user", ALICE, "--auth-password", hub.passwords[ALICE],
        "--from", ALICE, "--to", "x@far.example", "--h-From", ALICE,
        "--header", f"Subject: swaks {auth}",
    )  # fmt: skip
    hub.wait(WORLD, f"swaks {auth}")


def test_swaks_pipelining(hub: Hub) -> None:
    """Swaks pipelines on port 25."""
    swaks = program("swaks")
    call(
        swaks, "--server", hub.host, "--port", str(hub.ports["smtp"]), "--pipeline",
        "--from", "s@far.example", "--to", f"{ALICE},{BOB}", "--header", "Subject: pipelined",
    )  # fmt: skip
    hub.wait(ALICE, "pipelined")
    hub.wait(BOB, "pipelined")


def test_msmtp(hub: Hub, tmp_path: Path) -> None:
    """Msmtp submits with SCRAM or PLAIN, and asks for DSNs."""
    msmtp = program("msmtp")
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost {hub.host}\nport {hub.ports['submission']}\ntls on\n"
        f"tls_trust_file {hub.ca}\nauth on\nuser {ALICE}\nfrom {ALICE}\n"
        f"passwordeval cat {secret(tmp_path, hub, ALICE)}\ndsn_notify failure,delay\n",
        encoding="utf-8",
    )
    config.chmod(0o600)
    mail = f"From: {ALICE}\nTo: {BOB}\nSubject: msmtp\n\nHi\n".encode()
    call(msmtp, "-C", str(config), BOB, stdin=mail)
    hub.wait(BOB, "msmtp")


def test_mbsync(hub: Hub, tmp_path: Path) -> None:
    """Mbsync copies a mailbox to the last octet, and pushes what was added on its side."""
    mbsync = program("mbsync")
    for number in range(30):
        hub.deliver(message(f"sync {number}"), BOB)
    hub.wait(BOB, "sync 29")
    store = tmp_path / "Mail"
    store.mkdir()
    config = tmp_path / "mbsyncrc"
    config.write_text(
        f"""
IMAPAccount hub
Host {hub.host}
Port {hub.ports["imaps"]}
User {BOB}
PassCmd "cat {secret(tmp_path, hub, BOB)}"
SSLType IMAPS
CertificateFile {hub.ca}
SystemCertificates no

IMAPStore far
Account hub

MaildirStore near
Path {store}/
Inbox {store}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""",
        encoding="utf-8",
    )
    call(mbsync, "-c", str(config), "-a")
    copied = [*(store / "INBOX/new").iterdir(), *(store / "INBOX/cur").iterdir()]
    imap = hub.imap(BOB)
    _, [count] = imap.select()
    assert len(copied) == int(count or b"")
    assert sum(b"Subject: sync " in path.read_bytes() for path in copied) == 30
    pushed = store / "INBOX/cur/1.x.y:2,S"
    pushed.write_bytes(message("pushed by mbsync", "x" * 70 + "\n").as_bytes())
    large = store / "INBOX/cur/2.x.y:2,S"
    large.write_bytes(message("large by mbsync", ("x" * 70 + "\n") * 100_000).as_bytes())
    assert b"COMPRESS DEFLATE" in call(mbsync, "-c", str(config), "-Dn", "-a")
    assert b"x" * 70 in hub.wait(BOB, "pushed by mbsync")
    assert len(hub.wait(BOB, "large by mbsync")) > 7_000_000
    imap.logout()


def typed(command: list[str], keys: list[tuple[float, bytes]], env: dict[str, str]) -> bytes:
    """Run a terminal program, type `keys` each after a pause, and return what it drew."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env=env, close_fds=True
    )
    os.close(child)
    drawn = b""
    deadline = time.monotonic() + 30
    waiting = [(time.monotonic() + pause, text) for pause, text in keys]
    while process.poll() is None and time.monotonic() < deadline:
        if waiting and time.monotonic() > waiting[0][0]:
            os.write(parent, waiting.pop(0)[1])
        if select.select([parent], [], [], 0.1)[0]:
            try:
                drawn += os.read(parent, 65536)
            except OSError:
                break
    if process.poll() is None:
        process.kill()
    process.wait()
    os.close(parent)
    return drawn


def mutt_on(
    hub: Hub, directory: Path, program_path: str, *settings: str, push: str, options: str = ""
) -> bytes:
    """Let mutt open alice's INBOX with some settings and press keys; what it drew."""
    rc = directory / "muttrc"
    usual = (
        f'folder="imaps://{hub.host}:{hub.ports["imaps"]}/"',
        'spoolfile="+INBOX"',
        f'imap_user="{ALICE}"',
        f'imap_pass="{hub.passwords[ALICE]}"',
        f'certificate_file="{hub.ca}"',
        "quit=yes",
        "wait_key=no",
        "sleep_time=0",  # or it pauses for a second to show each line
    )
    lines = [f"set {it}" for it in (*usual, *settings)]
    rc.write_text("\n".join([*lines, f'push "{push}"', ""]), encoding="utf-8")
    env = {**os.environ, "TERM": "xterm", "HOME": str(directory)}
    command = [program_path, "-F", str(rc), *options.split()]
    return typed(command, [(3, b"a"), (8, b"q"), (10, b"y")], env)


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt(hub: Hub, tmp_path: Path, name: str) -> None:
    """Mutt opens the INBOX, deletes a message and leaves."""
    mutt = program(name)
    hub.deliver(message(f"for {name}"))
    hub.wait(ALICE, f"for {name}")
    keys = f"<delete-pattern>~s 'for {name}'<enter><sync-mailbox><quit>"
    drawn = mutt_on(hub, tmp_path, mutt, "delete=yes", 'header_cache=""', push=keys)
    imap = hub.imap()
    imap.select(readonly=True)
    assert imap.search(None, "SUBJECT", f'"for {name}"')[1] == [b""], drawn[-2000:]
    imap.logout()


def test_mutt_resynchronises(hub: Hub, tmp_path: Path) -> None:
    """Mutt with a header cache comes back by QRESYNC, after another client has removed mail."""
    mutt = program("mutt")
    for number in range(3):
        hub.deliver(message(f"resync {number}"))
        hub.wait(ALICE, f"resync {number}")
    caching = ("imap_condstore=yes", "imap_qresync=yes", f'header_cache="{tmp_path}/cache"')

    def visited() -> bytes:
        return mutt_on(hub, tmp_path, mutt, *caching, push="<quit>", options="-d 3")

    visited()
    imap = hub.imap()
    imap.select()
    [found] = imap.search(None, "SUBJECT", '"resync 1"')[1]
    imap.store(found.decode(), "+FLAGS", r"(\Deleted)")
    imap.expunge()
    drawn = visited()
    said = b"".join(path.read_bytes() for path in tmp_path.glob(".muttdebug*"))
    if b"CHANGEDSINCE" not in said:
        pytest.skip("this mutt keeps no header cache, or no log")
    assert b"VANISHED (EARLIER)" in said
    assert b"resync 0" in drawn
    assert b"resync 1" not in drawn
    imap.logout()


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_searches(hub: Hub, tmp_path: Path, name: str) -> None:
    """Mutt has the server search bodies (=b), and deletes what it found."""
    mutt = program(name)
    for number in range(30):
        text = f"Subject: {name} {number}\r\n\r\nA {name} needle{number} in hay.\r\n"
        hub.deliver(text.encode())
    hub.wait(ALICE, f"{name} 29")
    keys = f"<delete-pattern>=b 'a {name} NEEDLE7'<enter><sync-mailbox><quit>"
    drawn = mutt_on(hub, tmp_path, mutt, "delete=yes", 'header_cache=""', push=keys)
    imap = hub.imap()
    imap.select(readonly=True)
    assert imap.search(None, "BODY", f'"{name} needle7 "')[1] == [b""], drawn[-2000:]
    assert len(imap.search(None, "BODY", f'"{name} needle"')[1][0].split()) == 29
    imap.logout()


def test_fetchmail(hub: Hub, tmp_path: Path) -> None:
    """Fetchmail takes all mail by POP3 and by IMAP."""
    fetchmail = program("fetchmail")
    for protocol, port in (("pop3", "pop3s"), ("imap", "imaps")):
        hub.deliver(message(f"for fetchmail {protocol}"))
        hub.wait(ALICE, f"for fetchmail {protocol}")
        taken = tmp_path / f"{protocol}.mbox"
        rc = tmp_path / f"{protocol}rc"
        rc.write_text(
            f'poll {hub.host} port {hub.ports[port]} protocol {protocol} user "{ALICE}" '
            f'password "{hub.passwords[ALICE]}" ssl sslcertfile "{hub.ca}" keep fetchall '
            f'mda "cat >> {taken}"\n',
            encoding="utf-8",
        )
        rc.chmod(0o600)
        env = {**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
        call(fetchmail, "-f", str(rc), "--nosyslog", env=env)
        assert f"Subject: for fetchmail {protocol}".encode() in taken.read_bytes()


def test_mpop(hub: Hub, tmp_path: Path) -> None:
    """Mpop pipelines RETR and DELE."""
    mpop = program("mpop")
    for number in range(50):
        hub.deliver(message(f"mpop {number}"))
    hub.wait(ALICE, "mpop 49")
    into = tmp_path / "into"
    for name in ("new", "cur", "tmp"):
        (into / name).mkdir(parents=True)
    config = tmp_path / "mpoprc"
    config.write_text(
        f"account default\nhost {hub.host}\nport {hub.ports['pop3s']}\ntls on\ntls_starttls off\n"
        f"tls_trust_file {hub.ca}\nuser {ALICE}\npasswordeval cat {secret(tmp_path, hub, ALICE)}\n"
        f"delivery maildir {into}\nuidls_file {tmp_path}/uidls\nkeep off\n",
        encoding="utf-8",
    )
    config.chmod(0o600)
    call(mpop, "-C", str(config))
    assert sum(b"Subject: mpop " in path.read_bytes() for path in (into / "new").iterdir()) == 50
    imap = hub.imap()
    assert imap.select(readonly=True)[1] == [b"0"]
    imap.logout()


def test_offlineimap(hub: Hub, tmp_path: Path) -> None:
    """Offlineimap mirrors all mailboxes."""
    offlineimap = program("offlineimap")
    hub.deliver(message("for offlineimap"))
    hub.wait(ALICE, "for offlineimap")
    config = tmp_path / "offlineimaprc"
    config.write_text(
        f"""
[general]
accounts = hub
metadata = {tmp_path}/meta
[Account hub]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {tmp_path}/Mail
[Repository far]
type = IMAP
remotehost = {hub.host}
remoteport = {hub.ports["imaps"]}
remoteuser = {ALICE}
remotepassfile = {secret(tmp_path, hub, ALICE)}
ssl = yes
sslcacertfile = {hub.ca}
""",
        encoding="utf-8",
    )
    env = {**os.environ, "HOME": str(tmp_path)}
    call(offlineimap, "-c", str(config), "-o", "-u", "basic", env=env)
    octets = b"".join(p.read_bytes() for p in (tmp_path / "Mail/INBOX").rglob("*") if p.is_file())
    assert b"Subject: for offlineimap" in octets


def test_s_nail(hub: Hub, tmp_path: Path) -> None:
    """S-nail prints the headers of an INBOX."""
    nail = program("s-nail")
    hub.deliver(message("for s-nail"))
    hub.wait(ALICE, "for s-nail")
    rc = tmp_path / "mailrc"
    rc.write_text(
        f"set v15-compat\nset tls-ca-file={hub.ca}\nset tls-verify=strict\n"
        f"account hub {{\nset folder=imaps://alice%40hub.example:{hub.passwords[ALICE]}"
        f"@{hub.host}:{hub.ports['imaps']}\n}}\n",
        encoding="utf-8",
    )
    env = {**os.environ, "HOME": str(tmp_path), "MAILRC": str(rc), "TERM": "dumb"}
    user = ALICE.replace("@", "%40")
    url = f"imaps://{user}:{hub.passwords[ALICE]}@{hub.host}:{hub.ports['imaps']}/INBOX"
    said = call(
        nail, "-n", "-S", f"tls-ca-file={hub.ca}", "-S", "v15-compat", "-H", "-f", url, env=env
    )
    assert b"for s-nail" in said
