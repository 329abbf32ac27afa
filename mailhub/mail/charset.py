"""Text out of octets: charsets of real mail, encoded words, RFC 2231 values, decoded bodies.

Charset labels are looked up in a table, never handed to Python as they are: a
stranger's label must not import modules or pick codecs that are no charsets.
Some labels are read as the superset that senders mean by them, as browsers do.

Invariants:

1. Nothing here raises on what a stranger sent; what does not decode becomes
   U+FFFD, and every function takes time linear in its octets.
2. Text without a label, or with one that cannot be true, is UTF-8 if it
   decodes as such, else windows-1252.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from encodings.aliases import aliases
from typing import Final, NamedTuple

from mailhub.mail.parameters import Parameters

_FALLBACK: Final = "cp1252"
_GUESS: Final = ""
"""Stands in the table for labels that say nothing."""

# Labels without their punctuation, and the codec that is meant.
_MEANT: Final = {
    "usascii": _GUESS, "ascii": _GUESS, "ansix341968": _GUESS, "iso646us": _GUESS, "us": _GUESS,
    "unknown": _GUESS, "unknown8bit": _GUESS, "xunknown": _GUESS, "8bit": _GUESS, "7bit": _GUESS,
    "default": _GUESS, "defaultcharset": _GUESS, "none": _GUESS, "binary": _GUESS,
    "ansi": _GUESS, "iso10646": _GUESS,
    "iso88591": _FALLBACK, "latin1": _FALLBACK, "iso885911": "cp874", "tis620": "cp874",
    "iso88598i": "iso8859_8", "iso88598e": "iso8859_8", "iso88596i": "iso8859_6",
    "iso88599": "cp1254", "latin5": "cp1254",
    "gb2312": "gb18030", "gbk": "gb18030", "xgbk": "gb18030", "cp936": "gb18030",
    "euccn": "gb18030", "gb231280": "gb18030", "xeuccn": "gb18030",
    "ksc56011987": "cp949", "ksc5601": "cp949", "euckr": "cp949", "xwindows949": "cp949",
    "shiftjis": "cp932", "sjis": "cp932", "xsjis": "cp932", "windows31j": "cp932",
    "cswindows31j": "cp932", "xmscp932": "cp932", "xeucjp": "euc_jp", "ujis": "euc_jp",
    "iso2022jp": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp_ext",
    "big5": "big5hkscs", "xxbig5": "big5hkscs", "cnbig5": "big5hkscs", "cp950": "big5hkscs",
    "unicode11utf7": "utf_7", "unicode11utf8": "utf_8", "utf8mb4": "utf_8", "utf": "utf_8",
    "xmacroman": "mac_roman", "xmaccyrillic": "mac_cyrillic", "macintosh": "mac_roman",
    "koi8ru": "koi8_u", "koi": "koi8_r", "xcp1251": "cp1251", "winlatin1": _FALLBACK,
    "ucs2": "utf_16", "iso10646ucs2": "utf_16", "unicode": "utf_16",
}  # fmt: skip
CHARSETS: Final = (
    "US-ASCII", "UTF-8", "UTF-7",
    *(f"ISO-8859-{n}" for n in (*range(1, 12), *range(13, 17))),
    *(f"windows-{n}" for n in (874, *range(1250, 1259))), "KOI8-R", "KOI8-U", "GB18030", "GBK",
    "GB2312", "Big5", "Big5-HKSCS", "EUC-JP", "Shift_JIS", "ISO-2022-JP", "EUC-KR", "ISO-2022-KR",
    "TIS-620", "IBM437", "IBM850", "macintosh",
)  # fmt: skip
"""Charsets that a client may name; more are known, and more labels for these."""

_NO_CHARSETS: Final = frozenset({
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
    "mbcs", "oem", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape",
})  # fmt: skip
_PADDING: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_PADDING_OR_END: Final = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_NOISE: Final = re.compile(r"[^a-z0-9]+")


def _plain(label: str) -> str:
    return _NOISE.sub("", label.lower())


_CODECS: Final[dict[str, str]] = {
    **{_plain(alias): codec for alias, codec in aliases.items() if codec not in _NO_CHARSETS},
    **{_plain(codec): codec for codec in aliases.values() if codec not in _NO_CHARSETS},
    **{f"windows{page}": f"cp{page}" for page in (874, *range(1250, 1259))},
    **{f"xcp{page}": f"cp{page}" for page in range(1250, 1259)},
    "koi8r": "koi8_r", "koi8u": "koi8_u", "cp874": "cp874", "cp949": "cp949",
    **_MEANT,
}  # fmt: skip

# encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
#                                                             (RFC 2047 §2, RFC 2231 §5)
# Blanks in the text are against the rules, and common.
_WORD_START: Final = re.compile(rb"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([BbQq])\?")
_WORD_END: Final = re.compile(rb"\?=|[\r\n]")
_BETWEEN: Final = re.compile(rb"[ \t\r\n]*")
_HEX: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")


def codec(label: str) -> str | None:
    """The codec of a charset label; ``""`` for one that says nothing, None for an unknown one."""
    return _CODECS.get(_plain(label))


def decoder(label: str) -> Callable[[bytes], str] | None:
    """A function for SEARCH keys in a charset; None if we do not know it (RFC 3501 §6.4.4).

    The function raises UnicodeError for octets that are not in the charset.
    """
    name = codec(label)
    if name is None:
        return None
    return lambda octets: octets.decode(name or "utf-8")


def decode(octets: bytes, label: str = "") -> str:
    """The text that `octets` are in the charset called `label`."""
    name = codec(label)
    if name:
        try:
            return octets.decode(name)
        except (UnicodeError, LookupError):
            pass
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode(name or _FALLBACK, "replace")


def decode_words(value: bytes) -> str:
    """A field's value with its encoded words decoded (RFC 2047 §6).

    Blanks between two of them disappear, and octets of neighbours in one
    charset are joined first: some senders split inside a character.
    """
    if b"=?" not in value:
        return decode(value)
    text: list[str] = []
    pending, label, position = b"", "", 0
    for word in _words(value):
        charset = word.charset.decode("latin-1")
        octets = _word(word.encoding, word.text)
        adjacent = _BETWEEN.fullmatch(value, position, word.start) and position
        if adjacent and charset.lower() == label.lower():
            pending += octets
        else:
            text.append(decode(pending, label))
            if not adjacent:
                text.append(decode(value[position : word.start]))
            pending, label = octets, charset
        position = word.end
    return "".join([*text, decode(pending, label), decode(value[position:])])


def decode_parameter(parameters: Parameters, name: bytes) -> str | None:
    """The text of a parameter: of ``name*`` (RFC 2231 §4), else of ``name``; None without either.

    Encoded words in it are against RFC 2047 §5, and so common that they are decoded.
    """
    plain = None
    for key, value in parameters:
        lower = key.lower()
        if lower == name + b"*":
            return _extended(value)
        if lower == name and plain is None:
            plain = decode_words(value)
    return plain


def decode_body(octets: bytes, encoding: bytes) -> bytes:
    """A body with its transfer encoding undone (RFC 2045 §6); unknown ones are left alone."""
    kind = encoding.lower()
    if kind == b"base64":
        return _base64(octets)
    if kind == b"quoted-printable":
        return unquoted(octets, last=True)
    return octets


def unquoted(octets: bytes, *, last: bool) -> bytes:
    """Quoted-printable undone; `last` tells that the body ends here.

    White space at the end of a line was put there on the way (RFC 2045 §6.7 rule 3).
    """
    return binascii.a2b_qp((_PADDING_OR_END if last else _PADDING).sub(b"", octets))


def decode_text(octets: bytes, encoding: bytes, label: str) -> str:
    """The text of a text part's body."""
    return decode(decode_body(octets, encoding), label)


class _Word(NamedTuple):
    """An encoded word, and where it stands."""

    start: int
    end: int
    charset: bytes
    encoding: bytes
    text: bytes


def _words(value: bytes) -> Iterator[_Word]:
    """The encoded words of a value.

    Where one is not closed, none that begins before the end of the line is: no octet is
    looked at for each beginning before it.
    """
    begin = _WORD_START.search(value)
    while begin is not None:
        end = _WORD_END.search(value, begin.end())
        if end is None:
            return
        if end[0] == b"?=":
            text = value[begin.end() : end.start()]
            yield _Word(begin.start(), end.end(), begin[1], begin[2], text)
        begin = _WORD_START.search(value, end.end())


def _word(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return _base64(text)
    return binascii.a2b_qp(text, header=True)


def _base64(octets: bytes) -> bytes:
    """What is base64 in `octets`; other octets are passed over (RFC 2045 §6.8).

    Padding in the middle, which senders that encode piecemeal leave, only ends a group.
    """
    if b"=" not in octets.rstrip(b"= \t\r\n"):
        with suppress(binascii.Error):
            return binascii.a2b_base64(octets)
    groups = (_NOT_BASE64.sub(b"", group) for group in octets.split(b"="))
    return b"".join(binascii.a2b_base64(_padded(group)) for group in groups if group)


def _padded(group: bytes) -> bytes:
    """A group of base64 digits that decodes: a single digit too many is dropped."""
    if len(group) % 4 == 1:
        group = group[:-1]
    return group + b"=" * (-len(group) % 4)


def _extended(value: bytes) -> str:
    # extended-value = [charset] "'" [language] "'" extended-other-values    (RFC 2231 §7)
    charset, quote, rest = value.partition(b"'")
    _, second, text = rest.partition(b"'")
    if not (quote and second):
        charset, text = b"", value
    octets = _HEX.sub(lambda match: bytes((int(match[1], 16),)), text)
    return decode(octets, charset.decode("latin-1"))


ENCODED_OCTETS: Final = 42
"""Octets of text in one encoded word: in base64 it then has no more than 75 characters."""


def encoded_words(text: str) -> str:
    """A field's value in ASCII: as it is, or as encoded words (RFC 2047 §2) of UTF-8."""
    if text.isascii():
        return text
    pieces, piece = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > ENCODED_OCTETS:  # no character is cut (RFC 2047 §5)
            pieces.append(piece)
            piece = b""
        piece += octets
    pieces.append(piece)
    return " ".join(f"=?utf-8?b?{b64encode(piece).decode()}?=" for piece in pieces)
