"""A detector beside a model whose attention is cheap: of several boxes of one thing, those that it attends to."""

import numpy as np
import pytest
import torch
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.localize.detector import BY_SCORE, AttendedDetector, DetectorLocalizer, attention_in, beside
from crop_core.localize.detector_models import Detection
from crop_core.localize.protocol import LocalizationResult
from crop_core.localize.self_attention.localizer import TOO_NARROW, SelfLocalizer
from crop_core.models import ModelError, load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.explanation import Explanation, ExplanationMap
from crop_core.records.region import Region
from tests.support import ROOT, checkpoints
from tests.support.detectors import build_detector

IMAGE = Image.open(ROOT / "assets" / "examples" / "01.jpg").convert("RGB")  # signs "open" and "hot soup now"
SOUP, OPEN = (82.0, 166.0, 170.0, 250.0), (140.0, 35.0, 222.0, 85.0)  # pixels of its two signs
QUESTION = "what color is the sign?"


class Boxes:
    """A detector that finds these boxes, at a work of 7; counts how often it looks."""

    name, model = "boxes", torch.nn.Linear(1, 1)

    def __init__(self, *found):
        self.found, self.looked = [Detection(*each) for each in found], 0

    def detect(self, image, phrases):
        self.looked += 1
        return self.found

    def flops(self, image, phrases):
        return 7


@pytest.fixture(scope="module")
def adapter():
    return load("crop-tiny", "cpu")


@pytest.fixture
def attending(adapter, monkeypatch):
    """The localizer of a detector beside the bundled model, whose attention is all in one box; and what it is asked."""

    def give(box, *found):
        localizer, asked = beside(Boxes(*found), adapter), []
        cells = np.zeros((8, 8))
        region = Region.from_box(box, *IMAGE.size, "predicted")
        cells[region.y0 : region.y1 + 1, region.x0 : region.x1 + 1] = 1
        own = LocalizationResult(
            region, lambda: 100, ["Calibrated."], lambda: Explanation("self", "", maps=[ExplanationMap("p", cells)])
        )
        monkeypatch.setattr(localizer.attention, "localize", lambda *given: asked.append(given) or own)
        return localizer, asked

    return give


@pytest.mark.parametrize(("box", "other"), [(SOUP, OPEN), (OPEN, SOUP)])
def test_of_two_boxes_of_one_thing_the_one_that_the_model_attends_to_is_taken(attending, box, other):
    localizer, asked = attending(box, (other, 0.9, "sign"), (box, 0.5, "sign"))
    found = localizer.localize(IMAGE, QUESTION)
    assert found.region == Region.from_box(box, *IMAGE.size, "predicted", 0.5), "the confidence is the detector's score"
    assert (found.flops, len(asked)) == (107, 1), "both are paid for"
    assert [item.chosen for item in found.explanation.items] == [False, True]
    assert found.explanation.summary.endswith("2 boxes found, 1 chosen by score and the answering model's attention.")
    assert len(found.explanation.maps) == 1 and found.notices == ["Calibrated."]


@pytest.mark.parametrize("question", ["how many sign are there?", "is each sign blue?"])
def test_a_question_about_all_things_of_a_phrase_keeps_all_their_boxes(attending, question):
    localizer, asked = attending(SOUP, (OPEN, 0.9, "sign"), (SOUP, 0.5, "sign"))
    assert len(localizer.localize(IMAGE, question).explanation.chosen) == 2 and asked == []


def test_one_box_a_phrase_needs_no_attention(attending):
    localizer, asked = attending(SOUP, (OPEN, 0.9, "sign"), (SOUP, 0.5, "fox"))
    found = localizer.localize(IMAGE, QUESTION)
    assert (found.flops, asked, len(found.explanation.chosen)) == (7, [], 2)


def test_where_attention_cannot_be_read_the_scores_decide_and_it_is_told(attending, monkeypatch):
    localizer, _ = attending(SOUP, (OPEN, 0.9, "sign"), (SOUP, 0.5, "sign"))

    def refuse(*given):
        raise ModelError("The prompt ends with the image.")

    monkeypatch.setattr(localizer.attention, "localize", refuse)
    found = localizer.localize(IMAGE, QUESTION)
    assert len(found.explanation.chosen) == 2 and found.flops == 7
    assert found.notices == [BY_SCORE.format("The prompt ends with the image.")]


@pytest.mark.parametrize("size", [(1200, 40), (10, 400)])
def test_of_a_strip_without_a_token_in_sight_all_boxes_are_kept(adapter, size):
    boxes = [((0, 0, size[0] / 2, size[1]), 0.9, "sign"), ((size[0] / 2, 0, *size), 0.8, "sign")]
    found = beside(Boxes(*boxes), adapter).localize(IMAGE.resize(size), QUESTION)
    assert len(found.explanation.chosen) == 2
    alone = SelfLocalizer(adapter).localize(IMAGE.resize(size), QUESTION)
    assert (alone.region, alone.notices) == (Region.whole(*size), [TOO_NARROW])


def test_boxes_of_other_phrases_that_name_several_stay(attending):
    localizer, _ = attending(SOUP, (OPEN, 0.9, "sign"), (SOUP, 0.8, "sign"), (OPEN, 0.7, "foxes"), (SOUP, 0.6, "foxes"))
    found = localizer.localize(IMAGE, QUESTION).explanation
    assert [item.chosen for item in found.items] == [False, True, True, True]


def test_the_attention_of_a_box_is_the_mean_over_its_area():
    cells = np.arange(64.0).reshape(8, 8)
    assert attention_in((0, 0, 80, 80), cells, (80, 80)) == pytest.approx(31.5)
    assert attention_in((10, 20, 20, 30), cells, (80, 80)) == pytest.approx(cells[2, 1])
    assert attention_in((15, 20, 35, 30), cells, (80, 80)) == pytest.approx((5 * 17 + 10 * 18 + 5 * 19) / 20)


def test_a_model_whose_attention_is_a_guess_or_dear_is_not_read(tmp_path, adapter, monkeypatch):
    plain = load(checkpoints.save(tmp_path, layers=4), "cpu")
    assert type(beside(Boxes(), plain)) is DetectorLocalizer, "the plain rule"
    assert isinstance(beside(Boxes(), adapter), AttendedDetector)
    monkeypatch.setattr(SelfLocalizer, "is_cheap", property(lambda own: False, lambda own, value: None), raising=False)
    assert type(beside(Boxes(), adapter)) is DetectorLocalizer, "every visual token would be read"


def test_the_engine_encodes_the_image_once_for_attention_and_answer(tmp_path, monkeypatch):
    build_detector("owlv2", tmp_path / "detector")
    engine = CropEngine.from_pretrained("crop-tiny", tmp_path / "detector", warm_up=False)
    localizer = engine.localizer
    assert isinstance(localizer, AttendedDetector) and localizer.adapter is engine.adapter
    monkeypatch.setattr(localizer, "detector", Boxes((OPEN, 0.9, "sign"), (SOUP, 0.6, "sign")))
    monkeypatch.setattr(localizer.attention, "localize", lambda *given: pytest.fail("the image is encoded once more"))
    answer = engine.compare(IMAGE, QUESTION, CropConfig(budget=Budget(128), repeats=1)).crop
    assert answer.cost.localizer_flops > 7, "the attention is in the cost"
