"""Who may send what to whom: the verdicts on MAIL and RCPT.

Invariants:

1. Never an open relay: mail for a domain that is not hosted here, nor backed up, is
   taken from those who have logged in, and from networks that the operator trusts, alone.
2. Local parts are names and nothing else: ``user%far@hub``, ``far!user@hub`` and
   ``"user@far"@hub`` are looked up as they stand, and never become an address
   elsewhere. (Source routes are dropped by `parse_path`, RFC 5321 §4.1.1.3.)
3. The null reverse-path is always allowed, or bounces and receipts could not
   come in, or go out (RFC 5321 §4.5.5, RFC 8098 §2.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from mailhub.mail.address import NULL, Path, literal_address
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.policy import alias
from mailhub.policy.alias import Expansion, expand, may_send_as, no_such_mailbox
from mailhub.policy.backup import Backup, backing
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Directory
from mailhub.ports.conversation import Client

CLIENTS: Final = 4096
"""Addresses of which it is remembered whether they are trusted."""
TRUSTED: Final = Rule("smtp", "trusted networks")
OWN_SENDERS: Final = Rule("submission", "own addresses only")


@value(frozen=True, slots=True)
class Rules:
    """What the operator allows.

    Attributes:
        trusted: Networks whose hosts may relay through us without a login.
        addresses: Our own IP addresses, in canonical form: an address literal
            of one of them is ours (RFC 5321 §4.1.3).
        literal_domain: The hosted domain that such a literal stands for; where
            it is empty only postmaster can be reached by literal.
        own_senders: Those who have logged in send from their own addresses alone.
        backups: Domains that we take mail for while their own hosts are down.
    """

    trusted: tuple[IPv4Network | IPv6Network, ...] = ()
    addresses: frozenset[str] = frozenset()
    literal_domain: str = ""
    own_senders: bool = True
    aliases: alias.Rules = field(default_factory=alias.Rules)
    backups: tuple[Backup, ...] = ()
    _known: dict[str, Verdict | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def trusting(self, address: str) -> Verdict | None:
        """Why a client at this address is trusted, which is asked again and again; None if not."""
        if address not in self._known:
            if len(self._known) >= CLIENTS:
                self._known.clear()
            self._known[address] = _within(address, self.trusted)
        return self._known[address]


async def check_sender(
    client: Client, reverse_path: Path, directory: Directory, rules: Rules
) -> Verdict:
    """Judge MAIL; why it is allowed.

    Raises:
        Refusal: 530 5.7.0 before a login where one is needed (RFC 6409 §4.3);
            501 5.1.7 for ``<postmaster>``, which is a recipient only; 550 5.7.1
            for an address that belongs to somebody else (RFC 6409 §6.1).
    """
    if client.submission and client.account is None:
        raise Refusal(530, "7.0", "Authentication required")
    if reverse_path != NULL and not reverse_path.domain:
        raise Refusal(501, "1.7", "A sender needs a domain")
    verdict = sender_verdict(client, reverse_path, rules)
    if reverse_path == NULL or client.account is None or not rules.own_senders:
        return verdict
    if not await may_send_as(client.account, reverse_path, directory, rules.aliases):
        words = "Not an address of the account that has logged in"
        raise Refusal(550, "7.1", words).by(OWN_SENDERS)
    return verdict


def sender_verdict(client: Client, reverse_path: Path, rules: Rules) -> Verdict:
    """Why MAIL is allowed, or would be: what `check_sender` goes by."""
    if reverse_path == NULL:
        return _NOTICE
    if client.account is None:
        return _STRANGER
    if not rules.own_senders:
        return _ANY_SENDER
    return Verdict(f"sender: an address of {client.account.path}", OWN_SENDERS)


_NOTICE: Final = Verdict("sender: the null reverse-path, which is always allowed")
_STRANGER: Final = Verdict("sender: any, of one who has not logged in")
_ANY_SENDER: Final = Verdict("sender: any, of those who have logged in", OWN_SENDERS)


async def check_recipient(
    client: Client, forward_path: Path, directory: Directory, rules: Rules, host: str = ""
) -> Expansion:
    """Judge RCPT: who gets mail for this forward-path.

    `host` is our name: it has a postmaster even if it is no hosted domain
    (RFC 5321 §4.5.1).

    Raises:
        Refusal: 550 5.7.1 for relaying; as `alias.expand` for hosted domains.
    """
    path = _own(forward_path, rules)
    if path.domain == host and not await directory.hosted(host):
        path = _role(path)
    expansion = await expand(path, directory, rules.aliases)
    # An address that stands for itself is in a foreign domain; one of ours never does.
    if path in expansion.others and not may_relay(client, rules):
        backup = None if client.submission else backing(path.domain, rules.backups)
        if backup is None:
            raise Refusal(550, "7.1", "Relaying denied").by(TRUSTED)
        if not backup.has(path):
            raise no_such_mailbox().by(Rule(f"backup {backup.name}", "recipients"))
    return expansion


def recipient_verdict(
    client: Client, forward_path: Path, expansion: Expansion, rules: Rules
) -> Verdict:
    """Why RCPT was allowed, given what `check_recipient` found."""
    if forward_path in expansion.others:
        relayed = relaying(client, rules)
        if relayed is None:
            backup = backing(forward_path.domain, rules.backups)
            if backup is not None:
                rule = Rule(f"backup {backup.name}", "domains")
                return Verdict(f"<{forward_path}>: in a domain that we back up", rule)
            return Verdict(f"<{forward_path}>: in a domain that is not ours")
        return Verdict(f"<{forward_path}>: relayed, as {relayed.what}", relayed.rule)
    names = [*(account.path for account in expansion.accounts), *expansion.others]
    if len(names) == 1:
        return Verdict(f"<{forward_path}>: is {names[0]}")
    return Verdict(f"<{forward_path}>: stands for {len(names)} recipients")


def may_relay(client: Client, rules: Rules) -> bool:
    """Whether a client may send to the whole world."""
    return relaying(client, rules) is not None


def relaying(client: Client, rules: Rules) -> Verdict | None:
    """Why a client may send to the whole world; None if it may not."""
    if client.account is not None:
        return Verdict(f"{client.account.path} has logged in")
    if client.submission or not rules.trusted:
        return None
    return rules.trusting(client.address)


def _within(text: str, networks: Iterable[IPv4Network | IPv6Network]) -> Verdict | None:
    """Which of the networks an address is in."""
    try:
        address = ip_address(text)
    except ValueError:
        return None  # a Unix socket: it has no network
    for network in networks:
        if address in network:
            return Verdict(f"{address} is in {network}", TRUSTED)
    return None


def _role(path: Path) -> Path:
    """The path with our own name left out, if it is one that each host has."""
    return Path(path.local, "") if path.local.casefold() in alias.ALWAYS_DELIVERABLE else path


def _own(path: Path, rules: Rules) -> Path:
    """The path with an address literal that means us replaced by our domain."""
    if literal_address(path.domain) not in rules.addresses:
        return path
    if not rules.literal_domain and path.local.casefold() != "postmaster":
        raise no_such_mailbox()
    return Path(path.local, rules.literal_domain)
