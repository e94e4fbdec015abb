"""What the previous version took still works: options, values in Python, settings, recorded runs, benchmark folders."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from crop_core.cli import ask
from crop_core.cli.main import main
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import Trial
from crop_core.io.data_url import data_url
from crop_core.records import config
from crop_core.records.config import CropConfig
from crop_core.records.results import Comparison
from tests.support import ROOT, fake_records
from ui.export import load_runs
from ui.server.settings import Settings

QUESTION = "what is left of the dog?"
LOCATOR = "crop_core: --locator is now --localizer; it goes with the next version.\n"
GRID = "crop_core: --localizer grid is now the default; it goes with the next version.\n"
PICTURE = "crop_core: --with-picture is now --with-image; it goes with the next version.\n"


class Engine:
    """Answers by a hand-made comparison, and keeps the options it was loaded with."""

    loaded: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        Engine.loaded = options

    def compare(self, images: Any, question: str, config: CropConfig, regions: Any, history: Any = ()) -> Comparison:
        assert config.localizer == "predicted"
        return fake_records.comparison(question, images[0].size, regions[0])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `ask` with these options: the exit code, what the engine was loaded with, and stderr."""
    from crop_core.engine.engine import CropEngine

    monkeypatch.setattr(CropEngine, "from_pretrained", Engine)
    fake_records.sample_image(320, 160).save(tmp_path / "image.png")

    def call(*options: str) -> tuple[int, dict[str, Any] | None, str]:
        Engine.loaded = {}
        code = main(["ask", str(tmp_path / "image.png"), QUESTION, *options])
        return code, Engine.loaded, capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("options", "loaded", "lines"),
    [
        (["--locator", "c"], {"localizer": "c"}, LOCATOR),
        (["--locator=self"], {"localizer": "self"}, LOCATOR),
        (["--localizer", "grid"], {}, GRID),
        (["--localizer", "grid", "--locator", "c"], {"localizer": "c"}, LOCATOR + GRID),
        (["--localizer", "whole"], {"localizer": None}, ""),
        (["--localizer", "whole", "--locator", "c"], {"localizer": None}, LOCATOR),
    ],
)
def test_old_names_of_the_localizer(run: Any, options: list[str], loaded: dict[str, Any], lines: str) -> None:
    assert run(*options) == (0, loaded, lines)


def test_both_names_of_the_localizer_are_one_sentence(run: Any) -> None:
    code, loaded, err = run("--localizer", "a", "--locator", "b")
    assert (code, loaded) == (2, {})
    assert err == f"{LOCATOR}crop_core: --locator is now --localizer; give only one of the two.\n"


def test_with_picture_is_with_image(run: Any, tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    assert run("--with-picture", "--json", str(target)) == (0, {}, PICTURE)
    assert len(json.loads(target.read_text())["pictures"]) == 1


def test_old_options_are_not_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ask", "--help"])
    out = capsys.readouterr().out
    assert "--localizer NAME|auto|self|text|none|whole" in out and "--with-image" in out
    assert "--locator" not in out and "--with-picture" not in out and "grid" not in out
    assert ask.EXAMPLE in out


@pytest.mark.parametrize(("old", "new"), [("grid", "predicted"), ("box", "drawn")])
def test_old_values_in_python_are_logged_once(old: str, new: str, caplog: pytest.LogCaptureFixture) -> None:
    config._renamed_localizer.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert CropConfig(localizer=old).localizer == CropConfig(localizer=old).localizer == new
        assert CropConfig(localizer=new).localizer == new
    assert caplog.messages == [f"localizer={old!r} is now {new!r}; it goes with the next version."]


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("self", {"localizer": "self"}),
        ("none", {"localizer": None}),
        ("whole", {"localizer": "whole"}),
        ("a/b", {"localizer": "a/b"}),
        ("", {}),
    ],
)
def test_settings_keep_their_names(value: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROP_LOCALIZER", value)
    assert Settings.from_env().engine_options() == options


def test_recorded_runs_open() -> None:
    """At first without `made`, `others` and `history`; the images inside are still called `pictures`."""
    data = fake_records.comparison().to_json()
    old = {name: value for name, value in data.items() if name not in ("made", "others", "history")}
    content = json.dumps({**old, "pictures": [data_url(fake_records.sample_image())]}).encode()
    result, images = load_runs.read(content)
    assert result.to_json()["region"] == data["region"] and data["region"]["source"] in ("predicted", "drawn")
    assert len(images) == 1


def test_benchmark_folders_go_on() -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    folder = ROOT / "benchmarks" / "results"
    frame = store.read(folder)
    assert set(frame["region"]) == {"predicted", "reference", "random", "self"}
    names = {Trial("crop", "64", region=region).name for region in set(frame["region"])} | {Trial().name}
    assert names <= set(frame["trial"])
    facts = store.facts(folder)
    store.claim(folder, {name: facts[name] for name in facts if name != "sessions"})
