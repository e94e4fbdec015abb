"""The default localizer of other models: text for questions about text, where a line fits; else attention, or a
detector that is there where attention would guess.
"""

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.localize import LocalizationResult, SelfLocalizer, auto, not_counted
from crop_core.localize.auto import BY_DETECTOR, NO_LINE, AutoLocalizer
from crop_core.localize.detector import CLIPSEG, DETECTOR, NOTHING_FOUND
from crop_core.localize.self_attention.attention_rule import KEY
from crop_core.models import load
from crop_core.records import localizers
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.detectors import build_detector
from tests.support.faults import edit

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
READ = Region(1, 1, 2, 2, 200, 120, "predicted", 0.9)
ITEM = ExplainedItem.of_box((1, 2, 3, 4), "EXIT", 0.9)
TEXT, OTHER = "what does the sign say?", "what is left of the dog?"


class Reads:
    """Reads this region, whatever the image; counts how often it is asked."""

    weights_bytes = 15

    def __init__(self, region):
        self.region, self.asked = region, 0

    def localize(self, image, question):
        self.asked += 1
        explain = lambda: Explanation("text", "1 line of text read.", [ITEM])  # noqa: E731
        return LocalizationResult(self.region, not_counted, ("Proven on pages.",), explain)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return CropEngine.from_pretrained(checkpoints.save(tmp_path_factory.mktemp("model"), layers=4), warm_up=False)


@pytest.fixture
def reads(engine, monkeypatch):
    """Make the engine's localizer read a region of ours."""

    def give(region):
        reader = Reads(region)
        monkeypatch.setattr(auto, "TextLocalizer", lambda: reader)
        monkeypatch.setattr(engine, "localizer", AutoLocalizer(engine.adapter))
        engine._cache.clear()
        return reader

    return give


def test_it_is_the_default_of_a_model_without_a_localizer(engine):
    assert isinstance(engine.localizer, AutoLocalizer) and engine.localizer.weights_bytes == 0


def test_a_question_about_text_is_answered_from_the_line_that_fits(engine, reads):
    reader = reads(READ)
    found = engine.localize(IMAGE, TEXT, explain=True)
    assert (found.region, found.notices, found.flops, reader.asked) == (READ, ["Proven on pages."], None, 1)
    assert found.explanation.items == [ITEM] and found.weights_bytes == 15
    answer = engine.answer(IMAGE, TEXT)
    assert answer.cost.localizer_flops == 0, "the baseline reads no region"


def test_where_no_line_fits_the_attention_decides_and_both_are_told(engine, reads):
    reads(Region.whole(200, 120))
    own = SelfLocalizer(engine.adapter).localize(IMAGE, TEXT)
    found = engine.localize(IMAGE, TEXT, explain=True)
    assert (found.region, found.flops) == (own.region, None)
    assert found.notices == [NO_LINE, *own.notices]
    assert found.explanation.items == [ITEM] and len(found.explanation.maps) == len(own.explanation.maps)


def test_any_other_question_is_the_models_own(engine, reads):
    reader = reads(READ)
    own = SelfLocalizer(engine.adapter).localize(IMAGE, OTHER)
    found = engine.localize(IMAGE, OTHER, explain=True)
    assert (found.region, found.notices, found.flops) == (own.region, [*own.notices], own.flops)
    assert (reader.asked, found.weights_bytes) == (0, 0)


def test_without_the_packages_of_the_reader_nothing_is_read(engine, reads, monkeypatch):
    monkeypatch.setattr(localizers, "find_spec", lambda name: None)
    reader = reads(READ)
    assert engine.localize(IMAGE, TEXT) == SelfLocalizer(engine.adapter).localize_region(IMAGE, TEXT)
    assert reader.asked == 0


def test_an_encoded_image_is_shared_as_by_the_model_itself(engine, reads):
    reads(READ)
    result = engine.compare(IMAGE, OTHER)
    alone = SelfLocalizer(engine.adapter).localize(IMAGE, OTHER)
    assert 0 < result.crop.cost.localizer_flops < alone.flops, "without the vision tower"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub; returns the function that puts a tiny detector of a kind there, as a hub id."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def put(kind, name):
        folder = tmp_path / f"models--{name.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text("c0ffee")
        build_detector(kind, folder / "snapshots" / "c0ffee")
        return folder / "snapshots" / "c0ffee"

    return put


def test_where_attention_would_guess_a_detector_that_is_there_looks(engine, reads, cache):
    cache("clipseg", CLIPSEG)
    reader = reads(READ)
    found = engine.localize(IMAGE, OTHER, explain=True)
    assert found.notices[0] == BY_DETECTOR.format(CLIPSEG) and found.weights_bytes > 0
    assert found.explanation.localizer == "detector" and f"{CLIPSEG} looked for “dog”" in found.explanation.summary
    assert engine.localize(IMAGE, TEXT) == READ and reader.asked == 1, "text comes first"
    assert engine.compare(IMAGE, OTHER).crop.cost.localizer_weights_bytes == found.weights_bytes + reader.weights_bytes


def test_the_default_detector_comes_before_clipseg_and_what_it_does_not_find_is_told(engine, reads, cache):
    for kind, name in (("clipseg", CLIPSEG), ("mm-grounding-dino", DETECTOR)):
        cache(kind, name)
    reads(Region.whole(200, 120))
    found = engine.localize(IMAGE, "what does the sign on the wall say?", explain=True)
    assert found.notices[:2] == [NO_LINE, BY_DETECTOR.format(DETECTOR)]
    assert found.region.is_whole and found.notices[2].startswith(NOTHING_FOUND.split("{}")[0])
    assert found.explanation.items == [ITEM] and "1 line of text read." in found.explanation.summary


def test_a_detector_that_cannot_be_loaded_is_told_and_attention_is_used(engine, reads, cache):
    edit(cache("clipseg", CLIPSEG) / "config.json", model_type="bert")
    own = SelfLocalizer(engine.adapter).localize(IMAGE, OTHER)
    reads(READ)
    found = engine.localize(IMAGE, OTHER, explain=True)
    assert found.region == own.region and found.notices[1:] == [*own.notices]
    assert "no detector" in found.notices[0] and found.notices[0].endswith("own attention was used.")


def test_a_half_downloaded_detector_is_not_there(engine, reads, cache):
    (cache("clipseg", CLIPSEG) / "model.safetensors").unlink()
    reads(READ)
    assert engine.localize(IMAGE, OTHER) == SelfLocalizer(engine.adapter).localize_region(IMAGE, OTHER)


def test_a_model_with_a_rule_of_its_own_needs_no_detector(cache):
    cache("clipseg", CLIPSEG)
    adapter = load("crop-tiny", "cpu")
    assert getattr(adapter.model.config, KEY) is not None
    localizer = AutoLocalizer(adapter)
    assert localizer.localize_region(IMAGE, OTHER) == SelfLocalizer(adapter).localize_region(IMAGE, OTHER)
    assert localizer.weights_bytes == 0
