"""Whether a message may be held for its sender: FUTURERELEASE (RFC 4865)."""

from __future__ import annotations

from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule
from mailhub.smtp.command import Mail
from mailhub.smtp.limits import Site

LONGEST = Rule("submission", "longest hold")


def check_hold(command: Mail, site: Site, limit: float) -> None:
    """Judge HOLDFOR and HOLDUNTIL, which are for submission alone (RFC 4865 §4).

    Raises:
        Refusal: 555 5.5.4 elsewhere; 501 5.5.4 for both, or for longer than `limit`.
    """
    if (command.hold_for, command.hold_until) == (None, None):
        return
    now = site.now
    if not site.submission or not limit or now is None:
        raise Refusal(555, "5.4", "FUTURERELEASE is for submission")
    if command.hold_for is not None and command.hold_until is not None:
        raise Refusal(501, "5.4", "HOLDFOR and HOLDUNTIL exclude each other")
    until = (command.hold_until or 0) - now() if command.hold_until else command.hold_for or 0
    if command.by is not None and until > command.by.seconds:
        # Neither wish can be met without breaking the other (RFC 4865 §5.2.2).
        raise Refusal(501, "5.4", "To be held beyond the time by which it is to be delivered")
    if until > limit:
        words = f"A message is held for {int(limit)} seconds at most"
        raise Refusal(501, "5.4", words).by(LONGEST)
