"""The address: one that can be listened on, or one sentence that says what to change."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ui.server import address
from ui.server.address import FIRST_PORT, PORTS, Address
from ui.server.setting_errors import SettingsError
from ui.server.settings import Settings


def at(host: str | None = None, port: int | None = None) -> Address:
    return Address.of(Settings(_env_file=None, host=host, port=port))


@pytest.fixture(params=["127.0.0.1", "::1"])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Host and port at which somebody listens."""
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET) as server:
        try:
            server.bind((request.param, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen()
        yield request.param, server.getsockname()[1]


def test_the_settings_name_it() -> None:
    assert at() == Address("127.0.0.1", range(FIRST_PORT, FIRST_PORT + PORTS))
    assert at("::1", 80) == Address("::1", range(80, 81))
    assert [at(host).url_host for host in ("::1", "localhost", "0.0.0.0")] == ["[::1]", "localhost", "0.0.0.0"]
    assert Address.of(Settings(_env_file=None), tried=2).ports == range(7860, 7862)


def test_a_taken_port_is_passed_over_or_told(taken: tuple[str, int]) -> None:
    host, port = taken
    assert Address(host, range(port, port + 50)).free_port() > port
    with pytest.raises(SettingsError) as told:
        at(host, port).free_port()
    remedy = "set CROP_PORT to another, or leave it empty for the first free one"
    assert str(told.value) == f"Port {port} is already in use; {remedy}."


def test_all_ports_that_are_taken_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(address, "_bind", refused)
    with pytest.raises(SettingsError, match=r"^The app cannot listen on any port from 7860 to 7959 of 127\.0\.0\.1 \("):
        at().free_port()
    with pytest.raises(
        SettingsError, match=r"on port 80 of 127\.0\.0\.1 \(Permission denied\); set CROP_PORT to another"
    ):
        at(port=80).free_port()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("203.0.113.5", "it is no address of this machine"),
        ("nope.invalid", ""),  # the resolver's own words
        ("a..b", "it cannot be a name"),
        ("x" * 64, "it cannot be a name"),
    ],
)
def test_a_host_that_is_not_this_machine_is_told(host: str, reason: str) -> None:
    with pytest.raises(SettingsError) as told:
        at(host).free_port()
    said = str(told.value)
    assert said.startswith(f"The app cannot listen at {host!r} ({reason}")
    assert said.endswith(
        "; let CROP_HOST (or GRADIO_SERVER_NAME) name this machine, such as 127.0.0.1, ::1 or 0.0.0.0."
    )


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", "localhost", None])
def test_this_machine_has_a_free_port(host: str | None) -> None:
    if host and ":" in host and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    assert at(host).free_port() in range(7860, 7960)
