"""Postfix as a peer, in both directions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from email.policy import SMTP
from pathlib import Path

import pytest

from bench.postfix import Postfix, search_path
from bench.relay import Line
from tests.commandline import operate
from tests.interop.conftest import message, start
from tests.interop.peers import until

pytestmark = pytest.mark.interop

ALICE = "alice@hub.example"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Pair:
    """A hub that relays to a Postfix that relays to the hub."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.hub = start(home)
        written = (self.hub.state / "mailhub.ini").read_text(encoding="utf-8")
        self.demo = written.partition("# Everything that is not")[0]
        self.postfix = Postfix(home / "postfix", self.port, "")

    def restart_hub(self, more: str) -> None:
        """Run the demo's configuration under twistd, with its route to the world replaced."""
        self.hub.process.terminate()
        self.hub.process.wait(20)
        file = self.hub.state / "mailhub.ini"
        file.write_text(self.demo + more, encoding="utf-8")
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        twistd += ["--nodaemon", "--pidfile=", f"--logfile={self.home}/log", "mailhub"]
        self.hub.process = subprocess.Popen([*twistd, "--config", str(file)], cwd=self.home)
        deadline = time.monotonic() + 20
        while True:
            try:
                with smtplib.SMTP(self.hub.host, self.hub.ports["smtp"]):
                    return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    if not shutil.which("postfix", path=search_path()):
        pytest.skip("postfix is not installed")
    if os.geteuid() != 0:
        pytest.skip("postfix starts as root only")
    # Not pytest's own directory: other users must reach this one.
    home = Path(tempfile.mkdtemp(prefix="mailhub-pair-"))
    home.chmod(0o755)
    made = Pair(home)
    hub = made.hub
    made.postfix = Postfix(
        home / "postfix",
        made.port,
        f"""
transport_maps = inline:{{ hub.example=smtp:[127.0.0.1]:{hub.ports["smtp"]} }}
relay_domains = hub.example
smtp_tls_security_level = encrypt
virtual_mailbox_domains = far.example
virtual_mailbox_base = {home}/far
virtual_mailbox_maps = inline:{{ carol@far.example=carol/, dave@far.example=dave/,
    erin@far.example=erin/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_alias_maps = inline:{{ ghost@far.example=nobody@far.example }}
virtual_transport = virtual
""",
    )
    (home / "far").mkdir()
    shutil.chown(home / "far", 65534, 65534)
    made.postfix.start()
    made.restart_hub(route(made.port))
    yield made
    made.postfix.stop()
    hub.process.terminate()
    assert hub.process.wait(20) in (0, -signal.SIGTERM), "twistd ends by the signal it was sent"
    shutil.rmtree(home)


def arrived(pair: Pair, who: str, subject: str) -> bytes:
    """A message in Postfix's mailbox."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in (pair.home / "far" / who).glob("new/*"):
            octets = path.read_bytes()
            if f"Subject: {subject}".encode() in octets:
                return octets
        time.sleep(0.05)
    raise AssertionError(f"{who} got no {subject!r}:\n{pair.postfix.log[-3000:]}")


def submit(pair: Pair, *recipients: str, subject: str, bulk: bool = False) -> None:
    """Alice sends, perhaps a newsletter."""
    hub = pair.hub
    made = message(subject)
    if bulk:
        made["List-Unsubscribe"] = "<https://hub.example/u>"
    made.replace_header("From", ALICE)
    with smtplib.SMTP(hub.host, hub.ports["submission"]) as client:
        client.starttls(context=hub.context())
        client.login(ALICE, hub.passwords[ALICE])
        client.sendmail(ALICE, recipients, made.as_bytes(policy=SMTP))


def test_to_postfix(pair: Pair) -> None:
    """The hub relays to Postfix, both recipients in one transaction."""
    submit(pair, "carol@far.example", "dave@far.example", subject="hub to postfix")
    for who in ("carol", "dave"):
        assert b"Return-Path: <alice@hub.example>" in arrived(pair, who, "hub to postfix")
    assert pair.postfix.log.count("nrcpt=2") == 1


def route(port: int) -> str:
    """To Postfix over one connection, with a return path of our own for newsletters."""
    return f"""[route postfix]
host = 127.0.0.1:{port}
tls = none
return paths = yes
[suppression]
return paths = bulk
"""


@pytest.fixture
def line(pair: Pair) -> Iterator[Line]:
    """A long line to Postfix, with one connection on it at most."""
    with Line(free_port(), pair.port) as made:
        pair.restart_hub(route(made.port) + "[relay]\nconnections per host = 1\n")
        yield made
        pair.restart_hub(route(pair.port))


def dialogues(pair: Pair, recipient: str) -> list[str]:
    """What was said to Postfix, message by message, for this recipient."""
    asked = ["journey", "--to", recipient, "--since", "1h", "--json"]
    told = json.loads(operate("--state", str(pair.hub.state), *asked).out)
    return [
        "\n".join(event["dialogue"])
        for journey in told
        for event in journey["events"]
        if event["event"] == "tried"
    ]


def all_dialogues(pair: Pair, recipient: str, count: int) -> list[str]:
    """So many dialogues: journeys are written a little after what they tell of."""

    def found() -> list[str]:
        told = dialogues(pair, recipient)
        return told if len(told) >= count else []

    enough: list[str] = until(found, f"{count} dialogues about {recipient}")
    return enough


def test_far(pair: Pair, line: Line) -> None:
    """On a long line several messages are under way at once: each is answered for, and is once."""
    hub = pair.hub
    strangers = (7, 11, 12)
    with smtplib.SMTP(hub.host, hub.ports["submission"]) as client:
        client.starttls(context=hub.context())
        client.login(ALICE, hub.passwords[ALICE])
        for number in range(20):
            who = "stranger" if number in strangers else "erin"
            made = message(f"far {number}")
            made.replace_header("From", ALICE)
            client.sendmail(ALICE, [f"{who}@far.example"], made.as_bytes(policy=SMTP))
    for number in range(20):
        if number not in strangers:
            arrived(pair, "erin", f"far {number}")
    assert len(list((pair.home / "far/erin/new").glob("*"))) == 17
    assert line.connections == 1
    refused = all_dialogues(pair, "stranger@far.example", 3)
    assert ["550 5.1.1" in dialogue for dialogue in refused] == [True] * 3
    assert any("octets of content" in dialogue for dialogue in refused), "it was on its way"
    taken = all_dialogues(pair, "erin@far.example", 10)  # the latest, as the command shows them
    assert all("BDAT" in dialogue for dialogue in taken)


def test_from_postfix(pair: Pair) -> None:
    """Postfix relays to the hub, under TLS."""
    with smtplib.SMTP("127.0.0.1", pair.port) as client:
        octets = message("postfix to hub").as_bytes(policy=SMTP)
        client.sendmail("carol@far.example", [ALICE], octets)
    received = pair.hub.wait(ALICE, "postfix to hub")
    assert b"with ESMTPS" in received
    assert b"TLSv1.3" in received


def test_a_refusal_becomes_a_bounce(pair: Pair) -> None:
    """Postfix's 550 reaches the sender, in Postfix's words."""
    submit(pair, "nobody@far.example", "carol@far.example", subject="partly refused")
    arrived(pair, "carol", "partly refused")
    bounce = pair.hub.wait(ALICE, "Not delivered").decode()
    assert "Final-Recipient: rfc822; nobody@far.example" in bounce
    assert "Action: failed" in bounce
    assert "Status: 5.1.1" in bounce
    assert "550" in bounce
    assert "User unknown" in bounce
    assert (
        "carol@far.example"
        not in bounce.partition("message/delivery-status")[2].partition("\r\n\r\n\r\n")[0]
    )


def test_postfix_takes_our_refusal(pair: Pair) -> None:
    """An unknown user of ours bounces at Postfix, with our reply."""
    with smtplib.SMTP("127.0.0.1", pair.port) as client:
        octets = message("to nobody").as_bytes(policy=SMTP)
        client.sendmail("carol@far.example", ["nobody@hub.example"], octets)
    bounce = arrived(pair, "carol", "Undelivered Mail")
    assert b"550 5.1.1" in bounce


def test_what_bounces_later(pair: Pair) -> None:
    """Postfix takes a newsletter, and bounces it behind an alias: nobody gets the next one."""
    submit(pair, "ghost@far.example", "carol@far.example", subject="first issue", bulk=True)
    assert b"Return-Path: <bounce+" in arrived(pair, "carol", "first issue")
    bounce = pair.hub.wait(ALICE, "Not delivered: ghost@far.example").decode()
    assert "Status: 5.1.1" in bounce
    assert "unknown user" in bounce.lower()
    state = str(pair.hub.state)
    deadline = time.monotonic() + 20
    while True:
        said = operate("--state", state, "suppression", "list", "--json")
        if entries := json.loads(said.out):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [(it["address"], it["reason"]) for it in entries] == [("ghost@far.example", "hard")]
    seen = pair.postfix.log.count("to=<nobody@far.example>")
    submit(pair, "ghost@far.example", "dave@far.example", subject="second issue", bulk=True)
    arrived(pair, "dave", "second issue")
    assert pair.postfix.log.count("to=<nobody@far.example>") == seen


def ask_for_success(pair: Pair, recipient: str, subject: str) -> None:
    """Alice sends, and wants to hear of success."""
    hub = pair.hub
    made = message(subject)
    made.replace_header("From", ALICE)
    with smtplib.SMTP(hub.host, hub.ports["submission"]) as client:
        client.starttls(context=hub.context())
        client.login(ALICE, hub.passwords[ALICE])
        octets = made.as_bytes(policy=SMTP)
        client.sendmail(ALICE, [recipient], octets, ["ENVID=QQ314159"], ["NOTIFY=SUCCESS,FAILURE"])


def test_success_is_told_by_who_delivers(pair: Pair) -> None:
    """Postfix takes over, and tells of delivery; we say nothing (RFC 3461 §5.2.1)."""
    ask_for_success(pair, "carol@far.example", "tell me")
    arrived(pair, "carol", "tell me")
    told = pair.hub.wait(ALICE, "Successful Mail Delivery Report").decode()
    assert "Original-Envelope-Id: QQ314159" in told
    assert "Action: delivered" in told
    assert "Reporting-MTA: dns; mx.postfix.example" in told


def test_relayed_to_who_does_not(pair: Pair) -> None:
    """Where the next host knows no DSN we tell that the message was relayed (RFC 3461 §5.2.2)."""
    restarted(pair, "smtpd_discard_ehlo_keywords = dsn")
    try:
        ask_for_success(pair, "dave@far.example", "tell me that it went")
        arrived(pair, "dave", "tell me that it went")
        told = pair.hub.wait(ALICE, "Delivered: dave@far.example").decode()
        assert "Action: relayed" in told
        assert "Original-Envelope-Id: QQ314159" in told
    finally:
        restarted(pair, "smtpd_discard_ehlo_keywords =")


def restarted(pair: Pair, setting: str) -> None:
    """Postfix, with another setting: connections that it kept are closed."""
    pair.postfix.command("postconf", "-e", setting)
    pair.postfix.stop()
    pair.postfix.command("postfix", "start")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with smtplib.SMTP("127.0.0.1", pair.port):
                return
        except OSError:
            time.sleep(0.1)


def test_expanded(pair: Pair) -> None:
    """Of an alias with several members its sender hears that it was expanded (RFC 3461 §5.2.7)."""
    members = ("carol@far.example", "dave@far.example")
    state = str(pair.hub.state)
    assert operate("--state", state, "alias", "add", "pals@hub.example", *members).status == 0
    ask_for_success(pair, "pals@hub.example", "to the pals")
    for who in ("carol", "dave"):
        arrived(pair, who, "to the pals")
    told = pair.hub.wait(ALICE, "Delivered: pals@hub.example").decode()
    assert "Action: expanded" in told
    assert "Final-Recipient: rfc822; pals@hub.example" in told


def test_two_failures_are_one_bounce(pair: Pair) -> None:
    """What Postfix refuses of one message is told in one notice."""
    submit(pair, "no1@far.example", "no2@far.example", subject="both refused")
    bounce = pair.hub.wait(ALICE, "Not delivered: 2 recipients").decode()
    assert "Final-Recipient: rfc822; no1@far.example" in bounce
    assert "Final-Recipient: rfc822; no2@far.example" in bounce
