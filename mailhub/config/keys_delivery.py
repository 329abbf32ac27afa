"""Keys of the queue and of the way out: retries, next hops, names, routes."""

from __future__ import annotations

from typing import Final

from mailhub.config.endpoint import RESOLVER, SERVER
from mailhub.config.key import AT_LEAST_ONE, PATIENCE, Key, Section
from mailhub.config.keys_queue import schedule_keys
from mailhub.config.values import (
    BOOLEAN,
    COUNT,
    DURATION,
    FACTOR,
    MAILBOX,
    PATH,
    PATTERN,
    SIZE,
    TEXT,
    bounded,
    choice,
    many,
    optional,
    optional_text,
    some,
)
from mailhub.policy.limits import Family
from mailhub.policy.route import TlsDemand

PERCENT: Final = bounded(FACTOR, 0.0, 0.99)
PORT: Final = bounded(COUNT, 1, 65535)
DEMAND: Final = choice({demand.value: demand for demand in TlsDemand})
FAMILY: Final = choice({family.value: family for family in Family})

QUEUE: Final = Section(
    "queue",
    "Mail that could not be handed on yet. Most refusals of the first minutes are greylisting;"
    " later ones are hosts that are down for hours.",
    (
        *schedule_keys("schedule."),
        Key(
            "jitter",
            PERCENT,
            "schedule.jitter",
            "The share by which a wait is longer or shorter at random, so that what failed"
            " together does not come back together.",
        ),
        Key(
            "least attempts",
            AT_LEAST_ONE,
            "schedule.least",
            "Made in any case: a machine that slept for a week, or whose clock was wrong, gives"
            " nothing up for that.",
        ),
        Key(
            "bounce whole",
            SIZE,
            "bounce.message",
            "A failed message up to this size goes back whole, of a larger one the header.",
        ),
        Key(
            "double bounces",
            choice({"log": False, "postmaster": True}),
            "double_bounces",
            "Who is told of a bounce that cannot be delivered, and of other mail without a sender"
            " that fails. log is the log and the message's journey; postmaster writes to the"
            " postmaster of [hub] too. Most of it is bounces of spam with a forged sender, which"
            " is why it is not told to anybody by default.",
        ),
        Key(
            "gather notices",
            DURATION,
            "runner.gather",
            "How long a failure may wait for others of the same message, to be told together.",
        ),
        Key(
            "bounce language",
            TEXT,
            "bounce_language",
            "Notices are written in the language that the sender's client names in his message"
            " (Accept-Language, Content-Language), if it is one of those there are, or in this one."
            " en and vi are built in.",
        ),
        Key(
            "bounce words",
            optional_text(PATH),
            "bounce_words",
            "A directory of files de.ini, fr.ini … with what notices say in further languages, or"
            " in other words; mailhub/config/words/en.ini shows the form.",
        ),
        Key("bounce header", bounded(SIZE, 1024), "bounce.header", "So much of that header."),
        Key(
            "attempts",
            AT_LEAST_ONE,
            "runner.attempts",
            "Under way at once, in all.",
        ),
        Key(
            "attempts per hop",
            AT_LEAST_ONE,
            "runner.attempts_per_hop",
            "Under way at once to one domain, while nobody knows who runs its hosts. Then as many"
            " as its provider's connections are worth, for all domains of his together.",
        ),
        Key(
            "recipients",
            bounded(COUNT, 1),
            "runner.recipients",
            "Of one message in one attempt. Every host takes 100.",
        ),
        Key(
            "ready",
            AT_LEAST_ONE,
            "runner.ready",
            "Due recipients held in memory; the others wait on disk.",
        ),
        Key(
            "ready per hop",
            AT_LEAST_ONE,
            "runner.ready_per_hop",
            "The same of one sender and class for one domain or smarthost.",
        ),
        Key(
            "fresh content",
            SIZE,
            "runner.cache",
            "Content of new messages held in memory until their first attempt.",
        ),
        Key(
            "look again",
            PATIENCE,
            "runner.sleep",
            "How often, while something waits, the clock is looked at: it may have been set, or"
            " the machine may have slept.",
        ),
        Key(
            "grace",
            DURATION,
            "runner.grace",
            "How long attempts may take to finish when the hub stops.",
        ),
        Key(
            "inline",
            SIZE,
            "journal.inline",
            "A message up to this size lies in the spool's database, a larger one in a file"
            " beside it.",
        ),
        Key(
            "in flight",
            bounded(SIZE, 1 << 20),
            "journal.in_flight",
            "Content on its way to the disk; clients wait when there is more.",
        ),
        Key(
            "batch",
            AT_LEAST_ONE,
            "journal.batch",
            "Changes written to the disk in one go.",
        ),
        Key(
            "sync after",
            PATIENCE,
            "local.sync_after",
            "How long mail filed into mailboxes is kept in the spool too, until many mailboxes are"
            " written to the disk in one go. Users see it at once all the same.",
        ),
        Key("sync count", AT_LEAST_ONE, "local.sync_count", "Or until so many have been filed."),
        Key(
            "sync size",
            bounded(SIZE, 1),
            "local.sync_octets",
            "Or until their content is so large.",
        ),
        Key(
            "unfiled",
            AT_LEAST_ONE,
            "local.pending",
            "Messages on their way from the spool to mailboxes; clients wait when there are more.",
        ),
        Key(
            "unfiled content",
            bounded(SIZE, 1 << 20),
            "local.pending_octets",
            "The memory that their content may take, likewise.",
        ),
        Key(
            "sync again",
            PATIENCE,
            "local.retry_sync",
            "How soon to try again after the disk refused.",
        ),
    ),
)


def _stage(name: str, why: str) -> Key:
    return Key(f"wait for {name}", PATIENCE, f"relay.patience.{name}", why)


JOURNEY: Final = Section(
    "journey",
    "What happened to each message, and which line of this file decided it: mailhub journey shows"
    " it, and the mailbox Queue shows it to senders.",
    (
        Key(
            "keep",
            DURATION,
            "journey.keep",
            "How long after a message came. 0 to remember nothing, and to have no mailbox Queue.",
            restart=True,
        ),
        Key(
            "size limit",
            bounded(SIZE, 1 << 20),
            "journey.size",
            "On disk. Beyond it the oldest journeys go, of messages that are not in the queue any"
            " more. A message takes about 1K.",
        ),
        Key(
            "wait",
            bounded(DURATION, 0.01, 60.0),
            "journey.wait",
            "How long what happened may wait to be written together with more. If the machine"
            " crashes that much of it is lost; mail is not.",
        ),
        Key(
            "mailbox",
            optional_text(MAILBOX),
            "journey.mailbox",
            "The mailbox in which those who sent mail after a login see what became of it, over"
            " IMAP. Deleting a message there cancels what was not sent yet; moving it to Drafts"
            " gives it back. Empty for no such mailbox. It hides one of the same name.",
            restart=True,
        ),
        Key(
            "recent",
            DURATION,
            "journey.recent",
            "How long that mailbox shows what has been delivered or has failed.",
        ),
    ),
)

RELAY: Final = Section(
    "relay",
    "Handing mail on to other hosts.",
    (
        Key(
            "tls",
            DEMAND,
            "relay.tls",
            "opportunistic encrypts where the other side can; required sends nothing in the clear"
            " (and much of the world will not get your mail); verified wants a valid certificate"
            " too; none never tries. A route may say otherwise.",
        ),
        Key(
            "dane",
            BOOLEAN,
            "relay.protection.dane",
            "Obey what a domain's DNS says of its hosts' certificates (TLSA records). It takes a"
            " validating resolver that you trust: see [dns] trusted.",
        ),
        Key(
            "mta-sts",
            BOOLEAN,
            "relay.protection.sts",
            "Obey the policies by which domains demand TLS of whoever sends to them; they are"
            " fetched over HTTPS and kept.",
        ),
        Key(
            "mta-sts patience",
            PATIENCE,
            "relay.protection.patience",
            "How long a message waits for such a policy; it comes by itself for the next one.",
        ),
        Key(
            "tls reports",
            BOOLEAN,
            "relay.tls_reports",
            "Count what comes of the encryption to each domain, and report it daily to those that"
            " ask for it, by mail from postmaster or over HTTPS. Such mail is not signed: some"
            " receivers will drop it.",
        ),
        Key(
            "authorities",
            optional_text(PATH),
            "relay.authorities",
            "A file with certificates (PEM) of authorities that are trusted besides those that this"
            " machine trusts, for a smarthost whose certificate no public authority has issued.",
            restart=True,
        ),
        Key(
            "port",
            PORT,
            "relay.port",
            "Where mail exchanges listen. 25, but in a test.",
        ),
        Key(
            "address family",
            FAMILY,
            "relay.reach.family",
            "Which addresses of other hosts are tried, and which first; both is IPv6 first. ipv4,"
            " if this machine's IPv6 address has no name (PTR): large providers refuse such.",
        ),
        Key(
            "sources",
            many(TEXT),
            "relay.sources",
            "Names of [source NAME] sections to send from, in turn. Empty leaves it to the system.",
        ),
        Key(
            "known providers",
            BOOLEAN,
            "relay.known",
            "Go by what is known of large providers; see [provider NAME].",
        ),
        Key(
            "replies",
            optional_text(PATH),
            "relay.replies",
            "A file that says what other hosts mean by their replies, before the rules that are"
            " built in (mailhub/config/replies.txt, where the form is described).",
        ),
        Key(
            "connections",
            AT_LEAST_ONE,
            "relay.pool.total",
            "Messages on their way at once, to all hosts.",
        ),
        Key(
            "connections per host",
            AT_LEAST_ONE,
            "relay.pool.destination",
            "Connections to one provider, domain or smarthost at once; see [provider NAME].",
        ),
        Key(
            "messages per connection",
            AT_LEAST_ONE,
            "relay.pool.messages",
            "Before a new one is made.",
        ),
        Key(
            "keep",
            DURATION,
            "relay.pool.idle",
            "How long a connection waits for the next message.",
        ),
        Key(
            "kept",
            COUNT,
            "relay.pool.idle_total",
            "How many connections wait so.",
        ),
        Key(
            "unanswered",
            AT_LEAST_ONE,
            "relay.pool.under_way",
            "Messages that may be under way at once on a connection, whole and without an answer,"
            " where a round trip takes 20 ms and more and the host announces PIPELINING and"
            " CHUNKING. If such a connection breaks nobody knows which of them the host has"
            " taken, and all are sent again: keep it small. 1 sends one after the other.",
        ),
        Key(
            "singly",
            DURATION,
            "relay.pool.singly",
            "How long a host that announces PIPELINING, and then loses its way among several"
            " commands at once, gets one at a time; or one that announces CHUNKING, and knows"
            " no BDAT.",
        ),
        Key(
            "grace",
            DURATION,
            "relay.pool.grace",
            "How long messages may take to finish when the hub stops.",
        ),
        Key(
            "hosts",
            AT_LEAST_ONE,
            "relay.reach.hosts",
            "Mail exchanges of a domain that one attempt tries.",
        ),
        Key(
            "addresses",
            bounded(COUNT, 2),
            "relay.reach.addresses",
            "Addresses that one attempt tries, of all these hosts.",
        ),
        Key(
            "wait for address",
            bounded(DURATION, 0.1),
            "relay.reach.stagger",
            "How long one address of a host is waited for before the next is tried beside it.",
        ),
        Key(
            "wait for connection",
            PATIENCE,
            "relay.pool.connect",
            "For a host to answer at all.",
        ),
        _stage("banner", "For its greeting. What follows are the standard's own times."),
        _stage("ehlo", "For the reply to EHLO."),
        _stage("starttls", "For the reply to STARTTLS."),
        _stage("handshake", "For TLS."),
        _stage("auth", "For each reply of a login."),
        _stage("mail", "For the reply to MAIL."),
        _stage("rcpt", "For the reply to RCPT."),
        _stage("data", "For the reply to DATA."),
        _stage("block", "For each piece of content to be taken."),
        _stage("end", "For the reply to the content. Less makes duplicates."),
        _stage("quit", "For the reply to QUIT."),
    ),
)

DNS: Final = Section(
    "dns",
    "Where names are looked up.",
    (
        Key(
            "servers",
            many(RESOLVER),
            "dns.servers",
            "IP addresses of recursive name servers, with :port if it is not 53. Empty is what"
            " /etc/resolv.conf says. Large public ones are refused by DNS lists; an unbound on"
            " this machine is best.",
        ),
        Key(
            "trusted",
            BOOLEAN,
            "dns.trusted",
            "They check DNSSEC, and nobody sits between them and us: say yes for a validating"
            " resolver on this machine only.",
        ),
        Key(
            "rounds",
            some(PATIENCE),
            "dns.patience.rounds",
            "How long to wait for an answer, each time before all servers are asked again.",
        ),
        Key(
            "long answers",
            PATIENCE,
            "dns.patience.stream",
            "How long to wait for an answer over TCP.",
        ),
        Key(
            "remembered",
            COUNT,
            "dns.cache.entries",
            "Answers remembered.",
        ),
        Key(
            "remember",
            DURATION,
            "dns.cache.longest",
            "How long, whatever the answer says itself.",
        ),
        Key(
            "remember nothing",
            DURATION,
            "dns.cache.negative",
            "The same for names that do not exist.",
        ),
        Key(
            "remember failure",
            DURATION,
            "dns.cache.failure",
            "How soon to ask again after no answer came.",
        ),
    ),
)

ROUTE: Final = Section(
    "route NAME",
    "Mail that goes another way than to its domain's mail exchanges; as many sections as you"
    " like, each with a name of its own. The route that names the recipient's domain most exactly"
    " wins, whatever the order.",
    (
        Key(
            "host",
            optional(SERVER),
            "host",
            "The smarthost, with its port if that is not the usual one. Empty for an exception:"
            " mail that matches goes to its domain's mail exchanges after all.",
        ),
        Key(
            "recipients",
            many(PATTERN),
            "recipients",
            "Domains of recipients that go this way: example.com, *.example.com for everything"
            " below it, * for all. Empty is all.",
        ),
        Key(
            "senders",
            many(PATTERN),
            "senders",
            "Domains of senders that go this way, likewise.",
        ),
        Key(
            "implicit tls",
            optional(BOOLEAN),
            "implicit",
            "TLS from the first octet instead of STARTTLS. Empty is: on port 465.",
        ),
        Key(
            "tls",
            optional(DEMAND),
            "tls",
            "As in [relay]. Empty is verified for a smarthost, opportunistic for an exception.",
        ),
        Key(
            "spare",
            BOOLEAN,
            "spare",
            "No mail goes this way but what a [provider NAME] sends on a detour.",
        ),
        Key(
            "return paths",
            optional(BOOLEAN),
            "returns",
            "Whether the return paths of [suppression] are used on this way. Empty is no for a"
            " smarthost, many of which take no sender but the account's own.",
        ),
        Key("username", TEXT, "username", "For a smarthost that wants a login."),
        Key(
            "password file",
            optional_text(PATH),
            "password_file",
            "A file with the password in its first line, readable by the hub's user alone.",
        ),
        *schedule_keys(),
    ),
)
