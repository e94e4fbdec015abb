"""Peer methods that act before the LLM: their rules by hand, against slow literal ones, and through the engine."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crop_core.compress.cdpruner import CdPrunerCompressor, PublishedCdPruner, greedy_dpp, relevance
from crop_core.compress.divprune import DivPruneCompressor, max_min_diversity
from crop_core.compress.protocol import CompressionInput
from crop_core.compress.region_only import RegionCompressor
from crop_core.compress.visionzip import VisionZipCompressor
from crop_core.compress.vispruner import VisPrunerCompressor
from crop_core.engine.engine import CropEngine
from crop_core.models import ModelError
from crop_core.records.compression_plan import CompressionError
from crop_core.records.config import Budget, CropConfig
from crop_core.records.methods import METHODS, load_class, method_of
from crop_core.records.region import Region
from tests.support import checkpoints
from tests.support.families import build
from tests.support.later_peers import LATER
from tests.support.layouts import IMAGE, QUESTION, REGION, cosine, grid, groups, left, random_image, seen
from tests.support.other_device import OTHER, OtherDevice

PEERS = ("region", "visionzip", "divprune", "cdpruner", "vispruner", *LATER)
CORNER = Region(0, 0, 0, 0, 80, 80)


@pytest.mark.parametrize(("count", "expected"), [(None, [0]), (1, [0]), (3, [0, 1, 8]), (5, [0, 1, 2, 8, 9])])
def test_the_region_is_filled_up_with_the_nearest_tokens(count, expected):
    plan = RegionCompressor().plan(CompressionInput(grid(8, (80, 80)), CORNER), count)
    assert left(plan) == expected and not plan.ring.any()


@pytest.mark.parametrize(("count", "expected"), [(4, [0, 1, 2, 3]), (3, [0, 2, 3]), (2, [1, 3]), (1, [2])])
def test_a_region_larger_than_the_count_is_thinned_evenly(count, expected):
    assert (
        left(RegionCompressor().plan(CompressionInput(grid(8, (80, 80)), Region(0, 0, 3, 0, 80, 80)), count))
        == expected
    )


def test_a_region_between_the_tokens_keeps_the_nearest_and_tokens_without_a_place_come_last():
    layout = grid(2, (80, 80), leading=1)
    assert left(RegionCompressor().plan(CompressionInput(layout, Region(7, 7, 7, 7, 80, 80)))) == [4]
    assert left(RegionCompressor().plan(CompressionInput(layout, CORNER), 4)) == [1, 2, 3, 4]


def test_visionzip_keeps_what_is_attended_and_pools_the_rest_by_keys():
    keys = [[1.0, 0], [9, 9], [1, 0.1], [0.1, 1], [9, 9], [0, 1], [1, 1], [0, 2]]  # token 6 is as near to both targets
    image = seen(attention=[0.1, 0.9, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1], keys=keys)
    plan = VisionZipCompressor(dominant=1, contextual=1).plan(image, 4)
    assert groups(plan) == {frozenset(each) for each in ([1], [4], [0, 2, 6], [3, 5, 7])}
    assert groups(VisionZipCompressor().plan(image, 3)) == {frozenset([each]) for each in (0, 1, 4)}


def test_a_kept_class_token_counts_as_the_most_attended():
    image = seen([[1.0, 0]] * 3, [float("nan"), 0.1, 0.2], [[0.0, 0], [1, 0], [0, 1]])
    assert left(VisionZipCompressor().plan(image, 2)) == [0, 2]
    assert 0 in left(VisPrunerCompressor().plan(image, 2))


def test_divprune_starts_with_the_loneliest_and_goes_on_with_the_farthest():
    angles = np.deg2rad([0, 10, 90, 200])
    features = np.stack([np.cos(angles), np.sin(angles)], 1) * [[1], [5], [2], [3]]  # lengths do not matter
    assert max_min_diversity(torch.from_numpy(features), 4).tolist() == [3, 1, 2, 0]
    assert left(DivPruneCompressor().plan(seen(features), 2)) == [1, 3]


def test_cdpruner_takes_what_is_relevant_and_new():
    features = [[2.0, 0], [1, 1], [0, 3]]
    question = [[1.0, 0], [3, 0]]
    assert left(PublishedCdPruner().plan(seen(features, question=question), 2)) == [0, 1]
    relevant = relevance(torch.eye(2)[[0, 0, 1]], torch.eye(2)[:1])
    assert relevant.tolist() == [1, 1, 0]
    assert relevance(torch.eye(2), torch.tensor([[0.6, 0.8]])).tolist() == [0, 1], "scaled"
    assert relevance(torch.eye(2), torch.empty(0, 2)).tolist() == [1, 1], "a question without words"
    chosen = greedy_dpp(torch.eye(2)[[0, 1, 0, 0]], torch.tensor([1.0, 0.5, 0.7, 0.9]), 4)
    assert chosen.tolist() == [0, 1, 3, 2], "duplicates last, the more relevant first"


def test_vispruner_thins_the_less_attended_half():
    """Others 1 4 3 0 by attention: of 1 3 goes 1, a duplicate of 0; then of 3 0 goes 3, which is nearer to 4."""
    features = [[1, 0], [1, 0], [5, 5], [1, 0.2], [0, 1.0], [5, 5]]
    image = seen(features, [0.1, 0.4, 0.9, 0.2, 0.3, 1.0], [[0.0]] * 6)
    assert left(VisPrunerCompressor(dropped=1).plan(image, 4)) == [0, 2, 4, 5]


def literal_region(image, count):
    """By distance, one token after the other."""
    left_px, top, right, bottom = image.region.box
    inside, outside = [], []
    for place, (x0, y0, x1, y1) in enumerate(image.layout.boxes.tolist()):
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        cell = image.region.width / 8
        away = round(max(left_px - x, x - right, top - y, y - bottom, 0) / cell, 9)
        sight = image.layout.visible[0] <= x
        (inside if sight and not away else outside).append((away if sight else np.inf, place))
    if len(inside) > count:
        return {frozenset([inside[(2 * each + 1) * len(inside) // (2 * count)][1]]) for each in range(count)}
    return {frozenset([place]) for _, place in (inside + sorted(outside))[:count]}


def literal_order(attention):
    return sorted(range(len(attention)), key=lambda place: -attention[place])


def literal_visionzip(image, count):
    tower = image.tower()
    targets = int(count * 10 / 64 + 0.5)
    order = literal_order(tower.attention.tolist())
    result = {place: [place] for place in order[: count - targets]}
    rest = sorted(order[count - targets :])
    if targets:
        chosen = [rest[each * (len(rest) // targets)] for each in range(targets)]
        result |= {place: [place] for place in chosen}
        for place in set(rest) - set(chosen):
            result[max(chosen, key=lambda target: cosine(tower.keys[place], tower.keys[target]))].append(place)
    return {frozenset(members) for members in result.values()}


def literal_divprune(image, count):
    rows = image.features().tolist()
    places = range(len(rows))
    apart = [[1 - cosine(one, other) for other in rows] for one in rows]
    chosen = [max(places, key=lambda one: min(apart[one][other] for other in places if other != one))]
    while len(chosen) < count:
        others = [place for place in places if place not in chosen]
        chosen.append(max(others, key=lambda one: min(apart[one][other] for other in chosen)))
    return {frozenset([place]) for place in chosen}


def literal_cdpruner(image, count, weight=CdPrunerCompressor.weight):
    """By determinants."""
    rows, words = image.features().numpy(), image.question().numpy()
    mean = np.array([np.mean([cosine(row, word) for word in words]) for row in rows])
    relevant = 1 - weight + weight * (mean - mean.min()) / max(mean.max() - mean.min(), 1e-9)
    kernel = np.array([[cosine(a, b) * r * s for b, s in zip(rows, relevant, strict=True)]
                       for a, r in zip(rows, relevant, strict=True)])  # fmt: skip
    chosen = []
    while len(chosen) < count:
        others = [place for place in range(len(rows)) if place not in chosen]
        volume = lambda one: round(np.linalg.slogdet(kernel[np.ix_([*chosen, one], [*chosen, one])])[1], 9)  # noqa: E731
        chosen.append(max(others, key=volume))
    return {frozenset([place]) for place in chosen}


def literal_vispruner(image, count):
    rows, order = image.features(), literal_order(image.tower().attention.tolist())
    important, others = order[: count // 2], order[count // 2 :]
    while len(others) > count - len(important):
        half, second = others[::2], others[1::2]
        by_likeness = sorted(
            half, key=lambda one: -max(round(100 * cosine(rows[one], rows[other])) for other in second)
        )
        others = by_likeness[min(8, len(others) - (count - len(important))) :] + second
    return {frozenset([place]) for place in important + others}


LITERAL = {
    "region": literal_region,
    "visionzip": literal_visionzip,
    "divprune": literal_divprune,
    "cdpruner": literal_cdpruner,
    "vispruner": literal_vispruner,
    "cdpruner@paper": partial(literal_cdpruner, weight=1),
    **LATER,
}


def compressor(name, config=None):
    return load_class(method_of(name).compressor).from_config(config or CropConfig())


@pytest.mark.parametrize("name", [*PEERS, "cdpruner@paper"])
@pytest.mark.parametrize("seed", range(3))
def test_every_count_is_met_exactly_and_as_literally_read(name, seed):
    image, method = random_image(seed), compressor(name)
    for count in (*range(1, 9), 15, 22, 29, 30):
        plan = method.plan(image, count)
        assert plan.count == count and not plan.ring.any()
        assert groups(plan) == LITERAL[name](image, count), count


def tied(image):
    """The image with every token twice, a place later, and attention of few values."""
    twice = lambda rows: rows.reshape(-1, 2, *rows.shape[1:])[:, :1].expand(-1, 2, *rows.shape[1:]).reshape(rows.shape)  # noqa: E731
    tower = image.tower()
    same = SimpleNamespace(attention=(5 * tower.attention).round() / 5, keys=twice(tower.keys))
    return CompressionInput(image.layout, image.region, lambda: twice(image.features()), lambda: same, image.question)


@pytest.mark.parametrize("name", ["visionzip", "vispruner"])
@pytest.mark.parametrize("seed", range(3))
def test_equal_tokens_are_taken_as_literally_read(name, seed):
    """By falling attention, ties by index; DivPrune and CDPruner, which never keep both of two equal tokens unless they
    have to, are held against theirs by `test_tokens_that_are_all_the_same_are_still_so_many`.
    """
    image, method = tied(random_image(seed)), compressor(name)
    for count in (1, 2, 3, 8, 15, 22, 30):
        assert groups(method.plan(image, count)) == LITERAL[name](image, count), count


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"region"}))
@pytest.mark.parametrize("size", [1, 2, 3])
def test_of_very_few_tokens_the_literal_ones_stay(name, size):
    image = random_image(5, count=size)
    for count in range(1, size + 1):
        plan = compressor(name).plan(image, count)
        assert plan.count == count
        if size > 1:  # the literal rules need another token
            assert groups(plan) == LITERAL[name](image, count)


def test_published_settings_read_the_class_token():
    """Where attention received and that of a class token disagree."""
    tower = SimpleNamespace(attention=torch.tensor([0.4, 0.3, 0.2, 0.1]))
    tower.published = tower.attention.flip(0)
    tower.keys = torch.eye(4)
    image = CompressionInput(SimpleNamespace(row=np.zeros(4)), None, lambda: torch.eye(4), lambda: tower)
    for name in ("visionzip", "vispruner"):
        config = CropConfig(f"{name}@paper")
        own, paper = load_class(METHODS[name].compressor), load_class(config.parts.compressor)
        assert left(own().plan(image, 2)) != left(paper.from_config(config).plan(image, 2))


@pytest.mark.parametrize(("name", "expected"), [*zip(PEERS, (9, 3, 2, 3, 3, *[3] * len(LATER)), strict=True)])
def test_counts_outside_are_refused_and_none_is_the_paper_s_share(name, expected):
    image, method = random_image(0), compressor(name)
    for count in (0, 31):
        with pytest.raises(CompressionError, match="give 1 to 30"):
            method.plan(image, count)
    assert method.plan(image, None).count == expected


@pytest.mark.parametrize("name", sorted(set(PEERS) - {"region", "downsample"}))
def test_tokens_that_are_all_the_same_are_still_so_many(name):
    same = seen([[1.0, 2.0]] * 20, [0.5] * 20, [[0.0, 0.0]] * 20, [[1.0, 1.0]])
    for count in range(1, 21):
        assert compressor(name).plan(same, count).count == count


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("tower_there", [False, True])
def test_the_tower_may_lie_on_another_device_than_the_features(name, tower_there, monkeypatch):
    """The question's embeddings lie with the tower."""
    image, method = random_image(0), compressor(name)
    expected = method.plan(image, 9).group

    def placed(tensor, there):
        return tensor.to(OTHER) if there else tensor

    with OtherDevice(monkeypatch):
        features, question = placed(image.features(), not tower_there), placed(image.question(), tower_there)
        attention, keys = (placed(each, tower_there) for each in (image.tower().attention, image.tower().keys))
        tower = SimpleNamespace(attention=attention, keys=keys)
        spread = CompressionInput(image.layout, image.region, lambda: features, lambda: tower, lambda: question)
        assert np.array_equal(method.plan(spread, 9).group, expected)


@pytest.fixture(scope="module", params=["default", "full"])
def engine(tmp_path_factory, request):
    """Of 64 visual tokens, and with "full" the class token beside them."""
    folder = checkpoints.save(tmp_path_factory.mktemp("llava"), layers=2, strategy=request.param)
    return CropEngine.from_pretrained(folder, None)


@pytest.mark.parametrize("name", PEERS)
def test_the_engine_meets_the_budget_with_the_rule_s_tokens(engine, name):
    config = CropConfig(method=name, budget=Budget(mean_tokens=24), max_new_tokens=2, repeats=1)
    result = engine.compare(IMAGE, QUESTION, config, REGION, memory=False)
    trace, adapter = result.crop.trace, engine.adapter
    assert trace.input_tokens == 24 and trace.mean_tokens <= 24
    inputs = adapter.prepare(IMAGE, QUESTION)
    with adapter.record_tower() as watched:
        features = adapter.encode(inputs).pooler_output[0]
    (tower,) = adapter.tower_attention(watched, inputs)
    layout, words = adapter.layout(IMAGE.size), adapter.embed_question(QUESTION)
    image = CompressionInput(layout, REGION, lambda: features, lambda: tower, lambda: words)
    assert np.array_equal(trace.group, compressor(name, config).plan(image, 24).group)
    assert (trace.group.max() + 1, len(trace.group)) == (24, layout.count)
    assert (result.region == REGION) == METHODS[name].needs_region


def test_a_model_that_merges_patches_says_so_before_it_runs(tmp_path):
    build("qwen2_vl", tmp_path)
    engine = CropEngine.from_pretrained(tmp_path, None)
    for name in PEERS:
        config = CropConfig(method=name, budget=Budget(share=0.5), max_new_tokens=2, repeats=1)
        if METHODS[name].reads_tower:
            with pytest.raises(ModelError, match="merges several patches into each visual token"):
                next(engine.stream(IMAGE, QUESTION, config, REGION))
            with pytest.raises(ModelError, match="choose a method that does not read the tower"):
                engine.compare(IMAGE, QUESTION, config, REGION)
        else:
            trace = engine.compare(IMAGE, QUESTION, config, REGION, memory=False).crop.trace
            assert trace.mean_tokens <= 0.5 * trace.visual_tokens
