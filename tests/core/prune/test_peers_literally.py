"""Peers inside the LLM against slow literal versions of their published rules: equal counts, ties, tiny numbers."""

import math

import pytest
import torch

from crop_core.prune import PruneContext, VisualTokens, dart
from crop_core.prune.sparsevlm import SparseVlmPruner
from crop_core.records.methods import METHODS, load_class
from tests.support.layouts import cosine

SIZES = [(1, 1), (2, 1), (3, 2), (9, 4), (40, 13), (40, 39), (40, 1)]  # tokens alive, and kept of them
WIDTH, WORDS = 6, 5


@pytest.fixture(params=["plain", "tied"])
def values(request):
    """Draws random tensors; with "tied" of few different rows and values."""
    random = torch.Generator().manual_seed(3)

    def draw(*shape):
        drawn = torch.rand(shape, generator=random)
        if request.param == "plain":
            return drawn
        few = (3 * drawn).round() / 3
        return few[torch.randint(0, max(1, len(few) // 2), (len(few),), generator=random)] if len(shape) > 1 else few

    return draw


def decided(name, count, total, alive, **read):
    """The tokens that the method keeps of `alive` ones among `total`, and their new states."""
    tokens = VisualTokens.of_one_image(torch.zeros(total, dtype=torch.bool))
    context = PruneContext(2, [alive], [total], **{"attention": lambda rows: pytest.fail("not read"), **read})
    (decision,) = load_class(METHODS[name].pruner)(((2, count),), [tokens]).decide(context)
    return decision.kept.tolist(), decision.states


def some_gone(total, alive):
    """`alive` of `total` tokens: every second one is gone as long as enough are left."""
    places = [place for place in range(total) if place % 2 == 0 or place >= 2 * (total - alive)]
    return places[:alive]


def best_first(places, score):
    return sorted(places, key=lambda place: -score[place])


@pytest.mark.parametrize(("alive", "count"), SIZES)
@pytest.mark.parametrize(("name", "reads"), [("fastv", "attention"), ("pyramiddrop", "ahead")])
def test_the_last_row_s_tokens(name, reads, alive, count, values):
    places = some_gone(alive + 4, alive)
    score = values(alive + 4)
    kept, _ = decided(name, count, alive + 4, torch.tensor(places), **{reads: lambda rows: [score] if rows == 1 else 0})
    assert kept == sorted(best_first(places, score.tolist())[:count])


def literal_raters(visual, text):
    means = [0.0] * len(text)
    for token in visual:
        dots = [math.exp(sum(a * b for a, b in zip(token, word, strict=True))) for word in text]
        means = [mean + dot / sum(dots) / len(visual) for mean, dot in zip(means, dots, strict=True)]
    average = sum(means) / len(means)
    return [at for at, mean in enumerate(means) if mean > average + 1e-7] or list(range(len(text)))


def literal_clusters(rows, count):
    """Members of each cluster, its centre first."""
    apart = [[math.dist(a, b) / math.sqrt(len(a)) for b in rows] for a in rows]
    density = [math.exp(-sum(gap**2 for gap in sorted(own)[:count]) / count) for own in apart]
    farthest = max(map(max, apart))
    score = []
    for one, own in enumerate(apart):
        above = [gap for other, gap in enumerate(own) if (density[other], -other) > (density[one], -one)]
        score.append(density[one] * min(above, default=farthest))
    centres = best_first(range(len(rows)), score)[:count]
    clusters = {centre: [centre] for centre in centres}
    for one in set(range(len(rows))) - set(centres):
        clusters[min(centres, key=lambda centre: apart[centre][one])].append(one)
    return list(clusters.values())


@pytest.mark.parametrize(("alive", "count"), [*SIZES, (200, 60), (200, 6)])
def test_sparsevlm_s_raters_tokens_and_recycled_ones(alive, count):
    """Not on ties: in float32 a density that is equal on paper may not be, and another token is the centre."""
    random = torch.Generator().manual_seed(alive)
    total = alive + 4
    places, embedded = some_gone(total, alive), torch.randn(total, WIDTH, generator=random)
    words, rows = torch.randn(WORDS, WIDTH, generator=random), torch.rand(WORDS, total, generator=random)
    states = torch.randn(alive, WIDTH, generator=random)
    votes = literal_raters(embedded.tolist(), words.tolist())
    score = [sum(rows[vote][place].item() for vote in votes) / len(votes) for place in range(total)]
    order = best_first(places, score)
    clusters_of = lambda gone: int(min(gone, int(0.3 * gone) + 1) / 10) + 1  # noqa: E731
    own = max((own for own in range(1, count + 1) if own + clusters_of(alive - own) == count), default=0)
    expected = {
        place: states[places.index(place)].tolist() for place in order[: own if own and count < alive else count]
    }
    if own and count < alive:
        gone = order[own:]
        merging = gone[: min(len(gone), int(0.3 * len(gone)) + 1)]
        for members in literal_clusters([states[places.index(place)].tolist() for place in merging], count - own):
            mean = torch.stack([states[places.index(merging[each])] for each in members]).mean(0)
            expected[merging[members[0]]] = mean.tolist()
    kept, after = decided(
        "sparsevlm",
        count,
        total,
        torch.tensor(places),
        text_attention=lambda: [rows],
        embedded=lambda: [(embedded, words)],
        states=lambda: [(states, words)],
    )
    assert kept == sorted(expected) and len(kept) == min(count, alive)
    if after is not None:
        assert torch.allclose(after, torch.tensor([expected[place] for place in kept]), atol=1e-5)
    assert (after is not None) == bool(own and count < alive)


def test_sparsevlm_of_equal_rows_takes_the_first():
    """All is tied: the first tokens stay, and of those that go the first make one token at the place of the first."""
    alive, count = 30, 10
    rows, states = torch.full((WORDS, alive), 0.1), torch.ones(alive, WIDTH)
    pruner = SparseVlmPruner(((2, count),), [VisualTokens.of_one_image(torch.zeros(alive, dtype=torch.bool))])
    read = {
        "text_attention": lambda: [rows],
        "embedded": lambda: [(states, states[:WORDS])],
        "states": lambda: [(states, states[:WORDS])],
    }
    (decision,) = pruner.decide(PruneContext(2, [torch.arange(alive)], [alive], lambda rows: None, **read))
    assert decision.kept.tolist() == list(range(count)) and torch.equal(decision.states, states[:count])


def literal_dart(visual, text, norm, text_norm, count):
    pivots = best_first(range(len(visual)), norm)[: min(4, count)]
    kept = list(pivots)
    directions = [visual[one] for one in pivots] + [text[one] for one in best_first(range(len(text)), text_norm)[:4]]
    quota, remainder = divmod(count - len(pivots), len(directions))
    for number, direction in enumerate(directions):
        others = [place for place in range(len(visual)) if place not in kept]
        kept += sorted(others, key=lambda place: round(cosine(direction, visual[place]), 6))[
            : quota + (number < remainder)
        ]
    return sorted(kept)


@pytest.mark.parametrize(("alive", "count"), SIZES)
def test_dart_s_pivots_and_what_is_least_like_them(alive, count, values):
    visual, text = values(alive, WIDTH) - 0.4, values(WORDS, WIDTH) - 0.4
    norm, text_norm = values(alive), values(WORDS)
    picked = dart.chosen(visual, text, norm, text_norm, count).nonzero()[:, 0].tolist()
    assert picked == literal_dart(visual.tolist(), text.tolist(), norm.tolist(), text_norm.tolist(), count)
