"""xtext: printable ASCII that hides what a parameter of MAIL or RCPT may not hold (RFC 3461 §4)."""

from __future__ import annotations

import re
from typing import Final

# xtext = *( xchar / hexchar )                                                    (RFC 3461 §4)
# xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
# hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR: Final = re.compile(r"\+([0-9A-F]{2})")
_UNSAFE: Final = re.compile(rb"[^!-*,-<>-~]")
# utf-8-addr-unitext, utf-8-addr-xtext: EmbeddedUnicodeChar = "\x{" HEXPOINT "}"  (RFC 6533 §3)
_EMBEDDED: Final = re.compile(r"[^!-*,-<>-\[\]-~]")
_UNITEXT: Final = re.compile(r"(?:[!-*,-<>-\[\]-~\u0080-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})*")


def is_xtext(text: str) -> bool:
    """Whether `text` is well-formed xtext that hides printable ASCII alone."""
    if not _XTEXT.fullmatch(text):
        return False
    return "+" not in text or all(32 <= octet <= 126 for octet in decode(text))


def is_unitext(text: str, *, utf8: bool) -> bool:
    """Whether `text` is an address of type ``utf-8`` in an ORCPT (RFC 6533 §3).

    Where `utf8` is true the transaction has SMTPUTF8: non-ASCII stands for itself.
    """
    return (utf8 or text.isascii()) and _UNITEXT.fullmatch(text) is not None


def decode(text: str) -> bytes:
    """The octets behind well-formed xtext."""
    return _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1")


def encode(octets: bytes) -> str:
    """Octets as xtext."""
    return _UNSAFE.sub(lambda found: b"+%02X" % found[0][0], octets).decode("ascii")


def embed(address: str) -> str:
    """An address as utf-8-addr-xtext: ASCII, for servers without SMTPUTF8, too (RFC 6533 §3)."""
    return _EMBEDDED.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def embed_non_ascii(unitext: str) -> str:
    """A well-formed ORCPT of type ``utf-8`` in ASCII; what is encoded in it stays as it is."""
    return "".join(each if each.isascii() else embed(each) for each in unitext)
