"""Flows."""

from __future__ import annotations

from mailhub.queue.flow import COMMON, Flow


def test_what_makes_a_flow() -> None:
    """Sender, class and priority: each alone tells two flows apart."""
    flow = Flow("ann@hub.example", "bulk", 3)
    others = {flow._replace(sender=""), flow._replace(name="normal"), flow._replace(priority=0)}
    assert flow not in others
    assert len(others) == 3
    assert Flow() == COMMON
