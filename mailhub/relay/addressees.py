"""The recipients of a queue item, made of those that RCPT named: aliases give way to their members.

What DSN asks of that is RFC 3461 §5.2.7: one who is forwarded to inherits all
options; the members of a list never report success, and a sender who wants to
hear of success is told that the list was expanded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mailhub.mail.address import Path
from mailhub.mail.envelope import Notify, Recipient
from mailhub.mail.reply import Reply
from mailhub.mail.value import replace
from mailhub.policy.alias import Expansion, Rules, expand
from mailhub.ports.accounts import Account, Directory
from mailhub.queue.item import Expanded, Item, Local
from mailhub.smtp import xtext

INBOX = "INBOX"
Posting = Callable[[Account, str], str]
"""Which mailbox of an account mail with this subaddress goes to."""
_EXPANDED = Reply(250, "1.5", ("Expanded",))


@dataclass(slots=True)
class Addressees:
    """Recipients and their places, each mailbox and each address once.

    Attributes:
        expanded: Numbers of those that are settled from the start: lists whose
            expansion must be reported.
    """

    recipients: list[Recipient] = field(default_factory=list)
    places: list[Local | None] = field(default_factory=list)
    expanded: list[int] = field(default_factory=list)
    _seen: set[object] = field(default_factory=set)

    def add(
        self,
        recipient: Recipient,
        expansion: Expansion,
        separator: str = "+",
        posting: Posting = lambda _account, _detail: INBOX,
    ) -> None:
        """Add those who get mail for one recipient."""

        def place_of(account: Account) -> Local:
            path = recipient.path
            if not separator or path.key == account.path.key:
                return Local(account.id)
            detail = path.local.partition(separator)[2]
            direct = detail and _names(path, account.path, separator)
            return Local(account.id, posting(account, detail) if direct else INBOX)

        members = [
            *((account.path, place_of(account)) for account in expansion.accounts),
            *((path, None) for path in expansion.others),
        ]
        if len(members) > 1 and recipient.notify is not None:
            recipient = self._report_expansion(recipient, recipient.notify)
        for path, place in members:
            # What mail is addressed to, subaddress included, stays visible where nothing stood
            # between; behind an alias the member is addressed.
            if _names(recipient.path, path, "" if place is None else separator):
                self._put(recipient, place)
            else:
                self._put(_forwarded(recipient, path), place)

    def settle(self, item: Item) -> Item:
        """The item, made of these recipients, with the expanded ones settled."""
        if not self.expanded:
            return item
        fates = list(item.fates)
        for number in self.expanded:
            fates[number] = Expanded(_EXPANDED, item.arrived)
        return replace(item, fates=tuple(fates))

    def _report_expansion(self, recipient: Recipient, notify: Notify) -> Recipient:
        """Note that a list must be reported as expanded; the options that its members get."""
        if notify & Notify.SUCCESS:
            self.expanded.append(len(self.recipients))
            self.recipients.append(recipient)
            self.places.append(None)
        return replace(recipient, notify=(notify & ~Notify.SUCCESS) or Notify.NEVER)

    def _put(self, recipient: Recipient, place: Local | None) -> None:
        key = recipient.path.key if place is None else place.account
        if key not in self._seen:
            self._seen.add(key)
            self.recipients.append(recipient)
            self.places.append(place)


def addressees(
    found: Iterable[tuple[Recipient, Expansion]],
    separator: str = "+",
    posting: Posting = lambda _account, _detail: INBOX,
) -> Addressees:
    """Those who get mail for any of these recipients."""
    result = Addressees()
    for recipient, expansion in found:
        result.add(recipient, expansion, separator, posting)
    return result


async def members(
    recipient: Recipient, directory: Directory, rules: Rules
) -> list[tuple[Recipient, Local | None]]:
    """Who a recipient of a notice of our own stands for: `relay.report.Expand`.

    Raises:
        Refusal: As `policy.alias.expand`.
    """
    expansion = await expand(recipient.path, directory, rules)
    found = addressees([(recipient, expansion)], rules.separator)
    return list(zip(found.recipients, found.places, strict=True))


def _names(path: Path, account: Path, separator: str) -> bool:
    """Whether a path is an account's address, with or without a subaddress."""
    if path.key == account.key:
        return True
    base = path.local.partition(separator)[0] if separator else path.local
    return Path(base, path.domain).key == account.key


def _forwarded(recipient: Recipient, path: Path) -> Recipient:
    """A recipient behind an alias: DSNs name the one that the sender knows (RFC 3461 §5.2.7)."""
    orcpt, named = recipient.orcpt, recipient.path
    if orcpt is None and named.needs_utf8:
        orcpt = "utf-8;" + xtext.embed(str(named))
    elif orcpt is None and named.domain:
        orcpt = "rfc822;" + xtext.encode(str(named).encode())
    return replace(recipient, path=path, orcpt=orcpt)
