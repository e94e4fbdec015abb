"""The bundled model knows where its world ends: photographs, pages, noise and blank images are told, scenes are not."""

import json
from dataclasses import replace
from pathlib import Path

import gradio
import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from crop_core.engine.engine import CropEngine
from crop_core.io.images import open_image
from crop_core.models import ModelError, load
from crop_core.models.familiar_images import FILE, FamiliarImages
from crop_core.records.comparison_table import comparison_table
from crop_core.records.config import CropConfig
from crop_core.records.results import Comparison
from crop_core.train.world import splits
from crop_core.train.world.scenes import make_scene
from tests.support import ROOT, checkpoints
from ui.export.report import facts

SHIPPED = Path(gradio.__file__).parent / "media_assets" / "images"
PHOTOGRAPHS = [
    *(SHIPPED / name for name in ("cheetah.jpg", "cheetah1.jpg", "lion.jpg", "tower.jpg", "bus.png", "groot.jpeg")),
    Path(mpl.get_data_path()) / "sample_data/grace_hopper.jpg",
]
KNOWN = "the drawn scenes, charts and lists of the bundled world"


@pytest.fixture(scope="module")
def adapter():
    return load("crop-tiny", "cpu")


def page() -> Image.Image:
    image = Image.new("RGB", (700, 900), "white")
    pen = ImageDraw.Draw(image)
    for line in range(40):
        pen.text(
            (40, 30 + 20 * line), f"Line {line}: the quick brown fox jumps over the lazy dog, again and again.", "black"
        )
    return image


@pytest.mark.parametrize("file", PHOTOGRAPHS, ids=lambda file: file.name)
def test_a_photograph_is_unfamiliar(adapter, file):
    assert adapter.unfamiliar(open_image(file)) == KNOWN


def test_pages_noise_and_blank_images_are_unfamiliar(adapter):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    blank = [Image.new("RGB", (400, 300), colour) for colour in ("white", "black", "#88aaff")]
    for image in (page(), Image.fromarray(noise), Image.effect_noise((300, 300), 60).convert("RGB"), *blank):
        assert adapter.unfamiliar(image) == KNOWN


def test_scenes_are_familiar(adapter):
    scenes = [make_scene(seed, held_out=True).image for seed in splits.BENCHMARK[:40]]
    assert sum(not adapter.unfamiliar(scene) for scene in scenes) >= 34, "95 % of many"
    examples = sorted((ROOT / "assets" / "examples").glob("[0-9]*.[jp]*g"))
    assert sum(not adapter.unfamiliar(open_image(file)) for file in examples) >= len(examples) - 2
    assert adapter.unfamiliar([scenes[0], open_image(PHOTOGRAPHS[0])]) == KNOWN


def test_the_user_reads_it_wherever_an_answer_is(adapter):
    engine = CropEngine(adapter, None)
    config = CropConfig(localizer="whole", repeats=1)
    result = engine.compare(open_image(PHOTOGRAPHS[0]), "is there a dog?", config)
    assert result.unfamiliar and Comparison.from_json(result.to_json()).unfamiliar
    sentence = f"This does not look like {KNOWN}, which are all that crop-tiny knows: "
    assert result.notices[0].startswith(sentence)
    assert result.verdict == "guess"
    assert engine.answer(open_image(PHOTOGRAPHS[0]), "is there a dog?", config).notices[0].startswith(sentence)
    scene = make_scene(splits.BENCHMARK[0], held_out=True).image
    known = engine.compare(scene, "is there a dog?", config)
    assert not known.unfamiliar and not known.notices and known.verdict in ("same", "less_sure", "changed")
    assert json.loads(json.dumps(known.to_json()))["unfamiliar"] is False


def test_the_region_of_an_unfamiliar_image_has_no_confidence_beside_it(adapter):
    config = CropConfig(localizer="self", repeats=1)
    result = CropEngine(adapter, None).compare(open_image(PHOTOGRAPHS[0]), "is there a dog?", config)
    assert result.unfamiliar and result.region.confidence is not None
    for told in (facts, comparison_table):
        assert "confidence " in str(told(replace(result, unfamiliar=False, notices=[])))
        assert "confidence " not in str(told(replace(result, notices=[])))


def test_other_checkpoints_say_nothing_and_a_broken_file_is_one_sentence(tmp_path):
    folder = Path(checkpoints.save(tmp_path / "model"))
    assert load(folder, "cpu").unfamiliar(open_image(PHOTOGRAPHS[0])) == ""
    (folder / FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=rf"^{FILE} of model cannot be read; delete it"):
        load(folder, "cpu")


def test_a_fit_finds_what_is_far_and_survives_its_file(tmp_path):
    torch.manual_seed(0)
    mix = torch.randn(12, 12)
    images, held_out, far = (torch.randn(count, 12) @ mix for count in (500, 400, 100))
    others = far + 4 * mix[0]  # near enough to be within the world's distance, were it not for their direction
    fit = FamiliarImages.fitted(images, others[:50], held_out, 0.98, 0.003, "squares")
    assert 0.96 <= float(fit.familiar(held_out).float().mean()) <= 0.98
    assert float(fit.familiar(others[50:]).float().mean()) < 0.1
    assert not bool(fit.familiar(far - 20 * mix[0]).any()), "far in another direction"
    fit.save(tmp_path)
    again = FamiliarImages.load(tmp_path)
    assert (again.limit, again.limit_along, again.known) == (fit.limit, fit.limit_along, "squares")
    for saved, own in zip(again.distances(far), fit.distances(far), strict=True):
        assert torch.allclose(saved, own, rtol=1e-3, atol=1e-3)
    assert FamiliarImages.load(None) is None and FamiliarImages.load(tmp_path / "nowhere") is None
