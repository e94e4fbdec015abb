"""What is around the settings: numbers, folders, certificates and proxies."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import httpx
import pytest

from ui.server.setting_errors import GRADIO, SettingsError
from ui.server.settings import Settings
from ui.server.startup import HIDDEN, NUMBERS, direct, settle


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of the test's own, which settling changes."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def refused() -> str:
    """The sentence of settling, which is one."""
    with pytest.raises(SettingsError) as told:
        settle(Settings(_env_file=None))
    assert re.fullmatch(r"[^\n]+\.", str(told.value))
    return str(told.value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["true", "-1", "1.5", "²", str(10**15)])
def test_a_number_of_gradios_is_one(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    low, high = NUMBERS[name]
    assert refused() == f"{name} is {value!r}, and must be a whole number from {low} to {high}."


def test_gradio_reads_no_address_and_no_development_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HIDDEN:
        monkeypatch.setenv(name, "3")
    assert len(settle(Settings(_env_file=None)).ports) == 3, "GRADIO_NUM_PORTS"
    assert set(GRADIO.values()) < set(HIDDEN)
    assert not {*HIDDEN} & set(os.environ)
    assert os.environ["FORWARDED_ALLOW_IPS"] == "127.0.0.1,::1"


def test_a_folder_that_cannot_be_written_to_is_told_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for folder, reason in (
        ("/proc/nope", "No such file or directory"),
        (str(tmp_path / "file"), "Not a directory"),
        (str(tmp_path / "file" / "a"), "Not a directory"),
    ):
        monkeypatch.setenv("GRADIO_TEMP_DIR", folder)
        told = f"The folder '{folder}' for uploaded images cannot be written to ({reason}); "
        assert refused() == told + "let GRADIO_TEMP_DIR name one that can."


def test_a_system_without_a_temporary_folder_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setenv("TMPDIR", "/nope")
    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert refused() == "No temporary folder can be written to (/nope); let TMPDIR name one that can."


def test_a_folder_is_found_again_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "files")
    settle(Settings(_env_file=None))
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path / "files")
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file or directory"), ("a", "it holds no certificates"), ("", "it holds no")]
)
def test_certificates_that_cannot_be_read_are_told(
    content: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert refused().startswith(f"SSL_CERT_FILE is '{file}', which cannot be read ({reason}")


def test_inside_there_is_no_proxy_and_afterwards_what_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")  # for which httpx wants a package
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    with direct():
        httpx.Client().close()
    assert os.environ["NO_PROXY"] == "example.org" and "no_proxy" not in os.environ
