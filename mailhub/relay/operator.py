"""Writes to the postmaster about what a person should know now, and not only read in a log.

Where no postmaster is configured, or that mailbox cannot be had, the log is all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailhub.mail.address import NULL, Path
from mailhub.mail.date import format_date
from mailhub.mail.envelope import Body, Envelope, Recipient
from mailhub.mail.reply import Refusal
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import new_item
from mailhub.relay.agents import Announce
from mailhub.relay.report import Expand

SUBJECT_LIMIT: Final = 200
"""Characters of a subject."""


class Operator:
    """Sends notes.

    Args:
        host: Our name.
        ids: Gives queue ids; `now` the date.
        expand: As in `relay.report`.
        postmaster: Whom to write to.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        host: str,
        ids: Callable[[], QueueId],
        now: Callable[[], float],
        expand: Expand,
        announce: Announce,
        postmaster: Path | None,
    ) -> None:
        self.postmaster = postmaster
        self._journal = journal
        self._host = host
        self._ids = ids
        self._now = now
        self._expand = expand
        self._announce = announce

    def tell(self, subject: str, text: str) -> None:
        """Write a note, in the background; a failure is told to the log."""
        if self.postmaster is None:
            return
        sending = Deferred.fromCoroutine(self._send(self.postmaster, subject, text))
        sending.addErrback(lambda failure: self._log.failure("no note to postmaster", failure))

    async def post(self, path: Path, content: bytes) -> None:
        """Send a message of our own from nobody to somebody elsewhere, in the clear if need be.

        Raises:
            OSError: The disk said no.
            Refusal: Nothing can be sent there.
        """
        # Reports on TLS arrive despite what they report (RFC 8460 §3).
        envelope = Envelope(NULL, (Recipient(path),), body=Body.SEVEN_BIT, tls_optional=True)
        item = new_item(self._ids(), self._now(), envelope, (None,), len(content))
        await self._journal.accept(item, content)
        self._announce(item, Octets(content))

    async def _send(self, postmaster: Path, subject: str, text: str) -> None:
        try:
            expanded = await self._expand(Recipient(postmaster))
        except Refusal as refusal:
            self._log.warn("no note to <{to}>: {why}", to=postmaster, why=refusal)
            return
        queue_id, now = self._ids(), self._now()
        recipients = tuple(recipient for recipient, _ in expanded)
        # From nobody: a note that cannot be delivered must not cause another.
        envelope = Envelope(NULL, recipients, body=Body.EIGHT_BIT)
        content = note(self._host, queue_id, now, postmaster, subject, text)
        places = (place for _, place in expanded)
        item = new_item(queue_id, now, envelope, places, len(content))
        try:
            await self._journal.accept(item, content)
        except (OSError, Refusal) as error:
            self._log.error("no note to <{to}>: {why}", to=postmaster, why=error)
            return
        self._announce(item, Octets(content))


def note(
    host: str, queue_id: QueueId, now: float, postmaster: Path, subject: str, text: str
) -> bytes:
    """The message."""
    plain = "".join(character if character.isprintable() else " " for character in subject)
    header = (
        f"From: mailhub <postmaster@{host}>",
        f"To: <{postmaster}>",
        f"Subject: {plain[:SUBJECT_LIMIT].encode('ascii', 'replace').decode()}",
        f"Date: {format_date(now)}",
        f"Message-ID: <{queue_id}@{host}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    )
    lines = [*header, "", *text.splitlines()]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
