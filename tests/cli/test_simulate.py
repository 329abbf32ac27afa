"""mailhub simulate."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Final

import pytest

from mailhub.cli.simulate import COLUMNS, DISPENSABLE, NONE, _fitting, sparks
from mailhub.sim.receiver import Receiver
from tests.cli.conftest import Mailhub

WORLD = """
[provider Near]
domains = near.example
weight = 1
[provider Far]
domains = far.example
weight = 1
greylist = 5m
"""
CAMPAIGN = "[mail x]\nrecipients = 40\nsize = 1K\n"
CONFIG = "[hub]\nhostname = mx.sender.example\n"
RECORDED: Final = [
    {
        "event": "accepted", "at": 1000.0, "spooled": 1000.1, "sender": "a@here.example",
        "recipients": ["b@far.example"], "size": 2000, "address": "192.0.2.1",
    },
    {
        "event": "fated", "at": 1001.0, "numbers": [0], "state": "relayed",
        "reply": "250 2.0.0 Ok", "host": "mx.far.example", "due": 0.0, "rule": "",
    },
]  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with a world, a campaign and two configurations."""
    (tmp_path / "world.ini").write_text(WORLD)
    (tmp_path / "campaign.ini").write_text(CAMPAIGN)
    (tmp_path / "a.ini").write_text(CONFIG)
    (tmp_path / "[b].ini").write_text(CONFIG + "[relay]\nwait for connection = 5s\n")
    return tmp_path


def arguments(files: Path, *more: str) -> list[str]:
    return [
        *("simulate", "--world", f"{files}/world.ini", "--campaign", f"{files}/campaign.ini"),
        *more,
    ]


def test_for_people(mailhub: Mailhub, files: Path) -> None:
    """A table of providers, and the answer."""
    said = mailhub(*arguments(files, "--config", f"{files}/a.ini"))
    assert said.status == 0
    assert "greylisting" in said.out
    assert "Done in 6 min" in said.out
    assert "Far is the bottleneck" in said.out
    assert said.err == ""


def test_for_programs(mailhub: Mailhub, files: Path) -> None:
    """--json prints the result alone, the same octets for the same seed; without a --config too."""
    first, again, other = (
        mailhub(*arguments(files, "--json", "--seed", seed)) for seed in ("3", "3", "4")
    )
    assert first.out == again.out
    assert first.out != other.out
    found = json.loads(first.out)
    assert (found["recipients"], found["delivered"]) == (40, 40)


def test_two_beside_each_other(mailhub: Mailhub, files: Path) -> None:
    """--against shows another configuration in the same world, and the report both."""
    report = files / "report.html"
    both = ("--config", f"{files}/a.ini", "--against", f"{files}/[b].ini")
    said = mailhub(*arguments(files, *both, "--report", str(report)))
    assert said.out.count("Done in") == 2
    assert "[b].ini" in said.out
    assert 'class="before"' in report.read_text()
    found = json.loads(mailhub(*arguments(files, *both, "--json")).out)
    assert found["before"]["delivered"] == found["after"]["delivered"] == 40


def test_until(mailhub: Mailhub, files: Path) -> None:
    """--until stops it; a duration that is none is a mistake of the command line."""
    said = mailhub(*arguments(files, "--until", "1m"))
    assert "Not done after 1 min" in said.out
    assert mailhub(*arguments(files, "--until", "soon")).status == 2


def test_mistakes(mailhub: Mailhub, files: Path) -> None:
    """All mistakes of a world file are told, each in a line; a file that is not there, too."""
    (files / "world.ini").write_text("[provider A]\nrate = fast\ndomains = *\ntsl = good\n")
    said = mailhub(*arguments(files))
    assert said.status == 1
    assert said.err.count("\n") == 2
    assert "line 2: expected a rate" in said.err
    assert 'line 4: no such key; did you mean "tls"?' in said.err
    said = mailhub("simulate", "--world", f"{files}/none.ini")
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "nor one of the worlds calm, providers, hostile" in said.err


def test_a_report_that_cannot_be_written(
    mailhub: Mailhub, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is told at once, and not after all the work; nor is anything left of the try."""
    monkeypatch.setattr("mailhub.cli.simulate._results", lambda *_: [])
    said = mailhub(*arguments(files, "--report", f"{files}/none/x.html"))
    assert (said.status, said.err.count("\n")) == (1, 1)
    with pytest.raises(TypeError):  # there is no result to make a page of
        mailhub(*arguments(files, "--report", f"{files}/x.html"))
    assert not (files / "x.html").exists()


@pytest.mark.parametrize(
    ("replayed", "which"),
    [(False, signal.SIGINT), (False, signal.SIGTERM), (True, signal.SIGINT)],
)
def test_interrupted(
    mailhub: Mailhub,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    replayed: bool,
    which: signal.Signals,
) -> None:
    """Ctrl-C, or SIGTERM, ends it, whoever's turn it is: no program takes it for a failure."""
    take, turns = Receiver.take, 0

    def interrupted(*arguments: Any, **words: Any) -> float:
        nonlocal turns
        turns += 1
        if turns == 1:
            signal.raise_signal(which)
        return take(*arguments, **words)

    monkeypatch.setattr(Receiver, "take", interrupted)
    monkeypatch.setattr("mailhub.sim.simulation.STEPS", 10)
    before = signal.getsignal(which)
    more = arguments(files)
    if replayed:
        recorded = files / "journeys.json"
        recorded.write_text(json.dumps([{"id": "x1", "events": RECORDED}]))
        more = ["simulate", "--journeys", str(recorded)]
    said = mailhub(*more)
    assert (said.status, said.out, said.err.strip()) == (130, "", "mailhub: interrupted")
    assert signal.getsignal(which) is before


def test_replaying(mailhub: Mailhub, files: Path) -> None:
    """--journeys says what would be otherwise for what was recorded."""
    recorded = files / "journeys.json"
    recorded.write_text(json.dumps([{"id": "x1", "events": RECORDED}]))
    (files / "[b].ini").write_text(
        CONFIG + "[route out]\nrecipients = *\nhost = smtp.relay.example\ntls = none\n"
    )
    same = mailhub("simulate", "--config", f"{files}/a.ini", "--journeys", str(recorded))
    assert same.out == "none of 1 recipients would fare otherwise\n"
    other = mailhub("simulate", "--config", f"{files}/[b].ini", "--journeys", str(recorded))
    assert "x1 <b@far.example>: delivered" in other.out
    assert "by smtp.relay.example" in other.out
    machine = mailhub(
        "simulate", "--config", f"{files}/[b].ini", "--journeys", str(recorded), "--json"
    )
    assert json.loads(machine.out)[0]["recipient"] == "b@far.example"
    recorded.write_text("{}")
    assert mailhub("simulate", "--journeys", str(recorded)).status == 1


def test_narrow_terminals() -> None:
    """Where there is little room, columns are left out, and none is cut."""
    row = dict.fromkeys(COLUMNS, "12345678") | {"twice": NONE}
    wide, narrow = _fitting([row], 200), _fitting([row], 100)
    assert set(COLUMNS) - set(wide) == {"twice"}
    assert set(wide) - set(narrow) == set(DISPENSABLE[: len(wide) - len(narrow)])
    assert sum(max(len(it), 8) + 2 for it in narrow) <= 100
    assert _fitting([], 100) == []


def test_sparks() -> None:
    """A course of values is a line of bars, as wide as there is room."""
    assert sparks((0.0, 1.0, 8.0), 3) == " ▁█"
    assert len(sparks(tuple(float(n) for n in range(100)), 24)) == 24
    assert sparks(()) == sparks((0.0, 0.0)) == ""
