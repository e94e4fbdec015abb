"""The bundled models as they are shipped: ordinary checkpoints that answer, localize and survive pruning."""

import json

import pytest
from PIL import Image

from benchmarks import publish, region_quality
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.metrics.text_match import normal
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL
from crop_core.localize import SelfLocalizer, calibration
from crop_core.measure.flops import prefill_flops
from crop_core.records.config import Budget, CropConfig
from crop_core.records.region import Region
from crop_core.train.world.held_out import Item, held_out
from crop_core.train.world.questions import cut_out
from tests.support import ROOT

ASSETS = ROOT / "assets"
ITEMS = held_out(2)  # the fixed subset of the model card
MORE = held_out(6)  # of which ITEMS are a part
WHOLE = CropConfig(method="none", budget=None, localizer="whole", repeats=1)


def iou(result: Region, needed: Region) -> float:
    return float(calibration.iou([result.grid], [needed.grid])[0])


def is_right(answer: str, item: Item) -> bool:
    return normal(answer) == normal(item.question.answer)


@pytest.fixture(scope="module")
def engine():
    return CropEngine.from_pretrained()


def answer_to(engine, image, item, config=WHOLE, region=None):
    """The answer to the item's question about an image."""
    return engine.answer(image, item.question.text, config, region, memory=False)


@pytest.fixture(scope="module")
def full(engine):
    """What is said of each of MORE with all tokens, by its image's seed and its question."""
    return {key(item): answer_to(engine, item.scene.image, item).text for item in MORE}


def key(item: Item) -> tuple[int, str]:
    return item.seed, item.question.text


def right(full) -> int:
    """How many of ITEMS are answered with all tokens."""
    return sum(is_right(full[key(item)], item) for item in ITEMS)


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
    inputs = engine.adapter.prepare(ITEMS[0].scene.image, ITEMS[0].question.text)
    assert language >= 0.75 * (language + engine.adapter.vision_flops(inputs))


def test_short_answers_need_no_request(engine):
    """Its vocabulary has no words for one."""
    assert engine.short_answer_request == ""


def test_the_answerer_sees_the_whole_image(engine):
    layout = engine.adapter.layout((336, 252))
    assert layout.count == 576
    assert tuple(layout.visible) == (0, 0, 336, 252)


def test_the_figures_of_the_card_come_out_again(engine, full):
    overlaps = [iou(engine.localizer.localize_region(i.scene.image, i.question.text), i.region) for i in ITEMS]
    card = (ASSETS / "models" / "crop-tiny" / "README.md").read_text()
    mean = sum(overlaps) / len(overlaps)
    assert right(full) >= 0.9 * len(ITEMS)
    assert mean >= 0.75
    assert f"{right(full)} of {len(ITEMS)} right as the baseline, mean IoU {mean:.4f}" in card
    first = region_quality.first_of_each_kind(store.read(ASSETS.parent / publish.RESULTS), publish.SUBSET)
    assert [full[key(item)] for item in ITEMS] == first[first["trial"] == ALL.name]["reply"].tolist()


def test_the_boxes_hold_what_the_question_needs(engine, full):
    """An image in which nothing is left but the content of the boxes still gives the right answer (44 of 46)."""
    kept = total = 0
    for item in MORE:
        if item.question.needs_everything or not is_right(full[key(item)], item):
            continue
        alone = cut_out(item.scene.image, item.question.reference + item.question.target)
        total += 1
        kept += is_right(answer_to(engine, alone, item).text, item)
    assert total >= 20
    assert kept >= 0.95 * total


def test_pruning_to_a_ninth_keeps_most_answers(engine, full):
    config = CropConfig(budget=Budget(mean_tokens=64), max_new_tokens=8, repeats=1)
    pruned = [answer_to(engine, item.scene.image, item, config) for item in ITEMS]
    assert all(answer.trace.mean_tokens <= 64 for answer in pruned)
    kept = sum(is_right(answer.text, item) for answer, item in zip(pruned, ITEMS, strict=True))
    assert kept >= 0.9 * right(full)


def test_the_learned_plc_is_small_and_keeps_most_answers(engine, full):
    folder = ASSETS / "models" / "crop-tiny" / "plc"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 300e3
    config = CropConfig(method="learned", budget=Budget(mean_tokens=64), max_new_tokens=8, repeats=1)
    kept = sum(is_right(answer_to(engine, i.scene.image, i, config, i.region).text, i) for i in ITEMS)
    assert kept >= 0.9 * right(full)


def test_every_example_has_its_image_and_its_words(engine):
    for example in json.loads((ASSETS / "examples" / "examples.json").read_text()):
        assert max(Image.open(ASSETS / "examples" / example["image"]).size) == 336
        assert engine.adapter.unknown_words(example["question"]) == []


def test_words_outside_its_world_are_told(engine):
    result = engine.compare(ITEMS[0].scene.image, "where is the xylophone?", CropConfig(max_new_tokens=2), memory=False)
    assert result.unknown_words == ["where", "xylophone"]  # a word that no training question has is no known word


def test_the_answering_model_finds_regions_by_itself(engine):
    """Nearly twice as well as the whole image does, by heads that its own config names."""
    own = SelfLocalizer(engine.adapter)
    result = [own.localize_region(item.scene.image, item.question.text) for item in ITEMS]
    overlap = [iou(region, item.region) for region, item in zip(result, ITEMS, strict=True)]
    alone = [iou(Region.whole(*item.scene.image.size), item.region) for item in ITEMS]
    assert sum(overlap) > 1.5 * sum(alone)
    assert all(region.confidence is not None for region in result)
    assert own.weights_bytes == 0
