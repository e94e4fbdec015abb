"""8- and 4-bit weights by bitsandbytes, where it is installed. OURS: of the language model's decoder layers alone.

The vision tower, the projector, the embeddings and the head stay as they are: they are a small part of the weights, and
what a region is judged by should not be rounded.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from crop_core.models.adapter import ModelError

QUANTIZED = ("8bit", "4bit")
# By the names that the supported families give to everything but their decoder layers.
WHOLE = ("vision_tower", "vision_model", "visual", "multi_modal_projector", "connector", "embed_tokens", "lm_head")
BYTES = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}  # a weight; 4-bit blocks of 64 share one float32
_INSTALL = "install it with 'pip install bitsandbytes', or leave quantize out"


def quantization(quantize: str | None, dtype: torch.dtype) -> Any:
    """What from_pretrained takes as quantization_config: None without quantization.

    quantize: "8bit" (LLM.int8, arXiv 2208.07339), "4bit" (NF4, QLoRA, arXiv 2305.14314) or None. dtype: what is
    computed in. Raises ModelError for anything else, and where bitsandbytes is not installed.
    """
    if quantize is None:
        return None
    if quantize not in QUANTIZED:
        raise ModelError(f"The quantization {quantize!r} is not supported; use one of {', '.join(QUANTIZED)}, or none.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"Loading in {quantize} needs bitsandbytes, which is not installed; {_INSTALL}.")
    skipped = [rf"(.*\.)?{part}" for part in WHOLE]
    if quantize == "8bit":
        logging.getLogger("bitsandbytes.autograd").setLevel(logging.ERROR)  # else a line for every product in bfloat16
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=skipped
    )


def is_quantized(name: str, shape: list[int]) -> bool:
    """Whether a tensor of a checkpoint, in old or new naming, becomes a quantized one."""
    return len(shape) == 2 and ".layers." in name and not any(part in name.split(".") for part in WHOLE)
