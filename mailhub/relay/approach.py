"""What it takes to talk to a host: its addresses, and the terms on which it gets the message."""

from __future__ import annotations

from collections.abc import Callable, Collection

from mailhub.mail.address import NULL
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.net.clienttls import Promise
from mailhub.policy.classify import Classifier
from mailhub.policy.dane import Usage
from mailhub.policy.limits import RemoteLimits
from mailhub.policy.protection import Assurance, Protection, protection
from mailhub.policy.provider import Provider, Source
from mailhub.policy.route import Exchange, Hop, Shuffle, TlsDemand
from mailhub.ports.resolver import LookupFailed, NoSuchDomain, Tlsa
from mailhub.relay.names import Names
from mailhub.relay.pool import Peer, Pool
from mailhub.relay.protector import Protector
from mailhub.relay.reach import UnnamedAddresses, in_order, usable
from mailhub.sasl.client import Credentials


@value(frozen=True, slots=True)
class Means:
    """What it takes to go anywhere.

    Attributes:
        time: Seconds since the epoch.
        listening: Addresses and ports where we receive mail, ``""`` for all addresses.
        unnamed: Local IPv6 addresses that were found to have no name.
    """

    pool: Pool
    shuffle: Shuffle
    time: Callable[[], float]
    listening: Collection[tuple[str, int]]
    limits: RemoteLimits
    classifier: Classifier
    unnamed: UnnamedAddresses
    protector: Protector | None = None


class Approach:
    """One message's way to the hosts of one hop.

    Args:
        assurance: What is known of the hop's domain.

    Attributes:
        needed: What was demanded of the encryption to each host that was asked about.
    """

    def __init__(
        self,
        means: Means,
        hop: Hop,
        provider: Provider,
        source: Source,
        envelope: Envelope,
        names: Names,
        assurance: Assurance,
    ) -> None:
        self.needed: dict[str, Protection] = {}
        self._means = means
        self._hop = hop
        self._provider = provider
        self._source = source
        self._envelope = envelope
        self._names = names
        self._assurance = assurance

    async def peer(self, host: str) -> Peer:
        """A host, and the terms on which we talk to it.

        Raises:
            Refusal: It may not have the message.
        """
        hop, provider = self._hop, self._provider
        needed = await self._protection(host)
        implicit, credentials = False, None
        if not isinstance(hop, Exchange):
            implicit = hop.implicit
            credentials = Credentials(hop.username, hop.password) if hop.username else None
        return Peer(
            host,
            hop.port,
            needed.demand,
            implicit,
            credentials,
            self._source,
            provider.name,
            provider.messages,
            provider.recipients,
            self._promise(host, needed.records),
            needed.by.value,
        )

    async def _protection(self, host: str) -> Protection:
        hop, assurance, protector = self._hop, self._assurance, self._means.protector
        configured = self._provider.demand(hop.tls)
        records: tuple[Tlsa, ...] = ()
        envelope = self._envelope
        asked = configured is not TlsDemand.NONE and not envelope.tls_optional
        if protector is not None and isinstance(hop, Exchange) and asked:
            records = await protector.records(host, hop, self._names, assurance)
        needed = self.needed[host] = protection(
            configured,
            host,
            assurance,
            records,
            require_tls=envelope.require_tls and envelope.reverse_path != NULL,
            optional=envelope.tls_optional,
            named=not isinstance(hop, Exchange),
        )
        return needed

    def _promise(self, host: str, records: tuple[Tlsa, ...]) -> Promise | None:
        if not records:
            return None
        # Only an anchor's word needs a name, and the domain's would keep others' mail from
        # sharing the connection.
        anchored = any(record.usage == Usage.DANE_TA for record in records)
        names = (host, self._hop.name) if anchored else (host,)
        return Promise(records, names, self._means.time)

    async def addresses(self, host: str) -> list[str]:
        """The addresses of a host, in the order to try them.

        Raises:
            Refusal: It has none that we may use, or cannot be looked up.
        """
        try:
            answer = await self._names.addresses(host)
        except LookupFailed as failure:
            raise Refusal(451, "4.3", f"Looking up {host} failed: {failure}") from None
        except NoSuchDomain:
            raise _unroutable(self._hop, f"The host {host} does not exist") from None
        means, provider, source = self._means, self._provider, self._source
        family = provider.family or means.limits.family
        found = in_order(answer.records, family, means.shuffle)
        if not found:
            raise _unroutable(self._hop, f"The host {host} has no address")
        unnamed = provider.named and means.unnamed.any(source.ipv6, means.time())
        return usable(host, found, source, unnamed=unnamed)

    async def presentable(self, local: str, remote: str) -> bool:
        """Whether our end of a connection is one that this provider takes mail from."""
        if not self._provider.named or ":" not in remote:
            return True
        if await self._names.has_name(local):
            return True
        self._means.unnamed.add(local, self._means.time())
        return False


def _unroutable(hop: Hop, words: str) -> Refusal:
    # A smarthost that is not there is the operator's mistake, and not the message's.
    return Refusal(550 if isinstance(hop, Exchange) else 451, "4.4", words)
