"""The bundled models as they are shipped: ordinary checkpoints that answer, localize and survive pruning."""

import json
from pathlib import Path

import pytest
from PIL import Image

from crop_core.bench.accuracy import is_right
from crop_core.bench.heldout import held_out
from crop_core.bench.localizer import iou
from crop_core.config import Budget, CropConfig
from crop_core.engine import CropEngine
from crop_core.measure.flops import prefill_flops, vision_flops

ASSETS = Path(__file__).parents[1] / "assets"
ITEMS = held_out(4)


@pytest.fixture(scope="module")
def engine():
    return CropEngine.from_pretrained()


def test_they_are_small_ordinary_checkpoints():
    sizes = 0
    for name in ("crop-tiny", "crop-tiny-locator"):
        folder = ASSETS / "models" / name
        assert json.loads((folder / "config.json").read_text())["model_type"] == "llava"
        assert (folder / "README.md").read_text().startswith("---\n")
        sizes += (folder / "model.safetensors").stat().st_size
    assert sizes < 40e6


def test_most_of_the_work_is_the_language_models(engine):
    config = engine.adapter.model.config
    language = prefill_flops(config, [590] * engine.adapter.layers)
    assert engine.adapter.layers >= 12
    assert language >= 0.75 * (language + vision_flops(config))


def test_the_answerer_sees_the_whole_picture(engine):
    layout = engine.adapter.layout((336, 252))
    assert layout.count == 576
    assert tuple(layout.visible) == (0, 0, 336, 252)


def test_they_answer_and_localize_well_beyond_chance(engine):
    right = sum(is_right(engine.answer(i.scene.image, i.question.text, memory=False).text, i) for i in ITEMS)
    overlap = sum(iou(engine.localizer.locate(i.scene.image, i.question.text), i.region) for i in ITEMS)
    assert right >= 0.65 * len(ITEMS)
    assert overlap >= 0.55 * len(ITEMS)


def test_pruning_to_a_ninth_keeps_most_answers(engine):
    config = CropConfig(budget=Budget(mean_tokens=64), max_new_tokens=4)
    pruned = [engine.answer(i.scene.image, i.question.text, config, memory=False) for i in ITEMS]
    assert all(answer.trace.mean_tokens <= 64 for answer in pruned)
    assert sum(is_right(answer.text, i) for answer, i in zip(pruned, ITEMS, strict=True)) >= 0.55 * len(ITEMS)


def test_every_example_has_its_picture_and_its_words(engine):
    for example in json.loads((ASSETS / "examples" / "examples.json").read_text()):
        assert Image.open(ASSETS / "examples" / example["image"]).size[0] in (252, 336)
        assert engine.adapter.unknown_words(example["question"]) == []


def test_words_outside_its_world_are_told(engine):
    found = engine.compare(ITEMS[0].scene.image, "where is the xylophone?", CropConfig(max_new_tokens=2))
    assert found.unknown_words == ["where", "xylophone"]  # a word that no training question has is no known word
