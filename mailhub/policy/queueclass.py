"""Classes of mail: how often each has its turn in the queue, and how long it is tried.

A message belongs to the first class that it matches: the operator's in the order
of the file, then those that are always there. So a newsletter and the password
reset that its sender sends meanwhile do not wait for each other.

Pure: whoever takes a message in knows the facts, whoever read the file the classes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from typing import Final

from mailhub.mail.address import NULL, Path
from mailhub.mail.header import Header
from mailhub.mail.value import replace, value
from mailhub.policy.retry import Schedule, Wishes
from mailhub.policy.route import fit

NORMAL: Final = "normal"
BULK: Final = "bulk"
NOTICE: Final = "notice"
DOUBLING: Final = 1.0
"""Steps of MT-PRIORITY by which the weight doubles (RFC 6710 §4.1 leaves it to us)."""


@value(frozen=True, slots=True)
class QueueClass:
    """A class, and what belongs to it: mail that fits each condition that is given.

    Attributes:
        weight: Of its mail against the sender's other mail, and of its sender against others.
        wishes: Where its schedule differs.
        accounts: Addresses and domains (``*.domain`` for what is below) of who has logged in.
        senders: Likewise of the reverse-path.
        fields: Header fields, each ``Name`` or ``Name: value, value``; one is enough.
        recipients: So many at least.
        submitted: Only from those who have logged in, or only from others.
        notices: Only with the null reverse-path.
    """

    name: str
    weight: float = 10.0
    wishes: Wishes = field(default_factory=Wishes)
    accounts: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    recipients: int = 0
    submitted: bool | None = None
    notices: bool = False

    @property
    def conditional(self) -> bool:
        """Whether it says what belongs to it."""
        given = (self.accounts, self.senders, self.fields, self.recipients, self.notices)
        return any(given) or self.submitted is not None


SHIPPED: Final = (
    QueueClass(NOTICE, weight=5.0, notices=True),
    QueueClass(
        BULK,
        weight=1.0,
        fields=("Precedence: bulk, list, junk", "List-Unsubscribe", "List-Id"),
    ),
    QueueClass(NORMAL),
)
"""Those that are always there; a section of the same name changes one."""


@value(frozen=True, slots=True)
class Facts:
    """What is known of a message when it is taken in."""

    reverse_path: Path
    account: Path | None
    recipients: int
    header: Header


def classify(facts: Facts, classes: Iterable[QueueClass]) -> str:
    """The name of the class that a message belongs to."""
    for each in classes:
        if each.conditional and _matches(each, facts):
            return each.name
    return NORMAL


def possible(facts: Facts, classes: Iterable[QueueClass]) -> list[str]:
    """The classes that a message may turn out to be of, while its header is not known.

    Nor are all of its recipients: there are as many as `facts` says, or more.
    """
    found = []
    for each in classes:
        if each.conditional and _matches(replace(each, fields=(), recipients=0), facts):
            found.append(each.name)
            if not each.fields and facts.recipients >= each.recipients:
                return found
    return [*found, NORMAL]


def _matches(each: QueueClass, facts: Facts) -> bool:
    if each.submitted is not None and each.submitted is not (facts.account is not None):
        return False
    if each.notices and facts.reverse_path != NULL:
        return False
    if facts.recipients < each.recipients:
        return False
    if each.accounts and (facts.account is None or not named(facts.account, each.accounts)):
        return False
    if each.senders and not named(facts.reverse_path, each.senders):
        return False
    return not each.fields or any(_has(facts.header, wanted) for wanted in each.fields)


def named(path: Path, patterns: Collection[str]) -> bool:
    """Whether one of these addresses, domains or ``*.domain`` names a path."""
    return str(path).casefold() in patterns or any(
        "@" not in pattern and fit(pattern, path.domain) >= 0 for pattern in patterns
    )


def _has(header: Header, wanted: str) -> bool:
    """Whether a field is there, with one of the values if some are named."""
    name, accepted = _condition(wanted)
    if name not in header:
        return False
    return not accepted or any(value.strip().lower() in accepted for value in header.all(name))


@lru_cache(maxsize=256)
def _condition(wanted: str) -> tuple[bytes, frozenset[bytes]]:
    """A field's name, and the values that count if some are named, in lower case."""
    name, _, values = wanted.lower().encode().partition(b":")
    given = (value.strip() for value in values.split(b","))
    return name.strip(), frozenset(value for value in given if value)


# ---- All together --------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Classes:
    """All classes, the operator's first.

    Attributes:
        all: In the order in which they are tried.
    """

    all: tuple[QueueClass, ...] = SHIPPED

    def find(self, name: str) -> QueueClass:
        """The class of that name; the normal one where there is none any more."""
        return next((it for it in self.all if it.name == name), SHIPPED[-1])

    def weight(self, name: str, priority: int) -> float:
        """How often mail of a class and a priority has its turn."""
        return float(self.find(name).weight * 2 ** (priority / DOUBLING))


class Schedules:
    """The schedule for each class, provider and route: that of all mail, and their wishes."""

    def __init__(
        self,
        common: Schedule,
        classes: Classes,
        routes: Mapping[str, Wishes] | None = None,
        providers: Mapping[str, Wishes] | None = None,
    ) -> None:
        self._common = common
        self._classes = classes
        self._routes = routes or {}
        self._providers = providers or {}
        self.find = lru_cache(maxsize=1024)(self._find)

    def _find(self, class_name: str, route: str = "", provider: str = "") -> Schedule:
        """The schedule of a class over a route to a provider.

        A route's wishes come before a provider's, and these before the class's.
        """
        schedule = self._classes.find(class_name).wishes.applied(self._common)
        for wishes in (self._providers.get(provider), self._routes.get(route)):
            if wishes is not None:
                schedule = wishes.applied(schedule)
        return schedule

    @property
    def by_provider(self) -> bool:
        """Whether a provider makes a difference."""
        return bool(self._providers)

    @property
    def longest(self) -> float:
        """Seconds that no wait of any of them exceeds."""
        ways = (*self._routes.values(), *self._providers.values())
        wishes = [*(it.wishes for it in self._classes.all), *ways]
        return max([self._common.longest, *(it.applied(self._common).longest for it in wishes)])
