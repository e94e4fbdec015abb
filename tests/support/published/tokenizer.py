"""Small tokenizers in the published formats: every byte a token, and special tokens at their published ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers.convert_slow_tokenizer import bytes_to_unicode

from tests.support.published.files import Checkpoint

SPACE = "▁"
_QWEN = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>"),
)
_LLAMA3 = {
    "<|begin_of_text|>": 128000,
    "<|end_of_text|>": 128001,
    "<|reserved_special_token_0|>": 128002,
    "<|start_header_id|>": 128006,
    "<|end_header_id|>": 128007,
    "<|reserved_special_token_4|>": 128008,
    "<|eot_id|>": 128009,
    "<fake_token_around_image>": 128256,
    "<image>": 128257,
    "<end_of_utterance>": 128258,
}
_SMOL = {
    "<|endoftext|>": 0,
    "<|im_start|>": 1,
    "<|im_end|>": 2,
    "<global-img>": 49152,
    **{f"<row_{row}_col_{col}>": 49146 + 6 * row + col for row in range(1, 7) for col in range(1, 7)},
    "<fake_token_around_image>": 49189,
    "<image>": 49190,
    "<end_of_utterance>": 49279,
}
_GEMMA = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "<mask>": 4}
_GEMMA3 = {
    **_GEMMA,
    "<start_of_turn>": 105,
    "<end_of_turn>": 106,
    "<start_of_image>": 255999,
    "<end_of_image>": 256000,
    "<image_soft_token>": 262144,
}
_YI = {"<unk>": 0, "<|startoftext|>": 1, "<|endoftext|>": 2, "<|im_start|>": 6, "<|im_end|>": 7}


@dataclass(frozen=True)
class Kind:
    """How a family's tokenizer is made. first: id of byte 0, or of "!" where bytes are written as letters. special:
    tokens with their ids. bos: the token that it adds. words: further pieces of the vocabulary.
    """

    make: Callable[[Kind], dict[str, Any]]
    first: int
    special: dict[str, int]
    bos: str = ""
    words: dict[str, int] = field(default_factory=dict)


def _as_letters(kind: Kind) -> dict[str, Any]:
    """Byte-level BPE without merges, as of GPT-2, Qwen and Llama 3."""
    letters = {letter: kind.first + at for at, letter in enumerate(bytes_to_unicode().values())}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "normalizer": None,
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": {**letters, **kind.special}, "merges": [], "byte_fallback": False},
    }


def _with_fallback(kind: Kind) -> dict[str, Any]:
    """BPE with byte fallback and a sign for spaces, as of Llama 2 and Gemma; Llama 2 puts a space before a text."""
    signs: dict[str, Any] = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    spaces = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    back: list[dict[str, Any]] = [spaces, {"type": "ByteFallback"}, {"type": "Fuse"}]
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    gemma = "<bos>" in kind.special
    if not gemma:
        signs = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, signs]}
        back.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    pieces = {f"<0x{byte:02X}>": kind.first + byte for byte in range(256)}
    vocabulary = {**kind.special, **pieces, **kind.words}
    unknown = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    return {
        "normalizer": signs,
        "pre_tokenizer": split if gemma else None,
        "decoder": {"type": "Sequence", "decoders": back},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [], **unknown},
    }


KINDS = {
    "llama": Kind(_with_fallback, 3, {"<unk>": 0, "<s>": 1, "</s>": 2}, "<s>", {SPACE: 29871}),
    "yi": Kind(_with_fallback, 8, _YI, "", {SPACE: 59568}),
    "qwen": Kind(_as_letters, 0, {token: 151643 + at for at, token in enumerate(_QWEN)}),
    "smol": Kind(_as_letters, 17, _SMOL),
    "llama3": Kind(_as_letters, 0, _LLAMA3, "<|begin_of_text|>"),
    "gemma3": Kind(_with_fallback, 238, _GEMMA3, "<bos>", {"\n": 107, SPACE: 236743}),
    "paligemma": Kind(_with_fallback, 217, {**_GEMMA, "<image>": 257152}, "<bos>", {"\n": 108, SPACE: 235248}),
}


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """tokenizer.json beside the checkpoint's own tokenizer_config.json."""
    kind = KINDS[checkpoint.tokenizer]
    special = sorted({**kind.special, **checkpoint.added}.items(), key=lambda item: item[1])
    parts = kind.make(kind)
    parts["model"]["vocab"] |= checkpoint.added
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    data = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **flags} for token, number in special],
        **parts,
        "post_processor": _adding(kind.bos, kind.special[kind.bos]) if kind.bos else None,
    }
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False))


def _adding(token: str, number: int) -> dict[str, Any]:
    """A post-processor that puts a token before every text."""
    begin = [{"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    return {
        "type": "TemplateProcessing",
        "single": begin,
        "pair": [*begin, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }
