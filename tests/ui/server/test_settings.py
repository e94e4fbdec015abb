from __future__ import annotations

from pathlib import Path

import pytest

from crop_core.models.loading.registry import _BUNDLED
from ui.server.settings import BUNDLED, PREFIX, Settings, SettingsError, explained, manual


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without an `.env` of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Settings of an environment with these CROP_* variables."""
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name, value)
    return Settings.from_env()


def test_nothing_set_leaves_the_choice_to_the_engine() -> None:
    settings = Settings.from_env()
    assert settings.engine_options() == {}
    assert settings.describe() == []
    assert (settings.port, settings.logins, settings.max_upload_mb) == (None, None, 20)


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(
        monkeypatch,
        MODEL=" some/folder ",
        LOCALIZER="other",
        DEVICE="cuda",
        DTYPE="float16",
        QUANTIZE="4bit",
        COMPILED="1",
        HOST="0.0.0.0",
        PORT="8080",
        ROOT_PATH="/crop/",
        MAX_UPLOAD_MB="5",
        MAX_QUEUE="3",
        TIME_LIMIT="60",
        CACHE_MB="10",
        KEEP_HOURS="2",
        LOGIN="ann:one, bob:t:w",
        RATE="9",
        PUBLIC="1",
        ALLOWED_MODELS="some/folder, other",
        LOG_QUESTIONS="1",
        METRICS="1",
        MCP="0",
    )
    assert settings.model_dump(exclude={"login"}) == {
        "model": "some/folder",
        "localizer": "other",
        "device": "cuda",
        "dtype": "float16",
        "quantize": "4bit",
        "compiled": True,
        "host": "0.0.0.0",
        "port": 8080,
        "root_path": "/crop",
        "max_upload_mb": 5,
        "max_queue": 3,
        "time_limit": 60,
        "cache_mb": 10,
        "keep_hours": 2,
        "rate": 9,
        "public": True,
        "allowed_models": ("some/folder", "other"),
        "log_questions": True,
        "metrics": True,
        "mcp": False,
    }
    assert settings.logins == [("ann", "one"), ("bob", "t:w")]
    assert settings.engine_options() == {
        "model": "some/folder",
        "localizer": "other",
        "device": "cuda",
        "dtype": "float16",
        "quantize": "4bit",
        "compiled": True,
    }
    assert settings.limits() == {"time_limit": 60, "remember": 10_000_000}
    assert set(Settings.model_fields) == settings.model_fields_set


def test_the_file_env_is_read_and_the_environment_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("CROP_PORT=9000\nCROP_MAX_QUEUE=7\nHF_HOME=/data\n", encoding="utf-8")
    settings = read(monkeypatch, PORT="9001")
    assert (settings.port, settings.max_queue) == (9001, 7)


def test_a_file_env_in_another_coding_is_one_sentence() -> None:
    Path(".env").write_bytes(b"CROP_MODEL=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^The file \.env .*\.$"):
        Settings.from_env()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, PORT="", MODEL="  ", LOGIN="", ALLOWED_MODELS="", COMPILED=" ")
    assert settings.describe() == []
    assert settings == Settings()


def test_no_localizer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, LOCALIZER="none").engine_options() == {"localizer": None}


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "78.60", "²"])
def test_a_wrong_port_is_one_sentence(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^CROP_PORT is '.*', and must be a whole number from 1 to 65535\.$"):
        read(monkeypatch, PORT=value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("QUANTIZE", "2bit", "8bit or 4bit"),
        ("COMPILED", "perhaps", "0 or 1"),
        ("KEEP_HOURS", "0", "a whole number from 1 to 8760"),
        ("ROOT_PATH", "crop", "a path that starts with /, or a whole address"),
    ],
)
def test_a_wrong_value_is_one_sentence(name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as told:
        read(monkeypatch, **{name: value})
    assert str(told.value) == f"CROP_{name} is {value!r}, and must be {allowed}."


@pytest.mark.parametrize("value", ["hunter2", "ann:", ":hunter2", "ann:hunter2,ann:hunter3", "ann:hunter2,bob", ","])
def test_a_wrong_login_is_told_without_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^CROP_LOGIN is '\*\*\*', and must be user:password.*\.$") as told:
        read(monkeypatch, LOGIN=value)
    assert "hunter" not in str(told.value)


def test_a_secret_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, LOGIN="ann:hunter2", PORT="80", PUBLIC="1")
    assert settings.describe() == ["CROP_PORT=80", "CROP_LOGIN=***", "CROP_PUBLIC=1"]
    assert "hunter2" not in f"{settings!r} {settings}"


@pytest.mark.parametrize("name", ["MODEL", "LOCALIZER"])
def test_a_public_server_loads_no_model_but_those_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=rf"^CROP_{name} is 'a/b', which a public server may not load; .*\.$"):
        read(monkeypatch, PUBLIC="1", **{name: "a/b"})
    assert read(monkeypatch, ALLOWED_MODELS="a/b,c/d").public


@pytest.mark.parametrize("name", [*_BUNDLED, "self", "none"])
def test_a_public_server_loads_what_is_bundled(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, PUBLIC="1", LOCALIZER=name).localizer == name
    assert set(_BUNDLED) == set(BUNDLED)


def test_the_manual_has_every_setting_with_its_default() -> None:
    text = manual()
    for name, (default, explanation) in explained().items():
        (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
        assert explanation in line
        assert line.endswith(f"[{default}]") == bool(default)
