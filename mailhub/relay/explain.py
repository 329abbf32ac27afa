"""Says what would happen to a message now, and why, and does none of it.

The questions are those that an arriving message asks, put to the same functions in the
same order: `policy.access`, `policy.submission`, `policy.loop`, `policy.route`, the DNS,
`policy.provider`. Nothing is written, no connection made but to name servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy import loop, submission
from mailhub.policy.access import (
    OWN_SENDERS,
    check_recipient,
    check_sender,
    recipient_verdict,
)
from mailhub.policy.alias import Expansion
from mailhub.policy.queueclass import Facts, QueueClass, classify
from mailhub.policy.rule import Rule
from mailhub.ports.accounts import Account
from mailhub.ports.conversation import Client
from mailhub.relay.outlook import outlook
from mailhub.relay.step import Letter, Step, World, decided, refused
from mailhub.relay.unwanted import unwanted


async def explained(letter: Letter, client: Client, world: World) -> AsyncIterator[Step]:
    """Step by step what would happen to a message that `client` hands in."""
    settings = world.settings
    try:
        verdict = await check_sender(client, letter.sender, world.directory, settings.access)
    except Refusal as refusal:
        yield refused("MAIL", "", refusal)
        return
    yield decided("MAIL", "", verdict)
    found = []
    for path in letter.recipients:
        try:
            expansion = await _expansion(client, path, world)
        except Refusal as refusal:
            yield refused("RCPT", str(path), refusal)
            continue
        verdict = recipient_verdict(client, path, expansion, settings.access)
        yield decided("RCPT", str(path), verdict)
        for member, no in expansion.refused:
            yield refused("RCPT", str(member), no)
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
        async for step in _elsewhere(letter, client, path, chosen.name, world):
            yield step


async def _elsewhere(
    letter: Letter, client: Client, path: Path, class_name: str, world: World
) -> AsyncIterator[Step]:
    """What would come of one recipient who is not ours."""
    async for step in unwanted(letter, client, path, class_name, world):
        yield step
        if step.refused:
            return
    async for step in outlook(letter, client, path, class_name, world):
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
        yield refused("content", "", refusal)
        return
    if client.account is None:
        return
    if settings.access.own_senders:
        try:
            await submission.check_authors(
                header, client.account, world.directory, settings.aliases
            )
        except Refusal as refusal:
            yield refused("content", "", refusal)
            return
        yield Step("content", "", "From: an address of the account", OWN_SENDERS)
    missing = [name for name in (b"date", b"message-id", b"from") if not header.first(name)]
    if missing:
        names = b", ".join(missing).decode()
        yield Step("content", "", f"header: {names} would be added (RFC 6409 §8)")


def _allowed(letter: Letter, client: Client, world: World) -> Iterator[Step]:
    """What an account may send, what it has sent, and whether this would be too much."""
    if client.account is None:
        return
    path, allowances = client.account.path, world.allowances
    for each in allowances.of(path):
        section, then = f"limit {each.name}", each.action.value
        for key, limit, gone in allowances.spent(each, path):
            text = f"{each.subject(path)}: {gone} of {limit} {key} sent; beyond them: {then}"
            yield Step("limit", "", text, Rule(section, key))
    try:
        allowances.check(path, letter.recipients)
    except Refusal as refusal:
        yield refused("limit", "", refusal)
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
