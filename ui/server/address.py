"""Address to listen on: what the settings name is tried, and a free port found, before anything is loaded.

Knows nothing of Gradio, but that it wants the port to be free at 127.0.0.1 as well.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass

from ui.server.setting_errors import GRADIO, SettingsError
from ui.server.settings import Settings

LOCALHOST = "127.0.0.1"
FIRST_PORT, PORTS = 7860, 100  # Gradio's: the first port, and how many are tried
REMEDY = "set CROP_PORT to another, or leave it empty for the first free one"


@dataclass(frozen=True)
class Address:
    """host: a name or a number, IPv6 without brackets. ports: those that may be used, in this order."""

    host: str
    ports: range

    @classmethod
    def of(cls, settings: Settings, tried: int = PORTS) -> Address:
        """Address of the settings; where they name no port, so many are tried."""
        first = settings.port or FIRST_PORT
        ports = range(first, first + 1) if settings.port else range(first, min(first + tried, 2**16))
        return cls(settings.host or LOCALHOST, ports)

    @property
    def url_host(self) -> str:
        """Host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def free_port(self) -> int:
        """First port that can be listened on; SettingsError if there is none, or the host is not this machine."""
        hosts = list(dict.fromkeys([*_resolved(self.host), *_resolved(LOCALHOST)]))
        for port in self.ports:
            try:
                for family, place in hosts:
                    _bind(family, place, port)
                return port
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise _no_host(self.host, "it is no address of this machine") from None
                reason, taken = error.strerror or str(error), error.errno == errno.EADDRINUSE
        first, last = self.ports[0], self.ports[-1]
        if first == last and taken:
            raise SettingsError(f"Port {first} is already in use; {REMEDY}.")
        which = f"port {first}" if first == last else f"any port from {first} to {last}"
        raise SettingsError(f"The app cannot listen on {which} of {self.host} ({reason}); {REMEDY}.")


def _resolved(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """(family, number) of each of a host's addresses."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise _no_host(host, getattr(error, "strerror", None) or "it cannot be a name") from None
    return [(family, str(place[0])) for family, _, _, _, place in found]


def _bind(family: socket.AddressFamily, place: str, port: int) -> None:
    """Take a port as the server will, and give it back; OSError if that cannot be."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((place, port))


def _no_host(host: str, reason: str) -> SettingsError:
    return SettingsError(
        f"The app cannot listen at {host!r} ({reason}); let CROP_HOST (or {GRADIO['host']}) name this machine, such as "
        "127.0.0.1, ::1 or 0.0.0.0."
    )
