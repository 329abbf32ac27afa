"""Where to listen, and whom to connect to: hosts with their ports, as keys of the configuration."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from mailhub.config.values import Kind, parse_host
from mailhub.mail.address import is_ip_address, to_unicode


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen.

    Attributes:
        host: An IP address; ``""`` for every address of the machine.
        port: 0 where `given` is a description that has none.
        given: A Twisted endpoint description, if that is how it was written.
    """

    host: str = ""
    port: int = 0
    given: str = ""

    def description(self, *, both_families: bool) -> str:
        """What ``twisted.application.strports`` wants.

        Args:
            both_families: Whether one socket can take IPv6 and IPv4: then every
                address means such a one, and IPv4 clients show up mapped.
        """
        if self.given:
            return self.given
        host = self.host or ("::" if both_families else "0.0.0.0")  # noqa: S104  # what a bare port means
        return f"tcp:{self.port}:interface={host.replace(':', chr(92) + ':')}"

    @property
    def interface(self) -> str:
        """The IP address; ``""`` for every address, or where it cannot be seen."""
        if not self.given:
            return self.host
        found = re.search(r"interface=((?:\\.|[^:\\])*)", self.given)
        return found[1].replace("\\", "") if found else ""

    @property
    def public(self) -> bool:
        """Whether others than this machine may reach it, as far as one can see."""
        return not self.given.startswith("unix:") and not is_loopback(self.interface)

    def __str__(self) -> str:
        if self.given:
            return self.given
        if not self.host:
            return str(self.port)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host is an address of this machine alone."""
    return is_ip_address(host) and ipaddress.ip_address(host).is_loopback


PORT_LIMIT: Final = 65535

# description = "tcp:" port *( ":interface=" host / ":backlog=" number )    tcp6: likewise
#             / "unix:" path *( ":mode=" octal / ":backlog=" number / ":lockfile=" digit )
#             / "systemd" 2( ":domain=" family / ":index=" number / ":name=" name )
# in which a colon inside a value is written "\:" (twisted.internet.endpoints.serverFromString)
_DESCRIBED: Final = re.compile(
    r"tcp6?:(port=)?(?P<port>\d{1,5})(:interface=(\\.|[^:\\])+|:backlog=\d+)*"
    r"|unix:(address=)?/(\\.|[^:\\])+(:mode=[0-7]+|:backlog=\d+|:lockfile=\d)*"
    r"|systemd(:domain=(INET6?|UNIX)|:index=\d+|:name=[^:]+){2}"
)


def _parse_endpoint(text: str) -> Endpoint:
    described = _DESCRIBED.fullmatch(text)
    if described is not None:
        if int(described["port"] or 0) > PORT_LIMIT:
            raise ValueError
        endpoint = Endpoint(given=text)
        if endpoint.interface:
            ipaddress.ip_address(endpoint.interface)
        return endpoint
    if re.fullmatch(r"[0-9]{1,5}", text):
        return Endpoint("", _port(text))
    host, port = _split_port(text, default=None)
    if host == "localhost":
        host = "127.0.0.1"
    if host == "*":
        return Endpoint("", port)
    return Endpoint(str(ipaddress.ip_address(host)), port)


def _split_port(text: str, *, default: int | None) -> tuple[str, int]:
    # authority = host [ ":" port ] / "[" IPv6 "]" [ ":" port ]
    found = re.fullmatch(r"\[([^\]]+)\](?::([0-9]+))?|([^:\[\]]+)(?::([0-9]+))?", text)
    if found is None:
        if default is not None and is_ip_address(text):  # an IPv6 address without brackets
            return text, default
        raise ValueError
    port = found[2] or found[4]
    if port is None and default is None:
        raise ValueError
    return found[1] or found[3], default or 0 if port is None else _port(port)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= PORT_LIMIT:
        raise ValueError
    return port


ENDPOINT: Final = Kind("a port, host:port or an endpoint such as tcp:25", _parse_endpoint, str)


def _parse_server(text: str) -> tuple[str, int]:
    host, port = _split_port(text, default=0)
    if is_ip_address(host):
        return str(ipaddress.ip_address(host)), port
    return ("localhost" if host.lower() == "localhost" else parse_host(host)), port


def _show_server(server: tuple[str, int]) -> str:
    host, port = server
    name = f"[{host}]" if ":" in host else to_unicode(host)
    return f"{name}:{port}" if port else name


SERVER: Final = Kind("a host such as smtp.example.com:587", _parse_server, _show_server)
"""A host and its port; 0 where the port follows from something else."""


def _parse_resolver(text: str) -> tuple[str, int]:
    host, port = _split_port(text, default=53)
    return str(ipaddress.ip_address(host)), port


def _show_resolver(server: tuple[str, int]) -> str:
    host, port = server
    if port == 53:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


RESOLVER: Final = Kind("an IP address such as 127.0.0.1", _parse_resolver, _show_resolver)
