"""The saved corpora, and a little chance, through what is fuzzed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import CORPORA, LONGEST, TARGETS

SAMPLES = sorted(path for path in CORPORA.glob("*/*") if path.is_file())
MESSAGES = sorted((CORPORA.parent / "mime").glob("*.eml"))
REPORTS = sorted(
    path for name in ("bounces", "feedback") for path in (CORPORA.parent / name).glob("*.eml")
)
COMMANDS = st.lists(
    st.sampled_from(
        [b"a FETCH 1:* ", b"b UID FETCH 2 ", b"c STORE 1 +FLAGS ", b"d SEARCH ", b"e APPEND INBOX ",
         b"f COPY 1 ", b"g IDLE", b"DONE", b"h SELECT ", b"i LIST ", b"j STATUS ", b"k ENABLE ",
         b"(", b")", b"BODY[", b"]", b"HEADER", b"1.2", b"<0.5>", b"BINARY.PEEK[", b"PREVIEW",
         b"CATENATE (", b"URL ", b"TEXT ", b"UTF8 (", b"~", b"{3}", b"{3+}", b"\r\n", b"\r\n",
         b'"', b"\\Seen", b"INBOX", b"NOT ", b"OR ", b"SUBJECT ", b"*", b"%", b" ", b"\x00",
         b"\xff", b"/INBOX/;UID=1", b"FLAGS", b"ENVELOPE", b"l CLOSE", b"m EXPUNGE", b"n NOOP"]
    )
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_saved(path: Path) -> None:
    """What once hurt hurts no more."""
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_messages(path: Path) -> None:
    """So do the malformed messages, whatever they are taken for."""
    for name in ("mime", "header", "words"):
        TARGETS[name](path.read_bytes())


@given(st.sampled_from(REPORTS), st.integers(min_value=0), st.binary(max_size=20))
def test_reports(path: Path, place: int, octets: bytes) -> None:
    """Bounces and complaints with something amiss anywhere."""
    content = path.read_bytes()
    at = place % len(content)
    TARGETS["reports"](content[:at] + octets + content[at:])


@given(COMMANDS)
def test_commands(octets: bytes) -> None:
    """Words of the protocol in any order."""
    TARGETS["session"](octets)


@pytest.mark.parametrize("name", TARGETS)
def test_chance(name: str) -> None:
    """Any octets at all."""

    @given(st.binary(max_size=200))
    def anything(octets: bytes) -> None:
        TARGETS[name](octets)

    anything()


def test_corpora() -> None:
    """Each saved sample belongs to a target, and is not longer than it need be."""
    assert {path.parent.name for path in SAMPLES} <= set(TARGETS)
    assert all(path.stat().st_size <= LONGEST for path in SAMPLES)
