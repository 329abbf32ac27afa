"""The grammar of commands about mailboxes by their names: CREATE, RENAME, LIST, LSUB, STATUS.

What they do stands in `imap.mailboxes` and `imap.listing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailhub.imap import accounts
from mailhub.imap.command import Asked, Command, Create, List, Lsub, Rename, Status
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad, No
from mailhub.imap.settings import Limits

SELECTION_OPTIONS: Final = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
"""LIST's selection options (RFC 5258 §3.1, RFC 6154 §5.2)."""
RETURN_OPTIONS: Final = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "MYRIGHTS"})
"""LIST's return options that are a word (RFC 5258 §3.2, RFC 6154 §5.2, RFC 8440 §4)."""
STATUS_ITEMS: Final = frozenset({
    *("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"),
    *("SIZE", "DELETED", "DELETED-STORAGE", "APPENDLIMIT", "HIGHESTMODSEQ", "MAILBOXID"),
})  # fmt: skip
"""STATUS's items (RFC 3501 §6.3.10, RFC 7162 §3.1.7, RFC 7889 §3, RFC 8438 §3, RFC 8474 §4.3,
RFC 9051 §6.3.11, RFC 9208 §4.1.4)."""
SPECIAL_USES: Final[Mapping[str, str]] = {
    use.upper(): use
    for use in ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash")
}
r"""Special uses by their names in capitals (RFC 6154 §2)."""


def create(tokens: Tokens, limits: Limits) -> Command:
    """CREATE."""
    # create-param = "USE" SP "(" [use-attr *(SP use-attr)] ")"            (RFC 6154 §6)
    tokens.space()
    mailbox = tokens.astring()
    uses: list[str] = []
    if tokens.maybe(b" ") and not tokens.ended:
        tokens.expect(b"(")
        if tokens.keyword() != "USE":
            raise Bad("Unknown CREATE parameter")
        tokens.space()
        uses = tokens.parenthesised(tokens.flag, limits.items, empty=True)
        tokens.expect(b")")
    tokens.end()
    if any(use.upper() not in SPECIAL_USES for use in uses):
        # The server does not support this use                             (RFC 6154 §3)
        raise No("No such special use", "USEATTR")
    return Create(mailbox, tuple(SPECIAL_USES[use.upper()] for use in uses))


def rename(tokens: Tokens, _limits: Limits) -> Command:
    """RENAME."""
    tokens.space()
    mailbox = tokens.astring()
    tokens.space()
    new = tokens.astring()
    tokens.end()
    return Rename(mailbox, new)


def list_(tokens: Tokens, limits: Limits) -> Command:
    """LIST."""
    # list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat
    #        [SP list-return-opts]                                         (RFC 5258 §6)
    tokens.space()
    extended = tokens.next_is(b"(")
    selection: frozenset[str] = frozenset()
    if extended:
        selection = _options(tokens, SELECTION_OPTIONS, limits)
        tokens.space()
    reference = tokens.astring()
    tokens.space()
    if tokens.next_is(b"("):
        extended = True
        patterns = tokens.parenthesised(tokens.list_mailbox, limits.patterns)
    else:
        patterns = [tokens.list_mailbox()]
    returned = _Returned(tokens, limits)
    if tokens.maybe(b" ") and not tokens.ended:
        extended = True
        if tokens.keyword() != "RETURN":
            raise Bad("Expected RETURN")
        tokens.space()
        tokens.parenthesised(returned.option, limits.patterns, empty=True)
    tokens.end()
    if "RECURSIVEMATCH" in selection and not selection - {"RECURSIVEMATCH", "REMOTE"}:
        raise Bad("RECURSIVEMATCH needs another selection option")  # RFC 5258 §3.1
    return List(
        reference,
        tuple(patterns),
        selection,
        frozenset(returned.words),
        extended,
        returned.status,
        returned.metadata,
    )


class _Returned:
    """The return options of one LIST (RFC 5258 §6 return-option).

    Attributes:
        words: Options that are a word.
        status: Of the option STATUS.
        metadata: Of the option METADATA.
    """

    def __init__(self, tokens: Tokens, limits: Limits) -> None:
        self._tokens = tokens
        self._limits = limits
        self.words: set[str] = set()
        self.status: tuple[str, ...] = ()
        self.metadata: Asked | None = None

    def option(self) -> None:
        """Read one."""
        tokens, word = self._tokens, self._tokens.keyword()
        if word in RETURN_OPTIONS:
            self.words.add(word)
        elif word == "STATUS":
            # status-option = "STATUS" SP "(" status-att *(SP status-att) ")"  (RFC 5819 §4)
            tokens.space()
            self.status = _status_items(tokens, self._limits)
        elif word == "METADATA":
            # return-option =/ "METADATA" SP entries                           (RFC 9590 §4)
            tokens.space()
            self.metadata = accounts.asked(tokens, self._limits)
        else:
            raise Bad(f"Unknown LIST option {word}")


def _options(tokens: Tokens, known: frozenset[str], limits: Limits) -> frozenset[str]:
    given = frozenset(tokens.parenthesised(tokens.keyword, limits.patterns, empty=True))
    if given - known:
        raise Bad(f"Unknown LIST option {min(given - known)}")
    return given


def lsub(tokens: Tokens, _limits: Limits) -> Command:
    """LSUB."""
    tokens.space()
    reference = tokens.astring()
    tokens.space()
    pattern = tokens.list_mailbox()
    tokens.end()
    return Lsub(reference, pattern)


def status(tokens: Tokens, limits: Limits) -> Command:
    """STATUS."""
    tokens.space()
    mailbox = tokens.astring()
    tokens.space()
    items = _status_items(tokens, limits)
    tokens.end()
    return Status(mailbox, items)


def _status_items(tokens: Tokens, limits: Limits) -> tuple[str, ...]:
    items = tokens.parenthesised(tokens.keyword, limits.items)
    if not STATUS_ITEMS.issuperset(items):
        raise Bad("Unknown STATUS item")
    return tuple(dict.fromkeys(items))
