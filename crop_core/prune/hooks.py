"""The mechanism: takes visual tokens out of a running transformers model by forward pre-hooks on its decoder layers.

From a cut on, hidden states, rotary tables and masks hold only what is left, and so does the KV cache of these layers.
Kept tokens keep their positions; text is never taken out. Knows nothing of methods: a Pruner decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from crop_core.measure.timing import now
from crop_core.prune.attention import last_rows
from crop_core.prune.narrow import Kept, narrow_mask, narrow_padding, narrow_rope
from crop_core.prune.protocol import PruneContext, PruneError, Pruner
from crop_core.prune.stack import DecoderStack
from crop_core.trace import PruneStep

PADDED = ("flash_attention_2",)  # causal by themselves, with (B, P) masks of padding
ATTENTIONS = ("sdpa", "eager", *PADDED)  # those that the masking oracle has verified, flash by a stand-in for its form


class LayerPruning:
    """Context manager: inside it, every prefill of the model is pruned, and the decode steps after it go on from there.

    stack: the decoder. pruner: decides at its layers. visual: (B, P) bool, True on the visual tokens of the prompts to
    come. Hooks are state on the model: one request at a time. On exit, also by an exception, every hook is gone.
    After a prefill `steps` holds, per sample, its PruneSteps, and `scoring_s` the seconds that deciding took.
    Raises PruneError for cuts before `stack.first_prunable` or behind the last layer, and during the run for a cache
    other than DynamicCache, chunked prefill, a sequence that reaches a sliding window, or an attention kind that was
    not verified.
    """

    def __init__(self, stack: DecoderStack, pruner: Pruner, visual: torch.Tensor) -> None:
        self.stack, self.pruner, self.visual = stack, pruner, visual
        self.cuts = pruner.layers
        self._check()
        self._handles: list[Any] = []
        self._reset()

    def _check(self) -> None:
        first, last = self.stack.first_prunable, len(self.stack.layers) - 1
        if any(not first <= layer <= last for layer in self.cuts) or list(self.cuts) != sorted(set(self.cuts)):
            raise PruneError(
                f"The cuts at layers {list(self.cuts)} are not possible; this model allows layers {first} to {last}, "
                "rising."
            )
        if not bool(self.visual.any(dim=1).all()):
            raise PruneError("Every prompt of the batch needs at least one visual token to prune.")

    def _reset(self) -> None:
        self.steps: list[list[PruneStep]] = [[] for _ in self.visual]
        self.scoring_s = 0.0
        self._kept: dict[int, Kept] = {}  # by the layer of the cut
        self._before: tuple[torch.Tensor, dict[str, Any]] | None = None  # input of the layer in front of a cut
        self._prefill, self._generated = True, 0
        self._narrowed: dict[tuple[int, ...], tuple[Any, ...]] = {}  # masks and tables of this forward

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
            if self.cuts and (number == 0 or number + 1 >= self.cuts[0]):
                self._handles.append(layer.register_forward_pre_hook(self._hook(number), with_kwargs=True))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._kept, self._before, self._narrowed = {}, None, {}

    def _hook(self, number: int) -> Any:
        def before_layer(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            hidden = args[0] if args else kwargs["hidden_states"]
            hidden, kwargs = self._at(number, hidden, kwargs)
            return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

        return before_layer

    def _at(self, number: int, hidden: torch.Tensor, kwargs: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
        """Input of decoder layer `number`: (B, Q, D) hidden states and its keyword arguments, over what is left."""
        if number == 0:
            self._start(hidden, kwargs.get("past_key_values"))
        if self._prefill and number in self.cuts:
            hidden = self._cut(number, hidden)
        kept = self._kept_at(number)
        if kept is not None:
            kwargs = self._narrow(kwargs, kept, hidden.shape[1])
        if self._prefill and number + 1 in self.cuts:
            self._before = (hidden, kwargs)
        return hidden, kwargs

    def _start(self, hidden: torch.Tensor, cache: Any) -> None:
        """A forward begins: tell prefill from decode by the cache, refuse what cannot be exact."""
        _check_cache(cache)
        past, new = cache.get_seq_length(0), hidden.shape[1]
        if self.stack.window is not None and past + new >= self.stack.window:
            raise PruneError(
                f"The sequence of {past + new} tokens reaches the model's sliding window of {self.stack.window}; "
                "ask a shorter question or do not prune inside the LLM."
            )
        self._narrowed = {}
        if past == 0:
            self._reset()
            if (hidden.shape[0], new) != tuple(self.visual.shape):
                raise PruneError(
                    f"The prefill has {hidden.shape[0]} x {new} tokens, but the prompts {len(self.visual)} x "
                    f"{self.visual.shape[1]}; chunked prefill and repeated prompts cannot be pruned."
                )
        elif not self._kept:
            raise PruneError("The cache was filled before the pruning hooks were on; start with an empty cache.")
        self._prefill = past == 0
        self._generated = 0 if self._prefill else past + new - self.visual.shape[1]

    def _kept_at(self, number: int) -> Kept | None:
        return self._kept.get(max((layer for layer in self.cuts if layer <= number), default=-1))

    def _cut(self, number: int, hidden: torch.Tensor) -> torch.Tensor:
        """Ask the pruner, note its steps, and take the hidden states (B, Q, D) -> (B, Q', D) of what stays."""
        kept = self._kept_at(number - 1) or Kept.all_of(self.visual)
        begin = now(hidden.device)
        steps = self.pruner.decide(self._context(number, kept))
        self.scoring_s += now(hidden.device) - begin
        for sample, step in enumerate(steps):
            self._note(sample, step)
        keep = self._keep_mask(steps).to(kept.index.device).gather(1, kept.index)  # (B, Q)
        if kept.valid is not None:
            keep &= kept.valid
        self._before = None
        self._kept[number], order = kept.narrowed(keep)
        order = order.to(hidden.device)  # that of the layer before, where a model lies on several
        return hidden.gather(1, order[..., None].expand(-1, -1, hidden.shape[-1]))

    def _context(self, number: int, kept: Kept) -> PruneContext:
        def attention(rows: int) -> list[NDArray[np.float64]]:
            return self._attention(number - 1, kept, rows)

        total = self.visual.sum(1).tolist()
        alive = [self._alive(sample, total[sample]) for sample in range(len(total))]
        return PruneContext(number, alive, total, attention)

    def _alive(self, sample: int, total: int) -> NDArray[np.int64]:
        return self.steps[sample][-1].kept if self.steps[sample] else np.arange(total)

    def _attention(self, number: int, kept: Kept, rows: int) -> list[NDArray[np.float64]]:
        """Per sample (M,) attention of the last text rows to its visual tokens in layer `number`; NaN for those
        gone.
        """
        assert self._before is not None  # noqa: S101 - the hook in front of every cut sets it
        hidden, kwargs = self._before
        text = int(self.visual.flip(1).int().argmax(1).min())  # tokens after the last visual one, least of the batch
        if not text:
            raise PruneError(
                "The prompt ends with the image, so that no text can score it; put the question after the image."
            )
        layer, cache = self.stack.layers[number], kwargs["past_key_values"]
        weights = last_rows(
            layer,
            hidden,
            kwargs["position_embeddings"],
            cache.layers[number].keys,
            kwargs.get("attention_mask"),
            min(rows, text),
            self.stack.rope,
        ).to(self.visual.device)  # (B, Q)
        full = torch.full(self.visual.shape, torch.nan, device=weights.device)
        if kept.valid is not None:
            weights = weights.masked_fill(~kept.valid, torch.nan)
        full.scatter_(1, kept.index, weights)  # (B, P)
        scores = full.double().cpu().numpy()
        return [row[chosen] for row, chosen in zip(scores, self.visual.cpu().numpy(), strict=True)]

    def _note(self, sample: int, step: PruneStep) -> None:
        alive = self._alive(sample, int(self.visual[sample].sum()))
        if not set(step.kept.tolist()) <= set(alive.tolist()):
            raise PruneError(f"The pruner kept tokens at layer {step.layer} that are already gone.")
        self.steps[sample].append(step)

    def _keep_mask(self, steps: list[PruneStep]) -> torch.Tensor:
        """(B, P) bool over the whole prompt: text, and the visual tokens that these steps keep."""
        keep = ~self.visual.cpu()
        for sample, step in enumerate(steps):
            columns = self.visual[sample].cpu().nonzero()[:, 0]  # (M,)
            keep[sample, columns[torch.from_numpy(step.kept)]] = True
        return keep

    def _narrow(self, kwargs: dict[str, Any], kept: Kept, queries: int) -> dict[str, Any]:
        """Keyword arguments of a decoder layer for what is left; layers that share a mask share the narrowed one."""
        mask, rope = kwargs.get("attention_mask"), kwargs["position_embeddings"]
        key = (id(mask), id(rope), id(kept))
        if key not in self._narrowed:
            if self.stack.attention in PADDED:
                narrowed = narrow_padding(mask, kept, self._generated)
            else:
                narrowed = narrow_mask(mask, kept, queries, self._generated)
            tables = narrow_rope(rope, kept) if self._prefill else rope
            self._narrowed[key] = (narrowed, tables, mask, rope)  # the last two only so that their ids stay theirs
        narrowed, rope = self._narrowed[key][:2]
        changed = {"attention_mask": narrowed, "position_embeddings": rope}
        # Only tests for packed sequences read position_ids here, and gaps would mislead them.
        return {**kwargs, **changed, "position_ids": None} if self._prefill else {**kwargs, **changed}


def _check_cache(cache: Any) -> None:
    """Only a plain DynamicCache lets every layer have a length of its own."""
    plain = type(cache) is DynamicCache and not cache.offloading
    if not plain or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers):
        kind = "no cache" if cache is None else type(cache).__name__
        raise PruneError(
            f"Pruning inside the LLM needs a plain DynamicCache, not {kind}; "
            "generate with use_cache=True and without cache_implementation."
        )
