"""The model of a Space where no setting names one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from crop_core.models import DEFAULT_MODEL
from ui.server.settings import Settings
from ui.server.space import GIB, choose_model, default_model, on_space, on_zero

SEVEN, THREE = "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"


@pytest.fixture(autouse=True)
def a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "ann/demo")
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)


def with_gpu(gib: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of this memory; 0 for none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gib > 0)
    memory = SimpleNamespace(total_memory=int(gib * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: memory)


@pytest.mark.parametrize(
    ("gib", "model"),
    [(0, DEFAULT_MODEL), (11, DEFAULT_MODEL), (14.6, THREE), (15.8, THREE), (22.1, SEVEN), (79, SEVEN)],
)
def test_the_memory_decides(gib: float, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As cards report it: a T4 14.6 GiB, an A10G 22.1, an A100 79."""
    with_gpu(gib, monkeypatch)
    assert default_model() == model


def test_zerogpu_has_room_before_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(0, monkeypatch)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert on_zero() and default_model() == SEVEN


def test_elsewhere_a_gpu_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(79, monkeypatch)
    monkeypatch.delenv("SPACE_ID")
    assert not on_space() and default_model() == DEFAULT_MODEL


def test_a_setting_goes_before_it_and_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_gpu(79, monkeypatch)
    settings = Settings(_env_file=None, public=True)
    assert choose_model(settings) == settings.model_copy(update={"model": SEVEN})
    assert f"{SEVEN} is the default on this GPU; CROP_MODEL=crop-tiny would be" in capsys.readouterr().err
    bundled = settings.model_copy(update={"model": DEFAULT_MODEL})
    assert choose_model(bundled) is bundled
