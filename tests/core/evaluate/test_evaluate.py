"""The benchmark's held-out questions and examples, its costs, and its command."""

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import bundled as command
from benchmarks import cost, publish, region_quality, tables
from benchmarks import make_examples as examples
from crop_core.evaluate.datasets import bundled_world
from crop_core.evaluate.runner import plan, store
from crop_core.evaluate.runner.plan import ALL
from crop_core.localize import SelfLocalizer
from crop_core.models import load
from crop_core.train.world import splits
from crop_core.train.world.held_out import Item, held_out, majority_answers
from crop_core.train.world.questions import KINDS, Question
from crop_core.train.world.vocabulary import Scene
from tests.support import checkpoints
from tests.support.sweeping import record
from ui.views.examples import KIND_NAMES, load_examples, strip_html


@pytest.fixture(scope="module")
def items():
    return held_out(2)


def test_no_scene_is_for_two_things():
    ranges = sorted((each for each in vars(splits).values() if isinstance(each, range)), key=lambda each: each.start)
    assert len(ranges) == 18 and all(len(each) for each in ranges)
    assert all(one.stop <= other.start for one, other in pairwise(ranges))


def test_more_questions_than_the_scenes_have_are_refused():
    with pytest.raises(ValueError, match="3 scenes have no 9 questions of every kind"):
        held_out(9, range(3))


def test_held_out_questions_are_balanced_repeatable_and_not_for_training(items):
    assert all([item.question.kind for item in items].count(kind) == 2 for kind in KINDS)
    assert len(items) == 2 * len(KINDS)
    assert all(item.seed in splits.BENCHMARK for item in items)
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
def held_out_items():
    """Five questions about noise: random models answer all of them differently."""
    result = []
    for seed, size in enumerate([(200, 120), (120, 200), (90, 90), (200, 120), (64, 48)]):
        scene = Scene(Image.effect_noise(size, 60 + seed).convert("RGB"), (), 1, 1)
        box = (10, 10, 30 + seed, 20)
        text = ("what is left of the dog ?", "where is the red cat ?")[seed % 2]
        result.append(Item(seed, scene, Question("place", text, "dog", (box,), (box,))))
    return result


def test_the_plain_rule_finds_what_a_checkpoint_without_a_rule_does(folders, held_out_items):
    finder = SelfLocalizer(load(folders[0], "cpu"))
    wanted = [[*finder.localize_region(item.scene.image, item.question.text).grid] for item in held_out_items]
    assert cost.plain_rule_regions(folders[0], held_out_items) == wanted


def test_the_cost_of_finding_a_region(folders, held_out_items):
    result = cost.localizer_costs(*folders, held_out_items[:2])
    assert list(result) == ["trained", "self", "self, image encoded"]
    assert all(len(figures["seconds"]) == len(figures["flops"]) == 2 for figures in result.values()), "no warm-up"
    assert all(min(figures["seconds"]) > 0 for figures in result.values())
    known = cost.medians(result)
    assert known["self, image encoded"]["flops"] < known["self"]["flops"]


def test_the_cost_ratio_compares_runs_that_stood_side_by_side(held_out_items):
    """First tokens after 2 and 3 s at 192, after 2 and 1 s at 64: the ratio is that of the last budget."""

    def compare(image, question, config):
        slow = 3.0 if config.budget.mean_tokens == 192 else 1.0
        figures = dict.fromkeys(cost.FIGURES, 0.0) | {"work": 5.0}
        side = [SimpleNamespace(cost=SimpleNamespace(**figures | {"ttft_s": ttft})) for ttft in (2.0, slow)]
        return SimpleNamespace(baseline=side[0], crop=side[1])

    runs = cost.measure(SimpleNamespace(compare=compare), held_out_items, (192.0, 64.0))
    assert {name: len(figures["ttft_s"]) for name, figures in runs.items()} == {
        ALL.name: 10,
        "crop 192": 5,
        "crop 64": 5,
    }
    runs[ALL.name]["ttft_s"][:5] = [9.0] * 5  # of the runs beside those at 192
    assert cost.ttft_ratio(runs) == 0.5
    known = cost.medians(runs)
    assert [known[name]["ttft_s"] for name in ("crop 192", "crop 64")] == [3.0, 1.0]
    assert known["crop 64"]["flops"] == 5.0
    assert "| crop 64  | 1000 " in tables.cost_table(known)


def test_examples_are_held_out_of_every_kind_and_a_scene_each():
    items = examples.choose()
    assert len({item.seed for item in items}) == len(items) == 2 * len(KINDS)
    assert all([item.question.kind for item in items].count(kind) == 2 for kind in KINDS)
    assert all(item.seed in splits.EXAMPLES for item in items)


def replies(full, pruned, answer="2"):
    """What `examples` makes of two records."""
    item = bundled_world.example(
        Item(0, Scene(Image.new("RGB", (8, 8)), (), 1, 1), Question("count", "?", answer, (), ((0, 0, 1, 1),)))
    )
    texts = {ALL: full, examples.PRUNED: pruned}
    return {each.name: record(item, each, reply=text, score=float(text == answer)) for each, text in texts.items()}


def test_pruning_fails_where_it_alone_is_wrong():
    reply_of = {"right": "2", "wrong": "3"}
    outcomes = {
        (full, pruned): examples.fails(replies(reply_of[full], reply_of[pruned]))
        for full in reply_of
        for pruned in reply_of
    }
    assert [pair for pair, failed in outcomes.items() if failed] == [("right", "wrong")]


def test_failures_are_searched_a_kind_each(held_out_items, monkeypatch):
    def two_kinds(seed, purpose):
        return {
            kind: Item(seed, held_out_items[0].scene, Question(kind, "?", "2", (), ())) for kind in ("count", "exist")
        }

    monkeypatch.setattr(examples, "one_of_each_kind", two_kinds)

    def examiner(item):
        return replies("2", "3" if item.seed % 2 else "2")

    chosen = examples.failures(examiner, 4, scenes=20)
    assert [(item.seed % 10, item.question.kind) for item, _ in chosen] == [(1, "count"), (3, "exist")]


def test_written_examples_say_what_was_measured_and_the_app_reads_them(tmp_path, held_out_items):
    (tmp_path / "99.png").write_bytes(b"of before")
    examples.write([(held_out_items[0], replies("dog", "cat", "dog"))], tmp_path)
    (row,) = json.loads((tmp_path / "examples.json").read_text())
    assert row["pruning_fails"] is True
    assert row["measured"] == {"baseline": "dog", "crop 64": "cat"}
    (example,) = load_examples(tmp_path)
    question = held_out_items[0].question.text
    assert example.question == question[0].upper() + question[1:] != question
    assert (example.answer, example.kind) == ("dog", "place")
    assert "what is where · CROP fails at 64 tokens" in strip_html([example])
    assert set(KIND_NAMES) == set(KINDS)
    assert example.image.name == "01.jpg"
    shown = np.asarray(examples.shown_example(held_out_items[0]).open())
    assert np.array_equal(np.asarray(Image.open(example.image)), shown)
    assert not (tmp_path / "99.png").exists()


def answered(workers):
    """A pool without a model: CROP at 64 is wrong about counts, all else is right."""

    def pool(setup, works):
        for example, trials in works:
            yield [
                record(
                    example,
                    trial,
                    group=example.group,
                    gold=example.answers[0],
                    score=float(trial.name != "crop 64" or example.kind != "count"),
                    visual_tokens=576,
                    mean_tokens=float(trial.budget or 576),
                    confidence=0.5,
                    everything=example.everything,
                    **dict(zip(region_quality.NEEDED, example.needed, strict=True)),
                )
                for trial in trials
            ]

    return pool


def test_the_command_measures_every_part_and_what_it_writes_can_be_published(tmp_path, monkeypatch):
    shown = [*plan.trials(publish.SHOWN), *publish.OTHER, *publish.OWN, *publish.EVICTED]
    trials = list(dict.fromkeys(shown))
    monkeypatch.setattr(command, "published", lambda: trials)
    monkeypatch.setattr(command, "BUDGETS", ("64",))  # of the costs
    monkeypatch.setattr(command, "pool_of", answered)
    monkeypatch.setattr(command, "majority_answers", lambda: dict.fromkeys(KINDS, "2"))
    options = f"bench --per-kind 1 --independent 8 --cost-items 1 --threads 1 --out {tmp_path}"
    monkeypatch.setattr("sys.argv", options.split())
    command.main()
    known = publish.measured(tmp_path)
    for file in publish.TEXTS:
        assert publish.fill(file.read_text(), known) != file.read_text()
    assert known["questions"] == "10"
    lines = {line.split("|")[1].strip(): line for line in known["accuracy"].splitlines() if "|" in line}
    assert [cell.strip() for cell in lines["crop 64"].split("|")[2:5]] == ["64", "90.0%", "90.0%"]
    assert lines["crop 64"].split("|")[-2].strip() == "87.5%", "of the independent world, one of eight is a count"
    assert lines["majority"].split("|")[3].strip() in ("0.0%", "10.0%", "20.0%")
    monkeypatch.setattr("sys.argv", [*options.split(), "--only", "sweep"])
    command.main()
    (session,) = store.facts(tmp_path)["sessions"]  # the second one starts anew
    assert session["command"].endswith(f"{options.removeprefix('bench ')} --only sweep")
    assert {"device", "dtype", "versions"} <= set(session)
    rows = {row["run"]: row for row in publish.methods(tmp_path)["runs"]}
    assert set(rows) == {trial.name for trial in trials} <= {trial.name for trial in plan.published()}
    assert rows["crop 64"]["accuracy"] == 0.9 and rows["crop 64"]["by_kind"]["count"] == 0
    other = publish.methods(tmp_path)["independent"]
    assert other["questions"] == 8 and {row["run"] for row in other["runs"]} == {t.name for t in trials if not t.evict}
    monkeypatch.setattr("sys.argv", [*options.split(), "--go-on", "--only", "sweep", "--only", "independent"])
    monkeypatch.setattr(command, "pool_of", lambda workers: None)  # nothing is missing, and nobody is asked
    command.main()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
