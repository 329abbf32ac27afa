"""THREAD: messages arranged as conversations (RFC 5256 §3, and REFS).

Each algorithm is a generator that yields now and then so that others have their turn,
and returns a `Forest`. REFS is REFERENCES without the grouping by subject, and with threads
in the order of their latest messages, as draft-ietf-morg-inthread has it and Dovecot does.

Invariants:

1. Nothing recurses, and time is linear in messages and their references, but for sorting:
   a chain of 100,000 messages or a ring of them costs no more than as many strangers.
2. Each message is in the forest once, whatever the references say.
3. A forest has no ring: a link that would close one is not made (RFC 5256 §3, step 1).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mailhub.mail.digest import ID_OCTETS
from mailhub.ports.finding import Threadable

STEP: Final = 4000
"""Messages that are worked on between two breathing points."""
PIECE_MEMBERS: Final = 4000
"""Messages of a response that are made into octets in one step."""
FAN: Final = 64
"""Answers to one message that are said at once, where none of them was answered."""
SPOKEN_OF: Final = 5
"""Nodes for each message, those that are not here included, beyond which no more are made."""
SPARE: Final = 10_000
"""Nodes that a small mailbox may have beside."""
_NO_ID: Final = bytes(ID_OCTETS)
_UNKNOWN: Final = -2

Working = Generator[None, None, "Forest"]


@dataclass(slots=True)
class Forest:
    """Conversations: each node is the place of a message, or a number from `count` up.

    The latter are dummies: messages that are spoken of and not here, kept where
    they hold several together.

    Attributes:
        count: Of the messages.
        roots: In their order.
        children: Of those that have any, in their order.
    """

    count: int
    roots: list[int] = field(default_factory=list)
    children: dict[int, list[int]] = field(default_factory=dict)


def threaded(algorithm: str, messages: Sequence[Threadable], order: Sequence[int]) -> Working:
    """Arrange messages.

    Args:
        algorithm: A key of `ALGORITHMS`.
        messages: In the order of their UIDs.
        order: Their places in the order of sending.
    """
    return ALGORITHMS[algorithm](messages, order)


# ---- ORDEREDSUBJECT ------------------------------------------------------------------------


def _ordered_subject(messages: Sequence[Threadable], order: Sequence[int]) -> Working:
    """One thread for each base subject: its first message, and the others below it."""
    forest = Forest(len(messages))
    first: dict[str, int] = {}
    for done, place in enumerate(order):
        if done % STEP == STEP - 1:
            yield
        root = first.setdefault(messages[place].base, place)
        if root == place:
            forest.roots.append(place)
        else:
            forest.children.setdefault(root, []).append(place)
    return forest


# ---- REFERENCES and REFS ---------------------------------------------------------------------


def _references(messages: Sequence[Threadable], order: Sequence[int]) -> Working:
    linked = _Linked(messages)
    yield from linked.link()
    forest = yield from linked.pruned(order)
    yield from _Grouping(forest, messages, linked.size).group(order)
    return forest


def _refs(messages: Sequence[Threadable], order: Sequence[int]) -> Working:
    linked = _Linked(messages)
    yield from linked.link()
    forest = yield from linked.pruned(order)
    yield from linked.put_latest_last(forest, order)
    return forest


class _Linked:
    """Messages, those they speak of, and who answers whom (RFC 5256 §3, REFERENCES step 1).

    A message's own last reference is its parent; of others' References only those
    links are taken that join what is still apart, and give no parent to a message that
    says itself whom it answers (steps 1.A and 1.B). Two nodes are in one tree if
    `_find` gives the same for both, and a link within a tree would close a ring.
    """

    def __init__(self, messages: Sequence[Threadable]) -> None:
        self._messages = messages
        self._nodes: dict[bytes, int] = {}
        self._parents = array("i", (-1,)) * len(messages)
        self._sets = array("I", range(len(messages)))
        self._limit = SPOKEN_OF * len(messages) + SPARE

    @property
    def size(self) -> int:
        """How many there are: no node has such a number."""
        return len(self._parents)

    def link(self) -> Generator[None, None, None]:
        """Find out who answers whom."""
        messages = self._messages
        for end in range(len(messages), 0, -STEP):
            places = range(end - 1, max(end - STEP, 0) - 1, -1)
            # Of several with one id the first has it, the others are strangers (step 1)
            self._nodes.update((messages[place].ids[:ID_OCTETS], place) for place in places)
            yield
        self._nodes.pop(_NO_ID, None)
        for start in range(0, len(messages), STEP):
            self._link_some(start, messages[start : start + STEP])
            yield
        octets = 0
        for message in messages:
            if len(message.ids) > 2 * ID_OCTETS:
                octets += len(message.ids)
                self._chain(message.ids)
                if octets > STEP * 2 * ID_OCTETS:
                    octets = 0
                    yield

    def _link_some(self, start: int, messages: Sequence[Threadable]) -> None:
        """Put messages below what they refer to last; `start` is the place of the first."""
        nodes, parents, sets = self._nodes, self._parents, self._sets
        for place, message in enumerate(messages, start):
            ids = message.ids
            if len(ids) == ID_OCTETS:
                continue
            parent = nodes.get(ids[-ID_OCTETS:], -1)
            if parent < 0:
                parent = self._node(ids[-ID_OCTETS:])
            # `_join`, written out, for a child that is the root of its tree: all are, as yet
            root = sets[parent]
            if sets[root] != root:
                root = self._find(root)
            if root != place:
                parents[place] = parent
                sets[place] = root

    def _chain(self, ids: bytes) -> None:
        """Each reference is the parent of the next, if that has none."""
        nodes, before = self._nodes, -1
        parents = self._parents
        for start in range(ID_OCTETS, len(ids), ID_OCTETS):
            name = ids[start : start + ID_OCTETS]
            node = nodes.get(name, -1)
            if node < 0:
                if len(parents) > self._limit:
                    before = -1
                    continue
                node = self._node(name)
            if before >= 0 and parents[node] < 0 and not self._answers(node):
                self._join(before, node)
            before = node

    def _answers(self, node: int) -> bool:
        """Whether it is a message here that has references."""
        messages = self._messages
        return node < len(messages) and len(messages[node].ids) > ID_OCTETS

    def _node(self, name: bytes) -> int:
        found = self._nodes.setdefault(name, len(self._parents))
        if found == len(self._parents):
            self._parents.append(-1)
            self._sets.append(found)
        return found

    def _join(self, parent: int, child: int) -> None:
        """Put a tree's root below a node of another tree."""
        root = self._find(parent)
        if root != self._find(child):
            self._parents[child] = parent
            self._sets[self._find(child)] = root

    def _find(self, node: int) -> int:
        """What stands for the node's tree; the way there is halved for the next time."""
        sets = self._sets
        while sets[node] != node:
            sets[node] = sets[sets[node]]
            node = sets[node]
        return node

    def pruned(self, order: Sequence[int]) -> Generator[None, None, Forest]:
        """The trees without those that are not here (steps 2 to 4), siblings in `order`.

        Children of one that is not here take its place; at the root only an only child does.
        """
        count, parents = len(self._messages), self._parents
        nearest = yield from self._nearest()
        forest = Forest(count)
        children = forest.children
        below: dict[int, list[int]] = {}  # roots that are not here, and whom they hold
        for done, place in enumerate(order):
            if done % STEP == STEP - 1:
                yield
            parent = parents[place]
            if parent >= count:
                parent = nearest[parent - count]
            if parent < 0:
                forest.roots.append(place)
            elif parent < count:
                children.setdefault(parent, []).append(place)
            elif parent in below:
                below[parent].append(place)
            else:
                below[parent] = [place]
                forest.roots.append(parent)
        forest.roots = [
            below[root][0] if root >= count and len(below[root]) == 1 else root
            for root in forest.roots
        ]
        children.update((root, held) for root, held in below.items() if len(held) > 1)
        return forest

    def put_latest_last(self, forest: Forest, order: Sequence[int]) -> Generator[None, None, None]:
        """Sort threads by their latest messages."""
        latest: dict[int, int] = {}
        for rank, place in enumerate(order):
            if rank % STEP == STEP - 1:
                yield
            latest[self._find(place)] = rank
        roots = array("i", (-1,)) * len(order)
        for done, root in enumerate(forest.roots):
            if done % STEP == STEP - 1:
                yield
            roots[latest[self._find(root)]] = root
        forest.roots = [root for root in roots if root >= 0]

    def _nearest(self) -> Generator[None, None, array[int]]:
        """For each that is not here its nearest ancestor that is, or its root.

        What was found on the way up is noted on the way back, so that each step is
        taken once.
        """
        count, parents = len(self._messages), self._parents
        nearest = array("i", (_UNKNOWN,)) * (len(parents) - count)
        way: list[int] = []
        for start in range(count, len(parents)):
            if start % STEP == 0:
                yield
            node = start
            while node >= count and nearest[node - count] == _UNKNOWN:
                way.append(node)
                if parents[node] < 0:
                    nearest[node - count] = node
                else:
                    node = parents[node]
                if len(way) % STEP == 0:
                    yield
            end = nearest[node - count] if node >= count else node
            for passed in way:
                nearest[passed - count] = end
            way.clear()
        return nearest


# ---- Grouping by subject (steps 5 and 6) -------------------------------------------------------


class _Grouping:
    """Joins threads with the same base subject."""

    def __init__(self, forest: Forest, messages: Sequence[Threadable], fresh: int) -> None:
        self._forest = forest
        self._messages = messages
        self._fresh = fresh  # the next number of a dummy
        self._table: dict[str, int] = {}
        self._became: dict[int, int] = {}  # roots that have gone below others

    def group(self, order: Sequence[int]) -> Generator[None, None, None]:
        """Do it."""
        roots = self._forest.roots
        for done, root in enumerate(roots):
            if done % STEP == STEP - 1:
                yield
            self._enter(root)
        yield
        for done, root in enumerate(roots):
            if done % STEP == STEP - 1:
                yield
            base = self._message(root).base
            if base and self._table[base] != root:
                self._table[base] = self._merged(self._table[base], root)
        yield from self._put_in_order(order)

    def _message(self, root: int) -> Threadable:
        """The message whose subject a thread has: of a dummy that of its first child."""
        return self._messages[self._first(root)]

    def _first(self, root: int) -> int:
        return root if root < self._forest.count else self._forest.children[root][0]

    def _enter(self, root: int) -> None:
        """Let a thread stand for its subject, if none does that better."""
        base = self._message(root).base
        known = self._table.get(base)
        count = self._forest.count
        if not base or (known is not None and known >= count):
            return
        if known is None or root >= count or self._betters(root, known):
            self._table[base] = root

    def _betters(self, root: int, known: int) -> bool:
        """Whether only the one that is there is an answer."""
        return self._messages[known].reply and not self._messages[root].reply

    def _merged(self, known: int, root: int) -> int:
        """Join a thread with the one that stands for its subject; gives what stands for both."""
        forest, count = self._forest, self._forest.count
        children = forest.children
        self._became[root] = known
        if known >= count and root >= count:
            children[known] += children.pop(root)
        elif known >= count or (self._messages[root].reply and not self._messages[known].reply):
            children.setdefault(known, []).append(root)
        else:
            both, self._fresh = self._fresh, self._fresh + 1
            self._became[root] = self._became[known] = both
            children[both] = [known, root]
            return both
        return known

    def _put_in_order(self, order: Sequence[int]) -> Generator[None, None, None]:
        """Sort siblings by date: a dummy goes by its first child (step 6)."""
        forest, became = self._forest, self._became
        ranks = array("I", bytes(4 * len(order)))
        for rank, place in enumerate(order):
            ranks[place] = rank
        yield
        for parent in set(became.values()):
            if parent in forest.children:
                forest.children[parent].sort(key=ranks.__getitem__)
        yield
        by_rank = array("i", (-1,)) * len(order)
        for done, root in enumerate([*forest.roots, *set(became.values())]):
            if done % STEP == STEP - 1:
                yield
            if root not in became:
                by_rank[ranks[self._first(root)]] = root
        forest.roots = [root for root in by_rank if root >= 0]


ALGORITHMS: Final[Mapping[str, Callable[[Sequence[Threadable], Sequence[int]], Working]]] = {
    "ORDEREDSUBJECT": _ordered_subject,
    "REFERENCES": _references,
    "REFS": _refs,
}
"""By their names in THREAD and in the capability (RFC 5256 §5 thread-alg)."""


# ---- The response --------------------------------------------------------------------------


class Shape(NamedTuple):
    """A part of the response: a format, and the nodes whose messages' numbers belong in it.

    Attributes:
        ended: It is all of a thread list, or the last part of it.
    """

    octets: bytes
    nodes: Sequence[int]
    ended: bool = True


def pieces(forest: Forest, numbers: Sequence[int]) -> Iterator[bytes]:
    """The thread lists of the response, in pieces; `numbers` are the messages' in their order."""
    formats: list[bytes] = []
    nodes: list[int] = []
    for shape in shapes(forest):
        formats.append(shape.octets)
        nodes += shape.nodes
        if len(nodes) >= PIECE_MEMBERS:
            yield b"".join(formats) % tuple(map(numbers.__getitem__, nodes))
            formats.clear()
            nodes.clear()
    yield b"".join(formats) % tuple(map(numbers.__getitem__, nodes))


def shapes(forest: Forest) -> Iterator[Shape]:
    """The thread lists in their order, long ones in parts."""
    # thread-list    = "(" (thread-members / thread-nested) ")"                (RFC 5256 §5)
    # thread-members = nz-number *(SP nz-number) [SP thread-nested]
    # thread-nested  = 2*thread-list
    children, count = forest.children, forest.count
    fans = [b"(%d " + b"(%d)" * leaves + b")" for leaves in range(FAN + 1)]
    fans[1] = b"(%d %d)"
    for root in forest.roots:
        held = children.get(root)
        if held is None:
            yield Shape(b"(%d)", (root,))
        elif root < count and len(held) <= FAN and children.keys().isdisjoint(held):
            yield Shape(fans[len(held)], (root, *held))  # as most are: answers to one message
        else:
            yield from _walked(forest, root)


def _walked(forest: Forest, root: int) -> Iterator[Shape]:
    """The thread list of a tree of any shape."""
    children, count = forest.children, forest.count
    out: list[bytes] = []
    nodes: list[int] = []
    stack = [root]
    while stack:
        if len(out) >= PIECE_MEMBERS:
            yield Shape(b"".join(out), tuple(nodes), ended=False)
            out.clear()
            nodes.clear()
        node = stack.pop()
        if node == _CLOSE:
            out.append(b")")
            continue
        out.append(b"(")
        while (held := children.get(node)) and len(held) == 1:
            out.append(b"%d ")
            nodes.append(node)
            [node] = held
            if len(out) >= PIECE_MEMBERS:
                yield Shape(b"".join(out), tuple(nodes), ended=False)
                out.clear()
                nodes.clear()
        if node < count:
            out.append(b"%d " if held else b"%d")
            nodes.append(node)
        stack.append(_CLOSE)
        stack.extend(reversed(held or ()))
    yield Shape(b"".join(out), tuple(nodes))


_CLOSE: Final = -1
