"""Norms and MLPs of the decoder layers compiled by torch.compile, so that a decode step starts fewer kernels on a GPU.

Attention, with its cache and our hooks around the layer, stays as it is: pruned layers have lengths of their own, which
compiled attention with a static cache cannot have. Nothing here is needed, and what cannot be compiled runs as before.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def compile_layers(layers: Sequence[torch.nn.Module], backend: str = "inductor") -> None:
    """Compile, for inputs of any length, each part of the layers but their attention; the first calls take a while.

    Layers of a kind share their code. Parts that accelerate moves between devices are left out.
    """
    torch._dynamo.config.suppress_errors = True  # without a compiler everything runs as it did
    for layer in layers:
        for part in layer.children():
            if part is not layer.self_attn and not any(hasattr(each, "_hf_hook") for each in part.modules()):
                part.compile(dynamic=True, backend=backend)
