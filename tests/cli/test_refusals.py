"""What was refused, as `mailhub journey` shows it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.policy.refused import Refused
from mailhub.queue.refusals import Refusals
from tests.cli.conftest import Mailhub
from tests.cli.test_journey import new_id, noted, taken

RULE = "[smtp] trusted networks (default)"


@pytest.fixture
def refused(state: Path) -> Refused:
    at = time.time() - 600
    made = Refused(
        *(at, at, 1, "RCPT", "198.51.100.7", "mx.far.example", "TLSv1.3 X", ""),
        *("eve@far.example", "carol@else.example", "550 5.7.1 Relaying denied", RULE),
    )
    Refusals(str(state)).write([made], 0.0)
    return made


@pytest.mark.parametrize(
    "asked",
    [
        ("--from", "eve@far.example"),
        ("--to", "carol@else.example", "--since", "1h"),
        ("--client", "198.51.100.7"),
        ("--refused",),
        ("--refused", "--from", "Eve@far.example"),
    ],
)
def test_found(mailhub: Mailhub, state: Path, refused: Refused, asked: tuple[str, ...]) -> None:
    """By sender, recipient, client or moment: who tried, what was said, which line made it so."""
    said = mailhub("--state", str(state), "journey", *asked)
    assert said.status == 0
    assert "RCPT          <eve@far.example> to <carol@else.example>  refused" in said.out
    assert "client     mx.far.example [198.51.100.7], TLSv1.3 X" in said.out
    assert "refused    550 5.7.1 Relaying denied" in said.out
    assert f"decided    {RULE}" in said.out


@pytest.mark.parametrize(
    "asked", [("--from", "bob@far.example"), ("--refused", "--since", "5m"), ("--client", "::1")]
)
def test_not_found(mailhub: Mailhub, state: Path, refused: Refused, asked: tuple[str, ...]) -> None:
    """What does not fit is not shown."""
    assert "Relaying" not in mailhub("--state", str(state), "journey", *asked).out


def test_behind_journeys(mailhub: Mailhub, state: Path, refused: Refused) -> None:
    """What was taken, and what was refused to the same."""
    taken_id = noted(state, new_id(60), taken(60, "carol@else.example"))
    said = mailhub("--state", str(state), "journey", "--to", "carol@else.example")
    assert said.out.index(taken_id) < said.out.index("RCPT")
    alone = mailhub("--state", str(state), "journey", "--refused")
    assert taken_id not in alone.out
    one = mailhub("--state", str(state), "journey", "--message-id", "carol@else.example")
    assert "RCPT" not in one.out


def test_alike(mailhub: Mailhub, state: Path, refused: Refused) -> None:
    """Many that are alike are one, with their number."""
    many = replace(refused, count=4321, alike=True, address="", account="ann@hub.example")
    login = replace(refused, stage="AUTH", sender=None, recipient="", rule="", tls="")
    bad = replace(refused, stage="MAIL", sender=None, recipient="")
    Refusals(str(state)).write([many, login, bad], 0.0)
    said = mailhub("--state", str(state), "journey", "--refused").out
    assert "many that are alike  refused  4321 times" in said
    assert "many clients, logged in as ann@hub.example" in said
    assert "the last of them: 550 5.7.1" in said
    assert "AUTH          a login  refused" in said
    assert "mx.far.example [198.51.100.7], in the clear" in said
    assert "MAIL          from somebody  refused" in said


def test_json(mailhub: Mailhub, state: Path, refused: Refused) -> None:
    """A program gets every field, in the form of a journey."""
    [told] = mailhub("--state", str(state), "journey", "--refused", "--json").json
    assert (told["id"], told["state"], told["ended"]) == (None, "refused", True)
    [event] = told["events"]
    assert event["event"] == "refused"
    assert event["reply"] == refused.reply


def test_mistakes(mailhub: Mailhub, state: Path) -> None:
    """A queue id and refusals have nothing to do with each other."""
    said = mailhub("--state", str(state), "journey", "d21jbdp5awxv", "--refused")
    assert said.status == 2
    assert mailhub("--state", str(state), "journey", "--refused").out == ""
