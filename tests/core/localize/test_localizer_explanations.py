"""What the grid VLM, the self-localizer and a written box tell of their regions: maps of their own probabilities."""

from itertools import product

import numpy as np
import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.localize.decoding.answer_formats import BRACKETS
from crop_core.localize.decoding.region_decoding import cells_of_edges, cells_of_regions
from crop_core.localize.self_attention.attention_rule import AttentionRule, AttentionTerm, region_scores
from crop_core.localize.self_attention.explanation import HEADS, explained
from crop_core.localize.text_vlm import TextVlmLocalizer
from crop_core.models import load
from crop_core.train.world.held_out import held_out
from tests.support import checkpoints

IMAGE, QUESTION = Image.effect_noise((200, 120), 90).convert("RGB"), "what is left of the dog?"
RNG = np.random.default_rng(3)


def test_the_probability_of_a_cell_is_the_sum_of_the_regions_that_hold_it():
    probabilities = region_scores(RNG.normal(size=(8, 8)), 0.3)
    expected = np.zeros((8, 8))
    for x0, y0, x1, y1 in product(range(8), repeat=4):
        expected[y0 : y1 + 1, x0 : x1 + 1] += probabilities[x0, y0, x1, y1]
    assert cells_of_regions(probabilities) == pytest.approx(expected)


def test_the_same_from_four_distributions_over_the_grid_numbers():
    edges = RNG.dirichlet(np.ones(8), 4)
    expected = np.zeros((8, 8))
    pairs = [np.triu(np.outer(edges[low], edges[high])) for low, high in ((0, 2), (1, 3))]
    across, down = (pair / pair.sum() for pair in pairs)
    for x0, y0, x1, y1 in product(range(8), repeat=4):
        expected[y0 : y1 + 1, x0 : x1 + 1] += across[x0, x1] * down[y0, y1]
    assert cells_of_edges(edges) == pytest.approx(expected)


def test_the_heads_that_weigh_most_have_a_map_each():
    weights = (0.1, -2.0, 0.5, 1.0, 0.2, 0.3, 0.4, 0.05)
    rule = AttentionRule(tuple(AttentionTerm(3, head, "last", weight) for head, weight in enumerate(weights)))
    shares = RNG.normal(size=(8, 64)).astype(np.float32)
    told = explained(rule, shares)
    assert told.summary == "Attention of 8 heads in layer 3 of the answering model to the 8x8 cells."
    assert [each.title for each in told.maps[:3]] == [
        "Probability by 8 heads", "Layer 3, head 1, last text token", "Layer 3, head 3, last text token",
    ]  # fmt: skip
    assert len(told.maps) == 1 + HEADS
    assert told.maps[0].values == pytest.approx(cells_of_regions(rule.probabilities(shares)))
    assert told.maps[1].values == pytest.approx(np.exp(shares[1]).reshape(8, 8))
    plain = AttentionRule.plain(8, 4)
    assert len(explained(plain, RNG.normal(size=(len(plain.terms), 64))).maps) == 1, "no head stands out"


@pytest.fixture(scope="module")
def bundled():
    return CropEngine.from_pretrained(warm_up=False)


def test_the_bundled_localizer_and_the_model_itself_tell_their_maps(bundled):
    own = CropEngine(bundled.adapter, None, warm_up=False)
    own.localizer = CropEngine.from_pretrained(localizer="self", warm_up=False).localizer
    item = held_out(1)[0]
    asked = item.scene.image, item.question.text
    for engine, name in ((bundled, "grid"), (own, "self")):
        told = engine.localize(*asked, explain=True)
        assert told.region == engine.localize(*asked) and not told.region.is_whole
        values = told.explanation.maps[0].values
        x0, y0, x1, y1 = told.region.grid
        inside = values[y0 : y1 + 1, x0 : x1 + 1]
        assert values.shape == (8, 8) and values.max() <= 1 and inside.mean() > values.mean()
        assert told.explanation.localizer == name and told.flops > 0 and told.seconds > 0
    assert len(told.explanation.maps) == 1 + HEADS


def test_a_written_answer_is_told_with_its_box(tmp_path, monkeypatch):
    checkpoints.save(tmp_path, "pad")
    localizer = TextVlmLocalizer(load(tmp_path), BRACKETS, 2)
    monkeypatch.setattr(localizer.adapter.tokenizer, "decode", lambda ids: "[1, 2, 3, 4]")
    told = localizer.localize(IMAGE, QUESTION)
    (item,) = told.explanation.items
    assert item.label == "[1, 2, 3, 4]" and item.chosen
    assert item.corners[0] == told.region.box[:2] and item.corners[2] == told.region.box[2:]
    monkeypatch.setattr(localizer.adapter.tokenizer, "decode", lambda ids: "no box")
    assert localizer.localize(IMAGE, QUESTION).explanation.items == []
