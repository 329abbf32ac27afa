"""What is demanded of the encryption to one host, by the operator, its domain and the message.

Pure: TLSA records and MTA-STS policies were fetched before.

Invariants:

1. Nobody's demand lowers another's, but an operator who wants no TLS at all, and a
   message that says so of its domain's (RFC 8689 §5), never of the operator's.
2. DANE comes before MTA-STS: where records are usable they alone say which
   certificate is good (RFC 8461 §2).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.policy.dane import Standing, standing, usable
from mailhub.policy.route import TlsDemand
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.policy.verdict import Verdict
from mailhub.ports.resolver import Tlsa

_STRICTNESS = (
    TlsDemand.NONE,
    TlsDemand.OPPORTUNISTIC,
    TlsDemand.REQUIRED,
    TlsDemand.VERIFIED,
)


VERIFIED: Final = "verified"
"""Of a certificate that a public authority issued for the host."""
BY_DANE: Final = "verified by DANE"
"""Of one that the host's DNS promised."""


class By(Enum):
    """Whose demand it is; the words are those of journeys."""

    CONFIGURATION = "the configuration"
    DANE = "DANE"
    STS = "MTA-STS"
    MESSAGE = "REQUIRETLS"


@value(frozen=True, slots=True)
class Assurance:
    """What a domain's DNS and its policy say of its exchanges.

    Attributes:
        authentic: The names of its exchanges came authenticated (RFC 7672 §2.2.1).
        sts: Its MTA-STS policy, if it has one.
    """

    authentic: bool = False
    sts: StsPolicy | None = None

    def vouches(self, host: str) -> bool:
        """Whether it is certain that this is one of the domain's exchanges (RFC 8689 §4.2.1)."""
        return self.authentic or (self.sts is not None and self.sts.allows(host))


NOTHING = Assurance()

TLS_OPTIONAL: Final = Verdict(
    "TLS: what its recipients' domains demand does not count, as it says TLS-Required: No"
)
"""What is said of a message for which `protection` is `optional`."""


@value(frozen=True, slots=True)
class Protection:
    """What the encryption to a host must be.

    Attributes:
        records: Usable TLSA records, one of which must match; empty for public authorities.
    """

    demand: TlsDemand
    by: By = By.CONFIGURATION
    records: tuple[Tlsa, ...] = ()


def protection(
    configured: TlsDemand,
    host: str,
    assurance: Assurance,
    records: tuple[Tlsa, ...],
    *,
    require_tls: bool = False,
    optional: bool = False,
    named: bool = False,
) -> Protection:
    """The strictest of all demands.

    Args:
        configured: The operator's demand.
        host: Where the message is to go.
        assurance: What is known of the domain whose exchange it is.
        records: The host's TLSA records, all of them, authenticated.
        require_tls: The message's REQUIRETLS (RFC 8689).
        optional: The message's ``TLS-Required: No``: what its domain demands does not count.
        named: The host was named by the operator, and so needs nobody to vouch for it.

    Raises:
        Refusal: This host may not have the message.
    """
    if (optional or configured is TlsDemand.NONE) and not require_tls:
        return Protection(configured)
    found = Protection(configured)
    match standing(records):
        case Standing.USABLE:
            found = Protection(TlsDemand.VERIFIED, By.DANE, usable(records))
        case Standing.UNUSABLE:
            found = stricter(found, Protection(TlsDemand.REQUIRED, By.DANE))
        case Standing.ABSENT:
            pass
    if not found.records and enforced(assurance.sts):
        assert assurance.sts is not None
        if not assurance.sts.allows(host):
            raise Refusal(451, "7.5", f"{host} is not among the exchanges of the MTA-STS policy")
        found = stricter(found, Protection(TlsDemand.VERIFIED, By.STS))
    if require_tls:
        if not named and not assurance.vouches(host):
            # Else a forged answer of the DNS would get it (RFC 8689 §4.2.1).
            words = f"REQUIRETLS: neither DNSSEC nor MTA-STS vouches for {host}"
            raise Refusal(550, "7.30", words)
        found = stricter(found, Protection(TlsDemand.VERIFIED, By.MESSAGE))
    return found


#   requiretls-field = "TLS-Required:" [FWS] "No" CRLF   (RFC 8689 §3)
def tls_optional(header: Header) -> bool:
    """Whether a message's header says that what its recipients demand of TLS may fail."""
    return [value.strip().lower() for value in header.all(b"tls-required")] == [b"no"]


def enforced(policy: StsPolicy | None) -> bool:
    """Whether a policy is to be obeyed, and not only reported on."""
    return policy is not None and policy.mode is Mode.ENFORCE


def stricter(one: Protection, other: Protection) -> Protection:
    """The stricter of two demands; the first of equals."""
    if _STRICTNESS.index(other.demand) > _STRICTNESS.index(one.demand):
        return other
    return one
