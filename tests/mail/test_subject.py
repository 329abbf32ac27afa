"""Base subjects (RFC 5256 §2.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.subject import base_subject


@pytest.mark.parametrize(
    ("subject", "base", "answers"),
    [
        ("HELLO", "HELLO", False),
        ("  HELLO\t\r\n WORLD ", "HELLO WORLD", False),
        ("RE: HELLO", "HELLO", True),
        ("RE : RE:HELLO", "HELLO", True),
        ("FW: FWD: HELLO", "HELLO", True),
        ("RE[2]: HELLO", "HELLO", True),
        ("[LIST] RE: [LIST] HELLO", "HELLO", True),
        ("[LIST] HELLO", "HELLO", False),
        ("[LIST]", "[LIST]", False),
        ("[A][B]", "[B]", False),
        ("HELLO (FWD) (FWD)", "HELLO", True),
        ("[FWD: RE: [X] HELLO]", "HELLO", True),
        ("RE:", "", True),
        ("", "", False),
        ("REGARDING: X", "REGARDING: X", False),
        ("FWDX: A", "FWDX: A", False),
    ],
)
def test_base(subject: str, base: str, answers: bool) -> None:
    """Leaders, blobs, trailers and wrappers, in any mixture."""
    assert base_subject(subject) == (base, answers)


@given(st.text("RE:FW [](DL)", max_size=30))
def test_idempotent(subject: str) -> None:
    """The base of a base is itself, and no answer."""
    base, _ = base_subject(subject)
    assert base_subject(base) == (base, False)


def test_hostile() -> None:
    """However many leaders there are, it ends soon."""
    assert base_subject("RE: " * 100_000 + "X")[0] == ""
    assert base_subject("[A]" * 100_000)[0]
