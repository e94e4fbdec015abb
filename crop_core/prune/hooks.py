"""The mechanism: takes visual tokens out of a running transformers model by forward pre-hooks on its decoder layers.

From a cut on, hidden states, rotary tables and masks hold only what is left, and so does the KV cache of these layers.
Kept tokens keep their positions; text is never taken out. Nothing in here waits for a GPU while the model runs. Knows
nothing of methods: a Pruner decides.
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
ATTENTIONS = ("sdpa", "eager", *PADDED)  # those that the masking oracle has verified, flash by a stand-in for its form
Arguments = dict[str, Any]


class LayerPruning:
    """Context manager: inside it, every prefill of the model is pruned, and the decode steps after it go on from there.

    stack: the decoder. pruner: decides at its layers. visual: (B, P) bool, True on the visual tokens of the prompts to
    come. evict: once the last cut is made, what it dropped leaves the KV cache of the layers before it as well, so that
    no later token can read it anywhere (as GlimpsePrune does, Zeng et al., arXiv 2508.01548); the prefill stays as it
    is. Hooks are state on the model: one request at a time. On exit, also by an exception, every hook is gone. After a
    prefill `steps` holds, per sample, its PruneSteps, and `scoring_s` the seconds that deciding took.
    Raises PruneError for cuts before `stack.first_prunable` or behind the last layer, and during the run for a cache
    other than DynamicCache, chunked prefill, a sequence that reaches a sliding window, or an attention kind that was
    not verified.
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
        self._before: tuple[torch.Tensor, Arguments] | None = None  # input of the layer in front of a cut
        self._seen: torch.Tensor | None = None  # (B, K) what later tokens may attend to, when evicted
        self._prefill, self._generated = True, 0
        self._narrowed: dict[tuple[int, ...], tuple[Any, ...]] = {}  # masks and tables of this forward

    @property
    def steps(self) -> list[list[PruneStep]]:
        """Per sample the cuts of the last prefill, by rising layer; PruneError where a pruner kept what was gone."""
        steps: list[list[PruneStep]] = [[] for _ in self.prompts.total]
        for layer, decisions in self._decided:
            for own, total, decision in zip(steps, self.prompts.total, decisions, strict=True):
                own.append(_step(layer, decision, total, own[-1] if own else None))
        return steps

    @property
    def scoring_s(self) -> float:
        """Seconds that scoring and deciding took in the last prefill."""
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
        self._kept, self._before, self._seen, self._narrowed = {}, None, None, {}

    def _hook(self, number: int) -> Any:
        def before_layer(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Arguments) -> Any:
            hidden = args[0] if args else kwargs["hidden_states"]
            hidden, kwargs = self._at(number, hidden, kwargs)
            return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

        return before_layer

    def _at(self, number: int, hidden: torch.Tensor, kwargs: Arguments) -> tuple[torch.Tensor, Arguments]:
        """Input of decoder layer `number`: (B, Q, D) hidden states and its keyword arguments, over what is left."""
        if number == 0:
            self._start(hidden, kwargs.get("past_key_values"))
        if self._prefill and number in self.cuts:
            hidden = self._cut(number, hidden, kwargs)
        kept = self._kept_at(number)
        if kept is not None:
            kwargs = self._narrow(kwargs, kept, hidden.shape[1])
        if self._prefill and number + 1 in self.cuts:
            self._before = (hidden, kwargs)
        return hidden, kwargs

    def _start(self, hidden: torch.Tensor, cache: Any) -> None:
        """A forward begins: tell prefill from decode by the cache, refuse what cannot be exact."""
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
        """The sequence is `more` tokens longer than the prompt."""
        batch, length = len(self.prompts.total), self.prompts.length
        if self.stack.window is not None and length + more >= self.stack.window:
            raise PruneError(
                f"The sequence of {length + more} tokens reaches the model's sliding window of {self.stack.window}; "
                "ask a shorter question or do not prune inside the LLM."
            )
        if self._prefill and (hidden.shape[0], more) != (batch, 0):
            raise PruneError(
                f"The prefill has {hidden.shape[0]} x {length + more} tokens, but the prompts {batch} x {length}; "
                "chunked prefill and repeated prompts cannot be pruned."
            )

    def _kept_at(self, number: int) -> KeptTokens | None:
        """What is left in a layer; of decode steps after an eviction in every one."""
        if self.evict and not self._prefill:
            return self._kept[self.cuts[-1]]
        return self._kept.get(max((layer for layer in self.cuts if layer <= number), default=-1))

    def _cut(self, number: int, hidden: torch.Tensor, kwargs: Arguments) -> torch.Tensor:
        """Ask the pruner, and take the hidden states (B, Q, D) -> (B, Q', D) of what stays."""
        before = (self._kept_at(number - 1) or self.prompts.all()).to(hidden.device)
        self._clock.start(hidden.device)
        decisions = self.pruner.decide(self._sight(number, before, hidden, kwargs).context())
        self._clock.stop()
        self._decided.append((number, decisions))
        self._before = None
        kept = self.prompts.to(hidden.device).keeping([each.kept.to(hidden.device) for each in decisions])
        self._kept[number] = kept
        if self.evict and number == self.cuts[-1]:
            self._seen = open_columns(kwargs.get("attention_mask"), kept)
            self._evict(kept, kwargs["past_key_values"])
        return hidden.gather(1, before.slots_of(kept)[..., None].expand(-1, -1, hidden.shape[-1]))

    def _evict(self, kept: KeptTokens, cache: Any) -> None:
        """Leave in every layer that has run the keys and values (B, H_kv, K, head_dim) of what is left."""
        for number in range(self.cuts[-1]):
            layer, present = cache.layers[number], self._kept_at(number) or self.prompts.all()
            slots = present.to(layer.keys.device).slots_of(kept.to(layer.keys.device))[:, None, :, None]
            layer.keys, layer.values = (
                part.gather(2, slots.expand(-1, part.shape[1], -1, part.shape[3]))
                for part in (layer.keys, layer.values)
            )
            if isinstance(layer, DynamicSlidingWindowLayer):
                layer.cumulative_length = slots.shape[2]

    def _sight(self, number: int, kept: KeptTokens, hidden: torch.Tensor, kwargs: Arguments) -> PrefillState:
        """What can be read in front of a cut; kept: what is left so far, where hidden (B, Q, D) is."""
        assert self._before is not None  # noqa: S101 - the hook in front of every cut sets it
        prompts, device = self.prompts.to(hidden.device), hidden.device
        if self._decided:
            alive = [each.kept.to(device) for each in self._decided[-1][1]]
        else:
            alive = [torch.arange(count, device=device) for count in prompts.total]

        def here() -> tuple[torch.Tensor, Arguments]:
            so_far = self._kept_at(number - 1)
            return hidden, kwargs if so_far is None else self._narrow(kwargs, so_far, hidden.shape[1])

        return PrefillState(self.stack, number, prompts, kept, alive, self._before, here)

    def _narrow(self, kwargs: Arguments, kept: KeptTokens, queries: int) -> Arguments:
        """Keyword arguments of a decoder layer for what is left; layers that share a mask share the narrowed one."""
        mask, rope = kwargs.get("attention_mask"), kwargs["position_embeddings"]
        key = (id(mask), id(rope), id(kept))
        if key not in self._narrowed:
            tables = narrow_rope(rope, kept) if self._prefill else rope
            narrowed = self._narrow_mask(mask, kept, queries)
            self._narrowed[key] = (narrowed, tables, mask, rope)  # the last two only so that their ids stay theirs
        narrowed, rope = self._narrowed[key][:2]
        changed = {"attention_mask": narrowed, "position_embeddings": rope}
        # Only tests for packed sequences read position_ids here, and gaps would mislead them.
        return {**kwargs, **changed, "position_ids": None} if self._prefill else {**kwargs, **changed}

    def _narrow_mask(self, mask: torch.Tensor | None, kept: KeptTokens, queries: int) -> torch.Tensor | None:
        """For what is left, in the form that the model's attention takes."""
        padded, generated = self.stack.attention in PADDED, self._generated
        if self.evict and not self._prefill:
            return later_padding(self._seen, generated) if padded else later_mask(mask, self._seen, queries, generated)
        return narrow_padding(mask, kept, generated) if padded else narrow_mask(mask, kept, queries, generated)


def _step(layer: int, decision: Decision, total: int, before: PruneStep | None) -> PruneStep:
    """A decision as a record of the host."""
    kept = decision.kept.cpu().numpy()
    if before is not None and not np.isin(kept, before.kept).all():
        raise PruneError(f"The pruner kept tokens at layer {layer} that are already gone.")
    scores = np.full(total, np.nan) if decision.scores is None else decision.scores.double().cpu().numpy()
    return PruneStep(layer, kept, scores)


def _check_cache(cache: Any) -> None:
    """Only a plain DynamicCache lets every layer have a length of its own."""
    plain = type(cache) is DynamicCache and not cache.offloading
    if not plain or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        kind = "no cache" if cache is None else type(cache).__name__
        raise PruneError(
            f"Pruning inside the LLM needs a plain DynamicCache, not {kind}; "
            "generate with use_cache=True and without cache_implementation."
        )
