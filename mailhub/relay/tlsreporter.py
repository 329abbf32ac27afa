"""Counts what came of the TLS to each domain, and reports it to those who ask for it (RFC 8460).

A report is sent once, some time in the day after the one that it is about; where the
domain's wish cannot be looked up, or a server is down, again with the next round.

Reports by mail are not signed: mailhub knows no DKIM, and a receiver may well want it
(RFC 8460 §5.3). Those that are posted need none.
"""

from __future__ import annotations

import gzip
import json
from base64 import encodebytes
from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.date import format_date
from mailhub.mail.header import make
from mailhub.mail.reply import Refusal
from mailhub.policy.tlsrpt import (
    DAY,
    ByMail,
    ByPost,
    Contact,
    destinations,
    report,
    session,
)
from mailhub.ports.resolver import LookupFailed, NoSuchDomain, Resolver
from mailhub.ports.web import FetchFailed, Web
from mailhub.queue.assurances import Assurances

MEDIA_TYPE: Final = "application/tlsrpt+gzip"
"""RFC 8460 §6.4."""
GIVE_UP: Final = 3
"""Days after which a report that could not be sent is dropped."""

Send = Callable[[Path, bytes], Awaitable[None]]
"""Sends a message from nobody to a path; raises OSError or Refusal."""


class TlsReporter:
    """Gathers and sends.

    Attributes:
        sending: Reports are sent, and not only gathered; may be changed.
    """

    _log = Logger()

    def __init__(
        self,
        assurances: Assurances,
        resolver: Callable[[], Resolver],
        web: Web,
        send: Send,
        host: str,
        now: Callable[[], float],
        *,
        sending: bool,
    ) -> None:
        self.sending = sending
        self._assurances = assurances
        self._resolver = resolver
        self._web = web
        self._send = send
        self._host = host
        self._now = now

    # ---- Gathering -------------------------------------------------------------------------

    def connected(self, contact: Contact) -> None:
        """A connection has come as far as TLS, or failed to."""
        if not self.sending:
            return
        try:
            self._assurances.count(int(self._now() // DAY), session(contact))
        except OSError as error:
            self._log.error("a connection is not counted for TLS reports: {why}", why=error)

    # ---- Sending ---------------------------------------------------------------------------

    async def report(self) -> int:
        """Report what has not been reported of days that have ended; how many reports went out.

        Raises:
            OSError: The disk said no.
        """
        today, count = int(self._now() // DAY), 0
        if not self.sending:
            return count
        for day, domain in self._assurances.reportable(today):
            try:
                count += await self._report(day, domain)
            except (LookupFailed, FetchFailed, Refusal) as error:
                self._log.warn("no TLS report to {domain}: {why}", domain=domain, why=error)
                if day > today - GIVE_UP:
                    continue
            self._assurances.reported(day, domain)
        return count

    async def _report(self, day: int, domain: str) -> int:
        """Send one domain's report of a day; 1, or 0 if it wants none.

        One of the places that it names is enough: the others do not get it twice.

        Raises:
            LookupFailed: It cannot be asked.
            FetchFailed, Refusal: Nobody took it.
            OSError: The disk said no.
        """
        try:
            texts = await self._resolver().txt(f"_smtp._tls.{domain}")
        except NoSuchDomain:
            return 0
        places = destinations(texts.records)
        if not places:
            return 0
        faults: list[FetchFailed | Refusal] = []
        for place in places:
            try:
                await self._hand_over(day, domain, place)
            except (FetchFailed, Refusal) as error:
                faults.append(error)
        if len(faults) == len(places):
            raise faults[0]
        self._log.info("TLS report of {domain} sent", domain=domain)
        return 1

    async def _hand_over(self, day: int, domain: str, place: ByMail | ByPost) -> None:
        """Bring a report to one of the places that want it."""
        report_id = f"{day}.{domain}@{self._host}"
        contact = f"postmaster@{self._host}"
        counted = self._assurances.counted(day, domain)
        octets = packed(report(day, self._host, contact, report_id, counted))
        match place:
            case ByPost(host, path):
                await self._web.post(host, path, MEDIA_TYPE, octets)
            case ByMail(path):
                name = f"{self._host}!{domain}!{day * DAY}!{day * DAY + DAY - 1}.json.gz"
                letter = message(self._host, domain, path, report_id, self._now(), name, octets)
                await self._send(path, letter)


def packed(found: dict[str, Any]) -> bytes:
    """A report as it is sent: the same for the same report."""
    text = json.dumps(found, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def message(
    host: str, domain: str, path: Path, report_id: str, now: float, name: str, octets: bytes
) -> bytes:
    """A report as a message (RFC 8460 §5.3)."""
    boundary = f"=_{report_id.encode().hex()[:48]}"
    fields = (
        ("From", f"mailhub <postmaster@{host}>"),
        ("To", f"<{path}>"),
        ("Subject", f"Report Domain: {domain} Submitter: {host} Report-ID: <{report_id}>"),
        ("Date", format_date(now)),
        ("Message-ID", f"<tls.{report_id}>"),
        ("TLS-Report-Domain", domain),
        ("TLS-Report-Submitter", host),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834 §5
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type="tlsrpt";\r\n boundary="{boundary}"'),
    )
    head = b"".join(make(field, value) for field, value in fields)
    body = (
        f"\r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"This is a report on the TLS of connections to {domain},\r\nas {host} found it.\r\n"
        f"\r\n--{boundary}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f'Content-Disposition: attachment;\r\n filename="{name}"\r\n\r\n'
    )
    encoded = encodebytes(octets).replace(b"\n", b"\r\n")
    return head + body.encode() + encoded + f"\r\n--{boundary}--\r\n".encode()
