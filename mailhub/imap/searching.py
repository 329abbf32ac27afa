"""The grammar of commands that search: SEARCH, SORT, THREAD, ESEARCH, CANCELUPDATE.

What a program holds is in `criteria`, what RETURN asks for in `returning`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mailhub.imap import criteria, returning
from mailhub.imap.command import (
    CancelUpdate,
    Command,
    MultiSearch,
    Search,
    Sort,
    Source,
    Thread,
    UidBatches,
)
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad, No
from mailhub.imap.returning import Returning
from mailhub.imap.settings import Limits
from mailhub.imap.threads import ALGORITHMS
from mailhub.mail.charset import CHARSETS, decoder

Parse = Callable[[Tokens, Limits], Command]


def search(*, by_uid: bool) -> Parse:
    """SEARCH."""

    def parse(tokens: Tokens, limits: Limits) -> Command:
        # search = "SEARCH" [SP "CHARSET" SP astring] 1*(SP search-key)    (RFC 3501 §9)
        #          after search-return-opts                              (RFC 4466 §2.6.1)
        tokens.space()
        wanted = _returning(tokens, limits)
        charset = tokens.word_is("CHARSET")
        with _saving(wanted):
            return Search(_program(tokens, limits), by_uid, wanted, charset)

    return parse


def _returning(tokens: Tokens, limits: Limits) -> Returning | None:
    wanted = returning.parse_returning(tokens, limits)
    if wanted is not None:
        tokens.space()
    return wanted


@contextmanager
def _saving(wanted: Returning | None) -> Iterator[None]:
    """A search that was to be saved, and is refused, leaves nothing saved (RFC 5182 §2.1)."""
    try:
        yield
    except No as why:
        why.forgets = wanted is not None and "SAVE" in wanted
        raise


def _program(tokens: Tokens, limits: Limits) -> criteria.Key:
    """``["CHARSET" SP charset SP] search-key *(SP search-key)``."""
    charset = "US-ASCII"
    if tokens.maybe_word("CHARSET"):
        tokens.space()
        charset = tokens.astring().decode("ascii", "replace")
        tokens.space()
    return criteria.Parser(tokens, _decoder(charset), limits).program()


def _decoder(charset: str) -> criteria.Charset:
    decode = decoder(charset)
    if decode is None:
        raise No(f"Unknown charset {charset}", f"BADCHARSET ({' '.join(CHARSETS)})")
    return decode


def sort(*, by_uid: bool) -> Parse:
    """SORT."""

    def parse(tokens: Tokens, limits: Limits) -> Command:
        # sort = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria
        #                                                 (RFC 5256 §5, RFC 5267 §3)
        tokens.space()
        wanted = _returning(tokens, limits)
        sorting = tokens.parenthesised(
            lambda: criteria.parse_sort_criterion(tokens), criteria.SORT_CRITERIA_LIMIT
        )
        with _saving(wanted):
            return Sort(tuple(sorting), _after_charset(tokens, limits), by_uid, wanted)

    return parse


def _after_charset(tokens: Tokens, limits: Limits) -> criteria.Key:
    # search-criteria = charset 1*(SP search-key); charset = atom / quoted      (RFC 5256 §5)
    tokens.space()
    decode = _decoder(tokens.astring().decode("ascii", "replace"))
    tokens.space()
    return criteria.Parser(tokens, decode, limits).program()


def thread(*, by_uid: bool) -> Parse:
    """THREAD."""

    def parse(tokens: Tokens, limits: Limits) -> Command:
        # thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria      (RFC 5256 §5)
        tokens.space()
        algorithm = tokens.keyword()
        if algorithm not in ALGORITHMS:
            raise Bad(f"Unknown THREAD algorithm {algorithm}")
        return Thread(algorithm, _after_charset(tokens, limits), by_uid)

    return parse


def cancel_update(tokens: Tokens, limits: Limits) -> Command:
    """CANCELUPDATE."""
    # command-select =/ "CANCELUPDATE" 1*(SP quoted)                          (RFC 5267 §6)
    tags = []
    while tokens.maybe(b" ") and not tokens.ended:
        tags.append(tokens.astring())
        if len(tags) > limits.items:
            raise Bad("Too many tags")
    tokens.end()
    if not tags:
        raise Bad("Expected a tag")
    return CancelUpdate(tuple(tags))


def uid_batches(tokens: Tokens, _limits: Limits) -> Command:
    """UIDBATCHES."""
    # uidbatches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]   (RFC 10022 §4)
    tokens.space()
    size, wanted = tokens.nz_number(), None
    if tokens.maybe(b" ") and not tokens.ended:
        first = tokens.nz_number()
        tokens.expect(b":")
        wanted = first, tokens.nz_number()
    tokens.end()
    return UidBatches(size, wanted)


_SOURCES: Final = frozenset({"SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED"})
_NAMED_SOURCES: Final = frozenset({"SUBTREE", "SUBTREE-ONE", "MAILBOXES"})


def multi_search(tokens: Tokens, limits: Limits) -> Command:
    """ESEARCH."""
    # esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts] SP search-program
    # esearch-source-opts = "IN" SP "(" source-mbox [SP "(" scope-options ")"] ")"
    #                                                                      (RFC 7377 §4)
    tokens.space()
    sources = None
    if tokens.maybe_word("IN"):
        tokens.space()
        sources = tuple(tokens.parenthesised(lambda: _source(tokens, limits), limits.patterns))
        tokens.space()
    wanted = _returning(tokens, limits) or returning.ALL
    if "UPDATE" in wanted or "CONTEXT" in wanted:
        raise Bad("ESEARCH keeps no context")
    if "SAVE" in wanted and sources not in (None, (Source("SELECTED"),)):
        raise Bad("SAVE is for the selected mailbox")  # RFC 7377 §2.2
    return MultiSearch(sources, _program(tokens, limits), wanted)


def _source(tokens: Tokens, limits: Limits) -> Source:
    # filter-mailboxes-other = ("subtree" SP one-or-more-mailbox) / …      (RFC 5465 §8)
    kind = tokens.keyword()
    if kind in _SOURCES:
        return Source(kind.removesuffix("-DELAYED"))
    if kind not in _NAMED_SOURCES:
        raise Bad(f"Unknown source {kind}")
    tokens.space()
    if tokens.next_is(b"("):
        return Source(kind, tuple(tokens.parenthesised(tokens.astring, limits.patterns)))
    return Source(kind, (tokens.astring(),))
