"""A name server in memory, for the resolver to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Edit = Callable[[dns.message.Message], Any]


class Zone:
    """Answers from records written as in a zone file.

    Attributes:
        queries: What was asked, ``"example.org. MX"``.
        edits: Changes to answers before they leave; a function that returns
            False suppresses its answer.
    """

    def __init__(self, *records: str, soa: int | None = 60, authentic: bool = False) -> None:
        self.records = [record.split(None, 3) for record in records]
        self.soa = soa
        self.authentic = authentic
        self.queries: list[str] = []
        self.edits: list[Edit] = []
        self.follow = True

    def __call__(self, octets: bytes, _: Any = None) -> Sequence[bytes]:
        query = dns.message.from_wire(octets)
        [question] = query.question
        self.queries.append(f"{question.name} {dns.rdatatype.to_text(question.rdtype)}")
        answer = self.answer(query)
        for edit in self.edits:
            if edit(answer) is False:
                return ()
        return (answer.to_wire(max_size=65535),)

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        [question] = query.question
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if self.authentic:
            answer.flags |= dns.flags.AD
        name = question.name.to_text()
        kind = dns.rdatatype.to_text(question.rdtype)
        known = False
        for _ in range(20):
            here = [record for record in self.records if record[0] == name]
            known = bool(here)
            found = [record for record in here if record[2] == kind]
            alias = [record for record in here if record[2] == "CNAME"]
            for owner, ttl, what, data in found or alias:
                rrset = dns.rrset.from_text(owner, int(ttl), "IN", what, data)
                answer.find_rrset(
                    answer.answer, rrset.name, rrset.rdclass, rrset.rdtype, create=True
                ).update(rrset)
            if found or not alias:
                break
            name = alias[0][3]
            if not self.follow:
                return answer
        if not found:
            if not known:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            if self.soa is not None:
                text = f"ns.example. x.example. 1 1 1 1 {self.soa}"
                zone = dns.name.from_text(name).parent()
                answer.authority.append(dns.rrset.from_text(zone, 3600, "IN", "SOA", text))
        return answer
