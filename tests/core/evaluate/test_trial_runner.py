"""One example in many trials is the same as each of them run by itself, and its records say what that was."""

import math
import random

import pytest
import torch
from PIL import Image

from crop_core.engine.run import Task
from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial, trials
from crop_core.evaluate.runner.trial_runner import GREY, config_of, example_seed
from crop_core.evaluate.runner.work import Skipped
from crop_core.evaluate.runner.worker_config import WorkerConfig
from crop_core.localize import GridVlmLocalizer, SelfLocalizer
from crop_core.models import load
from crop_core.records.region import Region, random_region
from tests.support import checkpoints
from tests.support.sweeping import Exact, examples

LONGEST = 4
PLAN = (
    *trials(["crop", "plc", "random", "fastv", "visionzip", "plc+fastv"], ["24"]),
    Trial("crop", "37.5%"),
    *(Trial("crop", "24", region=region) for region in ("reference", "random", "self", "whole")),
    Trial("ilp", "24"),
    Trial("ilp", "24", evict=True),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return checkpoints.save(folder / "model", "pad", layers=6), checkpoints.save(folder / "locator", "squash", seed=1)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return examples(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def adapter(folders):
    return load(folders[0], "cpu")


@pytest.fixture(scope="module")
def locator(folders):
    return GridVlmLocalizer(load(folders[1], "cpu"))


@pytest.fixture(scope="module")
def examiner(folders):
    return WorkerConfig("noise", Exact(), LONGEST, *folders, "cpu", "float32", threads=1).trial_runner()


@pytest.fixture(scope="module")
def records(examiner, asked):
    return [{record.trial: record for record in examiner(each, PLAN)} for each in asked]


def alone(adapter, example, trial, region, **how):
    """The trial run by itself, from the image on."""
    image = Image.new("RGB", example.open().size, GREY) if trial.blind else example.open()
    return Task(adapter, image, example.question, config_of(trial, example, LONGEST)).crop(region, **how)


def test_every_trial_is_recorded_in_order(records):
    assert [list(found) for found in records] == [[trial.name for trial in PLAN]] * len(records)


def test_replies_regions_and_tokens_are_those_of_a_run_by_itself(adapter, locator, asked, records):
    for example, found in zip(asked, records, strict=True):
        image = example.open()
        size = image.size
        predicted = locator.localize_region(image, example.question)
        regions = {
            "predicted": predicted,
            "self": SelfLocalizer(adapter).localize_region(image, example.question),
            "reference": Region(*example.needed, *size),
            "random": random_region(predicted, random.Random(example_seed(example, 0))),
            "whole": Region.whole(*size),
        }
        for trial in PLAN:
            record = found[trial.name]
            reads = trial.method in ("crop", "plc", "ilp", "plc+fastv")
            region = regions[trial.region if reads else "whole"]
            run = alone(adapter, example, trial, region)
            assert record.reply == adapter.decode(run.generated.ids), trial
            assert (record.x0, record.y0, record.x1, record.y1) == region.grid
            assert (record.mean_tokens, record.kv_bytes) == (run.mean_tokens, run.generated.kv_bytes)
            assert record.confidence == pytest.approx(region.confidence or math.nan, rel=1e-5, nan_ok=True)
    assert len({found[ALL.name].reply for found in records}) > 1, "the check has no power"


def test_every_trial_meets_its_budget(records):
    for found in records:
        assert found[ALL.name].mean_tokens == found[BLIND.name].mean_tokens == found[ALL.name].visual_tokens == 64
        for name in set(found) - {ALL.name, BLIND.name}:
            assert 22 < found[name].mean_tokens <= 24, name
            assert found[name].final_tokens < 64
        assert found["crop 37.5%"].reply == found["crop 24"].reply, "the same budget of 64 tokens"
        assert found["ilp 24, evicting"].kv_bytes < found["ilp 24"].kv_bytes < found[ALL.name].kv_bytes


def test_likelihoods_are_those_of_feeding_the_answer_by_hand(adapter, locator, asked, records):
    """KL and log-probability computed from the definition, in numpy, over runs that are forced to the answer."""
    for example, found in zip(asked[:3], records, strict=False):
        region = locator.localize_region(example.open(), example.question)
        full = alone(adapter, example, ALL, region)
        ids = full.generated.ids
        for trial in (ALL, BLIND, Trial("crop", "24"), Trial("random", "24")):
            fed = alone(adapter, example, trial, region, forced=ids).generated.logits.double().numpy()
            p, q = (_softmax(each[0]) for each in (full.generated.logits.double().numpy(), fed))
            kl = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)
            logprob = sum(math.log(_softmax(row)[token]) for row, token in zip(fed, ids, strict=True))
            record = found[trial.name]
            assert record.kl_first == pytest.approx(kl, abs=1e-6), trial
            assert record.logprob == pytest.approx(logprob, abs=1e-5), trial
            assert record.same == (record.reply == adapter.decode(ids))
        assert found[ALL.name].kl_first == 0 and found[ALL.name].same
        assert found[BLIND.name].kl_first > 1e-3, "the check has no power"


def _softmax(row):
    row = [math.exp(value) for value in row - row.max()]
    return [value / sum(row) for value in row]


def test_times_and_work_hold_what_was_shared(adapter, locator, asked, records):
    for example, found in zip(asked, records, strict=True):
        finding = locator.localize(example.open(), example.question)
        assert len({record.encode_s for name, record in found.items() if name != BLIND.name}) > 1
        for name, record in found.items():
            parts = record.localizer_s + record.encode_s + record.compression_s + record.scoring_s
            assert 0 < record.encode_s < record.ttft_s <= record.total_s
            assert parts < record.ttft_s, name
        searched = {name for name, record in found.items() if record.localizer_s > 0}
        assert searched == {
            *("crop 24", "plc 24", "plc+fastv 24", "crop 37.5%", "ilp 24", "ilp 24, evicting"),
            *("crop 24, random region", "crop 24, self region"),
        }
        assert len({found[name].localizer_s for name in searched - {"crop 24, self region"}}) == 1, "looked for once"
        alone_flops = alone(adapter, example, Trial("plc", "24"), finding.region).flops
        assert found["plc 24"].flops == alone_flops + finding.flops
        assert found["random 24"].flops == alone(adapter, example, Trial("random", "24"), finding.region).flops


def test_an_image_is_encoded_once_and_a_region_looked_for_once(examiner, asked, records, monkeypatch):
    """After the records, for which FLOPs were counted by encoding, once for all images."""
    adapter, seen = examiner.adapter, []
    encode, localize = adapter.encode, examiner.localizer.localize
    monkeypatch.setattr(adapter, "encode", lambda inputs: seen.append("picture") or encode(inputs))
    monkeypatch.setattr(examiner.localizer, "localize", lambda *given: seen.append("region") or localize(*given))
    examiner(asked[0], PLAN)
    assert sorted(seen) == ["picture", "picture", "region"], "the second image is the grey one"
    examiner(asked[0], trials(["fastv"], ["24"]))
    assert seen.count("region") == 1, "no trial reads one"


def test_seeds_draw_other_tokens_for_every_example(asked):
    seeds = {example_seed(example, seed) for example in asked for seed in (0, 1)}
    assert len(seeds) == 2 * len(asked)
    assert example_seed(asked[0], 1) == example_seed(asked[0], 1)
    assert config_of(Trial("random", "24", 1), asked[0], 4).seed == example_seed(asked[0], 1)


def test_a_region_elsewhere_has_the_same_size_and_stays_inside():
    found = Region(2, 3, 6, 4, 80, 80, "predicted", 0.5)
    places = {random_region(found, random.Random(seed)).grid for seed in range(60)}
    assert len(places) > 5
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in places} == {(4, 1)}
    assert random_region(found, random.Random(0)).confidence is None


def test_metric_and_example_are_in_the_record(examiner, asked):
    example = asked[1]
    reply = examiner(example, [ALL])[0].reply
    right = Example("x", example.question, (reply, "no", "no"), example.image, "kind", "group", None, True)
    (record,) = examiner(right, [ALL])
    assert (record.dataset, record.example, record.kind, record.group) == ("noise", "x", "kind", "group")
    assert (record.score, record.gold, record.everything) == (1.0, "no", True), "the answer that most people gave"
    assert (record.need_x0, record.need_y0, record.need_x1, record.need_y1) == (-1, -1, -1, -1)
    assert examiner(example, [ALL])[0].score == 0.0


@pytest.mark.parametrize(
    ("change", "plan", "said"),
    [
        ({"image": "broken.png"}, [ALL], "'broken.png'"),
        ({}, trials(["crop"], ["0.1%"]), "for an image of 64; give at least 1"),
        ({"needed": None}, [Trial("crop", "24", region="reference")], "not known"),
        ({"question": "dog " * 2000}, [ALL], "tokens"),
    ],
    ids=["picture", "budget", "region", "question"],
)
def test_an_example_that_cannot_be_asked_is_skipped_with_the_reason(examiner, asked, tmp_path, change, plan, said):
    (tmp_path / "broken.png").write_bytes(b"no image")
    example = asked[0]
    told = {name: getattr(example, name) for name in ("id", "question", "answers", "image", "needed")} | change
    told["image"] = tmp_path / change["image"] if "image" in change else example.image
    outcome = examiner(Example(**told), plan)
    assert isinstance(outcome, Skipped) and outcome.example == example.id
    assert said in outcome.reason and "\n" not in outcome.reason
