"""The texts of a language, and which language a sender reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.queue.words import TEXTS, chosen, faults, text_fault, wanted
from tests.wording import ENGLISH, LANGUAGES

KNOWN = LANGUAGES.known
TEXT = st.text(st.sampled_from("abq=;,.- 019*"), max_size=60)


def test_say() -> None:
    """Values take the place of their names."""
    said = ENGLISH.say("arrived", date="today", id="Q1")
    assert said == "It arrived here on today, with queue id Q1."


def test_faults() -> None:
    """Texts that lack, that nobody asks for, and values that nobody gives."""
    texts = {**ENGLISH.texts, "farewell": "Bye", "said": "{who} said:"}
    del texts["failed"]
    assert list(faults(texts)) == [
        ("failed", "missing"),
        ("said", "{who} is not known here, {host} is"),
        ("farewell", "no such text"),
    ]
    assert list(faults(ENGLISH.texts)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("plain", ""),
        ("with {host}", ""),
        ("with {{braces}}", ""),
        ("with {", "write {{ for a brace"),
        ("with {}", "{} is not known here"),
        ("with {host.name}", "{host.name} is not known"),
        ("with {host[0]}", "{host[0]} is not known"),
    ],
)
def test_text_fault(text: str, fault: str) -> None:
    """Only the values themselves can be named: nothing inside them can be reached."""
    found = text_fault(text, frozenset({"host"}))
    assert fault in found
    assert bool(fault) is bool(found)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"accept-language": "vi-VN, en;q=0.5"}, ["vi-VN", "en"]),
        ({"accept-language": "en;q=0.3, vi;q=0.9, de"}, ["de", "vi", "en"]),
        ({"accept-language": "*, en;q=0, fr;q=x"}, []),
        ({"content-language": "vi"}, ["vi"]),
        ({"accept-language": "fr", "content-language": "vi, en"}, ["fr", "vi", "en"]),
    ],
)
def test_wanted(fields: dict[str, str], expected: list[str]) -> None:
    """What a client says its user reads goes before what he writes in (RFC 3282 §3)."""
    assert wanted(fields) == expected


@pytest.mark.parametrize(
    ("tags", "language"),
    [
        ([], "en"),
        (["vi"], "vi"),
        (["VI-VN"], "vi"),
        (["vi-Hant-VN"], "vi"),
        (["fr", "vi"], "vi"),
        (["fr", "tlh"], "en"),
        (["-", ""], "en"),
    ],
)
def test_chosen(tags: list[str], language: str) -> None:
    """The first that there is; a region is content with its language (RFC 4647 §3.4)."""
    assert chosen(KNOWN, tags, "en").language == language


@given(TEXT, TEXT)
def test_any_fields(accept: str, content: str) -> None:
    """Whatever the fields say, there is a language."""
    tags = wanted({"accept-language": accept, "content-language": content})
    assert chosen(KNOWN, tags, "en").language in KNOWN
    assert set(ENGLISH.texts) == set(TEXTS)
