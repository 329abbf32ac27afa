"""The digest of what happened."""

from __future__ import annotations

from mailhub.sim.trace import Trace


def test_equal_events_equal_digest() -> None:
    """The same events at the same moments give the same number; any other, another."""
    digests = []
    for moment, text in ((1.0, "a"), (1.0, "a"), (1.000001, "a"), (1.0, "b")):
        trace = Trace(0.5)
        trace.note(moment, text)
        digests.append(trace.digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_finer_than_a_microsecond() -> None:
    """What is finer than a microsecond does not count: dates are floats."""
    first, second = Trace(), Trace()
    first.note(1_772_431_200.1, "a")
    second.note(1_772_431_200.1000001, "a")
    assert first.digest == second.digest


def test_listening() -> None:
    """Each line can be heard."""
    lines: list[str] = []
    trace = Trace(100.0, lines.append)
    trace.note(101.25, "mx.example started")
    assert lines == ["1.250000 mx.example started\n"]
    assert trace.count == 1
