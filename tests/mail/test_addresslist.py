"""Address lists."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail import addresslist
from mailhub.mail.addresslist import (
    INVALID_ROUTE,
    MISSING_DOMAIN,
    MISSING_MAILBOX,
    SYNTAX_ERROR,
    Address,
    parse,
    specs,
)

END = Address(None, None, None, None)
LOST = Address(None, None, MISSING_MAILBOX, MISSING_DOMAIN)


def plain(mailbox: bytes, host: bytes, name: bytes | None = None) -> Address:
    return Address(name, None, mailbox, host)


class TestLawful:
    """RFC 5322 §3.4, and its obsolete forms."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"", []),
            (b"joe@example.com", [plain(b"joe", b"example.com")]),
            (b"<joe@example.com>", [plain(b"joe", b"example.com")]),
            (b"Joe Q. Public <john.q.public@example.com>",
             [plain(b"john.q.public", b"example.com", b"Joe Q. Public")]),
            (b'"Joe, \\"the\\" Public" <j@x>', [plain(b"j", b"x", b'Joe, "the" Public')]),
            (b'"Last, First" <a@b>,  c@d ,<e@f>',
             [plain(b"a", b"b", b"Last, First"), plain(b"c", b"d"), plain(b"e", b"f")]),
            (b'"A" B "C" <a@b>', [plain(b"a", b"b", b"A B C")]),
            (b'"" <a@b>', [plain(b"a", b"b")]),
            (b'"quoted local"@x', [plain(b"quoted local", b"x")]),
            (b"<joe@[192.0.2.1]>", [plain(b"joe", b"[192.0.2.1]")]),
            (b"joe@example.com (Joe Public)", [plain(b"joe", b"example.com", b"Joe Public")]),
            (b"joe (c) @ (d) example.com (x (y) \\) z)",
             [plain(b"joe", b"example.com", b"x (y) ) z")]),
            (b"(c) Joe (d) Public <j . p @ x . y> (e)", [plain(b"j.p", b"x.y", b"Joe Public")]),
            (b"Joe\r\n <joe@x>", [plain(b"joe", b"x", b"Joe")]),
            (b"=?utf-8?q?J=C3=B6?= <j@x>", [plain(b"j", b"x", b"=?utf-8?q?J=C3=B6?=")]),
            (b"J\xf6rg <j\xf6rg@b\xfccher.example>",
             [plain(b"j\xf6rg", b"b\xfccher.example", b"J\xf6rg")]),
            (b",, a@b ,,", [plain(b"a", b"b")]),
        ],
    )  # fmt: skip
    def test_mailboxes(self, value: bytes, expected: list[Address]) -> None:
        """Names, comments, quoting and folds."""
        assert parse(value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            # RFC 5322, appendix A.1.3
            (b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
             [Address(None, None, b"A Group", None), plain(b"c", b"a.test", b"Ed Jones"),
              plain(b"joe", b"where.test"), plain(b"jdoe", b"one.test", b"John"), END]),
            (b"Undisclosed recipients:;",
             [Address(None, None, b"Undisclosed recipients", None), END]),
            (b"g: ;, x@y", [Address(None, None, b"g", None), END, plain(b"x", b"y")]),
            (b'"Q G": a@b;', [Address(None, None, b"Q G", None), plain(b"a", b"b"), END]),
            (b":;", [Address(None, None, b"", None), END]),
            (b"g: a@b", [Address(None, None, b"g", None), plain(b"a", b"b"), END]),
            (b"g: a@b; h: c@d;",
             [Address(None, None, b"g", None), plain(b"a", b"b"), END,
              Address(None, None, b"h", None), plain(b"c", b"d"), END]),
            (b"g: h: a@b;",
             [Address(None, None, b"g", None), END, Address(None, None, b"h", None),
              plain(b"a", b"b"), END]),
        ],
    )  # fmt: skip
    def test_groups(self, value: bytes, expected: list[Address]) -> None:
        """Groups are flattened between their marks (RFC 3501 §7.4.2)."""
        assert parse(value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"<@a,@b:c@d>", Address(None, b"@a,@b", b"c", b"d")),
            (b"X <@hop.example : joe@x>", Address(b"X", b"@hop.example", b"joe", b"x")),
            (b"<@a, , @b:c@d>", Address(None, b"@a,@b", b"c", b"d")),
            (b"<@a c@d>", Address(None, INVALID_ROUTE, b"c", b"d")),
            (b"<@>", Address(None, INVALID_ROUTE, MISSING_MAILBOX, MISSING_DOMAIN)),
        ],
    )
    def test_routes(self, value: bytes, expected: Address) -> None:
        """Source routes (RFC 5322 §4.4)."""
        assert parse(value) == [expected]


class TestJunk:
    """What is no address list."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (b"just a name", [Address(b"just a name", None, MISSING_MAILBOX, MISSING_DOMAIN)]),
            (b"joe", [plain(b"joe", MISSING_DOMAIN)]),
            (b"joe (Joe)", [plain(b"joe", MISSING_DOMAIN, b"Joe")]),
            (b"Joe <joe>", [plain(b"joe", MISSING_DOMAIN, b"Joe")]),
            (b"nobody <>", [Address(b"nobody", None, MISSING_MAILBOX, MISSING_DOMAIN)]),
            (b"<>", [LOST]),
            (b"@", [LOST]),
            (b"a@", [plain(b"a", MISSING_DOMAIN)]),
            (b"<a@b", [plain(b"a", SYNTAX_ERROR)]),
            (b"a@b>", [plain(b"a", b"b")]),
            (b"<a b@c d>, x@y", [plain(b"a", SYNTAX_ERROR), plain(b"x", b"y")]),
            (b"a@b@c", [plain(b"a", b"b")]),
            (b"a@b junk, c@d", [plain(b"a", b"b"), plain(b"c", b"d")]),
            (b"x <a@b> junk, c@d", [plain(b"a", b"b", b"x"), plain(b"c", b"d")]),
            (b"a@b; c@d, e@f", [plain(b"a", b"b"), plain(b"e", b"f")]),
            (b"a..b@c", [plain(b"a..b", b"c")]),
            (b".a@b.", [plain(b".a", MISSING_DOMAIN)]),
            (b"(only a comment)", []),
            (b"(never closed a@b", []),
            (b"a@b (never closed", [plain(b"a", b"b", b"never closed")]),
            (b"a\x00b <c@d>", [plain(b"c", b"d", b"a\x00b")]),
            (b"[x] <c@d>, e@f", [LOST, plain(b"e", b"f")]),
        ],
    )
    def test_something_sane(self, value: bytes, expected: list[Address]) -> None:
        """Each member gives something, and the next one is read all the same."""
        assert parse(value) == expected

    @given(
        st.binary(max_size=60)
        | st.lists(
            st.sampled_from(
                [b"a", b"b.c", b"@", b"<", b">", b",", b";", b":", b'"', b"(", b")", b"\\", b" ",
                 b".", b"[1]", b"[", b"\r\n ", b"\xe9"]
            ),
            max_size=40,
        ).map(b"".join)
    )  # fmt: skip
    def test_total(self, value: bytes) -> None:
        """Nothing raises; groups are closed; all else has a mailbox and a host."""
        depth = 0
        for address in parse(value):
            if address.host is None:
                depth += 1 if address.mailbox is not None else -1
                assert depth in (0, 1)
            else:
                assert address.mailbox is not None
        assert depth == 0

    @pytest.mark.parametrize(
        "piece",
        [b"a", b"a ", b"(", b"<", b'"', b"a@b,", b"x <a@b>,", b"g:", b"a.", b"@", b"\\", b"[",
         b"a (c) "],
    )  # fmt: skip
    def test_linear(self, piece: bytes) -> None:
        """A hundred kilobytes of anything take linear time."""
        start = time.process_time()
        found = parse(piece * (100_000 // len(piece)))
        assert time.process_time() - start < 2
        assert len(found) <= addresslist.ADDRESS_LIMIT + 2


class TestSpecs:
    """Addresses for the checks of submission."""

    def test_specs(self) -> None:
        """Local parts are quoted where they must be; incomplete addresses are left out."""
        value = b'A <a@b>, "x y"@z, g: "q\\"r" <"q\\"r"@s>;, joe, <broken@x, <>'
        assert specs(value) == ["a@b", '"x y"@z', '"q\\"r"@s']

    def test_utf8(self) -> None:
        """8-bit octets that are no UTF-8 survive as surrogates."""
        assert specs("é@x".encode() + b", \xe9@x") == ["é@x", "\udce9@x"]

    def test_empty_local_part(self) -> None:
        """An empty quoted local part is one."""
        assert specs(b'""@b') == ['""@b']
