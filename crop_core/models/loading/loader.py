"""Load an adapter from a complete checkpoint folder: config, processor and weights by transformers.

Only safetensors weights are read and no code from a checkpoint is run. Images are processed by PIL,
without torchvision and without video processors. Knows nothing of names and of the hub.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from PIL import Image
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoProcessor
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from crop_core.models import chat_template
from crop_core.models.adapter import Adapter, ModelError
from crop_core.models.families.registry import Family
from crop_core.models.generation import greedy_config
from crop_core.models.loading import attention_backend
from crop_core.models.loading.checkpoint import read_generation, read_images
from crop_core.models.loading.failure import load_error, quantized_by
from crop_core.models.loading.placement import Placement
from crop_core.models.loading.quantization import quantization
from crop_core.records.formatting import first_line

FAR_LARGER = 3  # times; a tied head, which is stored once, makes less than 2
VIDEO = "video_processor"
_DECODER_LAYER = re.compile(r"(?:language_model|text_model)\.(?:model\.)?layers\.(\d+)\.")  # in a tensor's name


def load_config(name: str, folder: Path) -> Any:
    """The transformers config of a checkpoint."""
    return _guarded(name, "config", AutoConfig.from_pretrained, folder)


def check_size(name: str, folder: Path, family: Family, tensors: Mapping[str, Any]) -> None:
    """ModelError for a config.json of a far larger model than the weights are of, which transformers would give memory
    before it compares them. tensors: name -> shape, of the weights.
    """
    config = load_config(name, folder)
    try:
        with quiet(), torch.device("meta"):
            described = sum(each.numel() for each in family.model_class(config).parameters())
    except Exception:  # of any kind; told when it is loaded
        return
    stored = sum(math.prod(each.shape) for each in tensors.values())
    if described > FAR_LARGER * stored and not quantized_by(folder):
        raise ModelError(
            f"The weights of {name} do not fit its config.json: they are {stored:,} numbers, and it is that of a "
            f"model of {described:,}; take both from the same model."
        )


def load_adapter(name: str, folder: Path, family: Family, place: Placement, attn: str | None) -> Adapter:
    """The adapter of a checkpoint, in eval mode; ModelError for what transformers cannot load."""
    config = load_config(name, folder)
    processor, notices = _processor(name, folder, family, config)
    _check_quantization(name, folder, place)
    attn = attention_backend.attention(attn, family, place)
    model, info = _guarded(
        name,
        "model",
        family.model_class.from_pretrained,
        folder,
        dtype=place.dtype,
        device_map=place.map,
        quantization_config=quantization(place.quantize, place.dtype),
        attn_implementation=attn,
        use_safetensors=True,
        generation_config=greedy_config(read_generation(name, folder), config, processor.tokenizer),
        ignore_mismatched_sizes=True,  # and told below
        output_loading_info=True,
    )
    _check_weights(name, family, config, info)
    adapter = family.adapter(name, model.eval(), processor, folder, notices)
    _try_processor(name, family, adapter)
    for notice in notices:
        logging.getLogger(__name__).warning(notice)
    if attn == attention_backend.NAME:
        attention_backend.hide_positions(adapter.stack.layers)
    return adapter


def load_parts(name: str, folder: Path, model_class: Any, place: Placement) -> tuple[Any, Any]:
    """Model, in eval mode, and processor of a checkpoint that answers no questions; ModelError for what transformers
    cannot load.
    """
    processor = _guarded(name, "processor", partial(AutoProcessor.from_pretrained, backend="pil"), folder)
    options = {"dtype": place.dtype, "device_map": place.map, "use_safetensors": True}
    loader = partial(model_class.from_pretrained, output_loading_info=True)
    model, info = _guarded(name, "model", loader, folder, **options)
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise ModelError(
            f"The weights of {name} lack {len(missing)} tensors of its class, such as {missing[0]}; save the whole "
            "model again."
        )
    return model.eval(), processor


def _processor(name: str, folder: Path, family: Family, config: Any) -> tuple[Any, tuple[str, ...]]:
    """The processor with a chat template that has been tried, and notices about it."""
    options = {"config": config} if _names_own_images(name, folder, family) else {}
    processor = _guarded(name, "processor", partial(load_processor, family.processor_class), folder, **options)
    _settle_tokenizer(processor.tokenizer)
    chat = family.adapter.published_chat(config, processor.tokenizer)
    return processor, chat_template.settle(name, processor, chat, family.title)


def _names_own_images(name: str, folder: Path, family: Family) -> bool:
    """Whether the image processor is called like the family ("Qwen2_5_VLImageProcessor", in first revisions), for which
    transformers may have another family's by now: the one of the config.
    """
    own = family.processor_class.__name__.removesuffix("Processor") + "ImageProcessor"
    return read_images(name, folder).get("image_processor_type") in (own, f"{own}Fast")


def _check_weights(name: str, family: Family, config: Any, info: dict[str, Any]) -> None:
    """ModelError for weights that are not those of the model that config.json describes."""
    unexpected = sorted(info["unexpected_keys"])
    lora = [each for each in unexpected if "lora_" in each or "modules_to_save" in each]
    if lora:
        raise ModelError(
            f"{name} holds LoRA weights that are not merged, such as {lora[0]}; merge them into the model (peft's "
            "merge_and_unload) and save it again."
        )
    if info["missing_keys"]:
        others = f", and hold others, such as {unexpected[0]}" if unexpected else ""
        raise ModelError(
            f"The weights of {name} lack {len(info['missing_keys'])} tensors of a {family.title} model, "
            f"such as {sorted(info['missing_keys'])[0]}{others}; save the whole model again, or take them and "
            "config.json from one model."
        )
    if info["mismatched_keys"]:
        tensor, stored, expected = sorted(info["mismatched_keys"])[0]
        raise ModelError(
            f"The weights of {name} do not fit its config.json: {tensor} has the shape {list(stored)} instead of "
            f"{list(expected)}; take both from the same model."
        )
    layers = config.get_text_config().num_hidden_layers
    further = [each for each in unexpected if (found := _DECODER_LAYER.search(each)) and int(found[1]) >= layers]
    if further:
        raise ModelError(
            f"The weights of {name} do not fit its config.json: they hold {further[0]}, and the config has {layers} "
            "decoder layers; take both from the same model."
        )


def _try_processor(name: str, family: Family, adapter: Adapter) -> None:
    """ModelError for a processor of another family, whose image processor lacks what this one's has. What it makes is
    checked by each run.
    """
    try:
        adapter.prepare(Image.new("RGB", (64, 48)), chat_template.TRIAL)
    except ModelError:
        return
    except Exception as error:  # of any kind, as the processors are
        raise ModelError(
            f"The processor of {name} makes no input for {family.title} ({first_line(error)}); take "
            "processor_config.json and preprocessor_config.json of the model that it was made from."
        ) from error


def _check_quantization(name: str, folder: Path, place: Placement) -> None:
    """ModelError for weights that are to be quantized twice, or by a method that transformers would pass over."""
    method = quantized_by(folder)
    if method and place.quantize:
        raise ModelError(f"{name} is quantized already, by {method}; leave quantize={place.quantize} out.")
    if method and method != "bitsandbytes" and method not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        raise ModelError(
            f"{name} is quantized by {method}, which transformers {transformers.__version__} does not load; use the "
            "checkpoint that is not quantized."
        )


@contextmanager
def progress_bars(shown: bool) -> Iterator[None]:
    """Show or hide the progress bars of downloads and loading; restores the setting at the end."""
    hidden = not shown and transformers_logging.is_progress_bar_enabled()
    if hidden:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if hidden:
            transformers_logging.enable_progress_bar()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of transformers off stderr: whatever of them matters to a user is an error or a notice here."""
    handlers = [each for each in logging.getLogger("transformers").handlers if isinstance(each, logging.StreamHandler)]
    levels = [each.level for each in handlers]
    for each in handlers:
        each.setLevel(max(each.level, logging.ERROR))
    try:
        yield
    finally:
        for each, level in zip(handlers, levels, strict=True):
            each.setLevel(level)


def _settle_tokenizer(tokenizer: Any) -> None:
    """No warnings about prompts that the model reads and about spaces that stay in any case; no end token behind every
    prompt, which tokenizers saved for training have and after which a model writes nothing.
    """
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    if not tokenizer.is_fast:
        return
    if type(tokenizer.backend_tokenizer.model).__name__ == "BPE":
        tokenizer.clean_up_tokenization_spaces = False
    ids, text = tokenizer("a")["input_ids"], tokenizer("a", add_special_tokens=False)["input_ids"]
    if ids[-1:] == [tokenizer.eos_token_id] != text[-1:]:
        begin = tokenizer.convert_ids_to_tokens(ids[: -len(text) - 1])
        pairs = list(zip(begin, ids, strict=False))
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=[*begin, "$A"], special_tokens=pairs)


def _guarded(name: str, what: str, loader: Any, folder: Path, **options: Any) -> Any:
    """Call a from_pretrained; any of its errors becomes a ModelError."""
    try:
        with quiet():
            return loader(str(folder), trust_remote_code=False, local_files_only=True, **options)
    except Exception as error:  # transformers raises errors of any kind
        raise load_error(name, what, folder, error) from error


def load_processor(processor_class: Any, source: str, **options: Any) -> Any:
    """`processor_class.from_pretrained` of a folder or hub id, with the PIL image processor. options: `config`, whose
    class has an image processor for files that name one which transformers no longer has.
    """
    return for_images(processor_class).from_pretrained(source, backend="pil", **options)


def for_images(processor_class: Any) -> Any:
    """The class itself, or a subclass of the same name that accepts None as its video processor."""
    if VIDEO not in processor_class.get_attributes():
        return processor_class

    class ForImages(processor_class):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != VIDEO]

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == VIDEO and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    ForImages.__name__ = ForImages.__qualname__ = processor_class.__name__
    return ForImages
