r"""What the rights on a selected mailbox allow: which flags, and whether to remove (RFC 4314 §4).

Who may set some flags only has STORE change those, and leave the others as they are; it
fails if it can change none.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailhub.imap.response import No
from mailhub.imap.state import Selected
from mailhub.mail.flag import SYSTEM_FLAGS
from mailhub.mail.rights import Rights, may_set, writable
from mailhub.ports.message import FlagAction

Step = tuple[FlagAction, tuple[str, ...]]


def check_writable(box: Selected, letters: str = "") -> None:
    """Whether a command may change messages, given the rights it needs all of.

    Raises:
        No: READ-ONLY or NOPERM (RFC 5530 §3).
    """
    if box.read_only:
        if writable(box.mailbox.rights):
            raise No("The mailbox was opened read-only", "READ-ONLY")
        raise No("The mailbox can only be read", "NOPERM")
    if not all(letter in box.mailbox.rights for letter in letters):
        raise No("The mailbox's owner does not allow it", "NOPERM")


def steps(box: Selected, action: FlagAction, flags: tuple[str, ...]) -> list[Step]:
    """What a STORE comes to where only some flags may be changed.

    Raises:
        No: NOPERM: none of them may.
    """
    rights = box.mailbox.rights
    if all(letter in rights for letter in "swt"):
        return [(action, flags)]
    known = (*SYSTEM_FLAGS, *box.mailbox.keywords)
    found = [it for it in _steps(action, flags, known, rights) if it[1]]
    if not found and (flags or action is FlagAction.REPLACE):
        raise No("The mailbox's owner does not allow it", "NOPERM")
    return found


def _steps(
    action: FlagAction, flags: tuple[str, ...], known: Sequence[str], rights: Rights
) -> list[Step]:
    allowed = tuple(flag for flag in flags if may_set(flag, rights))
    if action is not FlagAction.REPLACE:
        return [(action, allowed)]
    given = {flag.lower() for flag in flags}
    others = tuple(it for it in known if may_set(it, rights) and it.lower() not in given)
    return [(FlagAction.REMOVE, others), (FlagAction.ADD, allowed)]
