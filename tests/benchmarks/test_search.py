"""The search for a default: candidates' regions, scores, halving and differences by hand."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import search
from benchmarks.search import CANDIDATES, REFERENCE, Candidate, CandidateRunner, Score, alone, both
from crop_core.localize import WholeImage
from crop_core.models import DEFAULT_MODEL, load
from crop_core.records.config import CropConfig
from crop_core.records.methods import METHODS
from crop_core.records.region import Region
from crop_core.train.world import splits
from crop_core.train.world.held_out import one_of_each_kind

UNSURE = Region(2, 0, 4, 7, 80, 80, "predicted", 0.8)


def test_a_region_grows_inside_the_image_where_it_is_unsure():
    config = CropConfig()
    assert Candidate(config).region(UNSURE) == UNSURE
    assert Candidate(config, margin=1).region(UNSURE).grid == (1, 0, 5, 7)
    assert Candidate(config, margin=1, unsure=0.9).region(UNSURE).grid == (1, 0, 5, 7)
    assert Candidate(config, margin=1, unsure=0.8).region(UNSURE).grid == UNSURE.grid
    assert Candidate(config, margin=8, unsure=0.9).region(UNSURE).is_whole


def test_the_table_holds_valid_settings_with_and_without_pruning():
    assert CANDIDATES[REFERENCE].config.parts.compressor == METHODS["plc"].compressor
    assert {each.sort for each in CANDIDATES.values()} == {(True, True), (True, False), (False, True), (False, False)}
    assert (alone("plc").sort, both("distinct", 2).sort) == ((True, False), (False, True))


def test_a_score_by_hand():
    """KL of (0.5, 0.5) to (0.8, 0.2) is 0.5 ln(0.625) + 0.5 ln(2.5)."""
    full = torch.tensor([[0.5, 0.5]]).log()
    logits = torch.tensor([[0.8, 0.2], [0.1, 0.9]]).log()
    result = search.score(logits, full, [0, 1])
    assert result.kl == pytest.approx(0.5 * math.log(0.625) + 0.5 * math.log(2.5)) and result.exact
    assert not search.score(logits, full, [0, 0]).exact
    far = torch.tensor([[-100.0, 0.0], [0.0, 1.0]])
    assert search.score(far, full, [1, 1]).kl == search.MAX_KL


def flat(kl):
    return {64.0: [Score(kl, True)]}


def test_the_better_half_of_every_sort_goes_on_and_the_reference_always():
    candidates = {REFERENCE: both("plc", 2), **{f"b{i}": both("distinct", 2) for i in range(4)}, "a": alone("plc")}
    scores = {name: flat(kl) for name, kl in zip(candidates, (9, 3, 1, 4, 2, 5), strict=True)}
    assert search.better_half(scores, candidates) == [REFERENCE, "b1", "b3", "a"]
    assert search.overall({64.0: [Score(1, True)], 128.0: [Score(2, True)]}) == 1.5


def test_rounds_double_the_questions_and_halve_the_candidates():
    calls = []

    class Known:
        """The later in the table the better."""

        def ask(self, items, candidates):
            calls.append((list(items), list(candidates)))
            return {name: {64.0: [Score(1 / (1 + int(name[1:] or 0)), True)] * len(items)} for name in candidates}

    candidates = {f"c{number}": both("plc", 2) for number in range(8)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "REFERENCE", "c0")
        rounds = search.halved(Known(), candidates, list(range(11)), 2)
    assert [items for items, _ in calls] == [[0, 1], [2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert [names for _, names in calls][1:] == [["c0", "c7", "c6", "c5"], ["c0", "c7"], ["c0", "c7"]]
    assert [len(scores["c7"][64.0]) for scores in rounds] == [2, 4, 8, 11]


def test_figures_are_differences_question_by_question():
    old = {128.0: [Score(1, True), Score(2, True)], 64.0: [Score(1, True), Score(2, False)]}
    new = {128.0: [Score(1, True), Score(2, True)], 64.0: [Score(0, True), Score(2, True)]}
    items = [SimpleNamespace(seed=1), SimpleNamespace(seed=2), "a question that was not asked"]
    content = search.summary({REFERENCE: old, "new": new}, items)
    rows = content["runs"]
    assert content["questions"] == 2
    result, everything = rows["new"]["64"], rows["new"]["all"]
    assert result["exact"]["mean"] == 1 and result["kl"]["mean"] == 1
    assert result["exact"]["more"][0] == 0.5 and result["kl"]["more"][0] == -0.5
    assert everything["exact"]["more"] == (0.25, 0, 0.5), "0 and 0.5, of which two are drawn"
    assert everything["kl"]["more"] == (-0.25, -0.5, 0)
    assert rows[REFERENCE]["all"]["kl"]["more"] == (0, 0, 0)
    assert "100.0% (+50.0%" in search.table(rows)


def test_with_the_whole_budget_nothing_moves():
    """The bundled model; all 576 tokens are kept, so that the answers are those without pruning."""
    runner = CandidateRunner(load(DEFAULT_MODEL, "cpu"), WholeImage(), [576.0])
    items = list(one_of_each_kind(splits.SEARCH_DEVELOPMENT.start).values())[:2]
    result = runner.ask(items, {"plc": alone("plc")})["plc"][576.0]
    assert [each.kl for each in result] == pytest.approx([0, 0], abs=1e-5)
    wrong = [replace(item, question=replace(item.question, answer="zebra zebra")) for item in items]
    assert [each.exact for each in runner.ask(wrong, {"plc": alone("plc")})["plc"][576.0]] == [False, False]
