"""Peer methods that act inside the LLM: their rules on paper, exact by the masking oracle, on budget, in the engine."""

import itertools

import pytest
import torch
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.models import load
from crop_core.prune import (
    Decision,
    LayerPruning,
    PruneContext,
    PruneError,
    VisualTokens,
    dart,
    pyramiddrop,
    sparsevlm,
)
from crop_core.prune.schedule import BudgetError, allowance, cuts, mean_tokens, rising
from crop_core.records.config import Budget, ConfigError, CropConfig
from crop_core.records.methods import METHODS, load_class, method_of
from crop_core.records.region import Region
from crop_core.records.results import Comparison
from tests.support import checkpoints
from tests.support.exactness import BATCHES, NoWaiting, Rewritten, assert_equals_oracle, prepared, stack_of
from tests.support.families import FAMILIES, VARIANTS, assert_exact, build, hidden_by, plain, sample_image
from tests.support.oracle import Masked, new_tokens, run
from tests.support.tiny_models import tiny_inputs, tiny_llava

PEERS = ("pyramiddrop", "sparsevlm", "dart")
JOINT = ("plc+pyramiddrop", "random+dart", "plc+dart@paper")
NAN = torch.nan


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def model(request):
    return tiny_llava(request.param)


def visual_tokens(count, images=1):
    return VisualTokens(torch.zeros(count, dtype=torch.bool), torch.arange(count) * images // count, images)


def peer(name, cuts, batch=1, images=1):
    return load_class(METHODS[name].pruner)(tuple(cuts), [visual_tokens(16, images)] * batch, 4)


def eager_attention(inputs, layer):
    """(B, H, P, P) of the plain model."""
    with torch.no_grad():
        place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        return tiny_llava("eager")(**inputs, position_ids=place, output_attentions=True).attentions[layer]


@pytest.mark.parametrize("evict", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("at", [((1, 9), (2, 6), (3, 2)), ((2, 10),)])
@pytest.mark.parametrize("name", PEERS)
def test_peers_equal_masking_at_prefill_and_every_decode_step(model, name, at, batch, evict):
    inputs, visual = prepared(model, batch)
    _, pruning = assert_equals_oracle(model, inputs, visual, peer(name, at, len(visual)), evict)
    assert [[(step.layer, len(step.kept)) for step in steps] for steps in pruning.steps] == [list(at)] * len(visual)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", PEERS)
def test_nothing_waits_for_the_device_and_every_image_keeps_a_token(model, name, batch, monkeypatch):
    inputs, visual = prepared(model, batch)
    pruning = LayerPruning(stack_of(model), peer(name, ((1, 9), (3, 1)), len(visual), images=4), visual)
    inside = pruning._at

    def watched(*args):
        with NoWaiting():
            return inside(*args)

    monkeypatch.setattr(pruning, "_at", watched)
    with pruning:
        run(model, inputs, steps=2)
    for first, last in pruning.steps:
        assert len(first.kept) == 9 and sorted(last.kept // 4) == [0, 1, 2, 3]


def test_pyramiddrop_scores_are_the_last_row_of_the_layer_ahead(model):
    inputs, visual = prepared(model, "padded")
    with LayerPruning(stack_of(model), peer("pyramiddrop", ((2, 5),), 2), visual) as pruning:
        run(model, inputs, steps=1)
    attention = eager_attention(inputs, 2)
    for sample, (step,) in enumerate(pruning.steps):
        wanted = attention[sample, :, -1].mean(0)[visual[sample]]
        assert torch.allclose(torch.from_numpy(step.scores).float(), wanted, atol=1e-6)
        assert step.kept.tolist() == sorted(wanted.topk(5).indices.tolist())


def test_attention_ahead_of_a_later_cut_is_what_the_layer_then_pays(model):
    """Over what the first cut left and before the second: the masked model's own attention there."""
    inputs, visual = prepared(model, "padded")
    with LayerPruning(stack_of(model), peer("pyramiddrop", ((1, 9), (3, 9)), 2), visual) as pruning:
        run(model, inputs, steps=1)
    eager = tiny_llava("eager")
    place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    with LayerPruning(stack_of(eager), peer("pyramiddrop", ((1, 9),), 2), visual), torch.no_grad():
        attention = eager(**inputs, position_ids=place, output_attentions=True).attentions[3]  # (B, H, Q, Q)
    for sample, (first, second) in enumerate(pruning.steps):
        text = BATCHES["padded"]["after"][sample]
        wanted = attention[sample, :, -1, -text - 9 : -text].mean(0)
        assert torch.allclose(torch.from_numpy(second.scores[first.kept]).float(), wanted, atol=1e-6)


def test_sparsevlm_scores_are_the_raters_rows_of_the_layer_before(model):
    inputs, visual = prepared(model, "padded")
    with LayerPruning(stack_of(model), peer("sparsevlm", ((2, 5),), 2), visual) as pruning:
        run(model, inputs, steps=1)
    attention = eager_attention(inputs, 1)
    with torch.no_grad():
        place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        states = model(**inputs, position_ids=place, output_hidden_states=True).hidden_states[0]
    for sample, (step,) in enumerate(pruning.steps):
        text = BATCHES["padded"]["after"][sample]
        votes = sparsevlm.raters(states[sample][visual[sample]], states[sample, -text:])
        assert 0 < int(votes.sum()) < text
        wanted = attention[sample, :, -text:][:, votes][..., visual[sample]].mean(dim=(0, 1))
        assert torch.allclose(torch.from_numpy(step.scores).float(), wanted, atol=1e-6)


def test_dart_reads_the_cached_keys_and_the_hidden_states_at_the_cut(model):
    inputs, visual = prepared(model, "padded")
    place = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        out = model(**inputs, position_ids=place, output_hidden_states=True, use_cache=True)
    norms = out.past_key_values.layers[1].keys.abs().sum(dim=(1, 3))  # (B, P)
    with LayerPruning(stack_of(model), peer("dart", ((2, 11),), 2), visual) as pruning:
        run(model, inputs, steps=1)
    for sample, (step,) in enumerate(pruning.steps):
        text, states = BATCHES["padded"]["after"][sample], out.hidden_states[2][sample]
        norm = norms[sample][visual[sample]]
        picked = dart.chosen(states[visual[sample]], states[-text:], norm, norms[sample, -text:], 11)
        assert step.kept.tolist() == picked.nonzero()[:, 0].tolist()
        assert set(norm.topk(4).indices.tolist()) <= set(step.kept.tolist())


def given(layer, alive, **read):
    return PruneContext(layer, [torch.tensor(alive)], [6], lambda rows: pytest.fail("not read"), **read)


def test_pyramiddrop_by_hand():
    """Six tokens of which token 1 is gone: 4 is looked at most, 0 and 5 alike, and the first of the two stays."""
    scored_rows = []

    def ahead(rows):
        scored_rows.append(rows)
        return [torch.tensor([0.2, NAN, 0.1, 0.15, 0.3, 0.2])]

    (decision,) = pyramiddrop.PyramidDropPruner(((2, 2),), [visual_tokens(6)]).decide(
        given(2, [0, 2, 3, 4, 5], ahead=ahead)
    )
    assert (decision.kept.tolist(), scored_rows) == ([0, 4], [1])


def test_sparsevlm_by_hand():
    """Visual tokens point to x; the words x and 2x have to do with them, y has not, x the less: only 2x rates."""
    visual, text = torch.tensor([[1.0, 0], [1, 0]]), torch.tensor([[1.0, 0], [0, 1], [2, 0]])
    assert sparsevlm.raters(visual, text).tolist() == [False, False, True]  # e, 1 and e^2 of 11.1
    rows = torch.tensor([[0.9, NAN, 0, 0, 0, 0], [0.9, NAN, 0, 0, 0, 0], [0.1, NAN, 0.2, 0.3, 0.2, 0.2]])
    states = torch.tensor([[0.0, 0], [2, 0], [9, 9], [4, 6], [5, 5]])  # of 0, 2, 3, 4, 5
    read = {
        "text_attention": lambda: [rows],
        "embedded": lambda: [(visual, text)],
        "states": lambda: [(states, text)],
    }
    (decision,) = sparsevlm.SparseVlmPruner(((2, 2),), [visual_tokens(6)]).decide(given(2, [0, 2, 3, 4, 5], **read))
    assert decision.kept.tolist() == [2, 3], (
        "3 is rated best; of 2, 4, 5 and 0 the first two make one at the place of 2"
    )
    assert decision.states.tolist() == [[3, 3], [9, 9]]
    (decision,) = NothingRecycled(((2, 2),), [visual_tokens(6)]).decide(given(2, [0, 2, 3, 4, 5], **read))
    assert (decision.kept.tolist(), decision.states) == ([2, 3], None)


class NothingRecycled(sparsevlm.SparseVlmPruner):
    recycles = False


def test_recycled_tokens_are_part_of_the_count_and_give_way_to_images():
    for alive, count in itertools.product((1, 2, 5, 40, 576), range(1, 40)):
        own = sparsevlm.selected(alive, count)
        if own and count < alive:
            assert own + sparsevlm.recycled(alive - own) // 10 + 1 == count
    assert sparsevlm.selected(576, 300) == 300 - sparsevlm.recycled(576 - 291) // 10 - 1 == 291
    assert sparsevlm.selected(576, 5) == 0, "clusters alone would be more"


def test_sparsevlm_averages_several_raters_and_never_has_none():
    rows = torch.tensor([[0.2, 0.4], [0.4, 0.8], [9.0, 9.0]])
    assert sparsevlm.rated(rows, torch.tensor([True, True, False])).tolist() == pytest.approx([0.3, 0.6])
    assert sparsevlm.raters(torch.ones(3, 2), torch.ones(4, 2)).tolist() == [True] * 4
    assert sparsevlm.raters(torch.ones(3, 2), torch.ones(1, 2)).tolist() == [True]


def test_dart_by_hand(monkeypatch):
    """One pivot of each kind. Visual 0 has the largest key and points to x; the least like it is 3 (-x). The text pivot
    points to y; the least like it is 5 (-y). One token more than two quotas goes to the first pivot: 4.
    """
    monkeypatch.setattr(dart, "PIVOTS", 1)
    visual = torch.tensor([[3.0, 0], [1, 1], [1, 0], [-2, 0], [-1, 1], [0.5, -1]])
    text, norm, text_norm = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([5.0, 4, 3, 2, 1, 0]), torch.tensor([1.0, 2])

    def kept(count):
        return dart.chosen(visual, text, norm, text_norm, count).nonzero()[:, 0].tolist()

    assert [kept(count) for count in (1, 2, 3, 4)] == [[0], [0, 3], [0, 3, 5], [0, 3, 4, 5]]
    assert kept(6) == [0, 1, 2, 3, 4, 5]
    read = {"states": lambda: [(visual, text)], "keys": lambda: [(norm[:, None], text_norm[:, None])]}
    (decision,) = dart.DartPruner(((2, 3),), [visual_tokens(6)]).decide(given(2, [0, 1, 2, 3, 4, 5], **read))
    assert (decision.kept.tolist(), decision.scores) == ([0, 3, 5], None)


def test_dart_takes_the_first_of_equal_tokens():
    alike, norm = torch.ones(9, 2), torch.ones(9)
    for count in range(1, 10):
        assert dart.chosen(alike, alike[:2], norm, norm[:2], count).tolist() == [True] * count + [False] * (9 - count)


def test_dart_needs_no_text_behind_the_image_and_the_others_say_so(model):
    inputs = tiny_inputs(model, before=(3,), after=(0,))
    visual = inputs.pop("visual")
    with LayerPruning(stack_of(model), peer("dart", ((2, 7),)), visual) as pruning:
        run(model, inputs, steps=1)
    assert len(pruning.steps[0][0].kept) == 7
    for name in ("pyramiddrop", "sparsevlm"):
        pruner = peer(name, ((2, 7),))
        with LayerPruning(stack_of(model), pruner, visual), pytest.raises(PruneError, match="ends with the image"):
            run(model, inputs, steps=1)


@pytest.mark.parametrize("name", PEERS)
def test_budgets_are_met_exactly_or_refused(name):
    """What is left of the budget is less than a token more at the longest cut takes, and a refusal means that not even
    the earliest cut could meet it.
    """
    met = 0
    for layers, first, count, share in itertools.product(
        (2, 4, 6, 12, 32), (1, 3), (17, 64, 576), (0.12, 0.3, 0.7, 0.95)
    ):
        if first >= layers:
            continue
        budget = share * count
        config = load_class(METHODS[name].pruner).schedule(layers, count, budget, first)
        try:
            result = cuts(config, layers, count, budget, first)
        except BudgetError:
            assert config.schedule[0][0] == first
            assert first * count + layers - first > allowance(budget, layers)
            continue
        met += 1
        total, lengths = mean_tokens(result, layers, count) * layers, [layers - result[-1][0]]
        lengths += [after - before for (before, _), (after, _) in itertools.pairwise(result)]
        assert total <= allowance(budget, layers) + 1e-6
        assert total + max(lengths) > allowance(budget, layers)
    assert met > 60


@pytest.mark.parametrize(
    ("layers", "budget", "at"),
    [
        (32, None, ((8, 288), (16, 144), (24, 72))),  # the paper's
        (32, 270, ((8, 288), (16, 144), (24, 72))),  # which are a mean of 270
        (32, 192, ((4, 349), (8, 175), (12, 87))),  # halving at 4 leaves 171, at 5 195.75
        (32, 64, ((1, 168), (2, 84), (3, 42))),  # halving at 1 leaves a mean of 96.75
        (6, None, ((2, 288), (3, 144), (4, 72))),
    ],
)
def test_published_pyramiddrop_halves_earlier_where_a_budget_is_out_of_reach(layers, budget, at):
    schedule = pyramiddrop.PublishedPyramidDrop.schedule(layers, 576, budget)
    result = cuts(schedule, layers, 576, budget)
    assert [layer for layer, _ in result] == [layer for layer, _ in at]
    assert [kept for _, kept in result] == pytest.approx([kept for _, kept in at], abs=1)


@pytest.mark.parametrize(
    ("layers", "budget", "at"),
    [
        (32, None, ((8, 288), (16, 144), (24, 72))),
        (32, 192, ((8, 110), (16, 55), (24, 27))),
        (14, 192, ((4, 70), (7, 35), (10, 17))),
        (14, 128, ((3, 10), (7, 5), (10, 2))),
        (14, 64, ((1, 37), (7, 20), (10, 9))),
    ],
)
def test_pyramiddrop_scales_its_shares_and_moves_the_first_cut_only_where_it_must(layers, budget, at):
    assert cuts(pyramiddrop.PyramidDropPruner.schedule(layers, 576, budget), layers, 576, budget) == at


@pytest.mark.parametrize(
    ("layers", "budget", "at"),
    [(32, None, (3, 7, 16)), (32, 64, (3, 7, 16)), (32, 30, (1, 7, 16)), (14, 192, (2, 4, 8)), (14, 64, (1, 4, 8))],
)
def test_sparsevlm_cuts_behind_its_layers_scaled_to_the_depth(layers, budget, at):
    result = cuts(sparsevlm.PublishedSparseVlm.schedule(layers, 576, budget), layers, 576, budget)
    ours = cuts(sparsevlm.SparseVlmPruner.schedule(layers, 576, budget), layers, 576, budget)
    assert ours == result if layers == 32 else tuple(layer for layer, _ in ours) == (1, 3, 7), "one earlier, if shallow"
    assert tuple(layer for layer, _ in result) == at
    if budget is None:
        assert [kept for _, kept in result] == [300, 200, 110]


def test_dart_cuts_once_where_fastv_does():
    assert [
        dart.DartPruner.schedule(*each).schedule[0][0] for each in ((32, 576, None), (32, 576, 64), (12, 576, 64))
    ] == [
        2,
        2,
        1,
    ]
    assert cuts(dart.DartPruner.schedule(32, 576, None), 32, 576) == ((2, 127),)


def test_places_rise_and_stay_within_the_layers():
    assert rising([0.4, 0.4, 9.0], 8) == (1, 2)
    assert rising([1, 2, 3], 6, first_prunable_layer=3) == (3, 4, 5)


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_peers_are_exact_in_every_family(family, tmp_path):
    """Masks, rotary tables, norms and caps of each: what is read ahead and before is the model's own attention."""
    build(family, tmp_path)
    adapter = load(tmp_path, attn="eager")
    inputs, first = adapter.prepare(sample_image((200, 120)), "what is left of the dog?"), adapter.stack.first_prunable
    tokens = VisualTokens.of_one_image(torch.zeros(int(inputs.visual.sum()), dtype=torch.bool))
    with torch.no_grad():
        rows = adapter.model(**plain(inputs), output_attentions=True).attentions
    steps = {}
    for name in PEERS:
        pruner = load_class(METHODS[name].pruner)(((first, 5), (first + 1, 2)), [tokens], 4)
        with LayerPruning(adapter.stack, pruner, inputs.visual) as pruning:
            pruned = run(adapter.model, plain(inputs), steps=2)
        with Masked(adapter.model, hidden_by(pruning.steps[0], inputs.visual)), Rewritten(pruning, inputs.visual):
            forced = new_tokens(pruned, plain(inputs))
            assert_exact(pruned, run(adapter.model, plain(inputs), steps=2, forced=forced))
        steps[name] = pruning.steps[0]
    ahead = rows[first][0, :, -1, inputs.visual[0]].mean(0)
    assert torch.allclose(torch.from_numpy(steps["pyramiddrop"][0].scores).float(), ahead, atol=1e-5)
    with LayerPruning(adapter.stack, TextRows(first), inputs.visual):
        run(adapter.model, plain(inputs), steps=1)
    behind = int(inputs.visual[0].flip(0).int().argmax())
    before = rows[first - 1][0, :, -behind:][..., inputs.visual[0]].mean(0)
    assert torch.allclose(TextRows.seen, before, atol=1e-5)


class TextRows:
    """Keeps one token and what it read."""

    seen = None

    def __init__(self, layer):
        self.layers = (layer,)

    def decide(self, context):
        (TextRows.seen,) = context.text_attention()
        return [Decision(torch.tensor([0]))]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return CropEngine.from_pretrained(checkpoints.save(folder / "model", "crop", layers=6), localizer=None)


IMAGE, REGION = Image.effect_noise((200, 120), 90).convert("RGB"), Region(2, 2, 4, 4, 200, 120)


@pytest.mark.parametrize("name", [*PEERS, *JOINT])
def test_every_peer_and_joint_method_goes_through_the_engine(engine, name):
    config = CropConfig(method=name, budget=Budget(mean_tokens=24), max_new_tokens=3, repeats=1)
    result = engine.compare(IMAGE, "what is left of the dog?", config, REGION)
    trace = result.crop.trace
    assert 23.5 <= trace.mean_tokens <= 24
    assert trace.input_tokens == (48 if "+" in name else 64)
    assert result.crop.cost.scoring_s > 0 and (result.crop.cost.compression_s > 0) == ("+" in name)
    assert result.method == name and Comparison.from_json(result.to_json()).to_json() == result.to_json()


@pytest.mark.parametrize("name", [*PEERS, *JOINT])
def test_flops_are_what_pytorch_counts(engine, name):
    config = CropConfig(method=name, budget=Budget(mean_tokens=24), max_new_tokens=1)
    task = Task(engine.adapter, IMAGE, "what is left of the dog?", config)
    task.adapter.vision_flops(task.encode().prepared)  # which counts by encoding, the first time
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        result = task.crop(REGION)
    assert result.flops == counter.get_total_flops()


@pytest.mark.parametrize(("name", "at"), [("pyramiddrop@paper", [1, 2, 3]), ("plc+pyramiddrop@paper", [2, 3, 4])])
def test_a_pruner_behind_a_compressor_plans_for_what_enters_it(engine, name, at):
    """Halving 64 tokens of 6 layers at 2, 3 and 4 is a mean of 32 and at 1, 2 and 3 one of 22.7; of 48 it is 24."""
    config = CropConfig(method=name, budget=Budget(mean_tokens=24), max_new_tokens=1, repeats=1)
    trace = engine.answer(IMAGE, "what is left of the dog?", config, REGION).trace
    assert [step.layer for step in trace.steps] == at


def test_a_joint_method_is_made_of_both():
    both = method_of("plc+fastv")
    assert (both.compressor, both.pruner, both.title, both.needs_region) == (
        METHODS["plc"].compressor,
        METHODS["fastv"].pruner,
        "PLC + FastV",
        True,
    )
    assert both.label == f"{METHODS['plc'].label}; then {METHODS['fastv'].label}"
    assert not method_of("random+dart").needs_region
    whole = CropConfig(method="plc+ilp").parts
    assert (whole.pruner, whole.title) == (METHODS["crop"].pruner, "PLC + ILP")


@pytest.mark.parametrize(
    "name", ["fastv+plc", "plc+", "+fastv", "plc+random", "crop+fastv", "plc+fastv+dart", "none+dart", "plc@paper"]
)
def test_wrong_pairs_are_one_sentence(name):
    with pytest.raises(ConfigError, match=r"join one before the LLM and one inside it, as in plc\+fastv\.$") as error:
        CropConfig(method=name)
    assert repr(name) in str(error.value)
