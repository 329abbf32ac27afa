"""Mail coming in, as an SMTP session hands it over."""

from __future__ import annotations

from typing import Protocol

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.ports.conversation import Client


class Intake(Protocol):
    """Takes mail in: asked by an SMTP session at each step of a transaction.

    Every method raises `mail.reply.Refusal` to refuse.
    """

    async def sender(self, client: Client, envelope: Envelope) -> None:
        """MAIL: may this client send from this reverse-path, with these options?"""

    async def recipient(self, client: Client, envelope: Envelope, recipient: Recipient) -> None:
        """RCPT: shall we take mail from this client for this recipient?"""

    async def draft(self, client: Client, envelope: Envelope) -> Draft:
        """DATA or the first BDAT: be ready for content."""

    def refused(
        self,
        client: Client,
        stage: str,
        refusal: Refusal,
        envelope: Envelope | None = None,
        path: Path | None = None,
    ) -> None:
        """A client is told a refusal, by whomever: of MAIL, RCPT, DATA or AUTH, as `stage` says.

        The envelope is as it was known then, `path` that of RCPT.
        """


class Draft(Protocol):
    """Content on its way in. Exactly one of `commit` and `abort` ends it."""

    async def write(self, octets: bytes) -> None:
        """Take more content: CR LF line ends, transparency undone.

        Raises:
            Refusal: 552 5.3.4 too big, 452 4.3.1 disk full, 451 4.3.0 I/O error. The
                session then discards the rest of the content, aborts, and replies.
        """

    async def commit(self) -> Reply:
        """Make the message durable and answer for it: ``250 2.0.0 … queued as …``.

        Raises:
            Refusal: It is not ours: nothing was kept.
        """

    async def abort(self) -> None:
        """Forget all of it. Harmless after a failed `write` or `commit`."""
