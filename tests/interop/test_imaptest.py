"""imaptest, by Dovecot's makers: many clients on one mailbox, and scripts of dialogues.

Debian does not package it; it is built from its source (github.com/dovecot/imaptest) against
dovecot-dev.  ``IMAPTEST_SCRIPTS`` names the directory of its scripts, ``src/tests`` there.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import program
from tests.interop.peers import PASSWORD, Twistd

pytestmark = pytest.mark.interop

LINE = "line\n"
LENIENT = """
[imap]
connections per account = 0
errors = 100000
failed logins = 1000
"""
DIFFERENT = {
    # A decoded part has as many lines as it has; they say 0
    "urlauth-binary",
    # Wants mailboxes of two accounts, and makes those of one
    "urlauth2",
}
"""Scripts that we fail on purpose, and why."""


@pytest.fixture
def twistd(tmp_path: Path) -> Iterator[Twistd]:
    hub = Twistd(tmp_path / "hub", LENIENT, services=("imap",))
    hub.add("tester")
    hub.start()
    yield hub
    hub.stop()


def imaptest(hub: Twistd, *options: str) -> str:
    """What it says of the hub."""
    command = [
        program("imaptest"),
        "host=127.0.0.1",
        f"port={hub.ports['imap']}",
        "user=tester@hub.example",
        f"pass={PASSWORD}",
        *options,
    ]
    result = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return (result.stdout + result.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("how", [("random", "no_pipelining"), ("qresync", "checkpoint=2")])
def test_many_clients(twistd: Twistd, tmp_path: Path, how: tuple[str, ...]) -> None:
    """Clients that append, change flags, expunge and copy at random never hear what is not so.

    At a checkpoint all of them know the same. (Without QRESYNC it fails at checkpoints itself,
    with Dovecot too.)
    """
    box = tmp_path / "mail.mbox"
    letters = (
        f"From x Fri Feb 22 17:06:23 2008\nSubject: {n}\nMessage-ID: <{n}@x>\n\n{LINE * n}\n"
        for n in range(1, 20)
    )
    box.write_text("".join(letters), encoding="ascii")
    said = imaptest(twistd, "clients=8", "msgs=30", "secs=5", f"mbox={box}", *how)
    assert "Totals:" in said, said
    wrong = [line for line in said.splitlines() if re.match("Error|Panic|Fatal", line)]
    assert wrong == []


def test_scripts(twistd: Twistd) -> None:
    """Each command says what their scripts expect."""
    scripts = os.environ.get("IMAPTEST_SCRIPTS")
    if scripts is None:
        pytest.skip("IMAPTEST_SCRIPTS is not set")
    said = imaptest(twistd, f"test={scripts}")
    assert "test groups" in said, said
    failed = set(re.findall(r"^\*\*\* Test (\S+) ", said, re.MULTILINE))
    assert failed - DIFFERENT == set(), said
