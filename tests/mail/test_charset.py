"""Text out of octets."""

from __future__ import annotations

import base64
import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail import charset
from mailhub.mail.charset import (
    codec,
    decode,
    decode_body,
    decode_parameter,
    decode_text,
    decode_words,
    decoder,
    encoded_words,
)


class TestLabels:
    """Charset labels."""

    @pytest.mark.parametrize(
        ("label", "octets", "text"),
        [
            ("utf-8", "é€".encode(), "é€"),
            ("UTF8", "é".encode(), "é"),
            ("iso-8859-1", b"caf\xe9 \x80", "café €"),
            ("ISO_8859-1:1987", b"caf\xe9", "café"),
            ("latin1", b"\xe9", "é"),
            ("iso-8859-15", b"\xa4", "€"),
            ("windows-1251", b"\xcf\xf0", "Пр"),
            ("cp1252", b"\x93", "“"),
            ("KOI8-R", b"\xf0\xd2", "Пр"),
            ("gb2312", "中文".encode("gbk"), "中文"),
            ("x-gbk", "中文".encode("gbk"), "中文"),
            ("big5", "中文".encode("big5"), "中文"),
            ("Shift_JIS", "日本①".encode("cp932"), "日本①"),
            ("iso-2022-jp", "日本".encode("iso2022_jp"), "日本"),
            ("euc-jp", "日本".encode("euc_jp"), "日本"),
            ("ks_c_5601-1987", "한국".encode("cp949"), "한국"),
            ("euc-kr", "한국".encode("euc_kr"), "한국"),
            ("utf-7", b"+AOk-", "é"),
            ("unicode-1-1-utf-7", b"+AOk-", "é"),
            ("macintosh", b"\x8e", "é"),
            ("iso-8859-8-i", "שלום".encode("iso8859_8"), "שלום"),
            ("tis-620", "ไทย".encode("tis_620"), "ไทย"),
        ],
    )
    def test_meant(self, label: str, octets: bytes, text: str) -> None:
        """Labels of real mail mean what their senders mean by them."""
        assert decode(octets, label) == text

    @pytest.mark.parametrize("label", ["", "us-ascii", "unknown-8bit", "x-unknown", "no-such", "é"])
    def test_guess(self, label: str) -> None:
        """A label that says nothing leaves UTF-8, else windows-1252."""
        assert decode("é".encode(), label) == "é"
        assert decode(b"\xe9", label) == "é"
        assert decode(b"\x81", label) == "\ufffd"

    def test_wrong(self) -> None:
        """A label that cannot be true gives way to UTF-8, else the octets are marked."""
        assert decode("é".encode(), "utf-16") in {"é", "é".encode().decode("utf-16")}
        assert decode(b"\xff\xfe\xff", "utf-8") == "\ufffd\ufffd\ufffd"
        assert decode("日".encode(), "iso-2022-jp") == "日"

    @pytest.mark.parametrize(
        "label",
        ["base64", "zlib", "hex", "rot13", "idna", "punycode", "unicode_escape", "undefined",
         "../../etc/passwd", "raw-unicode-escape", "mbcs"],
    )  # fmt: skip
    def test_no_charset(self, label: str) -> None:
        """Python's other codecs are no charsets, and labels name no modules."""
        assert codec(label) is None
        assert decode(b"abc", label) == "abc"

    def test_all_exist(self) -> None:
        """Each codec in the table is one that Python has."""
        for name in set(charset._CODECS.values()) - {""}:
            assert codecs.lookup(name).name

    def test_decoder(self) -> None:
        """SEARCH gets a strict decoder, or learns that the charset is unknown."""
        latin = decoder("ISO-8859-1")
        assert latin is not None
        assert latin(b"\xe9") == "é"
        ascii_ = decoder("US-ASCII")
        assert ascii_ is not None
        with pytest.raises(UnicodeError):
            ascii_(b"\xe9")
        assert decoder("no-such") is None

    @given(st.binary(max_size=50), st.sampled_from(sorted(set(charset._CODECS))))
    def test_total(self, octets: bytes, label: str) -> None:
        """No octets in any charset raise."""
        assert isinstance(decode(octets, label), str)


class TestWords:
    """Encoded words."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            # RFC 2047 §8
            (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            (
                b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n %b"
                % b"=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
            (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
            (b"(=?ISO-8859-1?Q?a_?= =?ISO-8859-1?Q?b?=)", "(a b)"),
            # RFC 2231 §5
            (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        ],
    )
    def test_examples(self, value: bytes, text: str) -> None:
        """The RFCs' own examples."""
        assert decode_words(value) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (b"plain \xc3\xa9", "plain é"),
            (b"plain \xe9", "plain é"),
            (b"=?utf-8?q?a b c?=", "a b c"),
            (b"=?utf-8?q?a?b?=", "a?b"),
            (b"x=?utf-8?q?a?=y", "xay"),
            (b"=?utf-8?b?w6k?=", "é"),
            (b"=?utf-8?B?w6k=w6k=?=", "éé"),
            (b"=?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "é"),
            (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
            (b"=?utf-8?q?unclosed", "=?utf-8?q?unclosed"),
            (b"=?no-such?q?=E9?=", "é"),
            (b"=?utf-8?q??=", ""),
            (b"a =?utf-8?q?b?= \xc3\xa9 =?utf-8?q?c?=", "a b é c"),
        ],
    )
    def test_violations(self, value: bytes, text: str) -> None:
        """What senders do against the rules is read as they meant it."""
        assert decode_words(value) == text

    @given(
        st.binary(max_size=60)
        | st.lists(
            st.sampled_from(
                [b"=?", b"?=", b"?", b"utf-8", b"q", b"b", b" ", b"=C3", b"w6k=", b"*", b"x"]
            ),
            max_size=30,
        ).map(b"".join)
    )
    def test_total(self, value: bytes) -> None:
        """Nothing raises."""
        assert isinstance(decode_words(value), str)

    @pytest.mark.parametrize(
        "piece", [b"=?a?q?x", b"=?a?q??x", b"=?a*b", b"=?a?b?\r", b"=?a?q?b?= "]
    )
    def test_time(self, piece: bytes) -> None:
        """Reading takes time in proportion to the length, however many words are never closed."""
        began = time.process_time()
        decode_words(piece * (200_000 // len(piece)))
        assert time.process_time() - began < 1.0

    def test_not_beyond_the_line(self) -> None:
        """What is not closed in its line is no word; one that begins behind it is."""
        assert decode_words(b"=?utf-8?q?a\r?= =?utf-8?q?b?=") == "=?utf-8?q?a\r?= b"


class TestParameters:
    """File names and the like."""

    @pytest.mark.parametrize(
        ("parameters", "text"),
        [
            (((b"name", b"a.txt"),), "a.txt"),
            (((b"NAME*", b"utf-8'en'%e2%82%ac.txt"),), "€.txt"),
            (((b"name", b"fallback"), (b"name*", b"iso-8859-1''%e9")), "é"),
            (((b"name", b"=?utf-8?q?=C3=A9?="),), "é"),
            (((b"name", b"first"), (b"name", b"second")), "first"),
            (((b"name*", b"no quotes %41%zz"),), "no quotes A%zz"),
            (((b"other", b"x"),), None),
        ],
    )
    def test_names(self, parameters: tuple[tuple[bytes, bytes], ...], text: str | None) -> None:
        """RFC 2231 values come before plain ones, and encoded words in those are decoded."""
        assert decode_parameter(parameters, b"name") == text


class TestBodies:
    """Transfer encodings."""

    @given(st.binary(max_size=200))
    def test_base64(self, octets: bytes) -> None:
        """Base64 in lines, in any spelling of its name."""
        encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        assert decode_body(encoded, b"Base64") == octets

    @pytest.mark.parametrize(
        ("encoded", "octets"),
        [
            (b"QUJD!!RE VG", b"ABCDEF"),
            (b"QUI=QUI=", b"ABAB"),
            (b"QUI", b"AB"),
            (b"QUJDR", b"ABC"),
            (b"====", b""),
            (b"", b""),
            (b"\xff\xfe", b""),
            (b"QUJD\r\n--\r\nREVG", b"ABCDEF"),
        ],
    )
    def test_broken_base64(self, encoded: bytes, octets: bytes) -> None:
        """Junk is passed over, padding may lack or stand amid (RFC 2045 §6.8)."""
        assert decode_body(encoded, b"base64") == octets

    def test_quoted_printable(self) -> None:
        """Soft line ends go; what is no escape stays (RFC 2045 §6.7)."""
        assert decode_body(b"a=C3=A9=\r\nb=zz _=\r\n", b"quoted-printable") == b"a\xc3\xa9b=zz _"

    def test_padding(self) -> None:
        """White space at the end of a line is no part of it (RFC 2045 §6.7 rule 3)."""
        encoded = b"a  \r\nb= \t\r\nc\t =\t\n d \t"
        assert decode_body(encoded, b"quoted-printable") == b"a\r\nbc\t  d"
        assert decode_body(b" " * 1_000_000 + b".", b"quoted-printable")[-1:] == b"."

    @pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"binary", b"x-own", b""])
    def test_identity(self, encoding: bytes) -> None:
        """All others leave the body as it is."""
        assert decode_body(b"=41 QUJD", encoding) == b"=41 QUJD"

    def test_text(self) -> None:
        """Both steps together."""
        assert decode_text(b"caf=E9", b"Quoted-Printable", "iso-8859-1") == "café"

    @given(st.binary(max_size=100), st.sampled_from([b"base64", b"quoted-printable"]))
    def test_total(self, octets: bytes, encoding: bytes) -> None:
        """Nothing raises."""
        decode_text(octets, encoding, "utf-8")


class TestEncodedWords:
    """Fields that are written."""

    def test_ascii(self) -> None:
        """What needs no encoding has none."""
        assert encoded_words("Not delivered: bob@far.example") == "Not delivered: bob@far.example"

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
    def test_back(self, text: str) -> None:
        """What is read again is what was written, in words of 75 characters at most."""
        encoded = encoded_words(text)
        assert encoded.isascii()
        if not text.isascii():
            assert all(len(word) <= 75 for word in encoded.split(" "))
            assert decode_words(encoded.encode()) == text
