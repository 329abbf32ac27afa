"""Puts the providers of an atlas into a world: hosts, names, what comes late, what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from twisted.protocols.tls import TLSMemoryBIOFactory

from mailhub.ports.resolver import Tlsa
from mailhub.relay.protector import WELL_KNOWN
from mailhub.sim.certificates import Certificates
from mailhub.sim.manners import Certificate, Dane, Manners, Outage, Sts, Window
from mailhub.sim.names import Fault
from mailhub.sim.network import Host, Port
from mailhub.sim.notices import bounce, complaint
from mailhub.sim.receiver import Books, Message, Receiver, afterwards
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.wire import Link
from mailhub.sim.world import World
from mailhub.sim.worldfile import model_of

PORT: Final = 25
_RETRY: Final = 300.0
"""Seconds after which a provider's own bounce is tried again."""
_TRIES: Final = 12


class Providers:
    """The providers of one world."""

    def __init__(self, world: World, books: Books | None = None) -> None:
        self.world = world
        self.books = books
        self.receivers: dict[str, Receiver] = {}
        self.pending = 0
        self._certificates: Certificates | None = None

    @property
    def authorities(self) -> str:
        """The file of the authority that signs the good certificates; ``""`` for none."""
        return self._certificates.authority if self._certificates is not None else ""

    def add(
        self,
        manners: Manners,
        kind: type[Receiver] = Receiver,
        *,
        port: int = PORT,
        implicit: bool = False,
    ) -> Receiver:
        """Put one into the world; `implicit` is TLS from the first octet."""
        world = self.world
        if manners.model:
            kind = model_of(manners.model)
        receiver = kind(world, manners, self.books)
        self.receivers[manners.name] = receiver
        names = manners.exchanges or (f"mx.{_label(manners.name)}.example",)
        if manners.tls not in (Certificate.NONE, Certificate.REFUSED, Certificate.BROKEN):
            self._secure(receiver, names)
        ports = []
        for name in names:
            link = Link(manners.latency, manners.jitter, manners.bandwidth)
            host = world.host(name, link=link)
            receiver.hosts.append(host)
            factory: Any = receiver
            if implicit:
                factory = TLSMemoryBIOFactory(receiver.context, False, receiver, host.reactor)
            ports.append(host.reactor.listenTCP(port, factory))
        for domain in manners.domains:
            world.names.mail(domain, *names)
            self._trouble(domain, manners)
            self._publish(domain, names, manners)
        for name in names:
            self._pin(name, manners)
        for window in manners.outages:
            self._outage(receiver, window, ports)
        receiver.late = lambda message: self._late(receiver, message)
        return receiver

    def _secure(self, receiver: Receiver, names: tuple[str, ...]) -> None:
        if self._certificates is None:
            self._certificates = Certificates(f"{self.world.root}/authority")
        receiver.context = self._certificates.context(names, receiver.manners.tls)

    def _trouble(self, domain: str, manners: Manners) -> None:
        zone = self.world.names.zone(domain.removeprefix("*."))
        zone.secure = manners.secure
        for window in manners.names_fails:
            start = self.world.start
            fault = Fault(manners.names_fault)
            zone.faults.append((fault, start + window.start, start + window.end))

    def _pin(self, host: str, manners: Manners) -> None:
        """Give a host its TLSA records."""
        if manners.secure:
            self.world.names.zone(host).secure = True
        if manners.dane is Dane.NONE:
            return
        right = manners.dane is Dane.GOOD and self._certificates is not None
        data = self._certificates.fingerprint if self._certificates and right else bytes(32)
        self.world.names.add("tlsa", f"_{PORT}._tcp.{host}", Tlsa(3, 1, 1, data))

    def _publish(self, domain: str, names: tuple[str, ...], manners: Manners) -> None:
        """Let a domain have its MTA-STS policy."""
        if manners.sts is Sts.NONE or "*" in domain:
            return
        self.world.names.add("txt", f"_mta-sts.{domain}", b"v=STSv1; id=1")
        if manners.sts is Sts.MISSING:
            return
        mode = "testing" if manners.sts is Sts.TESTING else "enforce"
        hosts = ("mx.elsewhere.example",) if manners.sts is Sts.WRONG else names
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts)]
        policy = "".join(f"{line}\r\n" for line in (*lines, "max_age: 604800"))
        self.world.pages.put(f"mta-sts.{domain}", WELL_KNOWN, policy.encode())

    # ---- Outages ---------------------------------------------------------------------------

    def _outage(self, receiver: Receiver, window: Window, ports: list[Port]) -> None:
        world, kind = self.world, receiver.manners.outage
        if kind is Outage.SILENT:
            for host in receiver.hosts:
                world.at(window.start, world.network.isolate, host)
                world.at(window.end, world.network.rejoin, host)
        elif kind is Outage.REFUSED:
            for port in ports:
                world.at(window.start, port.stopListening)
                world.at(window.end, port.startListening)
        # Where it only says that it is busy, the receiver itself sees to that.

    # ---- What comes late -------------------------------------------------------------------

    def _late(self, receiver: Receiver, message: Message) -> None:
        if not message.sender:
            return  # nobody to tell (RFC 5321 §4.5.5)
        manners = receiver.manners
        for kind, path in afterwards(receiver, message):
            bounced = kind == "bounce"
            delay = manners.bounce_delay if bounced else manners.complaint_delay
            self.pending += 1
            self.world.clock.callLater(delay, self._happen, receiver, message, path, bounced)

    def _happen(self, receiver: Receiver, message: Message, path: str, bounced: bool) -> None:
        self.pending -= 1
        now = self.world.now
        receiver.books.afterwards(receiver, now, bounced=bounced)
        if not bounced:
            receiver.memory.complained(message.source, now)
            receiver.note(f"complaint of {message.source}")
            if not receiver.manners.feedback:
                return
        make = bounce if bounced else complaint
        name = receiver.hosts[0].name
        content = make(name, path, message, now, self.world.age)
        sender = "" if bounced else f"feedback@{name}"
        self._send(receiver.hosts[0], Errand(sender, (message.sender,), content, _ignore))

    def _send(self, host: Host, errand: Errand, tries: int = 0) -> None:
        """Send a notice to whoever takes the mail of its recipient's domain."""
        names = self.world.names
        domain = errand.recipients[0].rpartition("@")[2]
        found = names.records("mx", domain)
        addresses = names.records("addresses", found[0].host) if found else None
        if not addresses or tries == _TRIES:
            return
        self.pending += 1
        heard: list[int] = []
        todo = [replace(errand, done=lambda code, _: heard.append(code))]

        def gone() -> None:
            self.pending -= 1
            if not heard or heard[0] == 0 or 400 <= heard[0] < 500:
                self.world.clock.callLater(_RETRY, self._send, host, errand, tries + 1)

        factory = SenderFactory(host, lambda: todo.pop() if todo else None, gone)
        host.reactor.connectTCP(addresses[0], PORT, factory)


def _ignore(code: int, codes: tuple[int, ...]) -> None:
    """Whoever sends a notice sees to it itself."""


def _label(name: str) -> str:
    """A provider's name as a label of a host name: letters, digits and hyphens."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name)
    return plain.strip("-").lower() or "provider"
