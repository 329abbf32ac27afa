"""mailhub index rebuild, over a maildir."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.cli import index
from tests.cli.conftest import Mailhub

ANN, BO = "ann@hub.example", "bo@hub.example"


@pytest.fixture
def mailboxes(mailhub: Mailhub, state: Path) -> Path:
    """Two accounts; Ann's maildir has a message, Bo's is not there yet."""
    for name in (ANN, BO):
        mailhub("--state", str(state), "account", "add", name, "--password", "x")
    maildir = state / "mail" / "hub.example" / "ann"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "cur" / "1700000000.a.hub.example,S=20:2,S").write_bytes(
        b"Subject: a\r\n\r\nbody\r\n"
    )
    return maildir


def test_rebuild(mailhub: Mailhub, state: Path, mailboxes: Path) -> None:
    """All accounts, or those that are named; one without a maildir has nothing to rebuild."""
    at = ("--state", str(state), "index", "rebuild")
    assert [row["address"] for row in mailhub(*at, "--json").json] == [ANN]
    assert ANN in mailhub(*at, ANN).out
    assert mailhub(*at, BO).out == "no mailboxes yet\n"
    assert (mailboxes / "cur").exists()


def test_refused(mailhub: Mailhub, state: Path) -> None:
    """An account that does not exist is named."""
    said = mailhub("--state", str(state), "index", "rebuild", "no@hub.example")
    assert (said.status, said.err) == (1, "mailhub: there is no account no@hub.example\n")


def test_failing_disk(
    mailhub: Mailhub, state: Path, mailboxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that fails is told, and the others are done."""
    del mailboxes

    def failing(*_: object, **__: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(index, "rebuild", failing)
    said = mailhub("--state", str(state), "index", "rebuild", "--json")
    assert (said.status, said.json) == (1, [])
    assert said.err == f"mailhub: {ANN}: Input/output error\n"


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is shown where somebody looks."""
    from mailhub.mail.address import parse_address  # noqa: PLC0415
    from mailhub.ports.accounts import Account, AccountId  # noqa: PLC0415

    monkeypatch.setenv("TERM", "xterm")
    account = Account(AccountId(1), parse_address(ANN), "mail/ann")
    with index._bar(1, show=True) as progress:
        progress(account)("INBOX", 5, 10)
