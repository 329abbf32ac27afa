"""What a client is told of the disk's faults."""

from __future__ import annotations

import errno

import pytest

from mailhub.relay.faults import refusal


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (errno.ENOSPC, "452 4.3.1"),
        (errno.EDQUOT, "452 4.3.1"),
        (errno.EIO, "451 4.3.0"),
        (errno.EROFS, "451 4.3.0"),
    ],
)
def test_disk(code: int, told: str) -> None:
    """A full disk is told apart from a failing one; both may pass (RFC 3463 §3.4)."""
    assert refusal(OSError(code, "no")).reply.text.startswith(told)
