"""Suppression lists as files."""

from __future__ import annotations

import csv
import io

import pytest

from mailhub.cli.suppressed import Wrong, read, written
from mailhub.policy.suppression import Entry, Reason

NOW = 1_800_000_000.0
ENTRIES = [
    Entry("shop.example", "bob@far.example", Reason.HARD, NOW, NOW + 60, 2, "550, no", "q1"),
    Entry("*", "eve@far.example", Reason.MANUAL, NOW),
]


def of(text: str) -> list[Entry | Wrong | None]:
    return list(read(io.StringIO(text), "shop.example", Reason.MANUAL, NOW))


def entries(text: str) -> list[Entry]:
    return [it for it in of(text) if isinstance(it, Entry)]


def test_there_and_back() -> None:
    """What was exported is imported as it was."""
    file = io.StringIO()
    csv.writer(file).writerows(written(ENTRIES))
    assert entries(file.getvalue()) == ENTRIES


class TestForms:
    def test_addresses_alone(self) -> None:
        """Without headings there is an address in each line; empty lines and notes say nothing."""
        found = of("# ours\nBob@Far.example\n\n eve@far.example \n")
        assert [
            it and (it.address, it.domain, it.reason) for it in found if not isinstance(it, Wrong)
        ] == [
            None,
            ("bob@far.example", "shop.example", Reason.MANUAL),
            None,
            ("eve@far.example", "shop.example", Reason.MANUAL),
        ]

    def test_amazon_takes(self) -> None:
        """Lines as Amazon SES takes them: an address and a reason."""
        found = entries("bob@far.example,BOUNCE\neve@far.example,COMPLAINT\n")
        assert [it.reason for it in found] == [Reason.HARD, Reason.COMPLAINT]

    def test_amazon_gives(self) -> None:
        """And as it gives them."""
        [found] = entries(
            "EmailAddress,Reason,LastUpdateTime\nbob@far.example,BOUNCE,2026-11-03T10:00:00+00:00\n"
        )
        assert (found.reason, found.at) == (Reason.HARD, 1_793_700_000.0)

    def test_mailgun(self) -> None:
        """Mailgun's has the reply, and dates as mail has them."""
        [found] = entries(
            "address,code,error,created_at\n"
            'bob@far.example,550,"No such mailbox, sorry","Tue, 03 Nov 2026 10:00:00 UTC"\n'
        )
        assert (found.reply, found.at) == ("No such mailbox, sorry", 1_793_700_000.0)

    def test_seconds(self) -> None:
        """Moments may be seconds since the epoch."""
        [found] = entries("email,at,expires\nbob@far.example,1800000001,\n")
        assert (found.at, found.expires) == (NOW + 1, 0.0)


class TestMistakes:
    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("bob", "is not an address"),
            ("bob@", "is not an address"),
            ("bob@far.example,,annoyed", "no reason is called annoyed"),
            ("bob@far.example,a b,", "is not a domain"),
            ("bob@far.example,,,tomorrow", "expected a date"),
            ("bob@far.example,,,,many", "expected a number"),
            ("bob@far.example,,,,9999999999", "expected a number"),
            ("bob@far.example,,,nan", "expected a date"),
            ("bob@far.example,,,1e300", "expected a date"),
            ("bob@far.example,,,-1", "expected a date"),
            pytest.param(f"bob@far.example,{'x' * 140_000}", "field", id="endless"),
        ],
    )
    def test_told_with_their_line(self, line: str, why: str) -> None:
        """A line that cannot be used is told, and the others are."""
        found = of(f"address,domain,reason,at,count\n{line}\neve@far.example\n")
        [wrong] = [it for it in found if isinstance(it, Wrong)]
        assert wrong.line == 2
        assert why in wrong.why
        assert isinstance(found[-1], Entry)

    def test_whose_list(self) -> None:
        """Where no list is the obvious one, each line must name its own."""
        text = "address,domain\nbob@far.example,shop.example\neve@far.example,\n"
        _, first, second = read(io.StringIO(text), "", Reason.MANUAL, NOW)
        assert isinstance(first, Entry)
        assert isinstance(second, Wrong)
        assert "whose list" in second.why
