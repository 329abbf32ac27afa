"""What was decided, and by what."""

from __future__ import annotations

from mailhub.policy.verdict import Verdict


def test_no_rule() -> None:
    """Some things are decided by no line that somebody could change."""
    assert Verdict("always so").rule is None
