"""The detector as localizer, on tiny random detectors of transformers' own classes."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from crop_core.engine.engine import CropEngine
from crop_core.localize import detector, detector_models, load_localizer
from crop_core.localize.detector import NOTHING_NAMED, DetectorLocalizer, near_best, region_of, widened
from crop_core.localize.detector_models import KINDS, Detection, clipped, load_detector, nearest_phrase, warm_box
from crop_core.models import ModelError
from crop_core.models.loading import hub
from crop_core.records.config import Budget, CropConfig
from crop_core.records.localizers import named_localizers
from crop_core.records.region import Region
from tests.support.detectors import DETECTORS, build_detector
from tests.support.families import build, sample_image
from tests.support.faults import edit

PHRASES = ("cat", "red sign", "man in shirt")
QUESTION = "Is the cat bigger than the red sign?"
SIZES = [(200, 120), (64, 64), (37, 211), (1, 1), (3, 900)]


@pytest.fixture(scope="module", params=DETECTORS)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build_detector(request.param, folder)
    return folder


@pytest.fixture
def open_detector(folder):
    """A detector that takes everything: random weights reach no threshold, or all."""
    detector = load_detector(folder)
    detector.threshold = 0.0
    return detector


def test_every_kind_is_tested():
    assert set(KINDS) == set(DETECTORS)


@pytest.mark.parametrize("size", SIZES)
def test_boxes_and_scores_are_those_of_the_classs_own_post_processing(open_detector, size):
    image, own = sample_image(size), open_detector
    inputs = own._inputs(image, PHRASES)
    with torch.inference_mode():
        outputs = own.model(**inputs)
    if "CLIPSeg" in type(own.model).__name__:
        expected = [(warm_box(each, 0.0, size), float(each.max())) for each in outputs.logits.sigmoid()]
    else:
        how = {"threshold": 0.0, "target_sizes": [(size[1], size[0])]}
        if "Dino" in type(own.model).__name__:
            how["text_threshold"] = 0.0
        (found,) = own.processor.post_process_grounded_object_detection(outputs, **how)
        expected = list(zip(found["boxes"].tolist(), found["scores"].tolist(), strict=True))
    detected = own.detect(image, PHRASES)
    wanted = sorted(((clipped(box, size), score) for box, score in expected), key=lambda each: -each[1])
    assert [(each.box, each.score) for each in detected] == wanted
    assert {each.phrase for each in detected} <= set(PHRASES) and detected
    for left, top, right, bottom in (each.box for each in detected):
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


def test_a_threshold_that_nothing_reaches_leaves_the_whole_image(folder):
    own = load_detector(folder)
    own.threshold = 1.1
    found = DetectorLocalizer(own).localize(sample_image((200, 120)), QUESTION)
    assert found.region == Region.whole(200, 120)
    assert found.notices == ["The detector found no “cat” and no “red sign”, so the region is the whole image."]
    assert found.flops > 0, "looking is paid for"


def test_a_notice_names_a_few_phrases(folder):
    own = load_detector(folder)
    own.threshold = 1.1
    found = DetectorLocalizer(own).localize(sample_image((200, 120)), "a cat, a dog, a cup, a hat, a bus, a car")
    named = "no “cat” and no “dog” and no “cup” and no “hat”, nor 2 more"
    assert found.notices == [f"The detector found {named}, so the region is the whole image."]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16", "1"])
def test_every_mode_of_image_is_taken(open_detector, mode):
    image = Image.fromarray(np.arange(60 * 90, dtype=np.uint16).reshape(60, 90)) if mode == "I;16" else None
    image = (image or Image.new(mode, (90, 60))).convert("RGB")  # as `open_image` gives it
    assert DetectorLocalizer(open_detector).localize_region(image, QUESTION).source == "predicted"


def test_a_question_about_the_whole_image_asks_no_detector(folder, monkeypatch):
    own = DetectorLocalizer(load_detector(folder))
    monkeypatch.setattr(own.detector, "detect", None)
    found = own.localize(sample_image((200, 120)), "What is the weather like?")
    assert (found.region, found.notices, found.flops) == (Region.whole(200, 120), [NOTHING_NAMED], 0)


def test_flops_and_weights_are_pytorchs_own(open_detector):
    image, own = sample_image((200, 120)), DetectorLocalizer(open_detector)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        open_detector.model(**open_detector._inputs(image, ("cat", "red sign")))
    assert own.localize(image, QUESTION).flops == counter.get_total_flops() > 0
    tied = {
        each.data_ptr(): each.nbytes for each in [*open_detector.model.parameters(), *open_detector.model.buffers()]
    }
    assert own.weights_bytes == sum(tied.values())


def test_it_tells_which_boxes_of_which_phrase_led_to_the_region(open_detector):
    located = DetectorLocalizer(open_detector).localize(sample_image((200, 120)), QUESTION)
    why, seen = located.explanation, open_detector.detect(sample_image((200, 120)), ("cat", "red sign"))
    assert [(item.label, item.score) for item in why.items] == [(each.phrase, each.score) for each in seen]
    assert [item.chosen for item in why.items] == [each in near_best(seen) for each in seen] and why.chosen
    assert (why.localizer, why.maps) == ("detector", [])
    assert "looked for “cat”, “red sign”: " in why.summary and f"{len(why.chosen)} chosen" in why.summary


def found(*scored):
    return [Detection((10.0 * k, 10.0, 10.0 * k + 5, 20.0), score, phrase) for k, (phrase, score) in enumerate(scored)]


def test_boxes_near_the_best_of_their_phrase_are_kept():
    all_found = found(("cat", 0.9), ("cat", 0.46), ("cat", 0.44), ("dog", 0.31), ("dog", 0.1))
    assert [each.score for each in near_best(all_found)] == [0.9, 0.46, 0.31]
    assert near_best([]) == []


def test_the_region_holds_every_box_and_its_confidence_is_the_mean_of_the_best():
    region = region_of(found(("cat", 0.9), ("cat", 0.5), ("dog", 0.3)), None, (80, 80))
    assert region.grid == (0, 1, 2, 1) and region.source == "predicted"
    assert region.confidence == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("side", "box"),
    [
        (None, (40, 40, 60, 50)),
        ("left", (10, 40, 60, 50)),
        ("right", (40, 40, 90, 50)),
        ("above", (40, 25, 60, 50)),
        ("below", (40, 40, 60, 65)),
        ("around", (10, 25, 90, 65)),
    ],
)
def test_what_lies_beside_a_thing_has_room(side, box):
    assert widened((40, 40, 60, 50), side, (100, 100)) == box
    left, top, right, bottom = widened((1, 1, 99, 99), side, (100, 100))
    assert 0 <= left < right <= 100 and 0 <= top < bottom <= 100


@pytest.mark.parametrize("box", [(-5, -5, -1, -1), (200, 200, 300, 300), (5, 5, 5, 5), (9, 9, 2, 2), (0, 0, 100, 50)])
def test_any_box_lies_inside_the_image(box):
    left, top, right, bottom = clipped(box, (100, 50))
    assert 0 <= left < right <= 100 and 0 <= top < bottom <= 50


@pytest.mark.parametrize(
    ("label", "phrase"),
    [("cat", "cat"), ("sign", "red sign"), ("red sign cat", "cat"), ("shirt", "man in shirt"), ("", ""), ("tree", "")],
)
def test_a_label_belongs_to_the_phrase_that_shares_most(label, phrase):
    assert nearest_phrase(label, PHRASES) == phrase


def test_warm_cells_become_a_box_in_pixels():
    values = torch.zeros(4, 5)
    values[1, 2] = values[2, 3] = 0.9
    assert warm_box(values, 0.4, (100, 40)) == (40, 10, 80, 30)
    assert warm_box(values, 0.95, (100, 40)) is None


def test_numbers_that_are_none_are_no_boxes(open_detector, monkeypatch):
    rows = [([0.0, 0.0, math.nan, 5.0], 0.9, "cat"), ([0.0, 0.0, 5.0, 5.0], math.nan, "cat")]
    monkeypatch.setattr(type(open_detector), "_found", lambda *given: rows)
    assert open_detector.detect(sample_image((64, 64)), PHRASES) == []


def test_weights_that_make_no_numbers_are_an_error(open_detector):
    with torch.no_grad():
        for weight in open_detector.model.parameters():
            weight.fill_(math.nan)
    with pytest.raises(ModelError, match=r"computes no numbers \(NaN\).*; download or save it again"):
        DetectorLocalizer(open_detector).localize(sample_image((200, 120)), QUESTION)


def test_the_engine_takes_a_detector_by_its_folder_and_its_cost_is_in_the_totals(folder, tmp_path):
    build("llava", tmp_path / "model")
    engine = CropEngine.from_pretrained(tmp_path / "model", folder, warm_up=False)
    assert isinstance(engine.localizer, DetectorLocalizer)
    engine.localizer.detector.threshold = 0.0
    config = CropConfig(budget=Budget(share=0.75), max_new_tokens=2, repeats=1)
    result = engine.compare(sample_image((200, 120)), QUESTION, config)
    assert result.crop.trace.region.source == "predicted"
    assert result.crop.cost.localizer_s > 0
    assert result.crop.cost.localizer_flops == engine.localizer.localize(sample_image((200, 120)), QUESTION).flops
    assert result.crop.cost.localizer_weights_bytes == engine.localizer.weights_bytes > 0


def test_names_of_the_table_load_the_default_detectors(monkeypatch, tmp_path):
    build("llava", tmp_path)
    loaded = []
    monkeypatch.setattr(detector, "load_detector", lambda name, device: loaded.append((name, str(device))))
    monkeypatch.setattr(detector, "weights_bytes", lambda model: 0)
    monkeypatch.setattr(detector.DetectorLocalizer, "__post_init__", lambda own: None)
    for name in ("detector", "clipseg"):
        assert name in named_localizers()
        CropEngine.from_pretrained(tmp_path, name, warm_up=False)
    assert loaded == [(detector.DETECTOR, "cpu"), (detector.CLIPSEG, "cpu")]


def test_what_cannot_be_loaded_is_one_sentence(folder, tmp_path, monkeypatch):
    build("llava", tmp_path / "llava")
    with pytest.raises(ModelError, match="is a 'llava' model and no detector; supported are mm-grounding-dino"):
        load_detector(tmp_path / "llava")

    def offline(*given, **how):
        raise hub.errors.LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(hub, "hf_hub_download", offline)
    for name in (detector.DETECTOR, detector.CLIPSEG):
        with pytest.raises(ModelError, match="is not on this machine and the hub cannot be reached"):
            load_localizer(name, None, None, None, None)
    edit(folder / "config.json", model_type="detr")
    with pytest.raises(ModelError, match="'detr' model"):
        load_localizer(folder, None, None, None, None)


def test_no_module_of_torchvision_is_needed():
    assert detector_models.transformers.utils.is_torchvision_available() is False
