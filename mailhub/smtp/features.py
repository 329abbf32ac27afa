"""What a server announced in its reply to EHLO, ready to be asked for.

The keywords are theirs, and servers lie and err: what does not parse is as if
it had not been said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final

from mailhub.mail.value import value


@value(frozen=True, slots=True)
class Features:
    """A server's extensions (RFC 5321 §4.1.1.1).

    Attributes:
        name: What the server calls itself.
        keywords: Each announced keyword in capitals, with its parameters.
        size: The largest message it takes, octets; None where it does not say
            (RFC 1870 §4).
        sized: SIZE was announced, with a number or without: MAIL may have SIZE=.
        auth: Mechanisms, in capitals (RFC 4954 §3).
        recipients: The most RCPTs in a transaction (RFC 9422 §4.2), or None.
        messages: The most transactions in a connection (RFC 9422 §4.1), or None.
    """

    name: str = ""
    keywords: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    sized: bool = False
    pipelining: bool = False
    chunking: bool = False
    eight_bit: bool = False
    binary: bool = False
    utf8: bool = False
    dsn: bool = False
    starttls: bool = False
    require_tls: bool = False
    auth: tuple[str, ...] = ()
    recipients: int | None = None
    messages: int | None = None

    @property
    def least_time(self) -> int:
        """Seconds that DELIVERBY needs at least (RFC 2852 §2)."""
        #   deliverby-param = min-by-time *( ',' extension-token )
        least = self.keywords.get("DELIVERBY", "").partition(",")[0].strip()
        return int(least) if _is_number(least) else 0


NOTHING: Final = Features()
"""What a server offers that knows HELO only."""


def parse_features(lines: Sequence[str]) -> Features:
    """Read the lines of a reply to EHLO.

    ehlo-line = ehlo-keyword *( SP ehlo-param )               (RFC 5321 §4.1.1.1)
    """
    keywords: dict[str, str] = {}
    for line in lines[1:]:
        keyword, _, parameters = line.strip().partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):  # before RFC 2554; beside the other form, or alone
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        keywords[keyword] = f"{keywords.get(keyword, '')} {parameters.strip()}".strip()
    limits = _limits(keywords.get("LIMITS", "").split())
    size = keywords.get("SIZE", "")
    return Features(
        name=lines[0].partition(" ")[0],
        keywords=keywords,
        # 0 says that there is no fixed maximum (RFC 1870 §4).
        size=(int(size) or None) if _is_number(size) else None,
        sized="SIZE" in keywords,
        pipelining="PIPELINING" in keywords,
        chunking="CHUNKING" in keywords,
        eight_bit="8BITMIME" in keywords,
        # Useless without BDAT (RFC 3030 §3).
        binary="BINARYMIME" in keywords and "CHUNKING" in keywords,
        utf8="SMTPUTF8" in keywords,
        dsn="DSN" in keywords,
        starttls="STARTTLS" in keywords,
        require_tls="REQUIRETLS" in keywords,
        auth=tuple(dict.fromkeys(keywords.get("AUTH", "").upper().split())),
        recipients=limits.get("RCPTMAX"),
        messages=limits.get("MAILMAX"),
    )


def _limits(parameters: Iterable[str]) -> dict[str, int]:
    # Limit-param = limit-name "=" limit-value                               (RFC 9422 §3)
    found = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if _is_number(value) and int(value) > 0:
            found[name.upper()] = int(value)
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 20
