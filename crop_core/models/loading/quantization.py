"""8- and 4-bit quantization by bitsandbytes. OURS: decoder layers of the language model only.

Vision tower, projector, embeddings and head are not quantized: they are a small part of the weights, and localization
reads them.
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from crop_core.models.adapter import ModelError

QUANTIZED = ("8bit", "4bit")
# Module names of the supported families outside their decoder layers.
WHOLE = ("vision_tower", "vision_model", "visual", "multi_modal_projector", "connector", "embed_tokens", "lm_head")
BYTES = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}  # per weight; 4-bit blocks of 64 share one float32
_INSTALL = "install it with 'pip install bitsandbytes', or leave quantize out"


def quantization(quantize: str | None, dtype: torch.dtype) -> Any:
    """The quantization_config of from_pretrained; None without quantization.

    quantize: "8bit" (LLM.int8, arXiv 2208.07339), "4bit" (NF4, QLoRA, arXiv 2305.14314) or None. dtype: of the
    computation. Raises ModelError for other values, and if bitsandbytes is not installed.
    """
    if quantize is None:
        return None
    if quantize not in QUANTIZED:
        raise ModelError(f"The quantization {quantize!r} is not supported; use one of {', '.join(QUANTIZED)}, or none.")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"Loading in {quantize} needs bitsandbytes, which is not installed; {_INSTALL}.")
    skipped = [rf"(.*\.)?{part}" for part in WHOLE]
    if quantize == "8bit":
        logging.getLogger("bitsandbytes.autograd").setLevel(logging.ERROR)  # else it logs every product in bfloat16
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, llm_int8_skip_modules=skipped
    )


def is_quantized(name: str, shape: list[int]) -> bool:
    """Whether a checkpoint tensor, in old or new naming, is quantized at loading."""
    return len(shape) == 2 and ".layers." in name and not any(part in name.split(".") for part in WHOLE)
