"""The kinds of failure."""

from __future__ import annotations

import re

from mailhub.policy.cause import Cause


def test_values_can_be_configured() -> None:
    """Each value is one lower-case word with hyphens: it stands in INI keys and in the spool."""
    for cause in Cause:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cause.value)
        assert Cause(cause.value) is cause
