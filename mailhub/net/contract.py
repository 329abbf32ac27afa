"""Mail as the contract of Twisted's SMTP clients hands it over, in values of ours.

What `getMailFrom`, `getMailTo` and `getMailData` gave becomes an envelope and
content; what became of it becomes the arguments of `sentMail`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from email.utils import parseaddr
from typing import Any, Final

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.smtp.job import Handover
from mailhub.smtp.stuffing import mended
from mailhub.smtp.transfer import PIECE

SPOOLED: Final = 1024 * 1024
"""Octets of a file that stay in memory; more go to a temporary file."""


class ContractMail:
    """What the three questions of the contract were answered with, as values of ours."""

    def __init__(self, reverse_path: object, to: Iterable[object], file: Any) -> None:
        self._to = [_octets(address) for address in to]
        self._numbers: list[int] = []  # of the envelope's recipients among `_to`
        self._refused: dict[int, Reply] = {}
        self._unsendable: Reply | None = None
        self.envelope = self._parse(_octets(reverse_path))
        self.content = SpooledContent(file)

    def _parse(self, reverse_path: bytes) -> Envelope:
        recipients = []
        for number, address in enumerate(self._to):
            try:
                recipients.append(Recipient(_path(address)))
                self._numbers.append(number)
            except Refusal as refusal:
                self._refused[number] = refusal.reply
        try:
            return Envelope(_path(reverse_path), tuple(recipients))
        except Refusal as refusal:
            self._unsendable = refusal.reply
            return Envelope(NULL, ())

    def results(self, handover: Handover) -> list[tuple[bytes, int, bytes]]:
        """For each address what RCPT was answered with; nothing if it did not come to that."""
        replies = dict(self._refused)
        for number, reply in enumerate(handover.replies):
            heard = handover.accepted.get(number) or reply
            if heard is not None:
                replies[self._numbers[number]] = heard
        return [
            (address, replies[number].code, _wire_text(replies[number]))
            for number, address in enumerate(self._to)
            if number in replies
        ]

    def summary(self, handover: Handover) -> tuple[int, bytes, int]:
        """Code and words of the whole, and how many recipients were accepted."""
        if self._unsendable is not None:
            return self._unsendable.code, _wire_text(self._unsendable), 0
        if handover.final is not None:
            return handover.final.code, _wire_text(handover.final), len(handover.accepted)
        last = [*self._refused.values(), *filter(None, handover.replies)]
        code = last[-1].code if last else -1
        if handover.fault is not None and handover.fault.heard:
            return handover.fault.reply.code, _wire_text(handover.fault.reply), 0
        return code, b"No recipients accepted", 0


class SpooledContent:
    """A file of Twisted's contract as `ports.message.Content`: line ends made CR LF, size known.

    The file is read through at once; it may be any object with `read`.
    """

    def __init__(self, file: Any) -> None:
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOLED)  # noqa: SIM115  # see close
        held = b""
        while piece := file.read(PIECE):
            piece = held + piece
            held = b"\r" if piece.endswith(b"\r") else b""
            self.size += self._file.write(mended(piece.removesuffix(held) if held else piece))
        if held:
            self.size += self._file.write(b"\r\n")

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        self._file.seek(offset)
        return self._file.read(-1 if length is None else length)

    def close(self) -> None:
        self._file.close()


def _octets(address: object) -> bytes:
    return address if isinstance(address, bytes) else str(address).encode()


def _path(address: bytes) -> Path:
    """An address in any of the forms that stock's `quoteaddr` takes."""
    text = address.decode("utf-8", "surrogateescape")
    if not text.isprintable():
        raise Refusal(501, "1.3", "Malformed address")
    bare = parseaddr(text)[1] if "<" in text else text.strip()
    if bare and "@" not in bare:
        return Path(bare, "") if bare.isalnum() and bare.isascii() else parse_path(bare)
    return parse_path(bare, utf8=True)


def _wire_text(reply: Reply) -> bytes:
    """The text of a reply as stock gives it: behind the code, lines joined by LF."""
    status = f"{reply.code // 100}.{reply.detail} " if reply.detail else ""
    return "\n".join(status + line for line in reply.lines).encode()
