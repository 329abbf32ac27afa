"""What came of each connection: noted for the message, for the provider's gate, and for reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailhub.mail.reply import Reply
from mailhub.mail.value import replace
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier, Verdict
from mailhub.policy.protection import Assurance, Protection
from mailhub.policy.route import Exchange, Hop, TlsDemand
from mailhub.policy.tlsrpt import Contact, Fault
from mailhub.ports.outgoing import Attempt
from mailhub.relay import blame as blaming
from mailhub.relay.pool import Link
from mailhub.relay.progress import Excuse, Progress
from mailhub.relay.protector import Protector
from mailhub.relay.traffic import Gate
from mailhub.smtp.announce import unwatched
from mailhub.smtp.job import Handover
from mailhub.smtp.wire import Broken, Untrusted, Unwelcome


class Findings:
    """Of one message's walk.

    Args:
        time: Seconds since the epoch.
        protector: Is told what came of the encryption; None for nobody.
        assurance: What is known of the hop's domain.
    """

    def __init__(
        self,
        time: Callable[[], float],
        classifier: Classifier,
        hop: Hop,
        gate: Gate,
        progress: Progress,
        protector: Protector | None,
        assurance: Assurance,
    ) -> None:
        self._time = time
        self._classifier = classifier
        self._hop = hop
        self._gate = gate
        self._provider = gate.provider
        self._progress = progress
        self._protector = protector
        self._assurance = assurance

    def heard(self, link: Link, numbers: Sequence[int], handover: Handover) -> None:
        """Carry the replies over to the recipients, and tell the gate what was heard."""
        heard: dict[Cause | None, tuple[Verdict | None, Reply]] = {}
        for place, number in enumerate(numbers):
            reply = handover.replies[place]
            if reply is None:
                continue
            if place in handover.ours:
                self._unfit(link, reply, number)
                continue
            verdict = None if reply.positive else self._verdict(reply)
            cause = None if verdict is None else verdict.cause
            dsn = reply.positive and self._takes_over(link)
            self._progress.settle(number, reply, cause, link.peer.host, dsn=dsn)
            heard.setdefault(cause, (verdict, reply))
        self._progress.reached = self._progress.reached or link.session.said is not None
        if None in heard:
            self._gate.taken(heard.pop(None)[1])
        for verdict, reply in heard.values():
            assert verdict is not None
            self._gate.refused(verdict, reply, link.session.stage)
        if handover.fault is not None:
            self.blame(link, handover.fault)

    def _takes_over(self, link: Link) -> bool:
        """Whether the host reports from here on, and its sender need not hear that it was relayed.

        One who set a time and wants to know who took the message, or whose time nobody watches
        from here, is told (RFC 2852 §4.1.4).
        """
        by, features = self._progress.envelope.by, link.session.features
        told = by is not None and (by.trace or unwatched(by, features))
        return features.dsn and not told

    def weigh(self, link: Link, fault: Broken | None, needed: Protection) -> None:
        """Tell what came of the encryption of a new connection, if it came so far."""
        protector, hop, session = self._protector, self._hop, link.session
        plain = link.tls is TlsDemand.NONE  # by demand, or after it was seen that TLS fails
        if protector is None or not isinstance(hop, Exchange) or plain:
            return
        if self._progress.envelope.tls_optional:
            return  # nobody asked what the domain demands; and reports are not reported on
        found = None
        certificate = "" if session.secured is None else session.secured.certificate
        if fault is not None and fault.handshake:
            found = Fault.VALIDATION
        elif not certificate:
            early = fault is not None and fault.stage in ("connect", "banner", "ehlo")
            if early and not isinstance(fault, Untrusted):
                return
            found = Fault.NOT_OFFERED
        host, address = link.peer.host, link.address
        words = "" if fault is None or found is None else fault.reply.text
        contact = Contact(
            hop.domain, self._assurance, needed, certificate, found, host, address, words
        )
        protector.connected(contact)

    def _unfit(self, link: Link, reply: Reply, number: int) -> None:
        about = _about(link.peer.host, link.address, reply)
        self._progress.excuse(Excuse(about, blaming.of_ours(reply)), (number,))
        self._progress.unfit.add(link.peer.host)

    def blame(self, link: Link, fault: Broken) -> None:
        """Note what ended a connection, and whose doing it was."""
        host = link.peer.host
        verdict = blaming.of_fault(fault, self._classifier, self._provider.name)
        if fault.heard:
            self._progress.excuse(Excuse(fault.reply, verdict.cause, host))
        else:
            about = _about(host, link.address, fault.reply)
            self._progress.excuse(Excuse(about, verdict.cause))
        words = fault.greeting if isinstance(fault, Unwelcome) else fault.reply
        stale = link.sent > 0 and fault.stage == "mail"  # a farewell is about the time it took
        if (fault.heard or isinstance(fault, Unwelcome)) and not stale:
            self._gate.refused(verdict, words, fault.stage)

    def _verdict(self, reply: Reply) -> Verdict:
        return self._classifier.verdict(reply, self._provider.name)

    def attempted(self, link: Link, started: float, handover: Handover, *, reused: bool) -> None:
        """Note what a connection, or one more message on it, came to."""
        session, fault = link.session, handover.fault
        secured = session.secured
        stage, reply = _decisive(handover, session.stage, session.said)
        attempt = Attempt(
            started=started,
            ended=self._time(),
            host=link.peer.host,
            address=link.address,
            port=link.peer.port,
            tls=f"{secured.tls.version} {secured.tls.cipher}" if secured is not None else "",
            certificate=secured.certificate if secured is not None else "",
            reused=reused,
            stage=stage,
            reply=reply or Reply(451, "4.2", ("Nothing was said",)),
            in_doubt=fault is not None and fault.in_doubt,
            dialogue=link.record.take(),
            provider=self._shown_provider,
            source=self._gate.source.name,
        )
        self._progress.attempts.append(attempt)

    @property
    def _shown_provider(self) -> str:
        return self._provider.name if self._provider.listed else ""

    def unreached(
        self,
        host: str,
        reply: Reply,
        cause: Cause,
        address: str = "",
        started: float | None = None,
    ) -> None:
        """Note a host, or an address, that there was no connection to."""
        about = _about(host, address, reply) if address else reply
        self._progress.excuse(Excuse(about, cause))
        now = self._time()
        attempt = Attempt(
            now if started is None else started,
            now,
            host,
            address,
            self._hop.port,
            "",
            "",
            reused=False,
            stage="connect",
            reply=reply,
            provider=self._shown_provider,
            source=self._gate.source.name,
        )
        self._progress.attempts.append(attempt)


def _decisive(handover: Handover, stage: str, said: Reply | None) -> tuple[str, Reply | None]:
    """How far a handover came, and the reply that decided: not always the last that was said.

    Where no recipient was taken, a server that pipelines has still answered DATA.
    """
    fault = handover.fault
    if isinstance(fault, Unwelcome):
        return fault.stage, fault.greeting
    if fault is not None:
        return fault.stage, fault.reply
    refused = [reply for reply in handover.replies if reply is not None and not reply.positive]
    if handover.ours:
        return stage, handover.replies[min(handover.ours)]
    if refused and not handover.accepted and stage in ("rcpt", "data"):
        return "rcpt", refused[-1]
    return stage, said


def _about(host: str, address: str, reply: Reply) -> Reply:
    """Words of ours, with the host that they are about: a sender reads them without the attempt."""
    where = host if host == address else f"{host} [{address}]"
    return replace(reply, lines=(f"{where}: {reply.lines[0]}", *reply.lines[1:]))
