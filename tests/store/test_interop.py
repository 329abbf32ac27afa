"""Real programs on the same maildir: Dovecot before us, mutt beside us."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mailhub.ports.message import Change, FlagAction
from tests.rig import run
from tests.store.test_truth import Truth
from tests.store.world import TEXT, Hub, contents

pytestmark = pytest.mark.interop

PATIENCE = 10.0
"""Seconds that a program may think."""

CONFIGURATION = """
base_dir = {home}/run
state_dir = {home}/run
log_path = {home}/log
ssl = no
protocols =
mail_location = maildir:{home}/Maildir
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {user}
default_login_user = {user}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


class Dovecot:
    """doveadm on a maildir of its own; as nobody, where we are root."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = os.geteuid() == 0
        names = ("nobody", "nogroup") if self.root else (str(os.geteuid()), str(os.getegid()))
        text = CONFIGURATION.format(home=home, user=names[0], group=names[1])
        (home / "dovecot.conf").write_text(text)
        (home / "run").mkdir()
        if self.root:
            for path in (home, home / "run"):
                shutil.chown(path, *names)

    def __call__(self, *words: str, given: bytes = b"") -> str:
        command = ["doveadm", "-c", str(self.home / "dovecot.conf"), *words]
        if self.root:
            command[:0] = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        environment = {**os.environ, "USER": "nobody", "HOME": str(self.home)}
        done = subprocess.run(
            command, input=given, capture_output=True, env=environment, check=True
        )
        return done.stdout.decode()


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    if shutil.which("doveadm") is None:
        pytest.skip("doveadm is not installed")
    home = Path(tempfile.mkdtemp())  # not tmp_path: nobody must get there
    home.chmod(0o755)
    yield Dovecot(home)
    shutil.rmtree(home)


def test_dovecots_maildir(dovecot: Dovecot) -> None:
    """What Dovecot showed we show: UIDs, UIDVALIDITY, flags, keywords, sizes, dates, folders."""
    for number in range(5):
        dovecot("save", "-m", "INBOX", given=b"Subject: %d\n\nhello\n" % number)
    dovecot("mailbox", "create", "A/B", "Entwürfe")
    dovecot("mailbox", "subscribe", "A/B")
    dovecot("save", "-m", "A/B", given=TEXT)
    dovecot("flags", "add", "Junk \\Seen $Forwarded", "mailbox", "INBOX", "2")
    dovecot("flags", "add", "$Forwarded \\Deleted", "mailbox", "INBOX", "4")
    dovecot("expunge", "mailbox", "INBOX", "3")
    fields = "uid flags size.virtual date.received.unixtime"
    shown = dovecot("-f", "tab", "fetch", fields, "mailbox", "INBOX", "all").splitlines()[1:]
    status = dovecot("-f", "flow", "mailbox", "status", "uidvalidity uidnext", "INBOX").split()
    numbers = dict(word.split("=") for word in status if "=" in word)

    hub = Hub(dovecot.home)
    hub.account = type(hub.account)(hub.account.id, hub.account.path, "Maildir")
    mailbox = hub.open()
    assert str(mailbox.uid_validity) == numbers["uidvalidity"]
    assert str(mailbox.uid_next) == numbers["uidnext"]
    ours = [
        (str(uid), set(Truth.names(mailbox, flags)), str(size), str(date))
        for uid, flags, size, date in zip(
            mailbox.uids, mailbox.flags, mailbox.sizes, mailbox.dates, strict=True
        )
    ]
    theirs = [line.split("\t") for line in shown]
    assert ours == [(u, set(f.split()) - {"\\Recent"}, s, d) for u, f, s, d in theirs]
    assert run(contents(hub.open("A/B"))) == [TEXT]
    names = {row.name: row.subscribed for row in run(hub.store.list()) if row.selectable}
    assert names == {"INBOX": False, "A/B": True, "Entwürfe": False}


@pytest.mark.parametrize("program", ["mutt", "neomutt"])
def test_mutt_beside_us(tmp_path: Path, program: str) -> None:
    """mutt reads, flags, deletes and undeletes while we have the mailbox open."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    hub = Hub(tmp_path)
    hub.append(TEXT, TEXT, TEXT, internal_date=1_700_000_000.0)
    mailbox = hub.open()
    cursor = mailbox.cursor
    drive(program, hub.maildir, "<first-entry><flag-message><last-entry><delete-message>")
    run(mailbox.refresh())
    told = {change for change, _ in mailbox.changes(cursor) or []}
    assert told == {Change.EXPUNGED, Change.FLAGGED}
    assert len(mailbox.uids) == 2
    assert sum(bits & 4 for bits in mailbox.flags) == 4
    run(mailbox.store(mailbox.uids, FlagAction.ADD, ["\\Answered"]))
    uids = list(mailbox.uids)
    drive(program, hub.maildir, "<tag-pattern>.<enter><tag-prefix><toggle-new>")
    run(mailbox.refresh())
    assert list(mailbox.uids) == uids
    assert {bits & 3 for bits in mailbox.flags} <= {2, 3}
    assert len(run(contents(mailbox))) == 2


def drive(program: str, maildir: Path, keys: str) -> None:
    """Let mutt press some keys on a maildir, and leave."""
    (maildir.parent / "Mail").mkdir(exist_ok=True)  # or it asks
    master, slave = pty.openpty()
    settings = "set sort=mailbox-order mark_old=no delete=yes move=no quit=yes sleep_time=0"
    command = [program, "-n", "-F", "/dev/null", "-e", settings]
    command += ["-e", f'push "{keys}<sync-mailbox><quit>"', "-f", str(maildir)]
    environment = {**os.environ, "TERM": "xterm", "HOME": str(maildir.parent)}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    with suppress(OSError):  # the terminal is gone: mutt has left
        while select.select([master], [], [], PATIENCE)[0] and os.read(master, 65_536):
            pass
    os.close(master)
    try:
        assert process.wait(timeout=PATIENCE) == 0
    finally:
        process.kill()
