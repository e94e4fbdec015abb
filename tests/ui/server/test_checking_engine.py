"""The engine behind the tab *Check*, and the settings that offer it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check import proofs
from crop_core.records.check import CheckReport
from crop_core.records.methods import METHODS
from crop_core.records.request import EngineRequest
from tests.support import checkpoints
from tests.support.fake_records import FakeEngine, request
from ui.server import zerogpu
from ui.server.checking_engine import CheckingEngine, load_checking
from ui.server.hosting import Hosting
from ui.server.monitoring import ActiveRequests, MonitoredEngine, Report
from ui.server.setting_errors import SettingsError
from ui.server.settings import Settings
from ui.server.zerogpu import ZeroError, load_engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return checkpoints.save(tmp_path_factory.mktemp("check") / "llava", side=56, layers=6)


def check(scenes: int = 1) -> EngineRequest[CheckReport]:
    return EngineRequest("check", (), "", scenes=scenes)


def test_a_check_is_queued_and_reported_part_by_part(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "METHODS", {name: METHODS[name] for name in ("crop", "none")})
    reported: list[Report] = []
    engine = MonitoredEngine(load_checking(model=folder, warm_up=False), ActiveRequests(60), [reported.append])
    reports = list(Hosting(Settings(_env_file=None)).wrap_engine(engine).stream(check()))
    assert all(isinstance(each, CheckReport) for each in reports)
    assert [len(each.proofs) for each in reports[:3]] == [1, 2, 3]
    assert reports[-1].passed and len(reports[-1].scenes) == 1
    assert [(each.endpoint, each.outcome, each.sizes) for each in reported] == [("check", "answered", [])]


def test_all_else_is_the_engines(folder: str) -> None:
    engine = CheckingEngine(FakeEngine())
    assert [event.stage for event in engine.stream(request())][-1] == "done"
    assert engine.call(request("localize")).grid == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="A check of 0 scenes is not possible"):
        list(engine.stream(check(0)))


def test_an_engine_that_does_not_check_says_so(folder: str) -> None:
    engine = CropEngine.from_pretrained(folder, None, warm_up=False)
    with pytest.raises(ValueError, match=r"^This engine does not check its model; start the app with CROP_CHECK=1\.$"):
        list(engine.stream(check()))


def test_the_setting_chooses_the_engine(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"model": folder, "warm_up": False}
    assert isinstance(load_engine(options, True), CheckingEngine)
    assert isinstance(load_engine(options), CropEngine)
    monkeypatch.setattr(zerogpu, "on_zero", lambda: True)
    with pytest.raises(ZeroError, match=r"^CROP_CHECK cannot be used on ZeroGPU, .*\.$"):
        load_engine(options, True)


@pytest.mark.parametrize(
    ("given", "operator"),
    [({}, None), ({"check": True}, ""), ({"check": True, "login": "ann:a, bob:b"}, "ann"), ({"login": "ann:a"}, None)],
)
def test_the_operator_is_the_first_login(given: dict[str, Any], operator: str | None) -> None:
    assert Settings(_env_file=None, **given).operator == operator


def test_not_everybody_on_a_public_server_is_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROP_CHECK", "1")
    monkeypatch.setenv("CROP_PUBLIC", "1")
    with pytest.raises(SettingsError, match=r"^CROP_CHECK on a public server needs CROP_LOGIN, .*\.$"):
        Settings.from_env()
    monkeypatch.setenv("CROP_LOGIN", "ann:a")
    assert Settings.from_env().operator == "ann"
