"""Quotas as they are told and set."""

from __future__ import annotations

from mailhub.ports.accounts import Quota
from tests.imap.given import Talk, store


def test_quota_without_limits() -> None:
    """Only what is limited is told, STORAGE in units of 1024 octets, rounded up."""
    mail = store()
    talk = Talk(mail).login()
    assert talk.say('a GETQUOTA ""')[0] == '* QUOTA "" ()'
    mail.quota = Quota(octets=4096)
    assert talk.say('b GETQUOTA ""')[0] == '* QUOTA "" (STORAGE 1 4)'
    mail.quota = Quota(messages=9, mailboxes=7)
    assert talk.say('c GETQUOTA ""')[0] == '* QUOTA "" (MESSAGE 3 9 MAILBOX 4 7)'


def test_set() -> None:
    """An admin sets quotas: what is not named is unlimited (RFC 9208 §4.1.3)."""
    mail = store()
    mail.admin = True
    talk = Talk(mail).login()
    assert "QUOTASET" in talk.say("a CAPABILITY")[0].split()
    assert talk.say('b SETQUOTA "" (STORAGE 10 MESSAGE 100 MAILBOX 5)') == [
        '* QUOTA "" (STORAGE 1 10 MESSAGE 3 100 MAILBOX 4 5)',
        "b OK Setquota completed",
    ]
    assert talk.say('c SETQUOTA "" (MESSAGE 50)')[0] == '* QUOTA "" (MESSAGE 3 50)'
    assert mail.quota == Quota(messages=50)
    assert talk.say('d SETQUOTA "" ()')[0] == '* QUOTA "" ()'


def test_set_mistakes() -> None:
    """Resources that there are not, numbers that are too large, and roots of nobody."""
    mail = store()
    mail.admin = True
    talk = Talk(mail).login()
    unknown = talk.say('a SETQUOTA "" (X-BEER 3)')
    assert unknown == ["a NO [CANNOT] X-BEER cannot be limited"]
    assert talk.say(f'b SETQUOTA "" (STORAGE {2**62})')[0].startswith("b NO [LIMIT]")
    assert talk.say("c SETQUOTA none (MESSAGE 3)") == ["c NO [NONEXISTENT] No such quota root"]
    assert mail.quota == Quota()


def test_not_for_all() -> None:
    """Others are not told of SETQUOTA, and may not use it."""
    talk = Talk().login()
    assert "QUOTASET" not in talk.say("a CAPABILITY")[0]
    assert talk.say('b SETQUOTA "" ()') == ["b NO [NOPERM] Quotas are set by the operator"]
