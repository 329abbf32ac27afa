"""Keys of the hub as a whole: its name, its ports, its certificates, logins, addresses."""

from __future__ import annotations

from typing import Final

from mailhub.config.endpoint import ENDPOINT
from mailhub.config.key import AT_LEAST_ONE, PATIENCE, Key, Section
from mailhub.config.values import (
    BOOLEAN,
    CERTIFICATE,
    COUNT,
    DOMAIN,
    DURATION,
    HOST,
    IP,
    KIB,
    MAIL_ADDRESS,
    PATH,
    TEXT,
    bounded,
    many,
    many_of,
    optional,
    optional_text,
    word,
)

HUB: Final = Section(
    "hub",
    "The hub itself.",
    (
        Key(
            "hostname",
            optional_text(HOST),
            "hub.hostname",
            "The name by which other hosts know this one: in greetings, EHLO, Received and the"
            " certificate. It should resolve to this machine, and the machine's address back to"
            " it (PTR), or others will refuse our mail. Empty is what the machine calls itself,"
            " if that is a full name.",
            restart=True,
        ),
        Key(
            "state",
            PATH,
            "hub.state",
            "Where everything lives that must not be lost: the accounts, the spool, the maildirs,"
            " the indexes. One file system, with fsync that means it.",
            restart=True,
        ),
        Key(
            "postmaster",
            optional(MAIL_ADDRESS),
            "hub.postmaster",
            "Whom bounces tell people to turn to for help. Empty names nobody.",
        ),
    ),
)

_WHERE: Final = many(ENDPOINT)
LISTEN: Final = Section(
    "listen",
    "Where each service listens: a port (on every address, IPv6 and IPv4), host:port, or an"
    " endpoint of Twisted's such as systemd:domain=INET6:index=0; several, separated by commas;"
    " nothing, to switch it off. Ports below 1024 are opened before twistd gives up root"
    " (--uid, --gid); a port that cannot be had stops the start.",
    (
        Key("smtp", _WHERE, "listen.smtp", "Mail from other hosts.", restart=True),
        Key(
            "submission",
            _WHERE,
            "listen.submission",
            "Mail from our own users, with STARTTLS and a login.",
            restart=True,
        ),
        Key(
            "submissions",
            _WHERE,
            "listen.submissions",
            "The same under TLS from the first octet: what mail programs prefer today.",
            restart=True,
        ),
        Key("imap", _WHERE, "listen.imap", "IMAP with STARTTLS.", restart=True),
        Key("imaps", _WHERE, "listen.imaps", "IMAP under TLS from the first octet.", restart=True),
        Key("pop3", _WHERE, "listen.pop3", "POP3 with STLS.", restart=True),
        Key("pop3s", _WHERE, "listen.pop3s", "POP3 under TLS from the first octet.", restart=True),
        Key(
            "backlog",
            bounded(COUNT, 1, 65_535),
            "listen.backlog",
            "Connections that the system holds until we accept them. Linux also limits it by"
            " net.core.somaxconn.",
            restart=True,
        ),
    ),
)

LIMITS: Final = Section(
    "limits",
    "What all services together bear. Limits of one protocol are in its section.",
    (
        Key(
            "connections",
            AT_LEAST_ONE,
            "listen.connections",
            "In all. Each costs a file descriptor (LimitNOFILE= of systemd, ulimit -n) and, when"
            " idle, a few KiB; 30 KiB under TLS.",
        ),
        Key(
            "connections per address",
            AT_LEAST_ONE,
            "listen.connections_per_address",
            "From one IPv4 address or IPv6 /64. A mail program opens five; an office behind one"
            " address, or a webmail on another host, needs more.",
        ),
    ),
)

TLS: Final = Section(
    "tls",
    "Our certificates. SIGHUP reads them again without dropping a connection: let whatever renews"
    " them send it (certbot: --deploy-hook 'systemctl reload mailhub').",
    (
        Key(
            "certificates",
            many(CERTIFICATE),
            "tls.certificates",
            "For each certificate the file of its chain (PEM, the certificate first) and that of"
            " its key, separated by a space; several, separated by commas or on lines of their"
            " own. A client gets the one for the name it asks for (SNI), or else the first. Empty"
            " is a certificate that the hub makes and signs itself: mail from other hosts is"
            " encrypted then, but every mail program will complain. With certbot it is"
            " /etc/letsencrypt/live/mail.example.com/fullchain.pem and privkey.pem beside it.",
        ),
        Key(
            "minimum version",
            word("1.2", "1.3"),
            "tls.minimum",
            "1.3 keeps old programs out, and old mail servers would send to us unencrypted.",
        ),
        Key(
            "ciphers",
            TEXT,
            "tls.ciphers",
            "Of TLS 1.2, as OpenSSL writes them. Empty is the hub's own choice: forward secrecy"
            " always, authenticated encryption first.",
        ),
        Key(
            "offered",
            BOOLEAN,
            "tls.offered",
            "Without TLS nobody can log in from another machine. For a hub behind a proxy that"
            " brings TLS, on loopback.",
            restart=True,
        ),
    ),
)

AUTH: Final = Section(
    "auth",
    "How logins are checked, and how those who guess are slowed down. Accounts themselves are in"
    " a database: mailhub account add ann@example.com",
    (
        Key(
            "plaintext on loopback",
            BOOLEAN,
            "plaintext_on_loopback",
            "Let programs on this machine send passwords without TLS. Others never may.",
        ),
        Key(
            "default domain",
            optional_text(DOMAIN),
            "auth.default_domain",
            "Added to user names without one, for users who have always logged in as ann.",
        ),
        Key(
            "hash at once",
            AT_LEAST_ONE,
            "auth.hashing",
            "Passwords checked at the same time; each takes a thread, a core and the memory below"
            " for a moment.",
            restart=True,
        ),
        Key(
            "waiting",
            bounded(COUNT, 0),
            "auth.waiting",
            "Logins that may wait for their turn; more are told to come back later.",
        ),
        Key(
            "hash memory",
            bounded(KIB, 8, 4 << 20),
            "auth.cost.memory",
            "Of argon2id: what one guess costs somebody who has stolen the database. Applies to"
            " passwords set from now on; others are hashed anew when they are next used.",
        ),
        Key(
            "hash passes",
            bounded(COUNT, 1, 1000),
            "auth.cost.passes",
            "Passes of argon2id over that memory.",
        ),
        Key(
            "hash lanes",
            bounded(COUNT, 1, 64),
            "auth.cost.lanes",
            "Threads that one hash is spread over.",
        ),
        Key(
            "scram iterations",
            bounded(COUNT, 4096, 10_000_000),
            "auth.cost.iterations",
            "Of SCRAM-SHA-256, repeated by every client at each login.",
        ),
        Key(
            "remember",
            DURATION,
            "auth.memory.seconds",
            "How long a password that was right is known without hashing (as a keyed hash, in"
            " memory only). 0 hashes each time.",
        ),
        Key(
            "remembered",
            bounded(COUNT, 0),
            "auth.memory.entries",
            "How many of them.",
        ),
        Key(
            "free failures",
            COUNT,
            "auth.throttle.free",
            "Failed logins that cost no wait.",
        ),
        Key(
            "first delay",
            DURATION,
            "auth.throttle.first_delay",
            "The wait after the next one; each further failure doubles it.",
        ),
        Key(
            "longest delay",
            DURATION,
            "auth.throttle.longest_delay",
            "No wait is longer.",
        ),
        Key(
            "failures per address",
            AT_LEAST_ONE,
            "auth.throttle.address_refused",
            "Above this many from one address (or IPv6 /64) no password is looked at. An address"
            " that has logged in to the account before is only slowed, never refused.",
        ),
        Key(
            "failures per account",
            AT_LEAST_ONE,
            "auth.throttle.account_refused",
            "Above this many on one account, from addresses that are new to it, likewise.",
        ),
        Key(
            "half life",
            PATIENCE,
            "auth.throttle.half_life",
            "The time in which such a count halves.",
        ),
        Key(
            "known for",
            DURATION,
            "auth.throttle.proven",
            "How long an address that has logged in to an account stays known to it.",
        ),
        Key(
            "places",
            AT_LEAST_ONE,
            "auth.throttle.places",
            "How many addresses, accounts and pairs of them are remembered, each.",
        ),
    ),
)

ADDRESSES: Final = Section(
    "addresses",
    "How addresses here are understood. Domains and aliases are in the database too: mailhub"
    " domain add example.com, mailhub alias add sales@example.com ann@example.com",
    (
        Key(
            "separator",
            TEXT,
            "access.aliases.separator",
            "What separates a subaddress: with + mail for ann+shop@ is ann's. Empty for none.",
        ),
        Key(
            "alias depth",
            AT_LEAST_ONE,
            "access.aliases.depth",
            "Aliases behind each other.",
        ),
        Key(
            "alias recipients",
            AT_LEAST_ONE,
            "access.aliases.fan_out",
            "Recipients that one address may stand for.",
        ),
        Key(
            "literals",
            many_of(IP),
            "access.addresses",
            "IP addresses of this machine, for mail to ann@[192.0.2.1].",
        ),
        Key(
            "literal domain",
            optional_text(DOMAIN),
            "access.literal_domain",
            "The domain that these stand for. Empty lets them reach the postmaster alone.",
        ),
    ),
)
