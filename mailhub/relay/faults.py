"""What a client is told of faults that are not its own."""

from __future__ import annotations

import errno

from mailhub.mail.reply import Refusal


def refusal(error: OSError) -> Refusal:
    """What a client is told when the disk fails before we have promised anything."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refusal(452, "3.1", "Out of disk space, try again later")
    return Refusal(451, "3.0", "Temporary failure, try again later")
