"""Log lines are what twistd makes of them."""

from __future__ import annotations

import pytest
from twisted.logger import (
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    capturedLogs,
    formatEventAsClassicLogText,
)
from twisted.python import log
from twisted.python.failure import Failure

from mailhub.net.logtext import ClassicText


def events() -> list[LogEvent]:
    """Events of each kind."""
    found: list[LogEvent] = []
    teller = Logger(namespace="mail", observer=LogPublisher(found.append))  # type: ignore[arg-type]
    teller.info("{line}", line="1A2B: accepted {not a field}")
    teller.warn("{count} refused by {who}", count=3, who="a\nb")
    teller.error("no fields")
    teller.info("")
    teller.failure("it broke", Failure(ValueError("why")))
    teller.info("of {line}", line="x", log_system="elsewhere")
    found.append({"log_format": "bare", "log_time": 1_800_000_000.5})
    found.append({**found[0], "log_time": found[0]["log_time"] + 7})
    return found


@pytest.mark.parametrize("number", range(8))
def test_as_twistd(number: int) -> None:
    """Each event reads as twistd would write it."""
    event = events()[number]
    assert ClassicText()(event) == formatEventAsClassicLogText(event)


def legacy(text: str) -> LogEvent:
    """An event of Twisted's older way to log."""
    with capturedLogs() as found:
        log.msg(text)
    return found[0]


@pytest.mark.parametrize("text", ["DNS starting on 39573", "(UDP Port 39573 Closed)"])
def test_ports_of_queries(text: str) -> None:
    """Nothing is said of the port that each query to a name server has: a hub makes thousands."""
    event = legacy(text)
    assert text in (formatEventAsClassicLogText(event) or "")
    assert ClassicText()(event) is None


def test_other_ports() -> None:
    """What else Twisted says of ports is told."""
    assert "smtp starting on 25" in (ClassicText()(legacy("smtp starting on 25")) or "")


def test_the_second_moves() -> None:
    """The time that is kept is only that of the same second."""
    text = ClassicText()
    event = {
        "log_format": "{line}",
        "line": "x",
        "log_namespace": "mail",
        "log_level": LogLevel.info,
    }
    for moment in (1_800_000_000.2, 1_800_000_000.9, 1_800_000_001.0, 1_799_999_999.0):
        made = {**event, "log_time": moment}
        assert text(made) == formatEventAsClassicLogText(made)
