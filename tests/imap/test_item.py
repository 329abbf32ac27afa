"""FETCH items: octets to values, and the labels that answers bear."""

from __future__ import annotations

import pytest

from mailhub.imap.grammar import Tokens
from mailhub.imap.item import Fact, Item, Kind, Octets, parse
from mailhub.imap.response import Bad
from mailhub.imap.section import Section
from mailhub.imap.settings import Limits


def items(text: bytes, *, by_uid: bool = False) -> tuple[Item, ...]:
    tokens = Tokens([text])
    found = parse(tokens, Limits(), by_uid=by_uid)
    tokens.end()
    return found


FAST = (Fact.FLAGS, Fact.INTERNALDATE, Fact.SIZE)


class TestFacts:
    def test_macros(self) -> None:
        """The three macros of RFC 3501 §6.4.5."""
        assert items(b"FAST") == FAST
        assert items(b"all") == (*FAST, Fact.ENVELOPE)
        assert items(b"FULL") == (*FAST, Fact.ENVELOPE, Fact.BODY)

    def test_lists(self) -> None:
        """Items alone or in a list, each once."""
        assert items(b"UID") == (Fact.UID,)
        assert items(b"(flags rfc822.size FLAGS)") == (Fact.FLAGS, Fact.SIZE)

    def test_by_uid(self) -> None:
        """UID FETCH always gives the UID."""
        assert items(b"FLAGS", by_uid=True) == (Fact.UID, Fact.FLAGS)
        assert items(b"(FLAGS UID)", by_uid=True) == (Fact.FLAGS, Fact.UID)


class TestOctets:
    @pytest.mark.parametrize(
        ("text", "label", "section"),
        [
            (b"BODY.PEEK[]", b"BODY[]", Section()),
            (b"BODY.PEEK[1.2]", b"BODY[1.2]", Section((1, 2))),
            (b"body.peek[text]", b"BODY[TEXT]", Section((), "TEXT")),
            (b"BODY.PEEK[2.mime]", b"BODY[2.MIME]", Section((2,), "MIME")),
            (b"BODY.PEEK[3.HEADER]", b"BODY[3.HEADER]", Section((3,), "HEADER")),
            (
                b'BODY.PEEK[HEADER.FIELDS (From "x y")]',
                b'BODY[HEADER.FIELDS (From "x y")]',
                Section((), "HEADER.FIELDS", (b"From", b"x y")),
            ),
            (
                b"BODY.PEEK[1.HEADER.FIELDS.NOT (To)]",
                b"BODY[1.HEADER.FIELDS.NOT (To)]",
                Section((1,), "HEADER.FIELDS.NOT", (b"To",)),
            ),
        ],
    )
    def test_sections(self, text: bytes, label: bytes, section: Section) -> None:
        """Sections, and how they are called in the answer: without PEEK."""
        assert items(text) == (Octets(label, section, None, peek=True),)

    def test_partial(self) -> None:
        """A partial's label has its origin only."""
        assert items(b"BODY[]<5.10>") == (Octets(b"BODY[]<5>", Section(), (5, 10), peek=False),)

    def test_binary(self) -> None:
        """BINARY takes part numbers only (RFC 3516 §7)."""
        assert items(b"(BINARY[] binary.peek[1.2]<5.10> BINARY.SIZE[3])") == (
            Octets(b"BINARY[]", Section(), kind=Kind.BINARY),
            Octets(b"BINARY[1.2]<5>", Section((1, 2)), (5, 10), peek=True, kind=Kind.BINARY),
            Octets(b"BINARY.SIZE[3]", Section((3,)), peek=True, kind=Kind.SIZE),
        )

    def test_preview(self) -> None:
        """PREVIEW may be lazy (RFC 8970 §3.2)."""
        assert items(b"(PREVIEW UID)") == (Fact.PREVIEW, Fact.UID)
        assert items(b"(preview (lazy) UID)") == (Fact.LAZY_PREVIEW, Fact.UID)

    def test_old_names(self) -> None:
        r"""The items of RFC 1730; RFC822.HEADER alone does not set ``\Seen``."""
        [whole, header, text] = items(b"(RFC822 RFC822.HEADER RFC822.TEXT)")
        assert [item.peek for item in (whole, header, text) if isinstance(item, Octets)] == [
            False,
            True,
            False,
        ]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"()",
        b"X",
        b"(FAST)",
        b"BODY[",
        b"BODY[X]",
        b"BODY[MIME]",
        b"BODY[0]",
        b"BODY[1.]",
        b"BODY[1.MIME.2]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[]<1>",
        b"BODY[]<1.0>",
        b'BODY[HEADER.FIELDS ("a:b")]',
        b'BODY[HEADER.FIELDS ("")]',
        b"BODY[1" + b".1" * 40 + b"]",
        b"BINARY",
        b"BINARY[HEADER]",
        b"BINARY[1.MIME]",
        b"BINARY.SIZE[1]<0.5>",
        b"BINARY[0]",
        b"PREVIEW (X)",
        b"PREVIEW (LAZY",
        b"PREVIEW ()",
    ],
)
def test_bad(text: bytes) -> None:
    """What does not parse is BAD."""
    with pytest.raises(Bad):
        items(text)
