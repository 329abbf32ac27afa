"""Addresses: parsed once, compared by value, printed for the wire and for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import (
    NULL,
    Path,
    is_ip_address,
    literal_address,
    parse_address,
    parse_domain,
    parse_path,
    to_unicode,
)
from mailhub.mail.reply import Refusal


class TestPaths:
    """What stands between the brackets of MAIL and RCPT."""

    @pytest.mark.parametrize(
        ("text", "local", "domain"),
        [
            ("alice@hub.example", "alice", "hub.example"),
            ("Alice@HUB.Example", "Alice", "hub.example"),
            ("a.b+c@x.example.", "a.b+c", "x.example"),
            ('"a b"@x.example', "a b", "x.example"),
            (r'"a\"b\\c"@x.example', r'a"b\c', "x.example"),
            ('"plain"@x.example', "plain", "x.example"),
            ('"a@b"@x.example', "a@b", "x.example"),
            ("@one.example,@two.example:joe@three.example", "joe", "three.example"),
            ("postmaster", "postmaster", ""),
            ("PostMaster", "PostMaster", ""),
            ("joe@[192.0.2.1]", "joe", "[192.0.2.1]"),
            ("joe@[IPv6:2001:DB8::1]", "joe", "[IPv6:2001:db8::1]"),
            ("joe@_dmarc.example", "joe", "_dmarc.example"),
            ("a%b@x.example", "a%b", "x.example"),
            ("a!b@x.example", "a!b", "x.example"),
        ],
    )
    def test_read(self, text: str, local: str, domain: str) -> None:
        """Quotes, case of the domain, a final dot and source routes make no difference."""
        assert parse_path(text) == Path(local, domain)

    @pytest.mark.parametrize(
        "text",
        [
            "alice", "@x.example", "a@", "a..b@x.example", ".a@x.example", "a.@x.example",
            "a b@x.example", "a@b@x.example", "a@x..example", "a@-x.example", "a@x.example-",
            '"a@x.example', '"a"b@x.example', "a@[300.1.1.1]", "a@[IPv6:zz]", "a@[192.0.2.1",
            "a@[x.example]", "a\r\n@x.example", "a\x00@x.example", '"a\r\nb"@x.example',
            "x" * 65 + "@x.example", "a@" + "x" * 64 + ".example", "a@" + "x." * 140 + "example",
            "a@[IPv6:fe80::1%eth0]", "a@[IPv6:::1%]x]",
            "a@x example", "a@x.example>", "<a@x.example", "@one.example:", "@one.example:joe",
        ],
    )  # fmt: skip
    def test_refuse(self, text: str) -> None:
        """Anything else is 501 5.1.7."""
        with pytest.raises(Refusal) as caught:
            parse_path(text)
        assert (caught.value.reply.code, caught.value.reply.detail) == (501, "1.7")

    @pytest.mark.parametrize("text", ["\udcff@x.example", '"\udcff"@x.example', "\x9b@x.example"])
    def test_no_text(self, text: str) -> None:
        """Octets that are no UTF-8, and control characters, are in no address."""
        with pytest.raises(Refusal):
            parse_path(text, utf8=True)
        with pytest.raises(Refusal):
            parse_address(text)

    def test_null(self) -> None:
        """The null reverse-path is a value of its own."""
        assert parse_path("") is NULL
        assert str(NULL) == ""

    def test_utf8_needs_smtputf8(self) -> None:
        """Non-ASCII text is refused with 553 5.6.7 where SMTPUTF8 was not asked for."""
        with pytest.raises(Refusal) as caught:
            parse_path("jürgen@x.example")
        assert (caught.value.reply.code, caught.value.reply.detail) == (553, "6.7")
        assert parse_path("jürgen@bücher.example", utf8=True) == Path(
            "jürgen", "xn--bcher-kva.example"
        )

    @given(st.text())
    def test_only_refusals(self, text: str) -> None:
        """Whatever is given, the answer is a path or a refusal."""
        try:
            path = parse_path(text, utf8=True)
        except Refusal:
            return
        assert "\r" not in str(path)
        assert "\n" not in str(path)

    @given(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20),
        st.sampled_from(["x.example", "[192.0.2.1]", "xn--bcher-kva.example"]),
    )
    def test_printed_reads_back(self, local: str, domain: str) -> None:
        """A path printed for the wire is read as the same path."""
        assert parse_path(str(Path(local, domain))) == Path(local, domain)


class TestForms:
    """One address, several places that show it."""

    def test_key_ignores_case_and_normal_form(self) -> None:
        """Accounts are compared without regard to case or composition."""
        composed, decomposed = Path("J\u00fcrgen", "x.example"), Path("ju\u0308rgen", "x.example")
        assert composed.key == decomposed.key

    def test_shown_with_u_labels(self) -> None:
        """People read U-labels."""
        path = Path("a b", "xn--bcher-kva.example")
        assert path.shown == '"a b"@bücher.example'
        assert str(path) == '"a b"@xn--bcher-kva.example'

    def test_needs_utf8(self) -> None:
        """Only the local part can need SMTPUTF8: domains travel as A-labels."""
        assert Path("jürgen", "x.example").needs_utf8
        assert not Path("j", "xn--bcher-kva.example").needs_utf8

    def test_literals(self) -> None:
        """An address literal gives its address; a domain gives none."""
        assert literal_address("[192.0.2.1]") == "192.0.2.1"
        assert literal_address("[IPv6:2001:db8::1]") == "2001:db8::1"
        assert literal_address("x.example") is None

    def test_ip_addresses(self) -> None:
        """A host may be named by its address, without brackets."""
        named = ("192.0.2.1", "2001:db8::1", "x.example", "[192.0.2.1]", "192.0.2", "")
        assert [is_ip_address(it) for it in named] == [True, True, False, False, False, False]

    def test_domains(self) -> None:
        """U-labels become A-labels; what does not decode stays."""
        assert parse_domain("BÜCHER.example") == "xn--bcher-kva.example"
        assert to_unicode("xn--bcher-kva.example") == "bücher.example"
        assert to_unicode("xn--999999999") == "xn--999999999"
        assert to_unicode("x.example") == "x.example"
        with pytest.raises(Refusal):
            parse_domain("a\u200bb..example")

    def test_address_of_an_operator(self) -> None:
        """Operators and headers may spell addresses in any script."""
        assert parse_address("tuấn@việt.example").domain.startswith("xn--")
