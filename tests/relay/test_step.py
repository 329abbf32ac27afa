"""What is asked for an explanation, and what is answered."""

from __future__ import annotations

from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.relay.step import Step, decided, refused


def test_steps() -> None:
    """A verdict keeps its line; a refusal is told by its reply, and ends it."""
    rule = Rule("relay", "tls")
    assert decided("TLS", "x@far.example", Verdict("so", rule)) == Step(
        "TLS", "x@far.example", "so", rule
    )
    step = refused("RCPT", "", Refusal(550, "1.1", "No such mailbox"))
    assert (step.what, step.refused) == ("550 5.1.1 No such mailbox", True)
