"""Mail addresses: paths of MAIL and RCPT, parsed once and printed for each place that shows them.

A `Path` holds the local part unquoted and the domain as an A-label in lower
case, so that two spellings of one address are one value; quoting, U-labels and
brackets come back only when it is printed.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import Final

import idna

from mailhub.mail.reply import Refusal
from mailhub.mail.value import value

LOCAL_LIMIT: Final = 64
"""Octets of a local part (RFC 5321 §4.5.3.1.1)."""
DOMAIN_LIMIT: Final = 255
"""Octets of a domain (RFC 5321 §4.5.3.1.2)."""
PATH_LIMIT: Final = 256
"""Octets of a path with its brackets (RFC 5321 §4.5.3.1.3)."""

# Dot-string = Atom *("." Atom)                           (RFC 5321 §4.1.2; UTF-8: RFC 6531 §3.3)
_UTF8: Final = r"\u00a0-\ud7ff\ue000-\U0010ffff"
"""Neither the controls above ASCII (RFC 5198 §2) nor halves of what was no UTF-8."""
_ATOM: Final = rf"[A-Za-z0-9!#$%&'*+\-/=?^_`{{|}}~{_UTF8}]+"
_DOT_STRING: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE           (RFC 5321 §4.1.2)
_QUOTED: Final = re.compile(rf'"((?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*)"')
# A-d-l = At-domain *( "," At-domain ), then ":"; accepted and ignored      (RFC 5321 §4.1.1.3)
_ROUTE: Final = re.compile(r"@[^@,:<>\s]+(?:,@[^@,:<>\s]+)*:")
# sub-domain = Let-dig [Ldh-str]; underscores are met in practice           (RFC 5321 §4.1.2)
_DOMAIN: Final = re.compile(
    r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_SPECIAL: Final = re.compile(r'(["\\])')


@value(frozen=True, slots=True)
class Path:
    """A reverse-path or forward-path.

    Attributes:
        local: The local part, without quotes and quoted pairs.
        domain: The domain in lower case, as an A-label, without a final dot;
            or an address literal with its brackets. Empty for `NULL` and for
            a bare ``postmaster`` (RFC 5321 §4.1.1.3).
    """

    local: str
    domain: str

    @property
    def key(self) -> str:
        """The address as our accounts compare it: local part without regard to case."""
        return f"{unicodedata.normalize('NFC', self.local).casefold()}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only SMTPUTF8 can carry it (RFC 6531 §3.3)."""
        return not self.local.isascii()

    @property
    def shown(self) -> str:
        """The address as a person reads it, with U-labels."""
        return str(Path(self.local, "")) + (f"@{to_unicode(self.domain)}" if self.domain else "")

    def __str__(self) -> str:
        """The address as it stands between ``<`` and ``>`` on the wire."""
        local = self.local
        plain = local.isalnum() or _DOT_STRING.fullmatch(local)
        if not plain and (local or self.domain):
            local = '"' + _SPECIAL.sub(r"\\\1", local) + '"'
        return f"{local}@{self.domain}" if self.domain else local


NULL: Final = Path("", "")
"""The null reverse-path ``<>`` of bounces (RFC 5321 §4.5.5)."""


@lru_cache(maxsize=4096)
def parse_path(text: str, *, utf8: bool = False) -> Path:
    """Read what stands between ``<`` and ``>``; a source route is dropped.

    Many are met again and again: they are remembered.

    An empty text is `NULL`; ``postmaster`` alone is a path without a domain.

    Raises:
        Refusal: 501 5.1.7 for anything that is not a path (callers that read
            a forward-path may prefer 5.1.3); 553 5.6.7 for non-ASCII text
            where `utf8` is false (RFC 6531 §3.5).
    """
    if not text:
        return NULL
    if not utf8 and not text.isascii():
        raise Refusal(553, "6.7", "A non-ASCII address needs SMTPUTF8")
    if len(text.encode(errors="replace")) > PATH_LIMIT - 2:
        raise Refusal(501, "1.7", "Path too long")
    route = _ROUTE.match(text)
    return parse_address(text[route.end() :] if route else text)


def parse_address(text: str) -> Path:
    """Read ``local@domain`` in any script, as an operator or a header spells it.

    Raises:
        Refusal: 501 5.1.7, with what is wrong.
    """
    quoted = _QUOTED.match(text)
    if quoted is not None:
        local, rest = _QUOTED_PAIR.sub(r"\1", quoted[1]), text[quoted.end() :]
    else:
        local, at, domain = text.rpartition("@")
        if not at:
            local, domain = text, ""
        rest = at + domain
        if not (local.isalnum() or _DOT_STRING.fullmatch(local)):
            raise Refusal(501, "1.7", "Malformed address")
    if len(local.encode()) > LOCAL_LIMIT:
        raise Refusal(501, "1.7", "Local part too long")
    if not rest and local.casefold() == "postmaster":
        return Path(local, "")
    if not rest.startswith("@"):
        raise Refusal(501, "1.7", "Malformed address")
    return Path(local, parse_domain(rest[1:]))


def parse_domain(text: str) -> str:
    """The A-label form, in lower case, of a domain or address literal.

    Raises:
        Refusal: 501 5.1.7 if it is neither.
    """
    if text.startswith("["):
        return _literal(text)
    text = text.removesuffix(".")
    if text.isascii():
        domain = text.lower()
    else:
        try:
            domain = idna.encode(text, uts46=True).decode().lower()
        except idna.IDNAError:
            raise Refusal(501, "1.7", "Malformed domain") from None
    if len(domain) > DOMAIN_LIMIT or not _DOMAIN.fullmatch(domain):
        raise Refusal(501, "1.7", "Malformed domain")
    return domain


def to_unicode(domain: str) -> str:
    """The U-label form of a domain; labels that do not decode stay as they are."""
    if "xn--" not in domain:
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def _literal(text: str) -> str:
    # address-literal = "[" ( IPv4 / "IPv6:" IPv6 / General ) "]"          (RFC 5321 §4.1.3)
    inside = text[1:-1]
    try:
        if not text.endswith("]") or "%" in text:  # a zone means something on this machine alone
            raise ValueError(text)
        if inside[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inside[5:])}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError:
        raise Refusal(501, "1.7", "Malformed address literal") from None


def is_ip_address(text: str) -> bool:
    """Whether a host is named by its IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def literal_address(domain: str) -> str | None:
    """The IP address inside an address literal, or None for a domain."""
    if not domain.startswith("["):
        return None
    return domain[1:-1].removeprefix("IPv6:")
