"""How a client wants to be told of changes: what it has enabled, for all of its connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    r"""What untagged responses look like.

    Attributes:
        modseqs: UID and MODSEQ stand in each FETCH that was not asked for (RFC 7162 §3.2.4).
        vanished: VANISHED is said in place of EXPUNGE (RFC 7162 §3.2.10).
        uid_only: UIDFETCH in place of FETCH, and VANISHED: no sequence numbers (RFC 9586 §3).
        utf8: Names of mailboxes are in UTF-8, and so may be quoted strings (RFC 6855 §3).
        recent: RECENT and ``\Recent`` are told, which IMAP4rev2 has not (RFC 9051 appendix E).
    """

    modseqs: bool = False
    vanished: bool = False
    uid_only: bool = False
    utf8: bool = False
    recent: bool = True


PLAIN = Manner()
"""Of a client that has enabled nothing."""
