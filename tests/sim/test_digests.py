"""Three digests that are the same on every machine.

They are of worlds without a hub: whatever a hub does differently from one version to the next
is its own affair, and that it does the same twice is held by `test_simulation`.

A change to the world that alters when anything happens, or what is said, changes these numbers.
Look that it was meant; then write the new ones here.
"""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.sim.manners import Certificate, Outage, Rate, Stage, Window
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.wire import Link
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
DIGESTS = {
    "calm": "3aa9a5165f7f7af719e0eddfd4391810",
    "calm, another seed": "1d1e70830264149039fea0a077f1b757",
    "hostile": "7583d25ebd9cef327b73b177bccc1213",
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


@pytest.mark.parametrize("name", list(WORLDS))
def test_digests(name: str) -> None:
    """The same seed gives the same digest on any machine; another seed, another."""
    assert played(*WORLDS[name]).world.digest[:32] == DIGESTS[name]


def test_tls_does_not_show() -> None:
    """What OpenSSL does differently each time does not change when anything happens."""
    first, second = (played(3, {"tls": Certificate.GOOD}).world.digest for _ in range(2))
    assert first == second
