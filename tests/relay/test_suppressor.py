"""What is on a suppression list is kept back, and the rest gets a return path of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from mailhub.mail.address import NULL
from mailhub.mail.address import Path as Address
from mailhub.mail.envelope import Notify, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.scribe import Nobody
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.policy.returnpath import day_of
from mailhub.policy.suppression import Action, Entry, Reason, Sending, Suppression
from mailhub.policy.suppression import Terms as Wanted
from mailhub.queue.change import Due, Sent
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.item import Answer, Failed, Held, Item, Pending, attempted
from mailhub.queue.suppressions import Suppressions
from mailhub.relay.keyring import Keyring
from mailhub.relay.strikes import GATHER, Strikes
from mailhub.relay.suppressor import DOMAINS, Suppressor, Terms
from tests.queue import given as make
from tests.rig import InlineDisk, run

ANN = Address("ann", "shop.example")
BOB, EVE = Address("bob", "far.example"), Address("eve", "far.example")
BULK = Flow("ann@shop.example", "bulk")
NO = Reply(550, "1.1", ("No such user",))


def item(*recipients: Address, flow: Flow = BULK, sender: Address = ANN) -> Item:
    return make.item(*(recipients or (BOB,)), sender=sender, flow=flow, arrived=1_000_000.0)


class Rig:
    """A suppressor, over lists on a disk."""

    def __init__(self, state: Path) -> None:
        self.clock = Clock()
        self.clock.rightNow = 1_000_000.0
        self.lists = Suppressions(str(state))
        self.terms = Terms(Suppression())
        self.allowed = True
        self.hosted = {"shop.example"}
        now, recorder = self.clock.seconds, Nobody()
        disk = InlineDisk()
        self.strikes = Strikes(self.lists, disk, self.clock, now, recorder, self.terms.of)
        self.keyring = Keyring(self.lists, lambda: b"secret", now, 30)
        self.suppressor = Suppressor(
            self.terms,
            self.lists,
            self.strikes,
            self.keyring,
            self.is_hosted,
            lambda *_: self.allowed,
            now,
            recorder,
        )

    async def is_hosted(self, domain: str) -> bool:
        return domain in self.hosted

    def obey(self, **terms: object) -> None:
        self.terms.obey(Suppression(Wanted(**terms)))  # type: ignore[arg-type]

    def put(self, path: Address = BOB, reason: Reason = Reason.HARD, domain: str = "") -> None:
        domain = domain or "shop.example"
        self.lists.put([Entry(domain, path.key, reason, 0.0, 0.0, 1, "550 5.1.1 No")])

    def refused(self, sent: Item) -> dict[int, Answer]:
        if not self.suppressor.concerns(sent.flow, sent.envelope.reverse_path):
            return {}
        return self.suppressor.refused(sent, range(len(sent.fates)))

    def as_sent(self, sent: Item, *places: int) -> Address:
        envelope, _ = run(self.suppressor.sent_as("hop", sent, places or (0,), sent.envelope))
        return envelope.reverse_path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    run(made.strikes.stop())
    made.lists.close()


class TestWhoseBusiness:
    @pytest.mark.parametrize(
        ("flow", "sender", "concerned"),
        [
            (BULK, ANN, True),
            (Flow("ann@shop.example", "normal"), ANN, False),
            (Flow("", "bulk"), ANN, False),
            (BULK, NULL, False),
            (COMMON, ANN, False),
        ],
    )
    def test_by_default(self, rig: Rig, flow: Flow, sender: Address, concerned: bool) -> None:
        """Bulk mail of our own: nobody's letters, no notices, nothing that strangers send."""
        assert rig.suppressor.concerns(flow, sender) is concerned

    def test_terms_are_asked_for_once(self, rig: Rig) -> None:
        """Many domains, and still little is remembered; a reload is obeyed."""
        for number in range(DOMAINS + 10):
            rig.terms.of(f"d{number}.example")
        assert rig.suppressor.concerns(BULK, ANN)
        rig.obey(action=Action.OFF)
        assert not rig.suppressor.concerns(BULK, ANN)


class TestRefused:
    def test_on_the_list(self, rig: Rig) -> None:
        """Whoever is on it is answered for; the others go."""
        rig.put()
        found = rig.refused(item(EVE, BOB))
        assert list(found) == [1]
        assert found[1].reply.permanent
        assert found[1].cause is Cause.SUPPRESSED
        assert "suppression list of shop.example" in found[1].reply.text

    def test_other_lists(self, rig: Rig) -> None:
        """Another domain's list is not ours; everybody's is."""
        rig.put(domain="other.example")
        assert not rig.refused(item())
        rig.put(domain="*")
        assert "of this hub" in rig.refused(item())[0].reply.text

    def test_complaints(self, rig: Rig) -> None:
        """Classes that those who have complained still get, they get."""
        rig.obey(classes=("*",), complaint_classes=("bulk",))
        rig.put(reason=Reason.COMPLAINT)
        assert rig.refused(item())
        reset = Flow("ann@shop.example", "reset")
        assert not rig.refused(item(flow=reset))
        rig.put(reason=Reason.HARD)
        assert rig.refused(item(flow=reset))

    def test_postmaster(self, rig: Rig) -> None:
        """A postmaster is always written to."""
        rig.put(Address("postmaster", "far.example"))
        assert not rig.refused(item(Address("Postmaster", "far.example")))

    def test_held(self, rig: Rig) -> None:
        """With hold, it waits for the operator, and is not given up."""
        rig.obey(action=Action.HOLD)
        rig.put()
        before = item()
        after = attempted(before, rig.refused(before), 2e9, Schedule())
        [fate] = after.fates
        assert isinstance(fate, Held)
        assert "suppression list" in fate.why
        again = attempted(after, rig.refused(before), 2e9, Schedule())
        assert again.fates == after.fates

    def test_lists_that_cannot_be_read(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then mail goes."""

        def no(*_: object) -> None:
            raise OSError(5, "broken")

        rig.put()
        monkeypatch.setattr(rig.lists, "find", no)
        assert not rig.refused(item())


class TestAtRcpt:
    def check(self, rig: Rig, *classes: str, path: Address = BOB) -> None:
        rig.suppressor.check(ANN, path, classes)

    def test_refused(self, rig: Rig) -> None:
        """Where it is certain, RCPT is refused."""
        rig.obey(action=Action.REFUSE)
        rig.put()
        with pytest.raises(Refusal, match=r"550 5\.7\.1 Not sent"):
            self.check(rig, "bulk")
        self.check(rig, "bulk", path=EVE)

    def test_not_certain(self, rig: Rig) -> None:
        """While the mail may be of a class that goes there, it is let in."""
        rig.obey(action=Action.REFUSE)
        rig.put()
        self.check(rig, "bulk", "normal")

    @pytest.mark.parametrize("action", [Action.BOUNCE, Action.HOLD, Action.OFF])
    def test_otherwise(self, rig: Rig, action: Action) -> None:
        """Unless that is wanted, nobody is refused there."""
        rig.obey(action=action)
        rig.put()
        self.check(rig, "bulk")


class TestReturnPaths:
    def test_not_by_default(self, rig: Rig) -> None:
        """Nothing is changed that nobody has asked for."""
        assert rig.as_sent(item()) == ANN

    def test_signed(self, rig: Rig) -> None:
        """It names message and recipient, in the sender's domain, and is read back."""
        rig.obey(returns=("bulk",))
        sent = item(EVE, BOB)
        path = rig.as_sent(sent, 1)
        ticket = rig.keyring.read(path)
        assert path.domain == "shop.example"
        assert ticket == (day_of(1_000_000.0), sent.queue_id, 1)

    def test_the_same_at_each_attempt(self, rig: Rig) -> None:
        """Or greylisting would never end."""
        rig.obey(returns=("bulk",))
        first = rig.as_sent(item())
        rig.clock.advance(3 * 86_400)
        assert rig.as_sent(item()) == first

    def test_sent_before_its_time(self, rig: Rig) -> None:
        """What an operator sends before it was to be released is not taken for years old."""
        rig.obey(returns=("bulk",))
        later = make.item(BOB, sender=ANN, flow=BULK, arrived=1_000_000.0, hold_for=20 * 86_400)
        path = rig.as_sent(later)
        ticket = rig.keyring.read(path)
        assert ticket is not None
        assert ticket.day == day_of(1_000_000.0)

    def test_return_domain(self, rig: Rig) -> None:
        """It may be in a domain of its own, which need not be hosted."""
        rig.obey(returns=("bulk",), return_domain="bounces.shop.example")
        assert rig.as_sent(item()).domain == "bounces.shop.example"

    def test_not_hosted(self, rig: Rig) -> None:
        """Never in a domain whose bounces would not come to us."""
        rig.obey(returns=("bulk",))
        rig.hosted = set()
        assert rig.as_sent(item()) == ANN

    def test_not_allowed(self, rig: Rig) -> None:
        """Nor on a way where it may not be."""
        rig.obey(returns=("bulk",))
        rig.allowed = False
        assert rig.as_sent(item()) == ANN

    def test_several_together(self, rig: Rig) -> None:
        """Several recipients cannot share one: these were put together before a reload."""
        rig.obey(returns=("bulk",))
        assert rig.as_sent(item(BOB, EVE), 0, 1) == ANN

    def test_alone(self, rig: Rig) -> None:
        """Each recipient has an attempt of its own, where it is to have a return path."""
        due = Due(0.0, item().queue_id, 0, BOB, ANN, False, BULK)
        assert not rig.suppressor.alone(due)
        rig.obey(returns=("bulk",))
        assert rig.suppressor.alone(due)
        assert not rig.suppressor.alone(replace(due, flow=COMMON))
        assert not rig.suppressor.alone(replace(due, reverse_path=NULL))


class TestRemembered:
    def test_what_was_taken(self, rig: Rig) -> None:
        """Who hears if it comes back is written with the fate: of what was taken, and only that."""
        sent = make.item(Recipient(BOB, Notify.FAILURE, "rfc822;x"), sender=ANN, envid="e")
        rig.obey(returns=("bulk",))
        _, ticket = run(
            rig.suppressor.sent_as("hop", replace(sent, flow=BULK), (0,), sent.envelope)
        )
        assert ticket is not None
        taken = Answer(make.OK, "mx", ticket=ticket)
        assert rig.suppressor.known(sent, {0: taken}) == [
            Sent(ticket, ANN, sent.envelope.recipients[0], "e")
        ]
        assert rig.suppressor.known(sent, {0: replace(taken, reply=NO)}) == []
        assert rig.suppressor.known(sent, {0: Answer(make.OK, "mx")}) == []


class TestFailures:
    def settle(self, rig: Rig, answer: Answer, flow: Flow = BULK) -> list[Entry]:
        before = item(flow=flow)
        after = attempted(before, {0: answer}, 2_000_000.0, Schedule())
        rig.suppressor.settled(after, {0: answer})
        rig.clock.advance(GATHER)
        return rig.lists.page()

    def test_hard(self, rig: Rig) -> None:
        """Who does not exist is on the list, with what was said, and by whom."""
        [entry] = self.settle(rig, Answer(NO, "mx.far.example", cause=Cause.UNKNOWN_USER))
        assert (entry.domain, entry.address, entry.reason) == (
            "shop.example",
            "bob@far.example",
            Reason.HARD,
        )
        assert entry.reply == "550 5.1.1 No such user (mx.far.example)"
        assert entry.queue_id == item().queue_id

    @pytest.mark.parametrize("cause", [Cause.POLICY, Cause.BLOCKED, Cause.CONTENT, None])
    def test_others(self, rig: Rig, cause: Cause | None) -> None:
        """What is not about the address leaves no trace."""
        assert self.settle(rig, Answer(NO, "mx", cause=cause)) == []

    def test_of_other_mail(self, rig: Rig) -> None:
        """Failures of mail that no list is about do not count, nor those of strangers' mail."""
        answer = Answer(NO, "mx", cause=Cause.UNKNOWN_USER)
        assert self.settle(rig, answer, Flow("ann@shop.example", "normal")) == []
        assert self.settle(rig, answer, Flow("", "bulk")) == []

    def test_of_mail_that_only_has_return_paths(self, rig: Rig) -> None:
        """What has a return path of ours, and no list, fills none."""
        rig.obey(classes=("other",), returns=("bulk",))
        assert self.settle(rig, Answer(NO, "mx", cause=Cause.UNKNOWN_USER)) == []

    def test_expired(self, rig: Rig) -> None:
        """What was given up for its age counts where that is wanted."""
        full = Answer(Reply(452, "2.2", ("Full",)), "mx", cause=Cause.MAILBOX_FULL)
        soon = Schedule(lifetime=60.0, least=1, warning=0.0)

        def expire() -> list[Entry]:
            after = attempted(item(), {0: full}, 2_000_000.0, soon)
            assert isinstance(after.fates[0], Failed)
            rig.suppressor.settled(after, {0: full})
            rig.clock.advance(GATHER)
            return rig.lists.page()

        assert expire() == []
        rig.obey(expiries=2)
        assert expire() == []
        [entry] = expire()
        assert entry.reason is Reason.EXPIRED

    def test_what_waits(self, rig: Rig) -> None:
        """What is tried again has not failed."""
        later = Answer(Reply(450, "1.1", ("Later",)), "mx", cause=Cause.UNKNOWN_USER)
        before = item()
        after = attempted(before, {0: later}, 1_000_001.0, Schedule())
        assert isinstance(after.fates[0], Pending)
        rig.suppressor.settled(after, {0: later})
        rig.clock.advance(GATHER)
        assert rig.lists.page() == []


def test_sections(rig: Rig) -> None:
    """Each sending domain has its own terms."""
    own = Sending("shop", ("shop.example",), Wanted(action=Action.OFF))
    rig.terms.obey(Suppression(sendings=(own,)))
    rig.put()
    assert not rig.refused(item())
    other = item(sender=Address("x", "other.example"))
    rig.put(domain="other.example")
    assert rig.refused(other)
