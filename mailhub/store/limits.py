"""What the store allows, and how much it keeps at hand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the store; sizes in octets, times in seconds.

    Attributes:
        mailboxes: Mailboxes an account may have.
        reserved: The name of a mailbox that is not one of the store's: it makes none
            that is called so.
        levels: Levels of a mailbox's name.
        directory: Octets of a mailbox's directory name, as the file system allows (NAME_MAX).
        subscriptions: Names an account may subscribe to.
        annotations: Annotations that all share of one mailbox; each account may have as many more.
        upload_memory: What an upload keeps in memory before it goes to a file.
        read_whole: The largest message that is read in one piece.
        read_ahead_messages: Messages read in one go for a client that reads in order.
        read_ahead_octets: Octets read in one go likewise.
        read_cache: Octets read ahead that all mailboxes together may hold.
        piece: Octets read at a time from a large message.
        batch: Messages changed between two chances for others to have the mailbox.
        read_batch: Messages of which headers or summaries are read likewise.
        changes: Entries of a mailbox's change log, or one for each message if that is more.
        warm_mailboxes: Closed mailboxes kept ready to be opened again.
        warm_memory: What all of them together may take of memory, about.
        recent_accounts: Accounts whose store is kept at hand though nobody uses it.
        open_indexes: Index databases held open.
        uid_block: How far the ceiling of UIDs is raised at once.
        modseq_block: How far the ceiling of MODSEQs is raised at once.
        expunged: Runs of expunged UIDs that each mailbox remembers for clients that come
            back; between so many and twice as many.
        verify: Time after which a directory that we changed ourselves is listed again,
            in case another program changed it in the same moment.
        names: Messages whose files are renamed between two chances likewise.
        names_after: Time after which files get names that say new flags.
        look: Time between two looks at open mailboxes for what other programs changed there.
        full_text: Whether bodies and header sections go into the full-text index: else they are
            read when they are searched.
        index_every: Time between two turns of the full-text indexer, which works for at most
            a tenth of it.
        index_quiet: Time after a mailbox's last arrival before its messages are indexed
            unasked: amid a burst there is better to do.
        index_batch: Messages indexed in one step.
        index_octets: Octets of messages indexed in one step, the last one apart.
        sync_each: Up to so many filed messages are synced one by one, more all together.
        brief: Messages that are put into mailboxes in place, while the disk is quick:
            small ones, whose durability is another's affair.
        filed: Filings remembered, so that one that is repeated is recognised.
        departed: How long removed messages are remembered, so that a filing that is
            repeated after a crash does not bring them back.
        stale: Age at which files in ``tmp`` are swept away.
    """

    mailboxes: int = 5_000
    reserved: str = ""
    levels: int = 32
    directory: int = 255
    subscriptions: int = 10_000
    annotations: int = 100
    upload_memory: int = 128 << 10
    read_whole: int = 64 << 10
    read_ahead_messages: int = 64
    read_ahead_octets: int = 512 << 10
    read_cache: int = 16 << 20
    piece: int = 256 << 10
    batch: int = 2_048
    read_batch: int = 2_048
    names: int = 256
    names_after: float = 0.5
    changes: int = 4_096
    warm_mailboxes: int = 256
    warm_memory: int = 64 << 20
    recent_accounts: int = 256
    open_indexes: int = 64
    uid_block: int = 512
    modseq_block: int = 4_096
    expunged: int = 10_000
    verify: float = 300.0
    look: float = 5.0
    full_text: bool = True
    index_every: float = 1.0
    index_quiet: float = 2.0
    index_batch: int = 64
    index_octets: int = 1 << 20
    sync_each: int = 8
    brief: int = 4
    filed: int = 16_384
    departed: float = 2 * 86_400.0
    stale: float = 36 * 3_600.0
