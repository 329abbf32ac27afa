"""Keeps each account within its allowance, as mail comes in.

What was sent is counted in the spool, in the commit that takes the mail in; so
a restart forgets nothing, and what was not accepted does not count. What is on its
way to that commit counts already: messages that come at the very same time are
together no more than others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from mailhub.mail.address import Path
from mailhub.mail.value import replace
from mailhub.policy.allowance import Action, Allowance, Excess, Used, exceeded, slot_of, spent
from mailhub.queue.change import Count
from mailhub.queue.item import Held, Item, Pending
from mailhub.queue.usage import number_of

QUIET: Final = 86400.0
"""Seconds for which the postmaster is not told the same again."""

Tell = Callable[[str, str], None]
"""Writes a note to the postmaster: its subject and its text."""


class Sent(Protocol):
    """What was sent: see `queue.look.Reading`."""

    def used(self, subject: str, slot: int) -> list[Used]: ...
    def strangers(self, subject: str, recipients: Sequence[int]) -> int: ...


class NothingSent:
    """Of a hub that has had no mail yet."""

    def used(self, subject: str, slot: int) -> list[Used]:  # noqa: ARG002
        """Nothing."""
        return []

    def strangers(self, subject: str, recipients: Sequence[int]) -> int:  # noqa: ARG002
        """All of them."""
        return len(recipients)


class Allowances:
    """The allowances of one hub.

    Attributes:
        all: May be replaced.
    """

    def __init__(
        self,
        all_: Sequence[Allowance],
        reads: Sent,
        now: Callable[[], float],
        tell: Tell,
    ) -> None:
        self.all = tuple(all_)
        self._reads = reads
        self._now = now
        self._tell = tell
        self._told: dict[tuple[str, str], float] = {}
        self._coming: dict[str, list[Count]] = {}  # on their way into the spool

    def of(self, account: Path) -> list[Allowance]:
        """Those that are this account's."""
        return [each for each in self.all if each.applies(account)]

    def spent(self, each: Allowance, account: Path) -> list[tuple[str, int, int]]:
        """Of an allowance of this account's each limit: its key, what it is, how much is gone."""
        now = self._now()
        used = self._used(each.subject(account), now)
        return [(key, limit, gone) for key, limit, _, gone in spent(each, used, now)]

    def check(self, account: Path, recipients: Sequence[Path]) -> None:
        """Judge a message on its way, by the recipients that it has so far.

        Raises:
            Refusal: 452 4.7.1 beyond an allowance that refuses.
        """
        for each in self.of(account):
            if each.action is Action.REFUSE:
                excess = self._exceeded(each, account, recipients)
                if excess is not None:
                    self._warn(excess, "Further mail is refused.")
                    raise excess.refusal()

    def settle(
        self, account: Path, recipients: Sequence[Path]
    ) -> tuple[list[Count], Excess | None]:
        """What is to be counted for a message that is taken, and why it is to be held, if it is.

        It counts from here on; `settled` is to be called once it is in the spool, or is not.

        Raises:
            Refusal: As `check`: others have come meanwhile.
        """
        held: Excess | None = None
        counts = {}
        slot = slot_of(self._now())
        numbers = tuple(map(number_of, recipients))
        for each in self.of(account):
            counts[each.subject(account)] = Count(each.subject(account), slot, numbers)
            excess = self._exceeded(each, account, recipients)
            if excess is None:
                continue
            if each.action is Action.REFUSE:
                self._warn(excess, "Further mail is refused.")
                raise excess.refusal()
            if each.action is Action.HOLD:
                held = held or excess
                self._warn(excess, _HELD.format(account=account))
            else:
                self._warn(excess, "Nothing is held back.")
        for count in counts.values():
            self._coming.setdefault(count.subject, []).append(count)
        return list(counts.values()), held

    def settled(self, counts: Sequence[Count]) -> None:
        """These are in the spool, or will not come there."""
        for count in counts:
            coming = self._coming[count.subject]
            coming.remove(count)
            if not coming:
                del self._coming[count.subject]

    def _used(self, subject: str, now: float) -> list[Used]:
        """What a subject has sent, and is about to have sent; to strangers, as far as one knows."""
        coming = [
            Used(it.slot, 1, len(it.recipients), len(it.recipients))
            for it in self._coming.get(subject, ())
        ]
        return [*self._reads.used(subject, slot_of(now)), *coming]

    def _exceeded(
        self, each: Allowance, account: Path, recipients: Sequence[Path]
    ) -> Excess | None:
        now, subject = self._now(), each.subject(account)
        used = self._used(subject, now)
        new = 0
        if each.new_per_day and sum(it.new for it in used) + len(recipients) > each.new_per_day:
            new = self._reads.strangers(subject, list(map(number_of, recipients)))
        return exceeded(each, subject, used, now, messages=1, recipients=len(recipients), new=new)

    def _warn(self, excess: Excess, consequence: str) -> None:
        """Tell the postmaster, once a day."""
        now, key = self._now(), (excess.subject, excess.key)
        self._told = {it: at for it, at in self._told.items() if now - at < QUIET}
        if key in self._told:
            return
        self._told[key] = now
        self._tell(
            f"{excess.subject}: limit of mail exceeded",
            f"{excess.text} ({excess.rule}).\n\n{consequence}\n\n"
            "If that is not what its owner means to send, the password may be known to others:"
            " change it.\n",
        )


_HELD: Final = (
    "Further mail is accepted and held:\n\n"
    "    mailhub queue list --held            shows it\n"
    "    mailhub queue release --account {account}    lets it go\n"
    "    mailhub queue drop --account {account}       removes it"
)


def hold_all(item: Item, why: str) -> Item:
    """An item as it is accepted, with everybody held; a mailbox of ours waits like the others."""
    fates = tuple(
        Held(replace(fate, put_off=place is not None), why) if isinstance(fate, Pending) else fate
        for fate, place in zip(item.fates, item.places, strict=True)
    )
    return replace(item, fates=fates)
