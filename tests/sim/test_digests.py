"""Digests that are the same on every machine: of worlds without a hub, and with real ones.

What is pinned here says what happened, to the octet: a change to the world, or to what a hub says
and when, changes these numbers. Look that it was meant; then take the new ones from
``python -m tests.sim.test_digests``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from mailhub.config.load import parse
from mailhub.sim.campaign import parsed
from mailhub.sim.manners import Certificate, Outage, Rate, Stage, Window
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.simulation import Plan, simulate
from mailhub.sim.wire import Link
from mailhub.sim.world import World
from mailhub.sim.worldfile import parsed as parsed_world
from tests.sim.machines import hub, submit
from tests.sim.post import Post

WORLDS: dict[str, tuple[int, dict[str, Any]]] = {
    "calm": (1, {}),
    "calm, another seed": (2, {}),
    "hostile": (
        1,
        {
            "jitter": 0.2,
            "drops": tuple((stage, 0.05) for stage in Stage),
            "lost_replies": 0.1,
            "rate": Rate(40, 3600.0),
            "greylist": 60.0,
            "unknown": 0.2,
            "outages": (Window(600, 1800),),
            "outage": Outage.REFUSED,
        },
    ),
}


def played(seed: int, manners: dict[str, Any]) -> Post:
    """A sender that tries until everything is taken or refused for good."""
    post = Post(seed, **{"jitter": 0.01, **manners})
    post.client.link = Link(0.03, 0.02)
    todo = [f"u{number}@far.example" for number in range(60)]

    def following() -> Errand | None:
        if not todo:
            return None
        recipient = todo.pop(0)

        def done(code: int, codes: tuple[int, ...]) -> None:
            if code < 500 and not (code < 400 and codes == (250,)):
                todo.append(recipient)

        return Errand("s@here.example", (recipient,), b"Subject: x\r\n\r\nx\r\n", done)

    def call() -> None:
        if todo:
            factory = SenderFactory(post.client, following, lambda: None)
            post.client.reactor.connectTCP(post.receiver.hosts[0].addresses[0], 25, factory)
            post.world.clock.callLater(120, call)

    call()
    post.world.run(6 * 3600)
    return post


def campaign(seed: int) -> str:
    """A campaign through a hub, to providers of whom each is difficult in another way."""
    settings, mistakes = parse("[hub]\nhostname = mx.sender.example\n")
    assert mistakes == []
    world = parsed_world("held", _PROVIDERS)
    plan = Plan(
        settings, world, parsed("held", "[mail x]\nrecipients = 60\nsize = 1K\n"), f"{seed}"
    )
    return simulate(plan).digest


_PROVIDERS: Final = """
[provider Greylisting]
domains = grey.example
weight = 1
greylist = 10m
[provider Slow]
domains = slow.example
weight = 2
rate = 30/h
unknown users = 20%
[provider Absent]
domains = absent.example
weight = 1
outages = +0s for 20m
"""


def two_hubs(seed: int) -> str:
    """Two hubs, one of which is killed, and starts again: mail, a bounce, mailboxes."""
    with World(seed) as world:
        one, other = hub(world, "one.example", faulty=True), hub(world, "other.example")
        for each in (one, other):
            each.start()
        for number in range(3):
            submit(world, one.host, "ann@one.example", "ann@other.example", text=f"{number}")
        submit(world, one.host, "ann@one.example", "nobody@other.example", wait=0.01)
        one.crash(power=True)
        world.run(600)
        one.start()
        world.run(4 * 3600)
        return world.digest


HUBS: Final[dict[str, Callable[[], str]]] = {
    "a campaign": lambda: campaign(1),
    "a campaign, another seed": lambda: campaign(2),
    "two hubs": lambda: two_hubs(1),
}

DIGESTS = {
    "calm": "3aa9a5165f7f7af719e0eddfd4391810",
    "calm, another seed": "1d1e70830264149039fea0a077f1b757",
    "hostile": "7583d25ebd9cef327b73b177bccc1213",
    "a campaign": "728ca7530c65616537eedd4f1d49ffd5",
    "a campaign, another seed": "f679e62e06aa1e96b8900dac1982a57e",
    "two hubs": "f80a1d236179514b091bcf96738328d3",
}


@cache
def digest(name: str) -> str:
    """What a world comes to."""
    found = HUBS[name]() if name in HUBS else played(*WORLDS[name]).world.digest
    return found[:32]


@pytest.mark.parametrize("name", [*WORLDS, *HUBS])
def test_digests(name: str) -> None:
    """The same seed gives the same digest on any machine; another seed, another."""
    assert digest(name) == DIGESTS[name]


_ELSEWHERE: Final = """
import getpass, locale, os, platform, socket, time
before = time.time
time.time = lambda: before() + 3e8
socket.gethostname = socket.getfqdn = platform.node = lambda *_: "elsewhere.example"
os.uname = lambda: os.uname_result(("Other", "elsewhere.example", "9", "9", "other"))
getpass.getuser = os.getlogin = lambda: "somebody"
os.getpid = lambda: 77
os.umask(0o077)
from tests.sim.test_digests import told
print(told())
"""
"""Another machine, as far as one can pretend to be one."""


def test_elsewhere(tmp_path: Path) -> None:
    """Nor does it matter who runs it, when, where, in what locale, and how Python hashes."""
    memory = Path("/dev/shm")  # another file system lists directories in another order
    environment = {
        "PYTHONHASHSEED": "31337",
        "PATH": "/bin",
        "HOME": "/nowhere",
        "USER": "somebody",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "TMPDIR": str(memory if memory.is_dir() else tmp_path),
        "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parents[2], *sys.path))),
    }
    found = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        env=environment,
        cwd=tmp_path,
        text=True,
        check=True,
        capture_output=True,
    ).stdout
    assert found.rstrip("\n") == told()


def test_tls_does_not_show() -> None:
    """What OpenSSL does differently each time does not change when anything happens."""
    first, second = (played(3, {"tls": Certificate.GOOD}).world.digest for _ in range(2))
    assert first == second


def told() -> str:
    """All digests, as they are written here."""
    return "\n".join(f'    "{name}": "{digest(name)}",' for name in DIGESTS)


if __name__ == "__main__":
    sys.stdout.write(told() + "\n")
