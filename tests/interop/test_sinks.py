"""A hub against Postfix's smtp-sink in all its moods: dropping, refusing, slow, dead, blocking."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from bench.postfix import search_path
from tests.interop.peers import Twistd, free_ports, home, until

pytestmark = pytest.mark.interop

BLOCKED = "554 5.7.1 Service unavailable; Client host blocked using zen.spamhaus.org"
SLOWER = "450 4.7.1 Too many messages from your address, slow down"


class Sink:
    """smtp-sink with some options; what it takes is kept in a file each."""

    def __init__(self, place: Path, name: str, *options: str) -> None:
        [self.port] = free_ports(1)
        self.name = f"{name}.localhost"
        self.options = options
        self.taken_in = place / f"{name}-{self.port}"
        self.taken_in.mkdir()
        os.chmod(self.taken_in, 0o777)

    def __enter__(self) -> Self:
        program = shutil.which("smtp-sink", path=search_path())
        assert program
        command = [program, "-h", self.name, "-d", f"{self.taken_in}/%s.", *self.options]
        if os.geteuid() == 0:
            command += ["-u", "nobody"]
        self.process = subprocess.Popen([*command, f"127.0.0.1:{self.port}", "100"])
        until(self._listens, "smtp-sink")
        return self

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def again(self, *options: str) -> None:
        """Be another on the same port."""
        self.__exit__()
        self.options = options
        self.__enter__()

    @property
    def taken(self) -> int:
        """Messages that it has taken whole."""
        return sum(1 for it in self.taken_in.iterdir() if it.read_bytes().strip())


class Site:
    """A hub whose domains each have a sink of their own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.hub = Twistd(place / "hub")
        self.ann = self.hub.add("ann")
        self.postmaster = self.hub.add("postmaster")

    def obey(self, *sinks: Sink, more: str = "") -> None:
        """Send each ``NAME.example`` to the sink of that name."""
        text = "[queue]\ndelays = 1h\ngrace = 1s\n"
        for sink in sinks:
            name = sink.name.partition(".")[0]
            text += f"[route {name}]\nhost = {sink.name}:{sink.port}\n"
            text += f"recipients = {name}.example\ntls = none\n"
            text += f"[provider {name}]\nmx = {sink.name}\n"
        self.hub.configure(text + more)
        self.hub.reload()

    def row(self, name: str) -> dict[str, Any]:
        """How we stand with a provider."""
        rows = json.loads(self.hub.operate("provider", "list", "--all", "--json"))
        found: dict[str, Any] = next(it for it in rows if it["provider"] == name)
        return found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    if not shutil.which("smtp-sink", path=search_path()):
        pytest.skip("smtp-sink (postfix) is not installed")
    with home("sinks") as place:
        made = Site(place)
        try:
            yield made
        finally:
            made.hub.stop()


@pytest.mark.parametrize("stage", ["connect", "ehlo", "mail", "rcpt", "data", "."])
@pytest.mark.parametrize("how", ["-q", "-Q"])
def test_drops(site: Site, stage: str, how: str) -> None:
    """A sink that hangs up at a stage, with 421 or without a word, loses no mail."""
    with Sink(site.place, "moody", how, stage) as sink:
        site.obey(sink)
        site.hub.operate("provider", "resume", "moody")
        queue_id = site.hub.submit(site.ann, "bob@moody.example")
        shown = site.hub.deferred(queue_id)
        assert shown["recipients"][0]["state"] == "pending"
        in_doubt = shown["attempts"][-1]["in doubt" if "in doubt" in shown else "in_doubt"]
        assert in_doubt == (stage == "." and how == "-q")
        sink.again()
        site.hub.operate("queue", "flush", queue_id)
        until(lambda: sink.taken >= 1, "the message at last")


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "."])
def test_refuses_softly(site: Site, stage: str) -> None:
    """A sink that refuses for now keeps mail waiting, with its own words."""
    with Sink(site.place, "soft", "-r", stage, "-b", "450 4.2.0 Greylisted, come again") as sink:
        site.obey(sink)
        queue_id = site.hub.submit(site.ann, "bob@soft.example")
        [recipient] = site.hub.deferred(queue_id)["recipients"]
        assert recipient["state"] == "pending"
        assert "Greylisted" in recipient["reply"]
        assert site.row("soft")["cause"] == "greylisted"
        site.hub.operate("queue", "drop", queue_id)


def test_dead_beside_live(site: Site) -> None:
    """A hundred messages for hosts that do not answer do not hold up those for one that does."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        dead = Sink(site.place, "dead")
        dead.port = silent.getsockname()[1]
        with Sink(site.place, "live") as live:
            site.obey(dead, live)
            for number in range(100):
                site.hub.submit(site.ann, f"bob{number}@dead.example")
            began = time.monotonic()
            for number in range(20):
                site.hub.submit(site.ann, f"bob{number}@live.example")
            until(lambda: live.taken == 20, "mail for the living")
            assert time.monotonic() - began < 15
            assert site.row("live")["taken"] >= 1
            site.hub.operate("queue", "drop", "--domain", "dead.example")
            site.hub.stop()  # what waits for a greeting is cut short


def test_slow(site: Site) -> None:
    """A sink that thinks for a while about each message gets all of it."""
    with Sink(site.place, "slow", "-W", ".:1") as sink:
        site.obey(sink)
        for number in range(30):
            site.hub.submit(site.ann, f"bob{number}@slow.example")
        until(lambda: site.row("slow")["taken"] == 30, "slow mail", 60)
        assert sink.taken == 30


def test_throttled(site: Site) -> None:
    """A complaint slows down, is shown, and survives a restart; an operator may say otherwise."""
    with Sink(site.place, "fast", "-r", "RCPT", "-b", SLOWER) as sink:
        site.obey(sink)
        site.hub.deferred(site.hub.submit(site.ann, "bob@fast.example"))
        assert site.row("fast")["state"] == "slow"
        assert site.row("fast")["rate"] == 1.0
        site.hub.stop()
        assert site.row("fast")["rate"] == 1.0
        site.hub.start()
        assert site.row("fast")["rate"] == 1.0
        assert SLOWER[:3] in site.hub.operate("provider", "show", "fast")
        sink.again()
        site.hub.operate("provider", "pace", "fast", "--forget")
        site.hub.operate("queue", "flush", "--all")
        until(lambda: sink.taken == 1, "throttled mail")
        assert site.row("fast")["state"] == "open"


def test_suspended(site: Site) -> None:
    """Mail for a provider that an operator has suspended waits, and goes when it is resumed."""
    with Sink(site.place, "held") as sink:
        site.obey(sink)
        site.hub.operate("provider", "suspend", "held", "--why", "they move")
        queue_id = site.hub.submit(site.ann, "bob@held.example")

        def waits() -> bool:
            recipients = site.hub.show(queue_id).get("recipients", [])
            return bool(recipients and "they move" in (recipients[0]["reply"] or ""))

        until(waits, "the suspension to be told")
        assert site.hub.show(queue_id)["recipients"][0]["attempts"] == 0
        assert sink.taken == 0
        site.hub.operate("provider", "resume", "held")
        until(lambda: sink.taken == 1, "resumed mail", 30)


def test_detour(site: Site) -> None:
    """A block sends that provider's mail round; the sender hears nothing, the postmaster does."""
    with (
        Sink(site.place, "blocker", "-f", "RCPT", "-B", BLOCKED) as blocker,
        Sink(site.place, "relay") as relay,
    ):
        way = f"[route around]\nhost = {relay.name}:{relay.port}\ntls = none\nspare = yes\n"
        hub = "[provider blocker]\ndetour = around\nprobe after = 2s\n"
        text = "[queue]\ndelays = 1h\ngrace = 1s\n" + way + hub + f"mx = {blocker.name}\n"
        text += f"[route blocker]\nhost = {blocker.name}:{blocker.port}\n"
        text += "recipients = blocker.example\ntls = none\n"
        site.hub.stop()
        site.hub._head = site.hub._head.replace(
            "[listen]", f"postmaster = {site.postmaster}\n[listen]"
        )
        site.hub.configure(text)
        sender = site.hub.add("bea")
        site.hub.start()
        for number in range(3):
            site.hub.submit(sender, f"bob{number}@blocker.example")
        until(lambda: relay.taken == 3, "mail by the detour")
        assert site.row("blocker")["state"] == "detour"
        note = site.hub.message(site.postmaster, "blocks us")
        assert "goes through around" in note
        blocker.again()
        time.sleep(2.1)
        site.hub.submit(sender, "eve@blocker.example")
        until(lambda: blocker.taken == 1, "mail on the direct way again")
        assert site.row("blocker")["state"] == "open"
        client = site.hub.imap(sender)
        _, [count] = client.select(readonly=True)
        assert count == b"0"
        client.logout()
