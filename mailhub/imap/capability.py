"""The capability list: only what is complete, and only when it can be used (RFC 3501 §6.1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailhub.imap.settings import Limits
from mailhub.imap.state import Phase, State
from mailhub.mail.rights import NEW

ALWAYS: Final = (
    "IMAP4rev1",
    "IMAP4rev2",  # RFC 9051
    "LITERAL+",  # RFC 7888
    "SASL-IR",  # RFC 4959
    "ID",  # RFC 2971
    "ENABLE",  # RFC 5161
    "IDLE",  # RFC 2177
    "NAMESPACE",  # RFC 2342
    "CHILDREN",  # RFC 3348
    "LIST-EXTENDED",  # RFC 5258
    "LIST-STATUS",  # RFC 5819
    "STATUS=SIZE",  # RFC 8438
    "STATUS=DELETED",  # RFC 9208
    "SPECIAL-USE",  # RFC 6154
    "CREATE-SPECIAL-USE",  # RFC 6154
    "UIDPLUS",  # RFC 4315
    "MULTIAPPEND",  # RFC 3502
    "UNSELECT",  # RFC 3691
    "MOVE",  # RFC 6851
    "QUOTA",  # RFC 9208
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "ACL",  # RFC 4314
    f"RIGHTS={NEW}",
    "LIST-MYRIGHTS",  # RFC 8440
    "METADATA",  # RFC 5464
    "METADATA-SERVER",
    "LIST-METADATA",  # RFC 9590
    "CATENATE",  # RFC 4469
    "URL-PARTIAL",  # RFC 5550
    "URLAUTH",  # RFC 4467
    "URLAUTH=BINARY",  # RFC 5524
    "BINARY",  # RFC 3516
    "UTF8=ACCEPT",  # RFC 6855, RFC 9755
    "PREVIEW",  # RFC 8970
    "ESEARCH",  # RFC 4731
    "SEARCHRES",  # RFC 5182
    "WITHIN",  # RFC 5032
    "PARTIAL",  # RFC 9394
    "INPROGRESS",  # RFC 9585
    "MULTISEARCH",  # RFC 7377
    "SEARCH=FUZZY",  # RFC 6203
    "I18NLEVEL=1",  # RFC 5255: all is compared by i;unicode-casemap
    "CONTEXT=SEARCH",  # RFC 5267
    "CONTEXT=SORT",
    "SORT",  # RFC 5256
    "SORT=DISPLAY",  # RFC 5957
    "ESORT",  # RFC 5267
    "THREAD=REFERENCES",  # RFC 5256
    "THREAD=REFS",
    "THREAD=ORDEREDSUBJECT",
    "CONDSTORE",  # RFC 7162
    "QRESYNC",
    "OBJECTID",  # RFC 8474
    "SAVEDATE",  # RFC 8514
    "REPLACE",  # RFC 8508
    "UIDONLY",  # RFC 9586
    "UIDBATCHES",  # RFC 10022
    "NOTIFY",  # RFC 5465
)
"""What needs no condition. Told before login too: some clients ask only once."""
UNAUTHENTICATE: Final = "UNAUTHENTICATE"  # RFC 8437
"""What only those who have logged in can use, while the connection is not compressed."""
COMPRESS: Final = "COMPRESS=DEFLATE"  # RFC 4978
"""The same, and once in a connection."""


def capabilities(state: State) -> str:
    """The list as it is now, for CAPABILITY and for the response code of that name."""
    append = f"APPENDLIMIT={state.limits.append}"  # RFC 7889
    before_login = state.phase is Phase.NOT_AUTHENTICATED
    now = _before_login(state) if before_login else _after_login(state)
    return " ".join((*ALWAYS, append, *_limits(state.limits), *now))


def _limits(limits: Limits) -> Iterable[str]:
    """One of the two: the first holds for all that the second is about (RFC 9738 §3)."""
    if limits.messages:
        yield f"MESSAGELIMIT={limits.messages}"
    elif limits.saved:
        yield f"SAVELIMIT={limits.saved}"


def _after_login(state: State) -> Iterable[str]:
    if state.limits.unauthenticate and not state.deflated:
        yield UNAUTHENTICATE
    if state.limits.compress and not state.deflated:
        yield COMPRESS
    if state.mail is not None and state.mail.admin:
        yield "QUOTASET"


def _before_login(state: State) -> list[str]:
    offered = state.mechanisms.offered(state.tls, state.client.address)
    found = [f"AUTH={name}" for name in offered]
    if state.settings.tls and state.tls is None:
        found.append("STARTTLS")
    if not login_allowed(state):
        found.append("LOGINDISABLED")  # RFC 3501 §6.2.3
    return found


def login_allowed(state: State) -> bool:
    """Whether a password may be said in the clear here: where PLAIN is offered."""
    return "PLAIN" in state.mechanisms.offered(state.tls, state.client.address)
