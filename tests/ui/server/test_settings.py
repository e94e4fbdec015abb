from __future__ import annotations

import os
from pathlib import Path

import pytest

from crop_core.models.loading.registry import _BUNDLED
from ui.server.manual import manual, unknown_names, unknown_settings
from ui.server.setting_errors import PREFIX, SettingsError
from ui.server.settings import BUNDLED, Settings, explained

ROOT_PATH = "a path that starts with /, or a whole address"
HOST = "a name or a number of this machine, such as 127.0.0.1, ::1 or 0.0.0.0, without a port"


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
        RESULTS_MB="20",
        KEEP_HOURS="2",
        LOGIN="ann:one, bob:t:w",
        RATE="9",
        PUBLIC="1",
        ALLOWED_MODELS="some/folder, other",
        LOG="short",
        LOG_QUESTIONS="1",
        METRICS="1",
        CHECK="1",
        FRAME_ANCESTORS="https://a.example/, http://*.b.example:8080",
        RUN_ORIGINS="https://c.example",
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
        "frame_ancestors": ("https://a.example", "http://*.b.example:8080"),
        "run_origins": ("https://c.example",),
        "max_upload_mb": 5,
        "max_queue": 3,
        "time_limit": 60,
        "cache_mb": 10,
        "results_mb": 20,
        "keep_hours": 2,
        "rate": 9,
        "public": True,
        "allowed_models": ("some/folder", "other"),
        "log": "short",
        "log_questions": True,
        "metrics": True,
        "check": True,
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


def test_a_file_env_that_cannot_be_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", ".env")

    Path(".env").touch()
    monkeypatch.setattr("dotenv.main.DotEnv._get_stream", locked)  # root reads it all the same
    with pytest.raises(SettingsError, match=r"^The file \.env cannot be read \(Permission denied\); .*\.$"):
        Settings.from_env()


@pytest.mark.parametrize(
    "text", ["CROP_LOGIN: ann:one\n", 'CROP_LOGIN="ann:one\n', "CROP_LOGIN\n", "CROP_LOGIN=ann:one,\nbob:two\n"]
)
def test_a_line_of_the_file_env_that_would_be_passed_over_is_one_sentence(text: str) -> None:
    """An app that should ask for a login would start without one."""
    Path(".env").write_text(f"# a comment\n\nHF_HOME\n{text}CROP_PORT=9000\n", encoding="utf-8")
    line = 5 if "bob" in text else 4
    with pytest.raises(SettingsError) as told:
        Settings.from_env()
    assert str(told.value) == f"Line {line} of the file .env is not NAME=value; correct it, or remove it."


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
        ("LOG", "long", "short or json"),
        ("KEEP_HOURS", "0", "a whole number from 1 to 8760"),
        *(
            ("ROOT_PATH", value, ROOT_PATH)
            for value in ("crop", "//a", "/a b", "/a?b", "http://", "http://a:b", "ftp://a")
        ),
        *(
            ("HOST", value, HOST)
            for value in ("http://localhost", "localhost:80", "127.0.0.1:80", "a b", "*", "[a]", ":")
        ),
        *(("HOST", value, HOST) for value in ("[::1", "::1]:80", "fe80::1%eth0", "1:2:3", "0.0.0.0/0")),
    ],
)
def test_a_wrong_value_is_one_sentence(name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as told:
        read(monkeypatch, **{name: value})
    assert str(told.value) == f"CROP_{name} is {value!r}, and must be {allowed}."


@pytest.mark.parametrize(
    ("value", "host"),
    [("[::1]", "::1"), *((host, host) for host in ("::1", "::", "localhost", "my-host.example", "::ffff:1.2.3.4"))],
)
def test_a_host_is_a_name_or_a_number_of_either_kind(value: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, HOST=value).host == host


@pytest.mark.parametrize("value", ["/crop", "/a/b-c/", "https://example.org/crop", "http://[::1]:80", "http://a:8080"])
def test_a_path_or_a_whole_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, ROOT_PATH=value).root_path == value.rstrip("/")


@pytest.mark.parametrize("value", ["course.example.edu", "https://a.example/course", "*", "https://a b", "'none'"])
@pytest.mark.parametrize("name", ["FRAME_ANCESTORS", "RUN_ORIGINS"])
def test_another_site_is_a_scheme_and_a_host(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=rf"^CROP_{name} is .* must be schemes and hosts without .*\.$"):
        read(monkeypatch, **{name: value})


def test_variables_of_gradio_count_where_ours_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SERVER_NAME", "[::1]"), ("SERVER_PORT", " 8001 "), ("ROOT_PATH", "/a/")):
        monkeypatch.setenv(f"GRADIO_{name}", value)
    settings = Settings.from_env()
    assert (settings.host, settings.port, settings.root_path) == ("::1", 8001, "/a")
    Path(".env").write_text("CROP_PORT=9000\n", encoding="utf-8")
    settings = read(monkeypatch, HOST="localhost", ROOT_PATH="/")
    assert (settings.host, settings.port, settings.root_path) == ("localhost", 9000, "")
    for name in ("SERVER_NAME", "SERVER_PORT", "ROOT_PATH"):
        monkeypatch.setenv(f"GRADIO_{name}", " ")
    assert Settings.from_env().port == 9000


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("SERVER_PORT", "http", "a whole number from 1 to 65535"),
        ("SERVER_PORT", "0", "a whole number from 1 to 65535"),
        ("SERVER_NAME", "http://localhost", HOST),
        ("ROOT_PATH", "crop", ROOT_PATH),
    ],
)
def test_a_wrong_value_of_gradios_is_named_as_such(
    name: str, value: str, allowed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GRADIO_{name}", value)
    with pytest.raises(SettingsError) as told:
        Settings.from_env()
    assert str(told.value) == f"GRADIO_{name} is {value!r}, and must be {allowed}."


def test_tools_behind_a_login_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^CROP_MCP cannot be used with CROP_LOGIN, since .*\.$") as told:
        read(monkeypatch, MCP="1", LOGIN="ann:hunter2")
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("hunter2", "entry 1 of 1 has no colon"),
        ("ann:", "entry 1 of 1 has no password"),
        (" :hunter2", "entry 1 of 1 has no user"),
        ("ann:hunter2, ann:hunter3", "entry 2 of 2 has the user of entry 1"),
        ("ann:hunter2,bob:hunter,3", "entry 3 of 3 has no colon (a comma ends a password)"),
        (",", "there is no entry"),
        ("ann:hunter2\nbob:hunter3", "entry 1 of 1 holds a line break or another character that nobody can type"),
        ("ann:hunter2,bo\tb:x", "entry 2 of 2 holds a line break or another character that nobody can type"),
        ("'ann:hunter2'", "it stands in quotes, which would be part of it, so leave them out"),
        ("jos\u00e9:hunter2,jose\u0301:hunter3", "entry 2 of 2 has the user of entry 1"),
    ],
)
def test_a_wrong_login_is_told_by_its_shape(value: str, mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as told:
        read(monkeypatch, LOGIN=value)
    form = "user:password, several of them separated by commas, with no user twice"
    assert str(told.value) == f"CROP_LOGIN is '***', and must be {form}: {mistake}."


@pytest.mark.parametrize(
    ("value", "logins"),
    [
        ("ann: one two , bob:a:b:c,", [("ann", "one two"), ("bob", "a:b:c")]),
        ("jörg:pässwört🔑", [("jörg", "pässwört🔑")]),
        ("eve:100%25&=+#$ x", [("eve", "100%25&=+#$ x")]),
        ("\ufeffjose\u0301:pa\u0308ss\r\n", [("jos\u00e9", "p\u00e4ss")]),
    ],
)
def test_a_login_has_any_password_without_commas_and_spaces_around(
    value: str, logins: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(monkeypatch, LOGIN=value).logins == logins


def test_names_that_are_no_settings_are_told_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    Path(".env").write_text("CROP_RAET=3\nHF_HOME=/data\nCROP_PORT=9000\n", encoding="utf-8")
    monkeypatch.setenv("CROP_PROT", "9000")
    ignored = "is not a setting and is ignored"
    assert unknown_settings() == [
        f"CROP_PROT {ignored}; did you mean CROP_PORT?",
        f"CROP_RAET {ignored}; did you mean CROP_RATE?",
    ]
    assert unknown_names(["CROPS", "PATH", *explained()]) == []


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
