"""Which messages of the queue a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.cli import chosen
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import Held
from tests.cli.conftest import Mailhub
from tests.cli.test_queue import loaded, stored


@pytest.fixture
def known(state: Path) -> list[QueueId]:
    (state / "mailhub.ini").write_text(
        f"[hub]\nhostname = hub.example\nstate = {state}\n[provider big]\nmx = mx.example\n"
    )
    return [
        stored(state, 1 << 20, "ann@hub.example", "x@far.example", tries=1),
        stored(state, 2 << 20, "ann@hub.example", "x@other.example"),
    ]


def test_provider(
    mailhub: Mailhub, state: Path, known: list[QueueId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose mail a provider takes is known by the last attempts, and by the hub that runs."""
    at = ("--state", str(state), "queue")
    rows = mailhub(*at, "list", "--provider", "big", "--json").json
    assert [it["id"] for it in rows] == [known[0]]
    monkeypatch.setattr(chosen, "ask", lambda *_: {"domains": ["other.example"]})
    assert len(mailhub(*at, "list", "--provider", "big", "--json").json) == 2
    assert "2 recipients on hold" in mailhub(*at, "hold", "--provider", "big").out
    for each in known:
        item = loaded(state, each)
        assert item is not None
        assert isinstance(item.fates[0], Held)


def test_mistakes(mailhub: Mailhub, state: Path, known: list[QueueId]) -> None:
    """Nothing chosen, everything and something, and nobody of that name."""
    at = ("--state", str(state), "queue")
    assert mailhub(*at, "hold").status == 2
    assert mailhub(*at, "hold", "--all", "--to", "x@far.example").status == 2
    assert mailhub(*at, "list", "nonsense").status == 1
    said = mailhub(*at, "hold", "--provider", "nobody")
    assert "no mail is known to go to nobody" in said.err
