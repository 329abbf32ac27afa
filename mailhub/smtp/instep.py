"""Whether replies belong to the commands that they are taken for.

Several commands are sent together where a server announces PIPELINING (RFC 2920), and some lose
their way: a proxy drops one, or answers come out of order. No reply says which command it
is for; but some cannot be for the one whose turn it was, and some say whom they are about.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply


def fits(stage: str, reply: Reply) -> bool:
    """Whether it can be the reply to MAIL, RCPT or DATA (RFC 5321 §4.3.2).

    DATA alone is answered with 3yz, and never with 2yz.
    """
    return reply.code // 100 != (2 if stage == "data" else 3)


def about_another(asked: Sequence[tuple[Path, Reply]]) -> Reply | None:
    """Of the replies to RCPTs, a refusal that names another recipient than that it is for."""
    if len(asked) < 2 or all(reply.code < 400 for _, reply in asked):
        return None
    names = [f"<{path}>".lower() for path, _ in asked]
    for name, (_, reply) in zip(names, asked, strict=True):
        if reply.code >= 400:
            text = reply.text.lower()
            if name not in text and any(each in text for each in names):
                return reply
    return None
