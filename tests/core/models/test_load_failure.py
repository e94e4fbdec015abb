"""Why a checkpoint cannot be loaded, and advice that fits the cause; nothing on stderr that a user cannot act on."""

import io
import json
import logging
import re
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from crop_core.models import ModelError, load
from crop_core.models.loading import failure, registry
from tests.support.families import build, sample_image
from tests.support.faults import TOKENIZER, change_weight, edit

TWO = ["llava", "qwen2_5_vl"]
INSTALL, GPU = "install the package that is named", "load it on a machine with such a GPU"


def quantized(method, **more):
    return lambda folder: edit(folder / "config.json", quantization_config={"quant_method": method, "bits": 4, **more})


QUANTIZED = {  # the method's setting: a reason, and the advice
    "awq": (quantized("awq", version="gemm", zero_point=True, group_size=128), "gptqmodel", INSTALL),
    "gptq": (quantized("gptq", group_size=128), "optimum", INSTALL),
    "bitsandbytes": (quantized("bitsandbytes", load_in_4bit=True), "bitsandbytes", INSTALL),
    "compressed-tensors": (quantized("compressed-tensors"), "compressed-tensors", INSTALL),
    "hqq": (quantized("hqq"), "HQQ", INSTALL),
    "aqlm": (quantized("aqlm"), "pip install aqlm", INSTALL),
    "eetq": (quantized("eetq"), "kernels", INSTALL),
    "quanto": (quantized("quanto"), "optimum-quanto", INSTALL),
    "torchao": (quantized("torchao"), "torchao", INSTALL),
    "fbgemm_fp8": (quantized("fbgemm_fp8"), "requires a GPU", GPU),
}


@pytest.fixture
def stderr(monkeypatch):
    """What is written there, by transformers' log too, whose stream is that of the import."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    handlers = [each for each in logging.getLogger("transformers").handlers if isinstance(each, logging.StreamHandler)]
    assert handlers
    before = [each.setStream(shown) for each in handlers]
    yield shown
    for each, stream in zip(handlers, before, strict=True):
        each.setStream(stream)


def sentence(folder):
    with pytest.raises(ModelError) as caught:
        load(folder)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@pytest.mark.skipif(torch.cuda.is_available(), reason="some of them run on a GPU")
@pytest.mark.parametrize("family", TWO)
@pytest.mark.parametrize("method", QUANTIZED)
def test_a_quantized_checkpoint_names_what_is_missing(method, family, tmp_path):
    spoil, reason, advice = QUANTIZED[method]
    build(family, tmp_path)
    spoil(tmp_path)
    message = sentence(tmp_path)
    assert f"is quantized by {method}, which cannot be loaded here (" in message and reason in message
    assert message.endswith(f"; {advice}, or use the checkpoint that is not quantized.")
    assert "download" not in message


@pytest.mark.parametrize("family", TWO)
def test_nothing_is_quantized_twice(family, tmp_path, monkeypatch):
    build(family, tmp_path)
    quantized("awq")(tmp_path)
    monkeypatch.setattr(registry, "quantization", lambda *_: None)  # which asks for bitsandbytes
    with pytest.raises(ModelError, match=r"is quantized already, by awq; leave quantize=4bit out\.$"):
        load(tmp_path, quantize="4bit")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RuntimeError("GPU is required to quantize or run quantize model."), GPU),
        (ValueError("FP8 quantized models is only supported on GPUs with compute capability >= 9.0 (e.g H100)"), GPU),
        (ImportError("Using `higgs` needs FLUTE: `pip install flute-kernel` and a GPU"), INSTALL),
        (ValueError("Unknown bits"), "see what its model card asks for"),
    ],
)
def test_the_advice_is_by_the_error(error, advice, tmp_path):
    quantized("fp8")(tmp_path)
    assert f"; {advice}, or use" in str(failure.load_error("x", "model", tmp_path, error))


@pytest.mark.parametrize("family", TWO)
@pytest.mark.parametrize(
    ("setting", "named"), [({"quant_method": "squeeze"}, "squeeze"), ({"bits": 4}, "a method that")]
)
def test_a_method_that_transformers_passes_over_is_refused(setting, named, family, tmp_path):
    build(family, tmp_path)
    edit(tmp_path / "config.json", quantization_config=setting)
    assert re.search(
        rf"is quantized by {named}.*, which transformers [\d.]+ does not load; use the", sentence(tmp_path)
    )


@pytest.mark.parametrize("family", TWO)
@pytest.mark.parametrize(
    ("content", "package"),
    [(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", "sentencepiece"), (b"IQ== 0\nIg== 1\n", "tiktoken")],
)
def test_a_lone_tokenizer_model_names_the_package(content, package, family, tmp_path, monkeypatch, stderr):
    build(family, tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.model").write_bytes(content)
    find = failure.find_spec
    monkeypatch.setattr(failure, "find_spec", lambda name: None if name == package else find(name))
    stderr.truncate(0)
    assert f"which needs {package}; run pip install {failure._PIP[package]}, or add the tokenizer.json" in sentence(
        tmp_path
    )
    assert stderr.getvalue() == ""


def test_a_missing_package_is_to_be_installed(tmp_path):
    error = ImportError("Needs num2words: pip install num2words")
    message = str(failure.load_error("x", "processor", tmp_path, error))
    assert message == f"The processor of x cannot be loaded ({error}); {INSTALL}."


def rewrite(change):
    """Spoils the weights: `change` gets all tensors and the name of a projection."""

    def spoil(folder):
        file = folder / "model.safetensors"
        tensors = load_file(file)
        change(tensors, next(name for name in tensors if name.endswith("layers.0.self_attn.q_proj.weight")))
        save_file(tensors, file, metadata={"format": "pt"})

    return spoil


def narrower(tensors, name):
    tensors[name] = tensors[name][:16].clone()


def with_lora(tensors, name):
    tensors[name.replace(".weight", ".lora_A.default.weight")] = torch.zeros(4, 32)


def without_vocabulary(folder):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", text_config={**config["text_config"], "vocab_size": 50})


def no_image_processor(folder):
    edit(folder / "processor_config.json", image_processor=None)


def other_layers(folder):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", text_config={**config["text_config"], "num_hidden_layers": 9})


UNFIT = {
    "shape": (
        rewrite(narrower),
        r"do not fit its config\.json: .*q_proj.weight has the shape \[16, 32\] instead of",
    ),
    "vocabulary": (
        without_vocabulary,
        r"do not fit its config\.json: \S+ has the shape \[96, 32\] instead of",
    ),
    "layers": (other_layers, r"lack \d+ tensors of a|must be equal to the number of `layer_types` \(4\)"),
    "LoRA": (rewrite(with_lora), r"holds LoRA weights that are not merged, such as \S+lora_A\S+; merge them"),
    "adapter": (
        lambda folder: edit(folder / "adapter_config.json", base_model_name_or_path="Qwen/Qwen2-VL-2B"),
        r"is an adapter of Qwen/Qwen2-VL-2B \(adapter_config\.json\); merge it into that model",
    ),
    "adapter alone": (
        lambda folder: (edit(folder / "adapter_config.json"), (folder / "config.json").unlink()),
        r"is an adapter of another model \(adapter_config\.json\); merge it into that model",
    ),
    "class": (
        lambda folder: edit(folder / "config.json", architectures=["LlavaLlamaForCausalLM"]),
        r"made for the class LlavaLlamaForCausalLM, not for transformers' \w+; use its conversion, as \S+ is one",
    ),
    "image processor": (
        no_image_processor,
        r"has no image processor \(no preprocessor_config\.json, nor one in processor_",
    ),
}


@pytest.mark.parametrize("family", TWO)
@pytest.mark.parametrize("case", UNFIT)
def test_files_that_do_not_belong_together_are_told_apart(case, family, tmp_path, stderr):
    spoil, expected = UNFIT[case]
    build(family, tmp_path)
    spoil(tmp_path)
    stderr.truncate(0)
    assert re.search(expected, sentence(tmp_path))
    assert stderr.getvalue() == "", "the sentence says it all"


@pytest.mark.parametrize("family", ["gemma3", "internvl", "idefics3"])
def test_a_processor_of_another_model_is_one_sentence(family, tmp_path):
    """Its number of tokens an image is then a default."""
    build(family, tmp_path)
    images = json.loads((tmp_path / "processor_config.json").read_text())["image_processor"]
    (tmp_path / "processor_config.json").unlink()
    edit(tmp_path / "preprocessor_config.json", **images)
    adapter = load(tmp_path)
    with pytest.raises(ModelError, match=r"computes \d+ features for the \d+ placeholders of its processor; take"):
        adapter.encode(adapter.prepare(sample_image((200, 120)), "what is left?"))


@pytest.mark.parametrize("family", ["llava", "gemma3"])
def test_a_wrong_image_token_is_one_sentence(family, tmp_path):
    build(family, tmp_path)
    edit(tmp_path / "config.json", image_token_id=7, image_token_index=7)
    with pytest.raises(ModelError, match=r"correct its .*image_token_id in (its )?config\.json"):
        load(tmp_path).prepare(sample_image((200, 120)), "what is left?")


def test_two_matrices_of_a_model_that_says_one_are_no_matter(tmp_path, stderr):
    """InternVL3: the class's default is tied, and its files hold both."""
    build("internvl", tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    embeddings = next(name for name in tensors if name.endswith("embed_tokens.weight"))
    save_file({**tensors, "lm_head.weight": tensors[embeddings].flip(0).contiguous()}, file, metadata={"format": "pt"})
    stderr.truncate(0)
    model = load(tmp_path).model
    assert stderr.getvalue() == ""
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


@pytest.mark.parametrize("family", ["internvl", "qwen2_5_vl"])
def test_a_prompt_beyond_the_tokenizers_length_is_no_matter(family, tmp_path, stderr):
    """InternVL3: the tokenizer says 8192, the model reads 32768."""
    build(family, tmp_path)
    edit(tmp_path / TOKENIZER, model_max_length=5)
    stderr.truncate(0)
    load(tmp_path).prepare(sample_image((200, 120)), "what is left of the dog?")
    assert stderr.getvalue() == ""


def test_spaces_that_transformers_leaves_alone_are_no_matter(tmp_path, stderr):
    """Idefics3: a BPE tokenizer that asks for them to be cleaned."""
    build("idefics3", tmp_path)
    rules = Tokenizer(models.BPE({"<unk>": 0, "<image>": 1, "a": 2, "?": 3}, [], unk_token="<unk>"))
    rules.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"image_token": "<image>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=rules, unk_token="<unk>", clean_up_tokenization_spaces=True, extra_special_tokens=names
    )
    tokenizer.save_pretrained(tmp_path)
    edit(tmp_path / "config.json", image_token_id=tokenizer.image_token_id)
    stderr.truncate(0)
    load(tmp_path).decode([2, 3])
    assert stderr.getvalue() == ""


def test_a_damaged_weight_is_loaded_in_silence_and_told_by_the_run(tmp_path, stderr):
    build("llava", tmp_path)
    change_weight(tmp_path, lambda name: name.endswith("up_proj.weight"), float("nan"))
    stderr.truncate(0)
    load(tmp_path)
    assert stderr.getvalue() == ""
