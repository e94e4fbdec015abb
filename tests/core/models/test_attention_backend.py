"""FlashAttention's form of masks, without a GPU: causal by itself, told of padding alone, misled by gaps in positions.

A stand-in of that form computes with sdpa; what is pruned under it must equal the masking oracle of plain sdpa.
"""

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, flash_attention_mask
from transformers.modeling_flash_attention_utils import _is_packed_sequence
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from crop_core.models import ModelError, load
from crop_core.models.families.registry import FAMILIES
from crop_core.models.loading import attention_backend
from crop_core.models.loading.placement import Placement
from crop_core.prune import LayerPruning, hooks
from crop_core.prune.token_subset import KeptTokens, narrow_padding
from tests.support.exactness import EXACT, RandomPruner, compressed, hidden_by, ilp, labelled, prepared, stack_of
from tests.support.exactness import plain as without_visual
from tests.support.oracle import Masked, difference, new_tokens, run
from tests.support.tiny_models import tiny_inputs, tiny_llava

NAME = "padding_only"


def stand_in(module, query, key, value, attention_mask, position_ids=None, **how):
    """sdpa, given what FlashAttention is given; (B, H, Q, D) in, (B, Q, H, D) out."""
    if not module.is_causal:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **how)
    if attention_mask is None and _is_packed_sequence(position_ids, len(query)):
        raise AssertionError("FlashAttention would take this for several sequences")
    rows, columns = torch.arange(key.shape[2])[-query.shape[2] :, None], torch.arange(key.shape[2])
    seen = (columns <= rows).expand(len(query), 1, -1, -1)
    if attention_mask is not None:
        assert attention_mask.shape == (len(query), key.shape[2])
        seen = (seen & attention_mask.bool()[:, None, None]) | (columns == rows)  # a row of nothing would be NaN
    return sdpa_attention_forward(module, query, key, value, seen, **how)


@pytest.fixture
def pair(monkeypatch):
    """The same model with sdpa and with the stand-in, which pruning takes for FlashAttention."""
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, NAME, stand_in)
    monkeypatch.setitem(ALL_MASK_ATTENTION_FUNCTIONS._global_mapping, NAME, flash_attention_mask)
    monkeypatch.setattr(hooks, "ATTENTIONS", (NAME,))
    monkeypatch.setattr(hooks, "PADDED", (NAME,))
    return tiny_llava("sdpa"), tiny_llava(NAME)


@pytest.mark.parametrize(
    ("batch", "pruner"),
    [
        ("one", ilp),
        ("padded", ilp),
        ("padded", lambda visual: RandomPruner({1: (12, 5), 3: (4, 5)})),
        ("padded", lambda visual: RandomPruner({1: (3, 16)})),
    ],
)
@pytest.mark.parametrize("evict", [False, True])
def test_pruning_equals_masking(pair, batch, pruner, evict):
    model, other = pair
    inputs, visual = prepared(model, batch)
    with LayerPruning(stack_of(other), pruner(visual), visual, evict) as pruning:
        pruned = run(other, inputs)
    hidden = hidden_by(pruning, visual)
    with Masked(model, hidden, hidden[max(hidden)] if evict else None):
        masked = run(model, inputs, forced=new_tokens(pruned, inputs))
    assert difference(pruned, masked) <= EXACT
    assert float((run(model, inputs).logits[0] - pruned.logits[0]).abs().max()) > 0.1


def test_ragged_counts_without_padding_equal_masking(pair):
    model, other = pair
    inputs = tiny_inputs(model, before=(3, 3), after=(5, 5))
    visual = inputs.pop("visual")
    with LayerPruning(stack_of(other), RandomPruner({1: (12, 5), 2: (1, 4)}), visual) as pruning:
        pruned = run(other, inputs)
    with Masked(model, hidden_by(pruning, visual)):
        masked = run(model, inputs, forced=new_tokens(pruned, inputs))
    assert difference(pruned, masked) <= EXACT


def test_gaps_in_positions_are_hidden(pair):
    """Compression leaves them, which misleads FlashAttention unless the layers are told no positions."""
    model, other = pair
    inputs = tiny_inputs(model)
    few = compressed(model, inputs, [labelled(*[0] * 8, *range(1, 9))])
    with pytest.raises(AssertionError, match="several sequences"):
        run(other, few.kwargs)
    attention_backend.hide_positions(other.model.language_model.layers)
    assert difference(run(other, few.kwargs), run(model, few.kwargs)) <= EXACT
    assert difference(run(other, without_visual(inputs)), run(model, without_visual(inputs))) <= EXACT


@pytest.mark.parametrize("kind", [torch.bool, torch.long])
def test_padding_is_narrowed_by_columns(kind):
    """Two prompts of 6, the second one padded by 2, which keep 3 and 2 of them; 2 tokens have come since."""
    mask = torch.tensor([[1] * 8, [0, 0, *[1] * 6]]).to(kind)
    kept = KeptTokens(torch.tensor([[0, 4, 5], [1, 3, 5]]), torch.tensor([[True] * 3, [False, True, True]]), 6)
    told = [[True] * 5, [False, True, True, True, True]]
    assert narrow_padding(mask, kept, 2).tolist() == told
    assert narrow_padding(None, kept, 2).tolist() == told
    every = KeptTokens(kept.index, None, 6)
    assert narrow_padding(None, every, 2) is None
    assert narrow_padding(mask[:, :6], every, 0).tolist() == [[True] * 3, [False, True, True]]


def on_a_gpu(dtype=torch.bfloat16):
    return Placement(torch.device("cuda"), {"": torch.device("cuda")}, dtype)


def test_it_is_chosen_where_it_can_run_and_is_right(monkeypatch):
    monkeypatch.setattr(attention_backend, "is_flash_attn_2_available", lambda: True)
    chosen = {name for name, family in FAMILIES.items() if attention_backend.attention(None, family, on_a_gpu())}
    assert chosen == set(FAMILIES) - {"gemma3", "paligemma"}
    assert attention_backend.attention(None, FAMILIES["llava"], on_a_gpu(torch.float32)) is None
    assert attention_backend.attention(None, FAMILIES["llava"], Placement.of("cpu", "bfloat16")) is None
    monkeypatch.setattr(attention_backend, "is_flash_attn_2_available", lambda: False)
    assert attention_backend.attention(None, FAMILIES["llava"], on_a_gpu()) is None


def test_what_was_asked_for_is_taken_unless_it_would_be_wrong():
    assert attention_backend.attention("eager", FAMILIES["llava"], on_a_gpu()) == "eager"
    assert attention_backend.attention(attention_backend.NAME, FAMILIES["llava"], on_a_gpu()) == attention_backend.NAME
    with pytest.raises(ModelError, match=r"not exact for PaliGemma, whose image tokens see later ones; use sdpa\."):
        attention_backend.attention(attention_backend.NAME, FAMILIES["paligemma"], on_a_gpu())


def test_asked_for_where_it_cannot_run_is_one_sentence():
    with pytest.raises(ModelError, match=r"flash_attention_2 needs a GPU, the package flash-attn.*use sdpa"):
        load("crop-tiny", attn="flash_attention_2")
