r"""Special uses guessed from names, when a maildir that another program made is first opened.

Dovecot keeps them in its configuration, and other servers nowhere: so the mailbox that
people call so becomes ``\Sent``, and a client need not ask (or make a second one).  An
account's owner changes them by METADATA (RFC 6154 §4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from mailhub.store.name import SEPARATOR

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "\\Sent": (
        *("sent", "sent items", "sent messages", "sent mail", "sent-mail", "outbox"),
        *("gesendet", "gesendete objekte", "gesendete elemente", "envoyés", "éléments envoyés"),
        *("enviados", "elementos enviados", "posta inviata", "inviata", "itens enviados"),
        *("verzonden", "verzonden items", "skickat", "wysłane", "отправленные"),
    ),
    "\\Drafts": (
        *("drafts", "draft", "entwürfe", "brouillons", "borradores", "bozze", "rascunhos"),
        *("concepten", "utkast", "kopie robocze", "черновики"),
    ),
    "\\Trash": (
        *("trash", "deleted items", "deleted messages", "deleted", "bin"),
        *("papierkorb", "gelöschte objekte", "gelöschte elemente", "corbeille"),
        *("éléments supprimés", "papelera", "elementos eliminados", "cestino", "lixeira"),
        *("prullenbak", "papperskorgen", "kosz", "корзина"),
    ),
    "\\Junk": (
        *("junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail"),
        *("unerwünscht", "courrier indésirable", "indésirables", "correo no deseado"),
        *("posta indesiderata", "lixo eletrônico", "ongewenste e-mail", "skräppost", "спам"),
    ),
    "\\Archive": ("archive", "archives", "archiv", "archivo", "archivio", "arquivo", "archief"),
}
"""What people and their programs call the mailbox of each use; the likeliest names first."""


def special_uses(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The uses of an account's mailboxes, by name: at most one mailbox for each.

    Only names at the top, or directly below INBOX or Gmail's own level, are looked at.
    """
    known = {}
    for name in sorted(names, key=lambda name: (name.count(SEPARATOR), name), reverse=True):
        above, _, last = name.rpartition(SEPARATOR)
        if above in ("", "INBOX", "[Gmail]", "[Google Mail]"):
            known[last.casefold()] = name
    found: dict[str, tuple[str, ...]] = {}
    for use, candidates in NAMES.items():
        fitting = [known[it] for it in candidates if it in known]
        if fitting:
            found[fitting[0]] = (use,)
    return found
