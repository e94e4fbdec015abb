"""The default localizer of other models: text for questions about text, where a line fits; attention else."""

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.localize import LocalizationResult, SelfLocalizer, auto, not_counted
from crop_core.localize.auto import NO_LINE, AutoLocalizer
from crop_core.records.explanation import ExplainedItem, Explanation
from crop_core.records.region import Region
from tests.support import checkpoints

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
    monkeypatch.setattr(auto, "installed", lambda: False)
    reader = reads(READ)
    assert engine.localize(IMAGE, TEXT) == SelfLocalizer(engine.adapter).localize_region(IMAGE, TEXT)
    assert reader.asked == 0


def test_an_encoded_image_is_shared_as_by_the_model_itself(engine, reads):
    reads(READ)
    result = engine.compare(IMAGE, OTHER)
    alone = SelfLocalizer(engine.adapter).localize(IMAGE, OTHER)
    assert 0 < result.crop.cost.localizer_flops < alone.flops, "without the vision tower"
