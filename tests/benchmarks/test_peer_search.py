"""The search for the peers' settings: every candidate is one of its peer, and runs."""

import json

import pytest

from benchmarks import peer_search, search
from benchmarks.peer_search import CANDIDATES, candidate
from crop_core.localize import WholeImage
from crop_core.models import DEFAULT_MODEL, load
from crop_core.records.methods import METHODS, load_class
from crop_core.train.world import splits
from crop_core.train.world.held_out import one_of_each_kind


@pytest.mark.parametrize("peer", CANDIDATES)
def test_the_first_candidate_is_the_default_and_the_published_one_is_among_them(peer):
    row, settings = METHODS[peer], list(CANDIDATES[peer].values())
    default = load_class(row.compressor or row.pruner)
    assert settings[0] is default and all(issubclass(each, default) for each in settings)
    assert row.published is None or load_class(row.published) in settings
    assert len(settings) == (1 if peer == "divprune" else 4), "the same effort for each"
    parts = candidate(peer, settings[-1]).config.parts
    assert load_class(parts.compressor or parts.pruner) is settings[-1] and not parts.needs_region


def test_every_candidate_meets_the_budget_and_is_shown():
    runner = search.CandidateRunner(load(DEFAULT_MODEL, "cpu"), WholeImage(), [64.0])
    item = next(iter(one_of_each_kind(splits.PEER_SEARCH.start).values()))
    names = {f"{peer}: {name}": (peer, each) for peer, own in CANDIDATES.items() for name, each in own.items()}
    scores = runner.ask([item], {name: candidate(*each) for name, each in names.items()})
    assert set(scores) == set(names) and all(len(own[64.0]) == 1 for own in scores.values())


def test_the_table_has_a_row_for_each_setting():
    peers = json.loads(peer_search.RESULTS.read_text())["peers"]
    assert all(list(own) == list(CANDIDATES[peer]) for peer, own in peers.items())
    lines = peer_search.table(peers).splitlines()
    assert len(lines) == 2 + sum(len(CANDIDATES[peer]) for peer in peers)
