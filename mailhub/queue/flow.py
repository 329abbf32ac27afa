"""What mail belongs to where turns are taken."""

from __future__ import annotations

from typing import Final, NamedTuple


class Flow(NamedTuple):
    """What an item belongs to where turns are taken: whose mail it is, and of which class.

    Attributes:
        sender: The address of the account, or the domain that a trusted host
            sends for; ``""`` for what strangers sent, and for our own notices.
        name: Of its class (`policy.queueclass`).
        priority: From -9 to 9 (RFC 6710 §4.1).
    """

    sender: str = ""
    name: str = "normal"
    priority: int = 0


COMMON: Final = Flow()
"""Of mail that nothing more is known of."""
