"""A backup for a domain whose own host is Postfix: up, down, and up again."""

from __future__ import annotations

import contextlib
import os
import shutil
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.postfix import Postfix, search_path
from tests.interop.peers import NameServer, Twistd, free_ports, home, until

pytestmark = pytest.mark.interop

ZONE = """
$TTL 60
friend  MX 10 primary
        MX 20 mx.hub.example.
primary A 127.0.0.1
"""
ANN, BOB = "ann@friend.far.example", "bob@friend.far.example"
NOBODY, STRANGER = "nobody@friend.far.example", "who@friend.far.example"
SENDER = "eve@else.example"


@dataclass
class World:
    """A backup, and the host that it is a backup for."""

    hub: Twistd
    postfix: Postfix
    place: Path

    def send(self, recipient: str, subject: str = "x") -> tuple[int, bytes]:
        """What a stranger is answered."""
        text = f"From: <{SENDER}>\r\nSubject: {subject}\r\n\r\nHello.\r\n"
        with smtplib.SMTP("127.0.0.1", self.hub.ports["smtp"]) as client:
            client.ehlo()
            client.mail(SENDER)
            answer = client.rcpt(recipient)
            return answer if answer[0] != 250 else client.data(text)

    def arrived(self, who: str, subject: str) -> bool:
        files = (self.place / "far" / who).glob("new/*")
        return any(f"Subject: {subject}".encode() in file.read_bytes() for file in files)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if NameServer.program() is None:
        pytest.skip("nsd is not installed")
    if not shutil.which("postfix", path=search_path()) or os.geteuid() != 0:
        pytest.skip("postfix is not installed, or this is not root")
    with home("backup") as place, contextlib.ExitStack() as stack:
        names = NameServer(place / "nsd", {"far.example": ZONE})
        names.start()
        stack.callback(names.stop)
        [port] = free_ports(1)
        postfix = Postfix(
            place / "postfix",
            port,
            f"""
virtual_mailbox_domains = friend.far.example
virtual_mailbox_base = {place}/far
virtual_mailbox_maps = inline:{{ {ANN}=ann/, {BOB}=bob/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = virtual
smtpd_recipient_restrictions = reject_unauth_destination
""",
        )
        (place / "far").mkdir()
        shutil.chown(place / "far", 65534, 65534)
        postfix.start()
        stack.callback(postfix.stop)
        hub = Twistd(
            place / "hub",
            f"[queue]\ndelays = 1s\n[dns]\nservers = 127.0.0.1:{names.port}\n"
            f"[relay]\nport = {port}\ntls = none\n"
            "[backup friend]\ndomains = friend.far.example\nverify = yes\n",
        )
        hub.start()
        stack.callback(hub.stop)
        yield World(hub, postfix, place)


def test_up(world: World) -> None:
    """Mail is handed on; who does not exist there is refused here, and nothing is bounced."""
    assert world.send(ANN, "while it is up")[0] == 250
    until(lambda: world.arrived("ann", "while it is up"), "the mail")
    code, words = world.send(NOBODY)
    assert (code, words[:5]) == (550, b"5.1.1")

    def refused() -> str:
        return world.hub.operate("journey", "--to", NOBODY, check=False)

    assert "No such mailbox there" in until(refused, "the refusal")


def test_down_and_up_again(world: World) -> None:
    """Those who are known are taken while it is down; their mail arrives when it is back."""
    assert world.send(ANN)[0] == 250
    world.postfix.stop()
    code, reply = world.send(ANN, "while it is down")
    assert code == 250
    assert world.send(NOBODY)[0] == 550, "who was known not to exist still does not"
    assert world.send(STRANGER)[0] == 450, "who is not known is to come again"
    queue_id = reply.split()[-1].decode()

    def told() -> str:
        return world.hub.operate("journey", queue_id, check=False)

    until(lambda: "deferred" in told(), "an attempt")
    assert not world.arrived("ann", "while it is down")
    world.postfix.command("postfix", "start")
    until(lambda: world.arrived("ann", "while it is down"), "the mail, when it is back")
    assert world.send(BOB, "back")[0] == 250
    assert world.send(STRANGER)[0] == 550
    until(lambda: "relayed" in told(), "the end of the journey")
    assert "reported" not in told(), "nobody is written to"
