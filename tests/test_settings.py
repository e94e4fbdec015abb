from __future__ import annotations

import pytest

from crop_core.settings import Settings, SettingsError


def test_nothing_set_leaves_the_choice_to_the_engine() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.engine_options() == {}
    assert settings.port is None


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "CROP_MODEL": " some/folder ",
            "CROP_LOCALIZER": "other",
            "CROP_DEVICE": "cuda",
            "CROP_DTYPE": "float16",
            "CROP_QUANTIZE": "4bit",
            "CROP_COMPILED": "1",
            "CROP_HOST": "0.0.0.0",
            "CROP_PORT": "8080",
            "CROP_MAX_UPLOAD_MB": "5",
            "CROP_MAX_QUEUE": "3",
        }
    )
    assert settings == Settings("some/folder", "other", "cuda", "float16", "4bit", True, "0.0.0.0", 8080, 5, 3)
    assert settings.engine_options() == {
        "model": "some/folder",
        "localizer": "other",
        "device": "cuda",
        "dtype": "float16",
        "quantize": "4bit",
        "compiled": True,
    }


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROP_PORT", "9000")
    assert Settings.from_env().port == 9000


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"CROP_PORT": "", "CROP_MODEL": "  "}) == Settings()


def test_no_localizer() -> None:
    assert Settings.from_env({"CROP_LOCALIZER": "none"}).engine_options() == {"localizer": None}


@pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "78.60", "²"])
def test_a_wrong_port_is_one_sentence(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^CROP_PORT is '.*', and must be a whole number from 1 to 65535\.$"):
        Settings.from_env({"CROP_PORT": value})


def test_a_wrong_quantization_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"^CROP_QUANTIZE is '2bit', and must be 8bit or 4bit\.$"):
        Settings.from_env({"CROP_QUANTIZE": "2bit"})
