"""Pruned and compressed runs of tiny models, compared with the masking oracle in float32."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crop_core.models.adapter import PreparedInputs
from crop_core.models.compressed_inputs import compress_inputs
from crop_core.models.decoder import DecoderStack
from crop_core.prune import Decision, LayerPruning, VisualTokens
from crop_core.prune.ilp import IlpPruner
from crop_core.records.compression_plan import CompressionPlan
from tests.support.oracle import Masked, difference, new_tokens, run
from tests.support.tiny_models import tiny_inputs

EXACT = 1e-5
BATCHES = {"one": {}, "padded": {"before": (3, 6), "after": (5, 9)}}


@dataclass
class RandomPruner:
    """Keeps random tokens, another number of them in every sample: {layer: tokens per sample}."""

    counts: dict
    seed: int = 0

    @property
    def layers(self):
        return tuple(self.counts)

    def decide(self, context):
        rng = np.random.default_rng(self.seed + context.layer)
        return [
            Decision(torch.from_numpy(np.sort(rng.choice(alive.numpy(), count, replace=False))))
            for alive, count in zip(context.alive, self.counts[context.layer], strict=True)
        ]


def visual_of(inside):
    return VisualTokens.of_one_image(torch.as_tensor(inside))


def prepared(model, batch, **how):
    inputs = tiny_inputs(model, **BATCHES[batch], **how)
    return inputs, inputs.pop("visual")


def stack_of(model):
    return DecoderStack.of(model.model.language_model)


def ilp(visual, cuts=((1, 9), (3, 2)), every=5):
    return IlpPruner(tuple(cuts), [visual_of(torch.arange(int(row.sum())) % every == 0) for row in visual])


def hidden_by(pruning, visual):
    """{layer: (B, P) bool} visual columns that are gone from this layer on."""
    gone = {}
    for number, first in enumerate(pruning.steps[0]):
        gone[first.layer] = visual.clone()
        for sample, steps in enumerate(pruning.steps):
            gone[first.layer][sample, visual[sample].nonzero()[:, 0][torch.from_numpy(steps[number].kept)]] = False
    return gone


def assert_equals_oracle(model, inputs, visual, pruner, evict=False):
    plain = run(model, inputs, steps=1)
    with LayerPruning(stack_of(model), pruner, visual, evict) as pruning:
        pruned = run(model, inputs)
    hidden = hidden_by(pruning, visual)
    with Masked(model, hidden, hidden[max(hidden)] if evict else None), Rewritten(pruning, visual):
        masked = run(model, inputs, forced=new_tokens(pruned, inputs))
    assert difference(pruned, masked) <= EXACT
    assert float((plain.logits[0] - pruned.logits[0]).abs().max()) > 0.1, "the check has no power"
    return pruned, pruning


class Rewritten:
    """Context manager: in the prefill of the unpruned model, kept tokens go on with the states that were decided."""

    def __init__(self, pruning, visual):
        self.layers, self.decided, self.visual = pruning.stack.layers, pruning._decided, visual

    def __enter__(self):
        self.handles = [
            self.layers[number].register_forward_pre_hook(self.hook(decisions)) for number, decisions in self.decided
        ]

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()

    def hook(self, decisions):
        def rewrite(module, args):
            if args[0].shape[1] != self.visual.shape[1]:
                return None
            hidden = args[0].clone()
            for row, visual, each in zip(hidden, self.visual, decisions, strict=True):
                if each.states is not None:
                    row[visual.nonzero()[:, 0][each.kept]] = each.states.to(row.dtype)
            return (hidden, *args[1:])

        return rewrite


class NoWaiting(TorchDispatchMode):
    """Nothing inside may need a tensor's values on the host, or a shape that depends on them."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount")

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        for name in ("numpy", "tolist", "cpu", "item", "__array__", "__bool__", "__int__", "__index__"):
            self.patch.setattr(torch.Tensor, name, lambda *_, name=name, **how: pytest.fail(f"{name} waits"))
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert not any(name in func.name() for name in self.WAITS), f"{func} waits for the device"
        if func.name() == "aten::index.Tensor":
            assert all(index.dtype != torch.bool for index in args[1] if index is not None), "a mask as an index waits"
        return func(*args, **(kwargs or {}))


def compressed(model, inputs, plans):
    with torch.no_grad():
        encoded = model.model.get_image_features(pixel_values=inputs["pixel_values"], return_dict=True)
    prepared = PreparedInputs(inputs["input_ids"], inputs["attention_mask"], inputs["visual"], {}, (1, 1))
    return compress_inputs(model, prepared, encoded, plans)


def plain(inputs):
    return {name: value for name, value in inputs.items() if name != "visual"}


def labelled(*labels):
    return CompressionPlan.of(np.array(labels), np.zeros(len(labels), dtype=np.int64))


def from_masking(model, plan):
    """How far generating with a plan that drops tokens of one image, and pools none, is from masking them."""
    inputs = tiny_inputs(model)
    packed = compressed(model, inputs, [plan])
    ours = run(model, packed.kwargs)
    hidden = inputs["visual"].clone()
    hidden[0, inputs["visual"][0].nonzero()[:, 0][torch.from_numpy(plan.group >= 0)]] = False
    with Masked(model, {0: hidden}):
        return difference(ours, run(model, plain(inputs), forced=new_tokens(ours, packed.kwargs)))
