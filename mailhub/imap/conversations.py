"""Threads that are worked out once: when mail comes or goes, only what it touches is anew.

Messages that speak of one another, or bear the same base subject, make a *cluster*. How a
cluster's messages are arranged depends on no others (RFC 5256 §3), so each thread can be
kept as a `Conversation`: what is said of it, and what its place among all threads goes by.

Invariants:

1. A cluster has all messages that share a message-id or a base subject with one of it. It may
   have more: what joined them may have left.
2. Kept conversations are believed only if each message that there is stands in one of them,
   once, but for those of the clusters that are arranged anew.
3. Where messages speak of so many others that it would not pay, nothing is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Final, NamedTuple

from mailhub.imap import threads
from mailhub.mail.digest import ID_OCTETS
from mailhub.ports.finding import Conversation, Threadable

ALGORITHMS: Final = frozenset({"REFERENCES", "REFS"})
"""Those that go by references; ORDEREDSUBJECT costs next to nothing."""
ANEW: Final = 1_000
"""Messages of touched clusters, above which all are arranged anew."""
NAMES: Final = 16
"""Names that new messages have for others, above which all are arranged anew."""
SPOKEN_OF: Final = 16
"""Message-ids for each message, above which nothing is kept."""
_NO_ID: Final = bytes(ID_OCTETS)


class Stale(NamedTuple):
    """What has changed since conversations were kept: UIDs of messages that came, and left."""

    come: AbstractSet[int]
    gone: AbstractSet[int]


def stale(kept: Sequence[Conversation], present: AbstractSet[int]) -> Stale | None:
    """What is lacking of conversations; None if they cannot be believed."""
    known = array("I", b"".join([it.uids for it in kept]))
    members = set(known)
    if not kept or len(members) < len(known):
        return None
    return Stale(present - members, members - present)


def names(messages: Iterable[Threadable]) -> tuple[frozenset[bytes], frozenset[str]] | None:
    """Message-ids and base subjects of messages; None if they are too many to ask for."""
    some = list(messages)
    ids = frozenset(chain.from_iterable(map(_ids, some)))
    bases = frozenset(message.base for message in some if message.base)
    return None if len(ids) + len(bases) > NAMES else (ids, bases)


def touched(
    kept: Iterable[Conversation], uids: AbstractSet[int]
) -> tuple[frozenset[int], set[int]]:
    """The clusters in which some of `uids` are, and all their messages."""
    met = frozenset(it.cluster for it in kept if not uids.isdisjoint(array("I", it.uids)))
    held = b"".join([it.uids for it in kept if it.cluster in met])
    return met, set(array("I", held))


def _ids(message: Threadable) -> Iterator[bytes]:
    ids = message.ids
    cut = (ids[start : start + ID_OCTETS] for start in range(0, len(ids), ID_OCTETS))
    return (it for it in cut if it != _NO_ID)


def worth_keeping(messages: Sequence[Threadable]) -> bool:
    """Whether messages speak of few enough others."""
    octets = sum(len(message.ids) for message in messages)
    return octets <= SPOKEN_OF * ID_OCTETS * max(len(messages), NAMES)


def converse(
    algorithm: str, messages: Sequence[Threadable], order: Sequence[int]
) -> Generator[None, None, list[Conversation]]:
    """Arrange whole clusters; arguments are those of `threads.threaded`."""
    forest = yield from threads.threaded(algorithm, messages, order)
    cluster = yield from clusters(messages)
    latest = algorithm == "REFS"

    def when(node: int) -> tuple[int, int]:
        return messages[node].sent, messages[node].uid

    found: list[Conversation] = []
    formats: list[bytes] = []
    nodes: list[int] = []
    for done, shape in enumerate(threads.shapes(forest)):
        if done % threads.STEP == threads.STEP - 1:
            yield
        formats.append(shape.octets)
        nodes += shape.nodes
        if shape.ended:
            chief = messages[max(nodes, key=when) if latest else nodes[0]]
            uids = array("I", [messages[node].uid for node in nodes])
            said = b"".join(formats)
            found.append(
                Conversation(chief.sent, chief.uid, cluster[nodes[0]], said, uids.tobytes())
            )
            formats.clear()
            nodes.clear()
    return found


def clusters(messages: Sequence[Threadable]) -> Generator[None, None, list[int]]:
    """For each message the least UID of its cluster; they are in the order of UIDs."""
    sets = array("I", range(len(messages)))

    def found(place: int) -> int:
        while sets[place] != place:
            sets[place] = place = sets[sets[place]]
        return place

    bearers: dict[bytes | str, int] = {}
    for place, message in enumerate(messages):
        if place % threads.STEP == threads.STEP - 1:
            yield
        for name in (*_ids(message), *([message.base] if message.base else ())):
            one, other = found(bearers.setdefault(name, place)), found(place)
            sets[max(one, other)] = min(one, other)
    yield
    return [messages[found(place)].uid for place in range(len(messages))]


def parts(kept: Iterable[Conversation], members: int) -> Iterator[tuple[bytes, array[int]]]:
    """What is said of conversations, about so many messages at a time: a format, and UIDs."""
    formats: list[bytes] = []
    uids = array("I")
    for it in kept:
        formats.append(it.shape)
        uids.frombytes(it.uids)
        if len(uids) >= members:
            yield b"".join(formats), uids
            formats, uids = [], array("I")
    if formats:
        yield b"".join(formats), uids
