"""mailhub account."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import verify
from mailhub.accounts.record import address
from tests.cli.conftest import Mailhub

ANN = "ann@hub.example"


def opens(state: Path, text: str, password: str) -> bool:
    with Accounts(state / "accounts.db") as accounts:
        credentials = accounts.credentials(address(text))
        assert credentials is not None
        return verify(credentials.secret.hash, password)


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(("--password", "s p#c"), ""), (("--password", "-"), "s p#c\nrest"), ((), "s p#c\n")],
)
def test_add(mailhub: Mailhub, state: Path, arguments: tuple[str, ...], stdin: str) -> None:
    """An account is made with the password of an option or of standard input."""
    said = mailhub("--state", str(state), "account", "add", ANN, *arguments, stdin=stdin)
    assert (said.status, said.out) == (0, f"{ANN} added\n")
    assert opens(state, ANN, "s p#c")
    assert not opens(state, ANN, "other")


def test_generate(mailhub: Mailhub, state: Path) -> None:
    """A password that was made up is shown once."""
    said = mailhub("--state", str(state), "account", "add", ANN, "--generate")
    found = re.fullmatch(r"ann@hub\.example added, password (\S+)\n", said.out)
    assert found is not None
    assert opens(state, ANN, found[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "ann"), "'ann' is not an address"),
        (("add", "ann@other.example"), "other.example is not hosted here"),
        (("add", ANN, "--password", "x\ty"), "password"),
        (("add", ANN, "--password", "-"), "no password on standard input (or use --generate)"),
        (("password", "no@hub.example"), "there is no account no@hub.example"),
        (("quota", "no@hub.example", "--quota", "1M"), "there is no account no@hub.example"),
        (("delete", "no@hub.example"), "there is no account no@hub.example"),
        (("disable", "no@hub.example"), "there is no account no@hub.example"),
        (("list", "--domain", "[192.0.2.1]"), "is not a domain"),
        (("add", "\udcff@hub.example", "--password", "x"), "is not an address"),
        (("add", ANN, "--password", "x", "--messages", "9" * 20), "a number is too large"),
        (("add", ANN, "--password", "x", "--quota", f"{10**8}T"), "a number is too large"),
    ],
)
def test_refused(mailhub: Mailhub, state: Path, arguments: tuple[str, ...], words: str) -> None:
    """A mistake is status 1 and one line, and changes nothing."""
    stdin = "" if "-" in arguments else "x\n"
    said = mailhub("--state", str(state), "account", *arguments, stdin=stdin)
    assert (said.status, said.out) == (1, "")
    assert words in said.err
    assert said.err.startswith("mailhub: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", ANN, "--generate", "--password", "x"),
        ("add", ANN, "--quota", "many"),
        ("quota", ANN),
    ],
)
def test_usage(mailhub: Mailhub, state: Path, arguments: tuple[str, ...]) -> None:
    """Options that contradict or do not parse are status 2."""
    assert mailhub("--state", str(state), "account", *arguments).status == 2


def test_list(mailhub: Mailhub, state: Path) -> None:
    """Accounts are listed for people and for programs, all or a domain's."""
    at = ("--state", str(state))
    assert mailhub(*at, "account", "list").out == "no accounts\n"
    assert mailhub(*at, "account", "list", "--json").json == []
    limits = ("--quota", "2G", "--messages", "1000")
    mailhub(*at, "account", "add", ANN, "--password", "x", *limits)
    mailhub(*at, "domain", "add", "bücher.example")
    mailhub(*at, "account", "add", "bo@bücher.example", "--password", "x")
    said = mailhub(*at, "account", "list")
    assert "2.0G and 1000 messages" in said.out
    assert "bo@bücher.example" in said.out
    rows = mailhub(*at, "account", "list", "--json", "--domain", "hub.example").json
    assert rows == [
        {
            "address": ANN,
            "enabled": True,
            "maildir": "mail/hub.example/ann",
            "quota_octets": 2 << 30,
            "quota_messages": 1000,
            "quota_mailboxes": 0,
            "admin": False,
        }
    ]


def test_changes(mailhub: Mailhub, state: Path) -> None:
    """Password, quota and being enabled change; deleting keeps the mail."""
    at = ("--state", str(state), "account")
    mailhub(*at, "add", ANN, "--password", "old")
    assert mailhub(*at, "password", ANN, "--password", "new").out == f"{ANN} has a new password\n"
    assert opens(state, ANN, "new")
    assert mailhub(*at, "password", ANN, "--generate").out.startswith(f"{ANN} has a new password: ")
    assert mailhub(*at, "quota", ANN, "--messages", "5").out == f"{ANN} may hold 5 messages\n"
    assert mailhub(*at, "quota", ANN, "--messages", "0").out == f"{ANN} may hold any amount\n"
    assert mailhub(*at, "disable", ANN).out == f"{ANN} is disabled\n"
    assert mailhub(*at, "list", "--json").json[0]["enabled"] is False
    assert mailhub(*at, "enable", ANN).out == f"{ANN} is enabled\n"
    (state / "mail" / "hub.example" / "ann").mkdir(parents=True)
    said = mailhub(*at, "delete", ANN)
    assert said.out == f"{ANN} deleted; its mail stays in {state}/mail/hub.example/ann\n"
    assert mailhub(*at, "list", "--json").json == []


def test_usable_at_once(mailhub: Mailhub, state: Path) -> None:
    """A hub that has the database open sees the change at its next look."""
    with Accounts(state / "accounts.db") as running:
        assert asyncio.run(running.account(address(ANN))) is None
        mailhub("--state", str(state), "account", "add", ANN, "--password", "x")
        assert asyncio.run(running.account(address(ANN))) is not None


def test_admin(mailhub: Mailhub, state: Path) -> None:
    """An account is made an admin, and made none again."""
    at = ("--state", str(state), "account")
    mailhub(*at, "add", ANN, "--generate", "--mailboxes", "20")
    assert mailhub(*at, "admin", ANN).out == f"{ANN} is an admin\n"
    [row] = mailhub(*at, "list", "--json").json
    assert row["admin"] is True
    assert row["quota_mailboxes"] == 20
    assert mailhub(*at, "admin", ANN, "--off").out == f"{ANN} is not an admin\n"
    [row] = mailhub(*at, "list", "--json").json
    assert row["admin"] is False
    said = mailhub(*at, "quota", ANN, "--mailboxes", "30")
    assert said.out == f"{ANN} may hold 30 mailboxes\n"
