"""What is fuzzed: each target takes any octets, and asserts what must hold of them.

`make fuzz` feeds them what atheris finds by watching which lines run; `test_targets` feeds them
the saved corpora and a little of hypothesis in each test run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from unittest.mock import patch

from mailhub.imap import extract, sequence, url
from mailhub.imap.extract import Known, large, small
from mailhub.imap.item import Kind, Octets
from mailhub.imap.section import Section, UnknownEncoding
from mailhub.imap.settings import Limits
from mailhub.imap.structure import summary
from mailhub.mail import addresslist, charset, header, parameters
from mailhub.mail.bounce import QUOTED_LIMIT, bounce
from mailhub.mail.bounce import Kind as Outcome
from mailhub.mail.feedback import feedback
from mailhub.mail.part import Part, parse
from mailhub.mail.preview import LENGTH, text_of_html
from mailhub.net.deflate import PIECE, Broken, Deflate
from mailhub.policy import returnpath
from tests.imap.fakes import FakeContent
from tests.imap.given import Talk
from tests.imap.test_structure import well_formed
from tests.rig import run

CORPORA: Final = Path(__file__).parent.parent / "corpus" / "fuzz"
"""Samples that once hurt, or that reach far; one directory for each target."""
LONGEST: Final = 16_384
"""Octets of a sample: longer ones only take longer."""

_LIMITS: Final = Limits(errors=1_000_000, append=100_000)
_SECTIONS: Final[tuple[Octets, ...]] = (
    Octets(b"a", Section()),
    Octets(b"b", Section((1,))),
    Octets(b"c", Section((1, 2), "MIME")),
    Octets(b"d", Section((2,), "HEADER"), (3, 9)),
    Octets(b"e", Section((1,), "HEADER.FIELDS", (b"to", b"subject"))),
    Octets(b"f", Section((), "HEADER.FIELDS.NOT", (b"to",))),
    Octets(b"g", Section((1, 1)), (1, 7), kind=Kind.BINARY),
    Octets(b"h", Section((1,)), kind=Kind.SIZE),
)


def session(octets: bytes) -> None:
    """A session says the same however its commands arrive, and never fails."""
    whole, split = (Talk(limits=_LIMITS).select() for _ in range(2))
    heard = whole.raw(octets)
    place = len(octets) // 3
    assert split.raw(octets[:place]) + split.raw(octets[place:]) == heard
    assert whole.session.closed == split.session.closed
    assert not heard or heard.endswith(b"\r\n")
    run(whole.session.close())
    run(split.session.close())
    assert all(box.opened == box.released for box in whole.store.boxes.values())


def mime(octets: bytes) -> None:
    """A structure covers its message, is rendered well, and all parts can be cut out of it."""
    tree = parse(octets)
    _check_part(octets, tree)
    made = summary(octets)
    for value in (made.envelope, made.body, made.bodystructure, made.preview):
        well_formed(value)
    items = _SECTIONS
    try:
        expected = small(octets, items)
    except UnknownEncoding:
        items = _SECTIONS[:6]
        expected = small(octets, items)
    if max(map(len, octets.split(b"\n"))) < 1000:  # see `mail.transfer`
        found = run(_joined(octets, items, Known(1, tree=tree)))
        assert found.replace(b"~{", b"{") == expected.replace(b"~{", b"{")


def fields(octets: bytes) -> None:
    """A header section is divided by names without loss; its values are read whatever they are."""
    block = octets[: header.end(octets)]
    names = list(header.index(block))
    some = [name for name in names if re.fullmatch(rb"[!-9;-~]+", name)][::2]
    chosen, rest = header.wanted(block, some), header.unwanted(block, some)
    assert set(header.index(rest)).isdisjoint(some)
    if some and len(block) < header.SECTION_LIMIT:
        assert set(header.index(chosen)) == set(some)
    for raws in header.index(block).values():
        for raw in raws:
            value = header.unfold(raw)
            addresslist.parse(raw)
            charset.decode_words(value)
            found = parameters.content_type(value)
            charset.decode_parameter(found[2] if found else (), b"name")
            parameters.disposition(value)
            parameters.languages(value)


def words(octets: bytes) -> None:
    """Text is found in whatever claims to be some."""
    label, _, rest = octets.partition(b"\n")
    charset.decode_text(rest, b"base64", label.decode("latin-1"))
    charset.decode_text(rest, b"quoted-printable", label.decode("latin-1"))
    charset.decode_words(octets)
    text_of_html(octets.decode("latin-1"))
    assert len(summary(b"\r\n" + rest).preview) < 6 * LENGTH


def deflate(octets: bytes) -> None:
    """What is no DEFLATE is found out; what is comes out in pieces."""
    unpacking = Deflate()
    with suppress(Broken):
        assert len(unpacking.unpack(octets)) <= PIECE
        for _ in range(20):
            if unpacking.more:
                assert len(unpacking.unpack()) <= PIECE


def names(octets: bytes) -> None:
    """Sequence sets and URLs are read, or are none."""
    url.parse(octets, _LIMITS)
    with suppress(ValueError):
        found = sequence.parse(octets, 1000)
        for largest in (0, 1, 7):
            ranges = found.resolved(largest)
            assert all(first <= last for first, last in ranges)


def reports(octets: bytes) -> None:
    """Bounces and complaints are read, or are none; what is quoted of them is bounded."""
    for recipient in ("", "bob@far.example"):
        found = bounce(octets, recipient)
        assert (found.reply is not None) is (found.kind in (Outcome.FAILED, Outcome.DELAYED))
        if found.reply is not None:
            assert 400 <= found.reply.code <= 599
            assert len(found.reply.lines[0]) <= QUOTED_LIMIT
            assert "\n" not in found.reply.lines[0]
    told = feedback(octets)
    if told is not None:
        returnpath.named(told.traces)


def _check_part(octets: bytes, tree: Part) -> None:
    for part in tree.walk():
        assert 0 <= part.start <= part.body <= part.end <= len(octets)
        last = part.body
        for child in part.children:
            assert last <= child.start <= child.end <= part.end
            last = child.end


async def _joined(octets: bytes, items: tuple[Octets, ...], known: Known) -> bytes:
    with patch.object(extract, "PIECE", 7):
        return b"".join([piece async for piece in large(FakeContent(octets), items, known)])


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "session": session,
    "mime": mime,
    "header": fields,
    "words": words,
    "deflate": deflate,
    "sequence": names,
    "reports": reports,
}
