"""Whom a sending domain does not write to any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.suppression import (
    Action,
    Entry,
    Reason,
    Sending,
    Suppression,
    Terms,
    asdict,
    counts,
    excepted,
    merged,
    refusal,
)

NO = Reply(550, "1.1", ("No such user",))
LATER = Reply(450, "2.2", ("Full",))
ANN = Path("ann", "shop.example")
BOB = Path("bob", "far.example")
ENTRY = Entry("shop.example", "bob@far.example", Reason.HARD, 0.0, 100.0, 1, "550 5.1.1 No", "q")


class TestWhatCounts:
    @pytest.mark.parametrize("cause", list(Cause))
    def test_permanent(self, cause: Cause) -> None:
        """Only what is said of the address counts: never what is said of us or of the message."""
        wanted = Reason.HARD if cause in (Cause.UNKNOWN_USER, Cause.NO_DOMAIN) else None
        assert counts(NO, cause, expired=False) is wanted

    @pytest.mark.parametrize(
        ("cause", "wanted"),
        [
            (Cause.MAILBOX_FULL, Reason.EXPIRED),
            (Cause.UNREACHABLE, Reason.EXPIRED),
            (Cause.DNS, Reason.EXPIRED),
            (Cause.RATE_LIMITED, None),
            (Cause.BLOCKED, None),
            (Cause.LOCAL, None),
            (None, None),
        ],
    )
    def test_expired(self, cause: Cause | None, wanted: Reason | None) -> None:
        """Mail that was given up for its age counts apart, and never for our own pace's sake."""
        assert counts(LATER, cause, expired=True) is wanted
        assert counts(LATER, cause, expired=False) is wanted

    def test_excepted(self) -> None:
        """Notices, and mail to a postmaster, are never held back."""
        assert excepted(NULL, BOB)
        assert excepted(ANN, Path("PostMaster", "far.example"))
        assert not excepted(ANN, BOB)


class TestTerms:
    def test_by_default(self) -> None:
        """Bulk mail alone is held back, and no return path is changed."""
        terms = Terms()
        assert terms.concerns("bulk")
        assert not terms.concerns("normal")
        assert not terms.rewrites("bulk")

    def test_off(self) -> None:
        """Switched off, it holds nothing back."""
        assert not replace(Terms(), action=Action.OFF, classes=("*",)).concerns("bulk")

    def test_complaints_apart(self) -> None:
        """Mail of some classes may go to those who have complained of others."""
        terms = Terms(classes=("*",), complaint_classes=("bulk",))
        assert terms.concerns("reset", Reason.HARD)
        assert not terms.concerns("reset", Reason.COMPLAINT)
        assert terms.concerns("bulk", Reason.COMPLAINT)
        assert terms.concerns("reset")

    def test_lives(self) -> None:
        """A hard failure counts for months, a complaint for ever, as a person's word does."""
        terms = Terms()
        assert terms.life(Reason.HARD) == 90 * 86_400
        assert terms.life(Reason.COMPLAINT) == terms.life(Reason.MANUAL) == 0
        assert (terms.least(Reason.HARD), terms.least(Reason.EXPIRED)) == (1, 0)
        assert terms.least(Reason.COMPLAINT) == 1


class TestDomains:
    ALL = Suppression(
        sendings=(
            Sending("all", ("*.example",), Terms(hard_failures=2), frozenset({"hard failures"})),
            Sending("shop", ("shop.example",), Terms(return_domain="b.shop.example")),
        )
    )

    def test_the_exactest_counts(self) -> None:
        """The section that names a domain most exactly has the say; else the common one."""
        assert self.ALL.of("shop.example").name == "shop"
        assert self.ALL.of("other.example").name == "all"
        assert self.ALL.of("elsewhere.test").name == ""
        assert self.ALL.return_domains == {"b.shop.example"}

    def test_the_line_that_decides(self) -> None:
        """A key that a section does not give is the common section's."""
        found = self.ALL.of("other.example")
        assert str(found.rule("hard failures")) == "[sending all] hard failures"
        assert str(found.rule("action")) == "[suppression] action"

    def test_days(self) -> None:
        """Whole days, one at least."""
        assert Suppression().return_days == 30
        assert Suppression(return_life=90_000.0).return_days == 2
        assert Suppression(return_life=1.0).return_days == 1


class TestEntries:
    def test_stronger_reasons_stay(self) -> None:
        """Who has complained, and then does not exist, has complained."""
        complaint = replace(ENTRY, reason=Reason.COMPLAINT, reply="abuse", expires=0.0)
        found = merged(complaint, replace(ENTRY, at=5.0))
        assert (found.reason, found.reply, found.expires) == (Reason.COMPLAINT, "abuse", 0.0)
        assert (found.count, found.at) == (2, 5.0)
        assert merged(ENTRY, complaint).reason is Reason.COMPLAINT

    def test_the_later_end_counts(self) -> None:
        """Striking again lengthens it, and never shortens it."""
        assert merged(ENTRY, replace(ENTRY, expires=50.0)).expires == 100.0
        assert merged(ENTRY, replace(ENTRY, expires=500.0)).expires == 500.0

    def test_told(self) -> None:
        """The sender reads whose list it is, why, since when, and what was said."""
        reply = refusal(ENTRY, BOB)
        assert (reply.code, reply.detail) == (550, "7.1")
        assert "<bob@far.example> is on the suppression list of shop.example" in reply.text
        assert "hard failure" in reply.text
        assert "1970" in reply.text
        assert "550 5.1.1 No" in reply.text
        assert "of this hub" in refusal(replace(ENTRY, domain="*"), BOB).text

    def test_for_programs(self) -> None:
        """All of it, as plain values."""
        assert asdict(ENTRY)["reason"] == "hard"
        assert set(asdict(ENTRY)) == set(Entry.__slots__)
