"""Parameters of SELECT, and modifiers of FETCH and STORE (RFC 4466 §2, RFC 7162 §7)."""

from __future__ import annotations

from dataclasses import dataclass

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad
from mailhub.imap.returning import Partial, parse_partial
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.settings import Limits


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client that comes back knows of a mailbox (RFC 7162 §3.2.5).

    Attributes:
        uids: Those it knows; None for all that there can be.
        numbers: Some sequence numbers it knows, and `their_uids`, one for one.
    """

    uid_validity: int
    modseq: int
    uids: SequenceSet | None = None
    numbers: SequenceSet | None = None
    their_uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Selecting:
    """SELECT's parameters."""

    condstore: bool = False
    resync: Resync | None = None


PLAINLY = Selecting()
"""Without parameters."""


@dataclass(frozen=True, slots=True)
class Since:
    """FETCH's modifiers.

    Attributes:
        vanished: Tell of messages that have gone, too (RFC 7162 §3.2.6).
    """

    modseq: int
    vanished: bool = False


def parse_select(tokens: Tokens, limits: Limits) -> Selecting:
    """``[SP "(" select-param *(SP select-param) ")"]`` (RFC 4466 §6).

    Raises:
        Bad: It does not parse.
    """
    if not tokens.maybe(b" ") or tokens.ended:
        return PLAINLY
    found: dict[str, Resync | None] = {}

    def parameter() -> None:
        name = tokens.keyword()
        if name in found or name not in {"CONDSTORE", "QRESYNC"}:
            raise Bad("Unknown SELECT parameter")
        found[name] = _resync(tokens, limits) if name == "QRESYNC" else None

    tokens.parenthesised(parameter, limits.items)
    return Selecting("CONDSTORE" in found, found.get("QRESYNC"))


def _resync(tokens: Tokens, limits: Limits) -> Resync:
    # "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
    #                  [SP seq-match-data] ")"                             (RFC 7162 §7)
    tokens.space()
    tokens.expect(b"(")
    validity = tokens.number()
    tokens.space()
    modseq = tokens.number64()
    if not validity or not modseq:
        raise Bad("UIDVALIDITY and MODSEQ are not zero")
    uids = numbers = their_uids = None
    if tokens.maybe(b" ") and not tokens.next_is(b"("):
        uids = _closed(tokens, limits)
        tokens.maybe(b" ")
    if tokens.maybe(b"("):
        # seq-match-data = "(" known-sequence-set SP known-uid-set ")"
        numbers = _closed(tokens, limits)
        tokens.space()
        their_uids = _closed(tokens, limits)
        tokens.expect(b")")
        if numbers.count != their_uids.count:
            raise Bad("So many numbers, so many UIDs")
    tokens.expect(b")")
    return Resync(validity, modseq, uids, numbers, their_uids)


def _closed(tokens: Tokens, limits: Limits) -> SequenceSet:
    """A set without ``*`` (RFC 7162 §7 known-uids)."""
    found = tokens.sequence_set(limits.ranges)
    if found.open is not None or found.saved:
        raise Bad(f"{'$' if found.saved else '*'} means nothing here")
    return found


def parse_fetch(
    tokens: Tokens, limits: Limits, *, by_uid: bool
) -> tuple[Since | None, Partial | None]:
    """``[SP "(" fetch-modifier *(SP fetch-modifier) ")"]`` (RFC 4466 §6, RFC 9394 §3.2).

    Raises:
        Bad: It does not parse.
    """
    if not tokens.maybe(b" ") or tokens.ended:
        return None, None
    found: dict[str, int] = {}
    partials: list[Partial] = []

    def modifier() -> None:
        name = tokens.keyword()
        if name in found or name not in {"CHANGEDSINCE", "PARTIAL", "VANISHED"}:
            raise Bad("Unknown FETCH modifier")
        found[name] = _since(tokens) if name == "CHANGEDSINCE" else 0
        if name == "PARTIAL":
            tokens.space()
            partials.append(parse_partial(tokens))

    tokens.parenthesised(modifier, limits.items)
    if "VANISHED" in found and not (by_uid and "CHANGEDSINCE" in found):
        raise Bad("VANISHED wants UID FETCH and CHANGEDSINCE")  # RFC 7162 §3.2.6
    if partials and not by_uid:
        raise Bad("PARTIAL wants UID FETCH")
    since = found.get("CHANGEDSINCE")
    return (
        None if since is None else Since(since, "VANISHED" in found),
        partials[0] if partials else None,
    )


def _since(tokens: Tokens) -> int:
    tokens.space()
    return tokens.number64()


def parse_store(tokens: Tokens) -> int | None:
    """``["(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" SP]`` (RFC 7162 §7).

    Raises:
        Bad: It does not parse.
    """
    if not tokens.maybe(b"("):
        return None
    if tokens.keyword() != "UNCHANGEDSINCE":
        raise Bad("Unknown STORE modifier")
    modseq = _since(tokens)
    tokens.expect(b")")
    tokens.space()
    return modseq
