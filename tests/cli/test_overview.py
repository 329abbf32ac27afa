"""mailhub queue by itself: what waits, by provider."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mailhub.cli import provider
from mailhub.cli.overview import LOCAL, Line, _table
from mailhub.mail.address import parse_address, parse_path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Reply
from mailhub.policy.order import Row
from mailhub.policy.retry import Schedule
from mailhub.ports.outgoing import Attempt, QueueId
from mailhub.queue.change import Accept, Settle
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.item import Answer, attempted, new_item
from mailhub.queue.journey import Attempted
from mailhub.queue.spool import Spool
from tests.cli.conftest import Mailhub

LATER = Reply(451, "7.1", ("Greylisted",))
ROW = Row(
    *("google", "", 3, 20, 120.0, 0.0, "slow", None, "", "421 4.7.0 Too fast", "rate-limited"),
    *(0.0, 50, 0, 2, 60, 900, 9000),
)


@pytest.fixture
def hub(state: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name a hub; one provider was met."""
    monkeypatch.setattr(provider, "rows", lambda _settings, _now: [ROW])
    return ["--state", str(state), "queue"]


def stored(state: Path, number: int, *to: str, host: str = "", ended: float = 0.0) -> QueueId:
    """A message that waits for these, and went to `host` in vain."""
    now = time.time() - 3600
    queue_id = to_queue_id(number_at(now) + number)
    envelope = Envelope(
        parse_path("ann@hub.example"), tuple(Recipient(parse_address(it)) for it in to)
    )
    item = new_item(queue_id, now, envelope, [None] * len(to), 5)
    with closing(Spool(str(state / "spool"))) as spool:
        spool.apply([Accept(item, b"x")])
        if host:
            answers = {n: Answer(LATER, host) for n in range(len(to))}
            after = attempted(item, answers, now, Schedule())
            tried = Attempt(now, ended or now, host, "192.0.2.1", 25, "", "", False, "rcpt", LATER)
            spool.apply([Settle(item, after, (Attempted(tuple(answers), tried),))])
    return queue_id


def test_by_provider(mailhub: Mailhub, state: Path, hub: list[str]) -> None:
    """Domains of one provider are one line, with its pace and an end."""
    stored(state, 1, "a@one.example", "b@one.example", host="aspmx.l.google.com")
    stored(state, 2, "c@two.example", host="alt1.aspmx.l.google.com")
    stored(state, 3, "x@dead.example", host="mx.dead.example")
    stored(state, 4, "y@fresh.example")
    found = {line["provider"]: line for line in mailhub(*hub, "--json").json}
    google = found["google"]
    assert (google["domains"], google["waiting"], google["due"]) == (2, 3, 3)
    assert (google["pace"], google["state"]) == (60.0, "slow")
    assert google["done"] == pytest.approx(time.time() + 3, abs=2)
    assert google["reply"] == "451 4.7.1 Greylisted"
    assert found["mx.dead.example"]["done"] is None
    assert (found["fresh.example"]["reply"], found["fresh.example"]["pace"]) == ("", 0)
    assert found["fresh.example"]["oldest"] == pytest.approx(time.time() - 3600, abs=60)


def test_a_table(mailhub: Mailhub, state: Path, hub: list[str]) -> None:
    """A person reads the most first, and the sum below."""
    stored(state, 1, "a@one.example", "b@one.example", host="aspmx.l.google.com")
    stored(state, 3, "x@dead.example", host="mx.dead.example")
    said = mailhub(*hub)
    assert said.status == 0
    lines = [line for line in said.out.splitlines() if line.strip(" ─")]
    assert lines[0].split()[:4] == ["Provider", "Waiting", "Due", "Held"]
    assert lines[1].split()[:4] == ["google", "2", "2", "1h"]
    assert "60/min, slow" in lines[1]
    assert "451 4.7.1 Greylisted" in lines[1]
    assert lines[2].split()[0] == "mx.dead.example"
    assert "?" in lines[2].split()
    assert lines[3].split()[:3] == ["all", "3", "3"]


def test_the_hub_heard_more(
    mailhub: Mailhub, state: Path, hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two replies the later one is shown, whoever remembers it."""
    newer = replace(ROW, heard=time.time())
    monkeypatch.setattr(provider, "rows", lambda _settings, _now: [newer])
    stored(state, 1, "a@one.example", host="aspmx.l.google.com")
    [line] = mailhub(*hub, "--json").json
    assert line["reply"] == "421 4.7.0 Too fast"


def test_those_of_nobody_known(
    mailhub: Mailhub, state: Path, hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of exchanges is found by any of them."""
    group = replace(ROW, provider="mx1.far.example mx2.far.example")
    monkeypatch.setattr(provider, "rows", lambda _settings, _now: [group])
    stored(state, 1, "a@far.example", host="mx2.far.example")
    [line] = mailhub(*hub, "--json").json
    assert (line["provider"], line["pace"]) == ("mx1.far.example mx2.far.example", 60.0)


def test_empty(mailhub: Mailhub, state: Path, hub: list[str]) -> None:
    """An empty queue is said to be one, and looking makes no spool."""
    assert mailhub(*hub).out == "the queue is empty\n"
    assert mailhub(*hub, "--json").json == []
    assert not (state / "spool").exists()


def test_watched(
    mailhub: Mailhub, state: Path, hub: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --watch it is looked at again and again, until somebody has seen enough."""
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            stored(state, 1, "a@far.example")
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    said = mailhub(*hub, "--watch", "--json")
    assert said.status == 130
    first, second = map(json.loads, said.out.splitlines())
    assert (first, second[0]["waiting"]) == ([], 1)
    looks.clear()
    said = mailhub(*hub, "--watch")
    assert said.status == 130
    assert "far.example" in said.out


def test_subcommands(mailhub: Mailhub, hub: list[str]) -> None:
    """Its subcommands stay what they were."""
    assert mailhub(*hub, "list").out == "the queue is empty\n"


def test_ours() -> None:
    """Mail that could not be filed here is no provider's."""
    line = Line(LOCAL)
    assert line.done(5.0) == 5.0
    assert (line.state, line.pace) == ("", 0)


def drawn(lines: list[Line], width: int | None, room: int | None = None) -> list[str]:
    console = Console(width=width or 1000, highlight=False)
    with console.capture() as capture:
        console.print(_table(lines, time.time(), width, room))
    return [line.rstrip() for line in capture.get().splitlines()]


REPLY = "451 4.7.1 " + "try again in a while, " * 5 + "please"


def test_a_small_screen() -> None:
    """On a screen each provider has one row, and those with little mail share the last."""
    lines = [Line(f"mx.{n}.example", waiting=10 - n, reply=REPLY) for n in range(6)]
    rows = drawn(lines, 80, 4)
    assert len(rows) == 2 + 4 + 2
    assert max(map(len, rows)) <= 80
    assert [row.split()[0] for row in rows[2:5]] == ["mx.0.example", "mx.1.example", "mx.2.example"]
    assert rows[2].endswith("…")
    assert rows[5].split()[:3] == ["3", "others", "18"]
    assert rows[-1].split()[:2] == ["all", "45"]
    assert len(drawn(lines, 80, 6)) == 2 + 6 + 2
    assert len(drawn(lines, 80)) == 2 + 6 + 2


def test_a_pipe() -> None:
    """Into a pipe all is told, on one line each."""
    row = drawn([Line("mx.far.example", waiting=1, reply=REPLY)], None)[2]
    assert row.endswith(REPLY)
