"""From octets to commands: the table of verbs, and the grammar of each (RFC 3501 §9).

Each verb maps to a function from the rest of the command to a value; adding a
command is a class in `command` and a line in the table.  `item` and `searching`
hold the two grammars that are languages of their own, `naming` and `accounts` those of
commands about mailboxes by their names and about what belongs to an account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailhub.imap import accounts, composition, item, modifier, naming, searching, watching
from mailhub.imap.command import (
    Append,
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Compress,
    Copy,
    Delete,
    Enable,
    Expunge,
    Fetch,
    GetAcl,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    Login,
    Logout,
    MyRights,
    Namespace,
    Noop,
    Notify,
    Replace,
    Select,
    StartTls,
    Store,
    Subscribe,
    Unauthenticate,
)
from mailhub.imap.composition import Literal, Stretch
from mailhub.imap.grammar import Tokens
from mailhub.imap.reader import tag_of
from mailhub.imap.response import Bad, No
from mailhub.imap.settings import Limits
from mailhub.mail.flag import SYSTEM_FLAGS
from mailhub.ports.message import FlagAction

IDENTITY_PAIRS: Final = 30
"""Pairs in an ID command (RFC 2971 §3.3)."""
IDENTITY_FIELD: Final = 30
"""Octets of a field name in an ID command (RFC 2971 §3.3)."""
IDENTITY_VALUE: Final = 1024
"""Octets of a value in an ID command (RFC 2971 §3.3)."""

Parse = Callable[[Tokens, Limits], Command]


def parse(parts: Sequence[bytes], limits: Limits) -> Command:
    """The command in `parts`, which the reader found to be whole.

    Raises:
        Bad: It does not parse.
        No: BADCHARSET, or LIMIT (RFC 5530 §3).
    """
    tokens = Tokens(parts)
    return _GRAMMAR.get(_verb(tokens), _unknown)(tokens, limits)


def parse_append(parts: Sequence[bytes], limits: Limits) -> Append | Replace | None:
    """An APPEND or REPLACE read up to a literal that is streamed; None for all else.

    Raises:
        Bad: It is one, and does not parse so far.
    """
    tokens = Tokens(parts)
    parse = None if parts[0][:1] in b"+ " else _APPENDS.get(_verb(tokens))
    if parse is None:
        return None
    command = parse(tokens, limits)
    return None if command is None or command.stretch.literal is Literal.URL else command


def parse_stretch(tokens: Tokens, after: Literal, limits: Limits) -> Stretch:
    """A stretch of an APPEND, behind a literal of that kind.

    Raises:
        Bad: It does not parse.
    """
    return composition.Parser(tokens, lambda tokens: _flags(tokens, limits)).stretch(after)


def _verb(tokens: Tokens) -> str:
    tag = tag_of(tokens.rest)
    if tag == b"*":
        raise Bad("Expected a tag and a command")
    tokens.expect(tag)
    tokens.space()
    verb = tokens.keyword()
    if verb == "UID":
        tokens.space()
        verb = f"UID {tokens.keyword()}"
    return verb


def _unknown(_tokens: Tokens, _limits: Limits) -> Command:
    raise Bad("Unknown command")


def _bare(command: Command) -> Parse:
    def parse(tokens: Tokens, _limits: Limits) -> Command:
        tokens.end()
        return command

    return parse


def _mailbox(make: Callable[[bytes], Command]) -> Parse:
    """For ``verb SP mailbox``, or whatever takes one astring."""

    def parse(tokens: Tokens, _limits: Limits) -> Command:
        tokens.space()
        command = make(tokens.astring())
        tokens.end()
        return command

    return parse


def _select(*, read_only: bool) -> Parse:
    def parse(tokens: Tokens, limits: Limits) -> Command:
        tokens.space()
        mailbox = tokens.astring()
        how = modifier.parse_select(tokens, limits)
        tokens.end()
        return Select(mailbox, read_only, how)

    return parse


def _id(tokens: Tokens, _limits: Limits) -> Command:
    # RFC 2971 §4: id_params_list ::= "(" #(string SPACE nstring) ")" / nil
    tokens.space()
    if tokens.maybe_nil():
        tokens.end()
        return Id()

    def pair() -> None:
        field = tokens.string()
        tokens.space()
        value = tokens.nstring()
        if len(field) > IDENTITY_FIELD or len(value or b"") > IDENTITY_VALUE:
            raise Bad("ID field or value too long")

    tokens.parenthesised(pair, IDENTITY_PAIRS, empty=True)
    tokens.end()
    return Id()


def _authenticate(tokens: Tokens, _limits: Limits) -> Command:
    # authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]       (RFC 4959 §7)
    tokens.space()
    mechanism = tokens.keyword()
    initial = tokens.atom() if tokens.maybe(b" ") and not tokens.ended else None
    tokens.end()
    return Authenticate(mechanism, initial)


def _login(tokens: Tokens, _limits: Limits) -> Command:
    tokens.space()
    user = tokens.astring()
    tokens.space()
    password = tokens.astring()
    tokens.end()
    return Login(user, password)


def _enable(tokens: Tokens, limits: Limits) -> Command:
    # enable = "ENABLE" 1*(SP capability)                                  (RFC 5161 §4)
    tokens.space()
    names = [tokens.keyword()]
    while tokens.maybe(b" ") and not tokens.ended:
        names.append(tokens.keyword())
        if len(names) > limits.items:
            raise No(f"At most {limits.items} capabilities at once", "LIMIT")
    tokens.end()
    return Enable(tuple(names))


def _compress(tokens: Tokens, _limits: Limits) -> Command:
    # compress = "COMPRESS" SP algorithm                                   (RFC 4978 §5)
    tokens.space()
    mechanism = tokens.keyword()
    tokens.end()
    return Compress(mechanism)


def _append(tokens: Tokens, limits: Limits) -> Append | None:
    """APPEND; None for one that is read up to the literal of its mailbox's name."""
    tokens.space()
    if tokens.at_last_announcement:
        return None
    mailbox = tokens.astring()
    return Append(mailbox, parse_stretch(tokens, Literal.NONE, limits))


def _replace(*, by_uid: bool) -> Callable[[Tokens, Limits], Replace | None]:
    def parse(tokens: Tokens, limits: Limits) -> Replace | None:
        # replace = "REPLACE" SP seq-number SP mailbox append-message    (RFC 8508 §5)
        tokens.space()
        number = tokens.sequence_set(1)
        append = _append(tokens, limits)
        if append is None:
            return None
        return Replace(number, by_uid, append.mailbox, append.stretch)

    return parse


_APPENDS: Final[Mapping[str, Callable[[Tokens, Limits], Append | Replace | None]]] = {
    "APPEND": _append,
    "REPLACE": _replace(by_uid=False),
    "UID REPLACE": _replace(by_uid=True),
}
"""Commands whose literals are streamed."""


def _whole(verb: str) -> Parse:
    """For one of them without any literal that is streamed: all of it comes from URLs."""

    def parse(tokens: Tokens, limits: Limits) -> Command:
        command = _APPENDS[verb](tokens, limits)
        if command is None:
            raise Bad("Expected a mailbox's name")
        return command

    return parse


def _uid_expunge(tokens: Tokens, limits: Limits) -> Command:
    tokens.space()
    uids = tokens.sequence_set(limits.ranges)
    tokens.end()
    return Expunge(uids)


def _fetch(*, by_uid: bool) -> Parse:
    def parse(tokens: Tokens, limits: Limits) -> Command:
        tokens.space()
        numbers = tokens.sequence_set(limits.ranges)
        tokens.space()
        items = item.parse(tokens, limits, by_uid=by_uid)
        since, partial = modifier.parse_fetch(tokens, limits, by_uid=by_uid)
        if since is not None and item.Fact.MODSEQ not in items:
            items = (*items, item.Fact.MODSEQ)  # RFC 7162 §3.1.4.1
        tokens.end()
        return Fetch(numbers, items, by_uid, since, partial)

    return parse


_ACTIONS: Final[Mapping[str, tuple[FlagAction, bool]]] = {
    f"{action.value}{suffix}": (action, bool(suffix))
    for action in FlagAction
    for suffix in ("", ".SILENT")
}


def _store(*, by_uid: bool) -> Parse:
    def parse(tokens: Tokens, limits: Limits) -> Command:
        # store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP
        #                   (flag-list / (flag *(SP flag)))                (RFC 3501 §9)
        tokens.space()
        numbers = tokens.sequence_set(limits.ranges)
        tokens.space()
        since = modifier.parse_store(tokens)
        how = _ACTIONS.get(tokens.keyword())
        if how is None:
            raise Bad("Unknown STORE item")
        tokens.space()
        flags = _flags(tokens, limits)
        tokens.end()
        return Store(numbers, *how, flags, by_uid, since)

    return parse


def _flags(tokens: Tokens, limits: Limits) -> tuple[str, ...]:
    if tokens.next_is(b"("):
        given = tokens.parenthesised(tokens.flag, limits.items, empty=True)
    else:
        given = [tokens.flag()]
        while tokens.maybe(b" ") and not tokens.ended:
            given.append(tokens.flag())
            if len(given) > limits.items:
                raise No(f"At most {limits.items} flags at once", "LIMIT")
    return tuple(_flag(name) for name in given)


_CANONICAL: Final = {name.lower(): name for name in SYSTEM_FLAGS}


def _flag(name: str) -> str:
    r"""A flag in its proper case; ``\Recent`` is not the client's (RFC 3501 §2.3.2)."""
    if not name.startswith("\\"):
        return name
    known = _CANONICAL.get(name.lower())
    if known is None:
        raise Bad(f"No flag {name} can be set")
    return known


def _copy(*, by_uid: bool, move: bool) -> Parse:
    def parse(tokens: Tokens, limits: Limits) -> Command:
        tokens.space()
        numbers = tokens.sequence_set(limits.ranges)
        tokens.space()
        mailbox = tokens.astring()
        tokens.end()
        return Copy(numbers, mailbox, by_uid, move)

    return parse


_GRAMMAR: Final[Mapping[str, Parse]] = {
    "CAPABILITY": _bare(Capability()),
    "NOOP": _bare(Noop()),
    "LOGOUT": _bare(Logout()),
    "ID": _id,
    "STARTTLS": _bare(StartTls()),
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "UNAUTHENTICATE": _bare(Unauthenticate()),
    "ENABLE": _enable,
    "COMPRESS": _compress,
    "SELECT": _select(read_only=False),
    "EXAMINE": _select(read_only=True),
    "CREATE": naming.create,
    "DELETE": _mailbox(Delete),
    "RENAME": naming.rename,
    "SUBSCRIBE": _mailbox(lambda name: Subscribe(name, wanted=True)),
    "UNSUBSCRIBE": _mailbox(lambda name: Subscribe(name, wanted=False)),
    "LIST": naming.list_,
    "LSUB": naming.lsub,
    "NAMESPACE": _bare(Namespace()),
    "STATUS": naming.status,
    **{verb: _whole(verb) for verb in _APPENDS},
    "GETQUOTA": _mailbox(GetQuota),
    "GETQUOTAROOT": _mailbox(GetQuotaRoot),
    "SETQUOTA": accounts.set_quota,
    "SETACL": accounts.set_acl,
    "DELETEACL": accounts.delete_acl,
    "GETACL": _mailbox(GetAcl),
    "LISTRIGHTS": accounts.list_rights,
    "MYRIGHTS": _mailbox(MyRights),
    "GETMETADATA": accounts.get_metadata,
    "SETMETADATA": accounts.set_metadata,
    "RESETKEY": accounts.reset_key,
    "GENURLAUTH": accounts.generate_urls,
    "URLFETCH": accounts.fetch_urls,
    "IDLE": _bare(Idle()),
    "NOTIFY": lambda tokens, limits: Notify(*watching.parse(tokens, limits)),
    "CHECK": _bare(Check()),
    "CLOSE": _bare(Close(expunge=True)),
    "UNSELECT": _bare(Close(expunge=False)),
    "EXPUNGE": _bare(Expunge(None)),
    "UID EXPUNGE": _uid_expunge,
    "SEARCH": searching.search(by_uid=False),
    "UID SEARCH": searching.search(by_uid=True),
    "SORT": searching.sort(by_uid=False),
    "UID SORT": searching.sort(by_uid=True),
    "THREAD": searching.thread(by_uid=False),
    "UID THREAD": searching.thread(by_uid=True),
    "ESEARCH": searching.multi_search,
    "CANCELUPDATE": searching.cancel_update,
    "UIDBATCHES": searching.uid_batches,
    "FETCH": _fetch(by_uid=False),
    "UID FETCH": _fetch(by_uid=True),
    "STORE": _store(by_uid=False),
    "UID STORE": _store(by_uid=True),
    "COPY": _copy(by_uid=False, move=False),
    "UID COPY": _copy(by_uid=True, move=False),
    "MOVE": _copy(by_uid=False, move=True),
    "UID MOVE": _copy(by_uid=True, move=True),
}
"""Every command there is; `imap.session` says when each is allowed."""
