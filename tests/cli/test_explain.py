"""mailhub explain, without a hub and without a network."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mailhub.accounts.database import Accounts
from mailhub.cli import explain
from mailhub.mail.address import parse_address
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.queue.assurances import Assurances, Kept
from mailhub.queue.spool import Spool
from tests.cli.conftest import CHEAP, Mailhub
from tests.relay.test_names import FakeResolver
from tests.relay.test_scout import TEXT, Signed, Web
from tests.rig import run


@pytest.fixture
def hub(state: Path) -> list[str]:
    """Options that name a hub with ann's account and a route."""
    (state / "mailhub.ini").write_text(
        f"""[hub]
hostname = hub.example
state = {state}
[route partner]
recipients = partner.example
host = 192.0.2.5:587
"""
    )
    from mailhub.accounts.password import secret  # noqa: PLC0415

    with Accounts(state / "accounts.db") as accounts:
        accounts.add_account(parse_address("ann@hub.example"), secret("x", CHEAP, bytes))
    return ["--state", str(state), "explain"]


def test_told(mailhub: Mailhub, hub: list[str], state: Path) -> None:
    """Every decision is told with file and line."""
    said = mailhub(*hub, "--from", "ann@hub.example", "--to", "x@partner.example", "--offline")
    assert said.status == 0
    line = f"[route partner] host ({state}/mailhub.ini:6)"
    assert f"  route    to the host 192.0.2.5:587   {line}" in said.out
    assert "sender: an address of ann@hub.example   [submission] own addresses only" in said.out
    assert not (state / "spool").exists()
    assert not (state / "journeys.db").exists()


def test_json(mailhub: Mailhub, hub: list[str], state: Path) -> None:
    """A program gets rule and place apart."""
    found = mailhub(
        *hub, "--from", "ann@hub.example", "--to", "x@partner.example", "--offline", "--json"
    ).json
    [step] = [step for step in found if step["stage"] == "route"]
    assert (step["rule"], step["place"]) == ("[route partner] host", f"{state}/mailhub.ini:6")


def test_refused(mailhub: Mailhub, hub: list[str]) -> None:
    """What would be refused gives status 1, and its reply."""
    said = mailhub(*hub, "--from", "x@far.example", "--to", "y@partner.example", "--offline")
    assert said.status == 1
    assert "550 5.7.1 Relaying denied   [smtp] trusted networks (default)" in said.out


def test_who_hands_it_in(mailhub: Mailhub, hub: list[str]) -> None:
    """A sender of ours has logged in, unless it is said otherwise."""
    plain = [*hub, "--from", "ann@hub.example", "--to", "x@partner.example", "--offline"]
    assert mailhub(*plain, "--stranger").status == 1
    forged = mailhub(
        *hub, "--from", "bob@hub.example", "--to", "ann@hub.example", "--login",
        "ann@hub.example", "--offline",
    )  # fmt: skip
    assert "550 5.7.1 Not an address of the account" in forged.out


def test_a_message(mailhub: Mailhub, hub: list[str], tmp_path: Path) -> None:
    """A file is judged by its header and its size."""
    file = tmp_path / "message"
    file.write_bytes(b"From: eve@hub.example\r\n\r\nText\r\n")
    said = mailhub(
        *hub, "--from", "ann@hub.example", "--to", "ann@hub.example", "--message", str(file)
    )
    assert said.status == 1
    assert "size: 31 octets" in said.out
    assert "From is not an address of the account" in said.out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--from", "no address", "--to", "x@far.example"), 1, "no address"),
        (("--from", "a@b.example"), 2, "--to"),
        (("--from", "", "--to", "x@far.example", "--login", "no@hub.example"), 1, "no account"),
        (
            ("--from", "", "--to", "x@far.example", "--login", "ann@hub.example", "--stranger"),
            2,
            "--stranger",
        ),
    ],
)
def test_mistakes(
    mailhub: Mailhub, hub: list[str], arguments: tuple[str, ...], status: int, words: str
) -> None:
    """One line says what is wrong."""
    said = mailhub(*hub, *arguments, "--offline")
    assert said.status == status
    assert words in said.err
    assert "Traceback" not in said.err


def test_online(mailhub: Mailhub, hub: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The DNS is asked through the hub's own resolver."""

    def in_reactor(_settings: Any, work: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        return run(work(FakeResolver(), None, None))

    monkeypatch.setattr(explain, "_in_reactor", in_reactor)
    said = mailhub(*hub, "--from", "ann@hub.example", "--to", "x@far.example")
    assert "MX far.example: 10 mx.far.example, 20 mx2.far.example, authentic" in said.out


@pytest.mark.parametrize(
    ("action", "words"),
    [("hold", "accepted and held: ann@hub.example has sent more than 1"), ("refuse", "452 4.7.1")],
)
def test_limits(mailhub: Mailhub, hub: list[str], state: Path, action: str, words: str) -> None:
    """What an account may send is told with its line, and that this would be too much."""
    with (state / "mailhub.ini").open("a") as file:
        file.write(f"[limit few]\nrecipients per hour = 1\naction = {action}\n")
    Spool(str(state / "spool")).close()
    to = ("--to", "a@partner.example", "--to", "b@partner.example")
    said = mailhub(*hub, "--from", "ann@hub.example", *to, "--offline")
    line = f"[limit few] recipients per hour ({state}/mailhub.ini:8)"
    told = f"0 of 1 recipients per hour sent; beyond them: {action}   {line}"
    assert told in said.out
    assert words in said.out
    assert said.status == (1 if action == "refuse" else 0)


def test_nothing_is_kept(
    mailhub: Mailhub, hub: list[str], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found out leaves no trace, and what a hub has learnt is told and stays so."""

    def in_reactor(_settings: Any, work: Callable[..., Coroutine[Any, Any, Any]]) -> Any:
        return run(work(Signed(b"2"), Web(TEXT), Clock()))

    monkeypatch.setattr(explain, "_in_reactor", in_reactor)
    kept = Kept("1", StsPolicy(Mode.ENFORCE, ("mx.far.example",), 864_000), time.time() - 7200)
    with closing(Assurances(str(state / "spool"), print)) as assurances:
        assurances.keep("far.example", kept)
    said = mailhub(*hub, "--from", "ann@hub.example", "--to", "x@far.example")
    assert "MTA-STS: mode enforce, fetched now, and not kept by this" in said.out
    assert "mx2.far.example: is not used: 451 4.7.5" in said.out
    offline = mailhub(*hub, "--from", "ann@hub.example", "--to", "x@far.example", "--offline")
    assert "MTA-STS: mode enforce, fetched 2 hours ago" in offline.out
    with closing(Assurances(str(state / "spool"), print)) as assurances:
        assert assurances.policy("far.example") == kept
    assert sorted(it.name for it in (state / "spool").iterdir()) == ["assurances.db"]


def test_tls_of_the_message(mailhub: Mailhub, hub: list[str], tmp_path: Path) -> None:
    """What the message says of TLS is told (RFC 8689)."""
    file = tmp_path / "message"
    file.write_bytes(b"From: ann@hub.example\r\nTLS-Required: No\r\n\r\nText\r\n")
    told = [
        *hub, "--from", "ann@hub.example", "--to", "x@far.example", "--message", str(file),
        "--offline",
    ]  # fmt: skip
    assert "as it says TLS-Required: No" in mailhub(*told).out
    said = mailhub(*told, "--requiretls")
    assert "verified, all the way (REQUIRETLS)" in said.out
    assert "TLS-Required" not in said.out


def test_suppressed(mailhub: Mailhub, hub: list[str], state: Path) -> None:
    """Who is on a list is told, with what put it there; nothing is made where there is none."""
    letter = state / "letter"
    letter.write_text("From: ann@hub.example\nPrecedence: bulk\n\nx\n")
    to = "x@partner.example"
    options = (*hub, "--from", "ann@hub.example", "--to", to, "--offline", "--message", str(letter))
    assert mailhub(*options).status == 0
    assert not (state / "suppressions.db").exists()
    mailhub("--state", str(state), "suppression", "add", to, "--why", "asked")
    said = mailhub(*options)
    assert said.status == 1
    assert "on the suppression list of hub.example, put there by hand" in said.out
