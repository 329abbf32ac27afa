"""Keys of the protocols that users and other hosts speak, and of the mailboxes behind them."""

from __future__ import annotations

from typing import Final

from mailhub.config.key import AT_LEAST_ONE, PATIENCE, Key, Section
from mailhub.config.values import (
    BOOLEAN,
    COUNT,
    DURATION,
    LEVEL,
    NAME,
    NETWORK,
    SIZE,
    SIZE_OR_NONE,
    bounded,
    many,
    optional_text,
)
from mailhub.smtp.limits import LINE_MINIMUM, RECIPIENTS_MINIMUM, TEXT_MINIMUM


def _smtp(target: str) -> tuple[Key, ...]:
    """The limits that SMTP and submission share."""
    return (
        Key(
            "message limit",
            bounded(SIZE, 0),
            f"{target}.size",
            "The largest message, as it travels (attachments grow by a third). Announced, so that"
            " clients need not try. 0 for none.",
        ),
        Key(
            "recipients",
            bounded(COUNT, RECIPIENTS_MINIMUM),
            f"{target}.recipients",
            "Recipients of one message; for the others a client must begin another.",
        ),
        Key(
            "errors",
            AT_LEAST_ONE,
            f"{target}.errors",
            "Refused commands before we hang up.",
        ),
        Key(
            "bad recipients",
            AT_LEAST_ONE,
            f"{target}.bad_recipients",
            "Refused recipients before we hang up: apart, so that a list with some dead addresses"
            " gets through.",
        ),
        Key(
            "idle commands",
            AT_LEAST_ONE,
            f"{target}.idle_commands",
            "Commands without mail (NOOP, RSET, VRFY) before we hang up.",
        ),
        Key(
            "command patience",
            PATIENCE,
            f"{target}.command_patience",
            "How long a client may be silent. The standard asks for 5m.",
        ),
        Key(
            "login patience",
            PATIENCE,
            f"{target}.auth_patience",
            "The same amid a login.",
        ),
        Key(
            "content patience",
            PATIENCE,
            f"{target}.content_patience",
            "The time for each block of a message's content to arrive.",
        ),
        Key(
            "content block",
            bounded(SIZE, 1),
            f"{target}.content_block",
            "The size of such a block: slower clients are dropped.",
        ),
        Key(
            "session",
            DURATION,
            f"{target}.lifetime",
            "How long one may stay connected. 0 for ever.",
        ),
        Key(
            "command line",
            bounded(SIZE, LINE_MINIMUM),
            f"{target}.command_line",
            "The longest command.",
        ),
        Key(
            "login line",
            bounded(SIZE, LINE_MINIMUM),
            f"{target}.auth_line",
            "The longest line of a login.",
        ),
        Key(
            "text line",
            bounded(SIZE, TEXT_MINIMUM),
            f"{target}.text_line",
            "The longest line of a message. The standard says 1000; programs that write whole HTML"
            " pages on one line do not care.",
        ),
    )


SMTP: Final = Section(
    "smtp",
    "Mail from other hosts. They reach hosted domains only.",
    (
        Key(
            "bare newlines from",
            many(NETWORK),
            "normalise",
            "Hosts whose lines may end in a bare CR or LF, which we mend. From everybody else that"
            " is refused: servers that disagree about where a message ends can be made to see"
            " another one inside it (SMTP smuggling). For old devices in your own network.",
        ),
        Key(
            "trusted networks",
            many(NETWORK),
            "access.trusted",
            "Hosts that may send to the whole world without a login: programs and printers in your"
            " own network. Whoever can speak from there can send spam in your name.",
        ),
        Key(
            "hops",
            bounded(COUNT, 100),
            "intake.hops",
            "Hosts that a message may have come through before it is taken to go in circles.",
        ),
        Key(
            "header",
            bounded(SIZE, 4096),
            "intake.header",
            "Octets of a message's header that are looked at. Longer ones are refused on"
            " submission.",
        ),
        *_smtp("smtp"),
    ),
)
SUBMISSION: Final = Section(
    "submission",
    "Mail from our own users, who have logged in.",
    (
        Key(
            "own addresses only",
            BOOLEAN,
            "access.own_senders",
            "Users send from their own address and aliases alone.",
        ),
        Key(
            "urgent accounts",
            many(NAME),
            "intake.urgent",
            "Whose mail may ask to go before others' (MT-PRIORITY above 0): addresses, domains,"
            " *.domain. Everybody may ask to go behind.",
        ),
        Key(
            "longest hold",
            DURATION,
            "submission.hold",
            "How long a message may wait for the moment that its sender wishes (FUTURERELEASE); 0"
            " for not at all.",
        ),
        Key(
            "hide client",
            BOOLEAN,
            "intake.hide_clients",
            "Leave the user's IP address out of Received, so that recipients do not learn where"
            " somebody writes from.",
        ),
        *_smtp("submission"),
    ),
)

IMAP: Final = Section(
    "imap",
    "Reading mail over IMAP.",
    (
        Key(
            "message limit",
            SIZE_OR_NONE,
            "imap.append",
            "The largest message that a client may put into a mailbox (APPEND): not less than those"
            " of [smtp] and [submission], or what somebody received or sent could not be put into"
            " another account or into Sent. 0 for none.",
        ),
        Key(
            "login patience",
            PATIENCE,
            "imap.login_patience",
            "How long a client may be silent before it has logged in.",
        ),
        Key(
            "patience",
            bounded(DURATION, 1800.0),
            "imap.patience",
            "The same afterwards. The standard demands 30m.",
        ),
        Key(
            "idle patience",
            bounded(DURATION, 1800.0),
            "imap.idle_patience",
            "The same amid IDLE: clients say something every 29 minutes.",
        ),
        Key(
            "failed logins",
            AT_LEAST_ONE,
            "imap.refused_logins",
            "On one connection, before we hang up.",
        ),
        Key("errors", AT_LEAST_ONE, "imap.errors", "Nonsense in a row before we hang up."),
        Key(
            "notices",
            AT_LEAST_ONE,
            "imap.notices",
            "Mailboxes whose news wait for one client of NOTIFY; with more it must ask again.",
        ),
        Key(
            "messages at once",
            COUNT,
            "imap.messages",
            "Messages that one command works on, announced as MESSAGELIMIT: 1000 at least, or 0 for"
            " any number. Of more a client is told that it got part of them, which most clients do"
            " not understand: set it only where no client is let in but those that do.",
        ),
        Key(
            "saved at once",
            COUNT,
            "imap.saved",
            "Messages that one command puts into a mailbox, announced as SAVELIMIT, where there is"
            " no limit for all commands; likewise.",
        ),
        Key(
            "url submitters",
            many(NAME),
            "imap.submitters",
            "Accounts with which submission servers fetch parts of messages by URL (URLAUTH, for"
            " BURL): addresses. They get what clients let any submission server have.",
        ),
        Key(
            "compress",
            BOOLEAN,
            "imap.compress",
            "Let clients have their connection compressed (COMPRESS). Who can see how long what we"
            " send is, and have a client fetch what he chose, may then guess at what lies beside it"
            " in the same answer; it saves clients on slow lines two thirds of the octets.",
        ),
        Key(
            "unauthenticate",
            BOOLEAN,
            "imap.unauthenticate",
            "Let a client log out and in again on one connection (UNAUTHENTICATE). Not behind a"
            " proxy that looks at the first login alone.",
        ),
        Key(
            "connections per account",
            COUNT,
            "imap.connections",
            "Connections that may be logged in to one account at the same time. A client has five"
            " to ten. 0 for any number.",
        ),
        Key(
            "command line",
            bounded(SIZE, 8192),
            "imap.line",
            "The longest command. Clients that name thousands of messages write long ones.",
        ),
        Key(
            "command line before login",
            bounded(SIZE, 1024),
            "imap.line_before_login",
            "The same for strangers.",
        ),
        Key(
            "command",
            bounded(SIZE, 8192),
            "imap.command",
            "The longest command with all its literals.",
        ),
        Key("literal", bounded(SIZE, 1024), "imap.literal", "The longest literal in a command."),
        Key("ranges", AT_LEAST_ONE, "imap.ranges", "Ranges in one set of messages."),
        Key("nesting", AT_LEAST_ONE, "imap.nesting", "Parentheses inside each other in SEARCH."),
        Key("search keys", AT_LEAST_ONE, "imap.keys", "Keys in one SEARCH."),
        Key(
            "search contexts",
            AT_LEAST_ONE,
            "imap.contexts",
            "Searches whose results one session has kept up to date.",
        ),
        Key("list patterns", AT_LEAST_ONE, "imap.patterns", "Patterns in one LIST."),
        Key("fetch items", AT_LEAST_ONE, "imap.items", "Items in one FETCH, flags in one STORE."),
        Key("mailbox name", bounded(COUNT, 20), "imap.name", "Characters of a mailbox's name."),
        Key(
            "annotation",
            bounded(SIZE, 1024),
            "imap.annotation",
            "The longest value of an annotation (METADATA); it must fit into a literal.",
        ),
    ),
)

POP3: Final = Section(
    "pop3",
    "Fetching mail over POP3.",
    (
        Key(
            "patience",
            bounded(DURATION, 600.0),
            "pop3.patience",
            "How long a client may be silent. The standard demands 10m.",
        ),
        Key(
            "failed logins",
            AT_LEAST_ONE,
            "pop3.logins",
            "On one connection, before we hang up.",
        ),
        Key("errors", AT_LEAST_ONE, "pop3.errors", "Lines of nonsense before we hang up."),
        Key("command line", bounded(SIZE, 255), "pop3.line", "The longest command."),
        Key("login line", bounded(SIZE, 255), "pop3.auth_line", "The longest line of a login."),
    ),
)

STORE: Final = Section(
    "store",
    "The mailboxes. Quotas are set for each account: mailhub account quota.",
    (
        Key(
            "mailboxes",
            AT_LEAST_ONE,
            "store.mailboxes",
            "Mailboxes that an account may have.",
            restart=True,
        ),
        Key("levels", AT_LEAST_ONE, "store.levels", "Levels of their names.", restart=True),
        Key(
            "shared",
            optional_text(LEVEL),
            "others",
            "What the names of other users' mailboxes begin with, for those with whom they are"
            " shared: Other Users/ann@example.org/Projects. Without a value nothing is shared.",
            restart=True,
        ),
        Key(
            "annotations",
            AT_LEAST_ONE,
            "store.annotations",
            "Annotations (METADATA) that a mailbox may have for all, and for each user.",
            restart=True,
        ),
        Key(
            "subscriptions",
            AT_LEAST_ONE,
            "store.subscriptions",
            "Mailboxes that an account may subscribe to.",
            restart=True,
        ),
        Key(
            "warm mailboxes",
            COUNT,
            "store.warm_mailboxes",
            "Mailboxes kept in memory after the last client has left, to be opened again at once.",
            restart=True,
        ),
        Key(
            "warm memory",
            SIZE,
            "store.warm_memory",
            "Memory that all of them together may take: some 40 octets for each message.",
            restart=True,
        ),
        Key(
            "read ahead",
            bounded(SIZE, 1),
            "store.read_ahead_octets",
            "Read in one go for a client that fetches message after message.",
            restart=True,
        ),
        Key(
            "read cache",
            bounded(SIZE, 1),
            "store.read_cache",
            "What was read ahead and not yet fetched, of all clients.",
            restart=True,
        ),
        Key(
            "upload memory",
            bounded(SIZE, 1),
            "store.upload_memory",
            "Of a message that a client puts into a mailbox; the rest goes to a file at once.",
            restart=True,
        ),
        Key(
            "open indexes",
            AT_LEAST_ONE,
            "store.open_indexes",
            "Index databases held open; each takes two or three file descriptors.",
            restart=True,
        ),
        Key(
            "full text index",
            BOOLEAN,
            "store.full_text",
            "Whether what messages say is indexed, so that a SEARCH need not read them: three"
            " to four octets for each of their text. Afterwards: mailhub index rebuild.",
            restart=True,
        ),
        Key(
            "look",
            PATIENCE,
            "store.look",
            "How often open mailboxes are looked at for what other programs changed in their"
            " maildirs, so that waiting clients (IDLE) hear of it.",
            restart=True,
        ),
        Key(
            "verify",
            PATIENCE,
            "store.verify",
            "How soon a change that another program makes to a maildir in the very moment of ours"
            " is seen; others are seen at once.",
            restart=True,
        ),
        Key(
            "stale",
            bounded(DURATION, 3600.0),
            "store.stale",
            "The age at which files left in a maildir's tmp are swept away.",
            restart=True,
        ),
    ),
)
