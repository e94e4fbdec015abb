"""Mechanism of inner-LLM pruning: forward pre-hooks on decoder layers remove visual tokens from a running model.

From a cut on, hidden states, rotary tables, masks and the KV cache of these layers hold only the kept tokens, which
keep their positions; text is never pruned. Nothing here synchronizes with a GPU while the model runs. Knows nothing of
methods: a Pruner decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from crop_core.measure.timing import Stopwatch
from crop_core.models.decoder import DecoderStack
from crop_core.prune.prefill_state import PrefillState
from crop_core.prune.protocol import Decision, PruneError, Pruner
from crop_core.prune.token_subset import (
    KeptTokens,
    PromptBatch,
    later_mask,
    later_padding,
    narrow_mask,
    narrow_padding,
    narrow_rope,
    open_columns,
)
from crop_core.records.trace import PruneStep

PADDED = ("flash_attention_2",)  # causal by themselves, with (B, P) masks of padding
ATTENTIONS = ("sdpa", "eager", *PADDED)  # verified against the masking oracle, flash with a stand-in for its mask
Arguments = dict[str, Any]


class LayerPruning:
    """Context manager that prunes every prefill of the model, and continues with the kept tokens in decode steps.

    stack: the decoder. pruner: decides at its layers. visual: (B, P) bool, True on the visual tokens of the next
    prompts. evict: after the last cut, pruned tokens are removed from the KV cache of earlier layers as well, so that
    no later token attends to them (as in GlimpsePrune, Zeng et al., arXiv 2508.01548); the prefill is unchanged. Hooks
    are state on the model: one request at a time. On exit, also by an exception, all hooks are removed. After a prefill
    `steps` holds the PruneSteps per sample, and `scoring_s` the seconds of deciding. Raises PruneError for cuts before
    `stack.first_prunable` or after the last layer, and during the run for a cache other than DynamicCache, chunked
    prefill, a sequence that reaches a sliding window, or an unverified attention implementation.
    """

    def __init__(self, stack: DecoderStack, pruner: Pruner, visual: torch.Tensor, evict: bool = False) -> None:
        self.stack, self.pruner, self.evict = stack, pruner, evict
        self.cuts = pruner.layers
        self._check()
        try:
            self.prompts = PromptBatch.of(visual)
        except ValueError:
            raise PruneError("Every prompt of the batch needs at least one visual token to prune.") from None
        self._handles: list[Any] = []
        self._reset()

    def _check(self) -> None:
        first, last = self.stack.first_prunable, len(self.stack.layers) - 1
        if any(not first <= layer <= last for layer in self.cuts) or list(self.cuts) != sorted(set(self.cuts)):
            raise PruneError(
                f"The cuts at layers {list(self.cuts)} are not possible; this model allows layers {first} to {last}, "
                "rising."
            )

    def _reset(self) -> None:
        self._decided: list[tuple[int, list[Decision]]] = []  # by the layer of the cut
        self._clock = Stopwatch()
        self._kept: dict[int, KeptTokens] = {}  # by the layer of the cut
        self._before: tuple[torch.Tensor, Arguments] | None = None  # input of the layer before a cut
        self._first: torch.Tensor | None = None  # (B, P, D) input of the first layer, until the last cut
        self._mask: torch.Tensor | None = None  # of the first layer, which is never cut
        self._seen: torch.Tensor | None = None  # (B, K) slots that later tokens may attend to, after eviction
        self._prefill, self._generated = True, 0
        self._narrowed: dict[tuple[int, ...], tuple[Any, ...]] = {}  # masks and tables of this forward

    @property
    def steps(self) -> list[list[PruneStep]]:
        """Per sample the cuts of the last prefill, by rising layer; PruneError if a pruner kept pruned tokens."""
        steps: list[list[PruneStep]] = [[] for _ in self.prompts.total]
        for layer, decisions in self._decided:
            for own, total, decision in zip(steps, self.prompts.total, decisions, strict=True):
                own.append(_step(layer, decision, total, own[-1] if own else None))
        return steps

    @property
    def scoring_s(self) -> float:
        """Seconds of scoring and deciding in the last prefill."""
        return self._clock.seconds

    def __enter__(self) -> LayerPruning:
        if self._handles:
            raise PruneError("This LayerPruning is already in use; make one per request.")
        if self.stack.attention not in ATTENTIONS:
            raise PruneError(
                f"Pruning inside the LLM supports the attentions {', '.join(ATTENTIONS)}, not "
                f"{self.stack.attention}; load the model with one of them."
            )
        self._reset()
        for number, layer in enumerate(self.stack.layers):
            if self.cuts and (number == 0 or self.evict or number + 1 >= self.cuts[0]):
                self._handles.append(layer.register_forward_pre_hook(self._hook(number), with_kwargs=True))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._kept, self._before, self._first, self._mask, self._seen, self._narrowed = {}, None, None, None, None, {}

    def _hook(self, number: int) -> Any:
        def before_layer(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Arguments) -> Any:
            hidden = args[0] if args else kwargs["hidden_states"]
            hidden, kwargs = self._at(number, hidden, kwargs)
            return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

        return before_layer

    def _at(self, number: int, hidden: torch.Tensor, kwargs: Arguments) -> tuple[torch.Tensor, Arguments]:
        """Input of decoder layer `number`: (B, Q, D) hidden states and its keyword arguments, over the kept tokens."""
        if number == 0:
            self._start(hidden, kwargs.get("past_key_values"))
            self._mask = kwargs.get("attention_mask")
            self._first = hidden if self._prefill else None
        if self._prefill and number in self.cuts:
            hidden = self._cut(number, hidden, kwargs)
        kept = self._kept_at(number)
        if kept is not None:
            kwargs = self._narrow(kwargs, kept, hidden.shape[1])
        if self._prefill and number + 1 in self.cuts:
            self._before = (hidden, kwargs)
        return hidden, kwargs

    def _start(self, hidden: torch.Tensor, cache: Any) -> None:
        """Start of a forward: distinguish prefill from decode by the cache, reject what cannot be exact."""
        _check_cache(cache)
        past, new, length = cache.get_seq_length(0), hidden.shape[1], self.prompts.length
        if past == 0:
            self._reset()
        elif not self._kept:
            raise PruneError("The cache was filled before the pruning hooks were on; start with an empty cache.")
        held = self._kept[self.cuts[-1]].index.shape[1] if past and self.evict else length  # of the prompt
        self._prefill, self._narrowed = past == 0, {}
        self._generated = past + new - held if past else 0
        self._check_size(hidden, past + new - held)

    def _check_size(self, hidden: torch.Tensor, more: int) -> None:
        """Check a sequence that is `more` tokens longer than the prompt."""
        batch, length = len(self.prompts.total), self.prompts.length
        check_window(self.stack, length + more)
        if self._prefill and (hidden.shape[0], more) != (batch, 0):
            raise PruneError(
                f"The prefill has {hidden.shape[0]} x {length + more} tokens, but the prompts {batch} x {length}; "
                "chunked prefill and repeated prompts cannot be pruned."
            )

    def columns(self, number: int) -> torch.Tensor | None:
        """(K,) columns of a single prompt that layer `number` holds at this moment; None for all."""
        kept = self._kept_at(number)
        return None if kept is None else kept.index[0]

    def _kept_at(self, number: int) -> KeptTokens | None:
        """Tokens kept in a layer; after eviction, in every layer of decode steps."""
        if self.evict and not self._prefill:
            return self._kept[self.cuts[-1]]
        return self._kept.get(max((layer for layer in self.cuts if layer <= number), default=-1))

    def _cut(self, number: int, hidden: torch.Tensor, kwargs: Arguments) -> torch.Tensor:
        """Call the pruner, and gather the hidden states (B, Q, D) -> (B, Q', D) of the kept tokens."""
        before = (self._kept_at(number - 1) or self.prompts.all()).to(hidden.device)
        self._clock.start(hidden.device)
        decisions = self.pruner.decide(self._state(number, before, hidden, kwargs).context())
        self._clock.stop()
        hidden = self._rewritten(hidden, before, decisions)
        self._decided.append((number, decisions))
        self._before = None
        if number == self.cuts[-1]:
            self._first = None
        kept = self.prompts.to(hidden.device).keeping([each.kept.to(hidden.device) for each in decisions])
        self._kept[number] = kept
        if self.evict and number == self.cuts[-1]:
            self._seen = open_columns(kwargs.get("attention_mask"), kept)
            self._evict(kept, kwargs["past_key_values"])
        return hidden.gather(1, before.slots_of(kept)[..., None].expand(-1, -1, hidden.shape[-1]))

    def _rewritten(self, hidden: torch.Tensor, before: KeptTokens, decisions: list[Decision]) -> torch.Tensor:
        """Hidden states (B, Q, D) over the tokens `before`, with the states that the decisions give to kept tokens."""
        if all(each.states is None for each in decisions):
            return hidden
        hidden, slots, visual = hidden.clone(), before.slot_of_column, self.prompts.to(hidden.device).visual
        for row, slot, columns, each in zip(hidden, slots, visual, decisions, strict=True):
            if each.states is not None:
                row.index_copy_(0, slot[columns[each.kept]], each.states.to(row.dtype))
        return hidden

    def _evict(self, kept: KeptTokens, cache: Any) -> None:
        """Keep only the keys and values (B, H_kv, K, head_dim) of kept tokens in every layer that has run."""
        for number in range(self.cuts[-1]):
            layer, present = cache.layers[number], self._kept_at(number) or self.prompts.all()
            slots = present.to(layer.keys.device).slots_of(kept.to(layer.keys.device))[:, None, :, None]
            layer.keys, layer.values = (
                part.gather(2, slots.expand(-1, part.shape[1], -1, part.shape[3]))
                for part in (layer.keys, layer.values)
            )
            if isinstance(layer, DynamicSlidingWindowLayer):
                layer.cumulative_length = slots.shape[2]

    def _state(self, number: int, kept: KeptTokens, hidden: torch.Tensor, kwargs: Arguments) -> PrefillState:
        """State before a cut; kept: tokens kept so far, on the device of hidden (B, Q, D)."""
        assert self._before is not None and self._first is not None  # noqa: S101 - earlier hooks set both
        prompts, device = self.prompts.to(hidden.device), hidden.device
        if self._decided:
            alive = [each.kept.to(device) for each in self._decided[-1][1]]
        else:
            alive = [torch.arange(count, device=device) for count in prompts.total]

        def here() -> tuple[torch.Tensor, Arguments]:
            so_far = self._kept_at(number - 1)
            return hidden, kwargs if so_far is None else self._narrow(kwargs, so_far, hidden.shape[1])

        return PrefillState(self.stack, number, prompts, kept, alive, self._before, here, self._first)

    def _narrow(self, kwargs: Arguments, kept: KeptTokens, queries: int) -> Arguments:
        """Keyword arguments of a decoder layer for the kept tokens; layers that share a mask share the narrowed one.

        Decode steps take the first layer's mask for all: transformers sizes a mask by the first layer of its attention
        kind, which may be pruned, and below a sliding window the masks of all kinds are the same.
        """
        mask, rope = kwargs.get("attention_mask") if self._prefill else self._mask, kwargs["position_embeddings"]
        key = (id(mask), id(rope), id(kept))
        if key not in self._narrowed:
            tables = narrow_rope(rope, kept) if self._prefill else rope
            narrowed = self._narrow_mask(mask, kept, queries)
            self._narrowed[key] = (narrowed, tables, mask, rope)  # the last two keep their ids valid
        narrowed, rope = self._narrowed[key][:2]
        changed = {"attention_mask": narrowed, "position_embeddings": rope}
        # Only the detection of packed sequences reads position_ids here, and gaps would mislead it.
        return {**kwargs, **changed, "position_ids": None} if self._prefill else {**kwargs, **changed}

    def _narrow_mask(self, mask: torch.Tensor | None, kept: KeptTokens, queries: int) -> torch.Tensor | None:
        """Mask for the kept tokens, in the form of the model's attention."""
        padded, generated = self.stack.attention in PADDED, self._generated
        if self.evict and not self._prefill:
            return later_padding(self._seen, generated) if padded else later_mask(mask, self._seen, queries, generated)
        return narrow_padding(mask, kept, generated) if padded else narrow_mask(mask, kept, queries, generated)


def check_window(stack: DecoderStack, length: int) -> None:
    """PruneError for a sequence of `length` tokens that reaches the model's sliding window."""
    if stack.window is not None and length >= stack.window:
        raise PruneError(
            f"The sequence of {length} tokens reaches the model's sliding window of {stack.window}, and only shorter "
            "ones can be pruned inside the LLM; ask about fewer images, with fewer earlier turns, or take a method "
            "that prunes before the LLM."
        )


def _step(layer: int, decision: Decision, total: int, before: PruneStep | None) -> PruneStep:
    """A decision as a record on the host."""
    kept = decision.kept.cpu().numpy()
    if before is not None and not np.isin(kept, before.kept).all():
        raise PruneError(f"The pruner kept tokens at layer {layer} that are already gone.")
    scores = np.full(total, np.nan) if decision.scores is None else decision.scores.double().cpu().numpy()
    return PruneStep(layer, kept, scores)


def _check_cache(cache: Any) -> None:
    """PruneError unless it is a plain DynamicCache, whose layers can differ in length."""
    plain = type(cache) is DynamicCache and not cache.offloading
    if not plain or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        kind = "no cache" if cache is None else type(cache).__name__
        raise PruneError(
            f"Pruning inside the LLM needs a plain DynamicCache, not {kind}; "
            "generate with use_cache=True and without cache_implementation."
        )
