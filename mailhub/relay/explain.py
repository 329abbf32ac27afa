"""Says what would happen to a message now, and why, and does none of it.

The questions are those that an arriving message asks, put to the same functions in the
same order: `policy.access`, `policy.submission`, `policy.loop`, `policy.route`, the DNS,
`policy.provider`. Nothing is written, no connection made but to name servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mailhub.config.settings import Settings
from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy import loop, submission
from mailhub.policy.access import (
    OWN_SENDERS,
    TRUSTED,
    check_recipient,
    check_sender,
    may_relay,
    recipient_verdict,
)
from mailhub.policy.alias import Expansion
from mailhub.policy.limits import Family
from mailhub.policy.provider import Providers
from mailhub.policy.queueclass import Facts, QueueClass, classify
from mailhub.policy.route import (
    Exchange,
    Hop,
    Smarthost,
    candidates,
    literal_host,
    matching,
    route,
    routed,
)
from mailhub.policy.rule import Rule
from mailhub.policy.terms import terms
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account, Directory
from mailhub.ports.conversation import Client
from mailhub.ports.outgoing import Lookup
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain, Resolver
from mailhub.relay.allowances import Allowances
from mailhub.relay.names import Names, is_address

HOSTS: Final = 5
"""Exchanges whose addresses are looked up."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would be decided or found out.

    Attributes:
        stage: When: ``MAIL RCPT content limit class route lookup terms mailbox``.
        about: The recipient, or ``""`` for the whole message.
        refused: The message would go no further, for this recipient.
    """

    stage: str
    about: str
    what: str
    rule: Rule | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """The message: `header` is empty where only its envelope is known.

    Attributes:
        size: Octets in all.
    """

    sender: Path
    recipients: tuple[Path, ...]
    header: bytes = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """Whom to ask.

    Attributes:
        resolver: None to look nothing up.
        allowances: None where nothing is known of what was sent.
        standing: Says of a provider how it stands: when its next slot is, whether it is
            suspended.
    """

    settings: Settings
    directory: Directory
    now: Callable[[], float]
    shuffle: Callable[[list[Any]], object]
    resolver: Resolver | None = None
    allowances: Allowances | None = None
    standing: Callable[[str], Sequence[str]] = field(default=lambda name: ())  # noqa: ARG005


async def explained(letter: Letter, client: Client, world: World) -> AsyncIterator[Step]:
    """Step by step what would happen to a message that `client` hands in."""
    settings = world.settings
    try:
        verdict = await check_sender(client, letter.sender, world.directory, settings.access)
    except Refusal as refusal:
        rule = None if client.account is None else OWN_SENDERS
        yield _refused("MAIL", "", refusal, rule)
        return
    yield _step("MAIL", "", verdict)
    found = []
    for path in letter.recipients:
        try:
            expansion = await _expansion(client, path, world)
        except Refusal as refusal:
            denied = refusal.reply.detail == "7.1" and not may_relay(client, settings.access)
            yield _refused("RCPT", str(path), refusal, TRUSTED if denied else None)
            continue
        yield _step("RCPT", str(path), recipient_verdict(client, path, expansion, settings.access))
        for member, no in expansion.refused:
            yield _refused("RCPT", str(member), no, None)
        found.append(expansion)
    if not found:
        return
    async for step in _judged(letter, client, found, world):
        yield step
        if step.refused:
            return
    chosen = _class(letter, client, world)
    yield Step("class", "", *_weighed(chosen))
    for account in _unique(account for expansion in found for account in expansion.accounts):
        yield _mailbox(account)
    for path in _unique(path for expansion in found for path in expansion.others):
        async for step in _journey(letter.sender, path, world, chosen.name):
            yield step


async def _judged(
    letter: Letter, client: Client, found: Sequence[Expansion], world: World
) -> AsyncIterator[Step]:
    """What is said of the message as a whole; nothing follows a refusal."""
    async for step in _content(letter, client, found, world):
        yield step
    for step in _allowed(letter, client, world):
        yield step


async def _expansion(client: Client, path: Path, world: World) -> Expansion:
    settings = world.settings
    return await check_recipient(
        client, path, world.directory, settings.access, settings.hub.hostname
    )


def _unique(found: Any) -> list[Any]:
    """Each once, in order; paths by what they are compared by."""
    return list({getattr(it, "key", it): it for it in found}.values())


# ---- The content ---------------------------------------------------------------------------


async def _content(
    letter: Letter, client: Client, found: Sequence[Expansion], world: World
) -> AsyncIterator[Step]:
    """What is said of size and header."""
    settings = world.settings
    service = "submission" if client.submission else "smtp"
    limit = (settings.submission if client.submission else settings.smtp).size
    rule = Rule(service, "message limit")
    if limit and letter.size > limit:
        text = f"552 5.3.4 {letter.size} octets are more than {limit}"
        yield Step("content", "", text, rule, refused=True)
        return
    if letter.size:
        yield Step("content", "", f"size: {letter.size} octets, of {limit or 'any number'}", rule)
    if not letter.header:
        return
    header, _ = submission.sections(letter.header)
    mine = [account.path for expansion in found for account in expansion.accounts]
    try:
        loop.check_hops(header, settings.intake.hops)
        loop.check_delivered_to(header, mine)
    except Refusal as refusal:
        yield _refused("content", "", refusal, Rule("smtp", "hops"))
        return
    if client.account is None:
        return
    if settings.access.own_senders:
        try:
            await submission.check_authors(
                header, client.account, world.directory, settings.aliases
            )
        except Refusal as refusal:
            yield _refused("content", "", refusal, OWN_SENDERS)
            return
        yield Step("content", "", "From: an address of the account", OWN_SENDERS)
    missing = [name for name in (b"date", b"message-id", b"from") if not header.first(name)]
    if missing:
        names = b", ".join(missing).decode()
        yield Step("content", "", f"header: {names} would be added (RFC 6409 §8)")


def _allowed(letter: Letter, client: Client, world: World) -> Iterator[Step]:
    """What an account may send, and whether this would be too much."""
    if client.account is None or world.allowances is None:
        return
    path, allowances = client.account.path, world.allowances
    for each in allowances.of(path):
        section = f"limit {each.name}"
        for key, limit in each.limits():
            yield Step("limit", "", f"{each.subject(path)}: {limit} {key}", Rule(section, key))
    try:
        allowances.check(path, letter.recipients)
    except Refusal as refusal:
        yield _refused("limit", "", refusal, None)
        return
    _, excess = allowances.settle(path, letter.recipients)
    if excess is not None:
        yield Step("limit", "", f"accepted and held: {excess.text}", excess.rule)


def _class(letter: Letter, client: Client, world: World) -> QueueClass:
    """Which class the message would be in."""
    account = None if client.account is None else client.account.path
    header, _ = submission.sections(letter.header)
    facts = Facts(letter.sender, account, len(letter.recipients), header)
    classes = world.settings.classes
    return classes.find(classify(facts, classes.all))


def _weighed(chosen: QueueClass) -> tuple[str, Rule]:
    return f"class: {chosen.name}, weight {chosen.weight:g}", Rule(f"class {chosen.name}")


def _mailbox(account: Account) -> Step:
    """Where a local recipient's copy would lie."""
    limits = account.quota
    quota = f", quota {limits.octets} octets" if limits.octets else ""
    quota += f", {limits.messages} messages" if limits.messages else ""
    return Step("mailbox", str(account.path), f"filed into INBOX of {account.path}{quota}")


# ---- The way out ---------------------------------------------------------------------------


async def _journey(sender: Path, path: Path, world: World, class_name: str) -> AsyncIterator[Step]:
    """Route, exchanges, provider and its terms, for one recipient elsewhere."""
    relay, about = world.settings.relay, str(path)
    found = matching(sender, path, world.settings.routes)
    try:
        hop = route(sender, path, world.settings.routes, port=relay.port, tls=relay.tls)
    except Refusal as refusal:
        yield _refused("route", about, refusal, None)
        return
    where, tls = routed(hop, found)
    yield _step("route", about, where)
    if world.resolver is None and isinstance(hop, Exchange):
        yield _step("terms", about, tls)
        yield Step("lookup", about, "not looked up: provider and hosts are unknown")
        return
    lookups: list[Lookup] = []
    try:
        hosts = await _looked_up(hop, world, lookups)
    except Refusal as refusal:
        for lookup in lookups:
            yield _looked(about, lookup)
        yield _refused("lookup", about, refusal, None)
        return
    for lookup in lookups:
        yield _looked(about, lookup)
    if isinstance(hop, Smarthost):
        yield _step("terms", about, tls)
    else:
        provider = Providers(world.settings.providers).of(hosts)
        for verdict in terms(provider, hop.tls, found, relay.pool):
            yield _step("terms", about, verdict)
        for line in world.standing(provider.name):
            yield Step("terms", about, line)
    if relay.reach.family is not Family.BOTH:
        rule = Rule("relay", "address family")
        yield Step("terms", about, f"addresses: {relay.reach.family.value} only", rule)
    schedule = world.settings.schedules().find(class_name, "" if found is None else found.name)
    wait = schedule.delays[0]
    text = f"attempted at once; if that fails for a while, again after {wait:.0f} s"
    yield Step("terms", about, text, schedule.line("delays"))


async def _looked_up(hop: Hop, world: World, lookups: list[Lookup]) -> Sequence[Mx]:
    """The hosts to try, best first, and in `lookups` what it took to know that.

    Raises:
        Refusal: There are none, or they cannot be found out.
    """
    if world.resolver is None:
        assert isinstance(hop, Smarthost)
        return [Mx(0, hop.host)]
    names = Names(world.resolver, world.now)
    try:
        hosts = await _hosts(hop, names, world)
        for host in hosts[:HOSTS]:
            await _address(host.host, names)
    finally:
        lookups += names.lookups
    return hosts


async def _hosts(hop: Hop, names: Names, world: World) -> Sequence[Mx]:
    """The hosts to try, best first.

    Raises:
        Refusal: There are none, or they cannot be found out.
    """
    if isinstance(hop, Smarthost):
        return [Mx(0, hop.host)]
    address = literal_host(hop)
    if address is not None:
        return [Mx(0, address)]
    try:
        answer = await names.mx(hop.domain)
    except NoSuchDomain:
        raise Refusal(550, "1.2", f"The domain {hop.domain} does not exist") from None
    except LookupFailed as failure:
        raise Refusal(451, "4.3", f"Looking up {hop.domain} failed: {failure}") from None
    ourselves = (world.settings.hub.hostname,)
    return candidates(hop.domain, answer.records, world.shuffle, ourselves)


async def _address(host: str, names: Names) -> None:
    """Look a host's addresses up, for the record."""
    try:
        if not is_address(host):
            await names.addresses(host)
    except (NoSuchDomain, LookupFailed):
        pass  # it is noted


def _looked(about: str, lookup: Lookup) -> Step:
    mark = ", authentic" if lookup.authentic else ""
    return Step("lookup", about, f"{lookup.question}: {lookup.answer}{mark}")


def _step(stage: str, about: str, verdict: Verdict) -> Step:
    return Step(stage, about, verdict.what, verdict.rule)


def _refused(stage: str, about: str, refusal: Refusal, rule: Rule | None) -> Step:
    return Step(stage, about, refusal.reply.text, rule, refused=True)
