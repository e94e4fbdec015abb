"""The benchmark's held-out questions and examples, and that sharing and splitting work change no answer."""

import json
from dataclasses import replace
from types import SimpleNamespace

import checkpoints
import numpy as np
import pytest
import torch
from PIL import Image
from sheets import region, sheet

from crop_core.bench import __main__ as command
from crop_core.bench import cost, examples, self_localizer, tables, workers
from crop_core.bench.examiner import ALL, BASELINE, BLIND, Examiner, Reply, runs
from crop_core.bench.heldout import Item, held_out, majority_answers
from crop_core.localize import SELF, GridLocalizer, SelfLocalizer, WholeImage
from crop_core.models import load
from crop_core.region import Region
from crop_core.runs import Task
from crop_core.tiny.feed import TRAINING_SEEDS
from crop_core.tiny.questions import KINDS, Question
from crop_core.tiny.world import Scene
from ui.examples import KIND_NAMES, load_examples, strip_html


@pytest.fixture(scope="module")
def items():
    return held_out(2)


def test_held_out_questions_are_balanced_repeatable_and_not_for_training(items):
    assert all([item.question.kind for item in items].count(kind) == 2 for kind in KINDS)
    assert len(items) == 2 * len(KINDS)
    assert all(item.seed < TRAINING_SEEDS for item in items)
    assert [item.question for item in held_out(2)] == [item.question for item in items]


def test_the_needed_region_holds_every_needed_box(items):
    for item in items:
        left, top, right, bottom = item.region.box
        for box in item.question.reference + item.question.target:
            assert left <= box[0] and top <= box[1] and box[2] <= right and box[3] <= bottom
        assert item.region.is_whole or not item.question.needs_everything


def test_majority_answers_are_the_best_guess_by_kind():
    answers = majority_answers(60)
    assert set(answers) == set(KINDS)
    assert answers["exist"] in ("yes", "no")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return checkpoints.save(folder / "model", "pad", layers=6), checkpoints.save(folder / "locator", "squash", seed=1)


@pytest.fixture(scope="module")
def setup(folders):
    return workers.Setup(*folders, methods=("crop", "random", "fastv"), budgets=(24.0,), ablated="crop 24")


@pytest.fixture(scope="module")
def asked():
    """Five questions about noise: random models answer all of them differently."""
    found = []
    for seed, size in enumerate([(200, 120), (120, 200), (90, 90), (200, 120), (64, 48)]):
        scene = Scene(Image.effect_noise(size, 60 + seed).convert("RGB"), (), 1, 1)
        box = (10, 10, 30 + seed, 20)
        text = ("what is left of the dog ?", "where is the red cat ?")[seed % 2]
        found.append(Item(seed, scene, Question("place", text, "dog", (box,), (box,))))
    return found


@pytest.fixture(scope="module")
def sheets(setup, asked):
    examiner = setup.examiner()
    return [examiner(item) for item in asked]


def sure(found):
    """The region without the last bits of its confidence, which the alignment of memory decides."""
    return replace(found, confidence=round(found.confidence or 0, 6))


def test_sharing_the_features_of_a_picture_changes_no_answer(setup, asked, sheets):
    adapter = load(setup.model, "cpu")
    locator = GridLocalizer(load(setup.localizer, "cpu"))
    for item, found in zip(asked, sheets, strict=True):
        image, text = item.scene.image, item.question.text
        assert sure(found.found) == sure(locator.locate(image, text))
        for name in ("crop 24", "fastv 24", ALL):
            task = Task(adapter, image, text, runs(setup.methods, setup.budgets)[name])
            run = task.crop(found.found, keep_logits=False)
            assert found.replies[name] == Reply(adapter.decode(run.generated.ids), run.mean_tokens)
        grey = Task(adapter, Image.new("RGB", image.size, (127, 127, 127)), text, BASELINE)
        run = grey.crop(Region.whole(*image.size), keep_logits=False)
        assert found.replies[BLIND].text == adapter.decode(run.generated.ids)


def test_every_run_meets_its_budget_and_random_draws_anew_for_each_scene(sheets):
    names = {BLIND, ALL, "crop 24", "random 24", "fastv 24", "crop 24, true region", "crop 24, random region"}
    for found in sheets:
        assert set(found.replies) == names
        assert all(0 < found.replies[name].mean_tokens <= 24 for name in names - {ALL, BLIND})
    assert len({found.replies[ALL].text for found in sheets}) > 1, "the check has no power"


def test_the_number_of_workers_changes_no_answer(setup, asked, sheets):
    split = workers.examine(setup, asked, workers=2)
    assert [replace(each, found=sure(each.found)) for each in split] == [
        replace(each, found=sure(each.found)) for each in sheets
    ]


@pytest.fixture
def measured(monkeypatch, asked):
    """The command with everything that takes long replaced, and what stands in for the self-localizer's part."""

    def examine(setup, items, count):
        names = ["blind", *runs(setup.methods, setup.budgets)]
        small = region(0, 0, 1, 1, 0.9)
        return [sheet("place", small, small, **{name.replace(" ", "_"): "2" for name in names})]

    ways = {"trained": {"seconds": 0.02, "flops": 2e9}}
    costs = {ALL: dict.fromkeys(cost.FIGURES, 1.0)}
    monkeypatch.setattr(command, "held_out", lambda per_kind: asked)
    monkeypatch.setattr(command.CropEngine, "from_pretrained", lambda *given: None)
    monkeypatch.setattr(command.cost, "measure", lambda *given: (costs, 0.7))
    monkeypatch.setattr(command, "examine", examine)
    monkeypatch.setattr(command.self_localizer, "examine", examine)
    monkeypatch.setattr(command.self_localizer, "_plain", lambda model, items, sheets: sheets)
    monkeypatch.setattr(command.self_localizer, "costs", lambda *given: ways)
    monkeypatch.setattr(command, "majority_answers", lambda: {"place": "2"})
    return costs, ways


def test_the_result_file_says_everything(tmp_path, monkeypatch, measured):
    costs, ways = measured
    monkeypatch.setattr("sys.argv", ["bench", "--out", str(tmp_path / "new" / "result.json")])
    command.main()
    told = json.loads((tmp_path / "new" / "result.json").read_text())
    assert told["accuracy"] == {"overall": 1.0, "blind": 1.0, "majority": 1.0, "by_kind": {"place": 1.0}}
    shares = {"192": 1.0, "128": 1.0, "64": 1.0}
    assert told["retention"] == dict.fromkeys(("ilp", "plc", "crop", "random", "fastv"), shares)
    assert {"iou", "coverage", "whole_image", "ece", "by_kind", "reliability"} <= set(told["localizer"])
    assert told["localizer"]["ece"] == pytest.approx(0.1)
    assert (told["ttft_ratio"], told["cost"], told["seed"]) == (0.7, costs, 0)
    assert {"command", "questions", "device", "dtype", "versions", "runs"} <= set(told)
    assert told["runs"]["fastv 64"] == {"overall": 1.0, "mean_tokens": 64.0, "by_kind": {"place": 1.0}}
    own = told["self_localizer"]
    assert set(told["localizer"]) < set(own) and own["cost"] == ways
    assert list(own["runs"]) == [ALL, "crop 192", "crop 128", "crop 64"]
    assert own["beside"]["whole image"]["iou"] == 4 / 64


def test_one_part_alone_leaves_the_others_as_they_were(tmp_path, monkeypatch, measured):
    file = tmp_path / "result.json"
    monkeypatch.setattr("sys.argv", ["bench", "--out", str(file)])
    command.main()
    before = json.loads(file.read_text())
    file.write_text(json.dumps({**before, "self_localizer": None, "seed": 7}))
    monkeypatch.setattr("sys.argv", ["bench", "--only", "self_localizer", "--out", str(file)])
    command.main()
    assert json.loads(file.read_text()) == {**before, "seed": 7}


def test_the_answering_model_finds_the_regions_itself(folders, asked):
    setup = workers.Setup(folders[0], SELF, methods=("crop",), budgets=(24.0,))
    found = setup.examiner()(asked[0])
    image, text = asked[0].scene.image, asked[0].question.text
    assert found.found == SelfLocalizer(load(folders[0], "cpu")).locate(image, text)
    assert set(found.replies) == {BLIND, ALL, "crop 24"}


def test_the_plain_rule_stands_beside_the_measured_one(folders, asked):
    """They are the same for a checkpoint that says nothing."""
    measured = self_localizer.measure(folders[0], (24.0,), asked, workers=1)
    assert measured["beside"]["self, plain rule"]["iou"] == measured["iou"]
    assert list(measured["runs"]) == [ALL, "crop 24"]


def test_the_cost_of_finding_a_region(folders, asked):
    found = self_localizer.costs(*folders, asked[:2])
    assert list(found) == ["trained", "self", "self, image encoded"]
    assert found["self, image encoded"]["flops"] < found["self"]["flops"]
    assert all(cost["seconds"] > 0 for cost in found.values())


def test_a_picture_is_encoded_once_for_all_its_runs(setup, asked, monkeypatch):
    adapter = load(setup.model, "cpu")
    examiner = Examiner(adapter, WholeImage(), runs(setup.methods, setup.budgets))
    adapter.vision_flops(adapter.prepare(asked[0].scene.image, "what?"))  # counts by encoding, once for all pictures
    encoded, encode = [], adapter.encode
    monkeypatch.setattr(adapter, "encode", lambda inputs: encoded.append(1) or encode(inputs))
    examiner(asked[0])
    assert len(encoded) == 2, "the picture and the grey one"
    examiner(asked[3])
    assert len(encoded) == 3, "the grey one of this size is known"


def test_the_cost_ratio_compares_runs_that_stood_side_by_side(asked):
    """First tokens after 2 and 3 s at 192, after 2 and 1 s at 64: the ratio is that of the last budget."""

    def compare(image, question, config):
        slow = 3.0 if config.budget.mean_tokens == 192 else 1.0
        figures = dict.fromkeys(cost.FIGURES, 0.0) | {"localizer_flops": 5.0}
        side = [SimpleNamespace(cost=SimpleNamespace(**figures | {"ttft_s": ttft})) for ttft in (2.0, slow)]
        return SimpleNamespace(baseline=side[0], crop=side[1])

    costs, ratio = cost.measure(SimpleNamespace(compare=compare), asked, (192.0, 64.0))
    assert ratio == 0.5
    assert {name: figures["ttft_s"] for name, figures in costs.items()} == {ALL: 2.0, "crop 192": 3.0, "crop 64": 1.0}
    assert costs["crop 64"]["flops"] == 5.0
    assert "| crop 64    | 1000 " in tables.cost_table(costs)


def test_examples_are_held_out_of_every_kind_and_a_scene_each():
    items = examples.choose()
    assert len({item.seed for item in items}) == len(items) == 2 * len(KINDS)
    assert all([item.question.kind for item in items].count(kind) == 2 for kind in KINDS)
    assert all(examples.FIRST_SEED <= item.seed < examples.SEARCH_SEED for item in items)


def test_pruning_fails_where_it_alone_is_wrong():
    said = {"right": "2", "wrong": "3"}
    outcomes = {
        (full, pruned): examples.fails(sheet(answer="2", all_tokens=said[full], crop_64=said[pruned]))
        for full in said
        for pruned in said
    }
    assert [pair for pair, failed in outcomes.items() if failed] == [("right", "wrong")]


def test_failures_are_searched_a_kind_each(asked, monkeypatch):
    def found(seed, purpose):
        return {kind: Item(seed, asked[0].scene, Question(kind, "?", "2", (), ())) for kind in ("count", "exist")}

    monkeypatch.setattr(examples, "one_of_each_kind", found)

    def examiner(item):
        return sheet(item.question.kind, all_tokens="2", crop_64="3" if item.seed % 2 else "2")

    chosen = examples.failures(examiner, 4, scenes=20)
    assert [(item.seed % 10, item.question.kind) for item, _ in chosen] == [(1, "count"), (3, "exist")]


def test_written_examples_say_what_was_measured_and_the_app_reads_them(tmp_path, asked):
    (tmp_path / "99.png").write_bytes(b"of before")
    said = sheet("place", answer="dog", all_tokens="dog", crop_64="cat")
    examples.write([(asked[0], said)], tmp_path)
    (row,) = json.loads((tmp_path / "examples.json").read_text())
    assert row["pruning_fails"] is True
    assert row["measured"] == {"all tokens": "dog", "crop 64": "cat"}
    (example,) = load_examples(tmp_path)
    assert (example.question, example.answer, example.kind) == (asked[0].question.text, "dog", "place")
    assert "what is where · CROP fails at 64 tokens" in strip_html([example])
    assert set(KIND_NAMES) == set(KINDS)
    assert example.image.name == "01.jpg"
    shown = np.asarray(examples.shown(asked[0].scene.image))
    assert np.array_equal(np.asarray(Image.open(example.image)), shown)
    assert not (tmp_path / "99.png").exists()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
