"""Random 16-bit weights under the hub's tensor names, in one file or in shards with an index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from crop_core.models.families.registry import FAMILIES
from tests.support.published.files import Checkpoint

STD = 0.25  # large enough that logits depend on the image and the question
_LLAVA = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^model\.(vision_tower|multi_modal_projector|image_newline)", r"\1"),
)
_SIGLIP = ((r"^vision_tower\.", "vision_tower.vision_model."),)
_FLAT = ((r"^model\.language_model\.", "model."), (r"^model\.visual\.", "visual."))
RENAMED = {  # from the names of transformers 5 to those of the hub's files
    **dict.fromkeys(("llava", "llava_next", "llava_onevision", "gemma3", "paligemma"), (*_LLAVA, *_SIGLIP)),
    "internvl": _LLAVA,
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl"), _FLAT),
    **dict.fromkeys(("qwen3_vl", "idefics3", "smolvlm"), ()),
}


def write(checkpoint: Checkpoint, config: dict[str, Any], folder: Path) -> None:
    """The weights of `config`, the checkpoint's shrunk config.json, which is in `folder`."""
    tensors = dict(_tensors(checkpoint, folder))
    if checkpoint.shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names: dict[str, str] = {}
    for number in range(checkpoint.shards):
        part = dict(list(tensors.items())[number :: checkpoint.shards])
        file = f"model-{number + 1:05}-of-{checkpoint.shards:05}.safetensors"
        save_file(part, folder / file, metadata={"format": "pt"})
        names |= dict.fromkeys(part, file)
    size = sum(each.numel() * each.element_size() for each in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _tensors(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    family = FAMILIES[checkpoint.model_type].model_class
    config = family.config_class.from_pretrained(folder)
    with torch.device("meta"):
        model = family(config)
    dtype = torch.float16 if checkpoint.files["config.json"].get("torch_dtype") == "float16" else torch.bfloat16
    torch.manual_seed(0)
    for name, shape in [(name, each.shape) for name, each in model.state_dict().items()]:
        if not (checkpoint.tied and name == "lm_head.weight"):
            yield hub_name(checkpoint.model_type, name), _values(name, shape, dtype)


def hub_name(model_type: str, name: str) -> str:
    """The name of a tensor in the hub's files."""
    for pattern, replacement in RENAMED[model_type]:
        name = re.sub(pattern, replacement, name)
    return name


def _values(name: str, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    """Norms that change nothing, no biases, everything else at random."""
    if len(shape) > 1 or "newline" in name or "class_embedding" in name:
        return torch.empty(shape).normal_(std=STD).to(dtype)
    return (torch.zeros if name.endswith("bias") else torch.ones)(shape, dtype=dtype)
