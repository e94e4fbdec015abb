"""Model folders as people have them: each is read, or refused in one sentence that names the file and what to do."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from crop_core.localize.loading import load_localizer
from crop_core.models import ModelError, load
from tests.support.checkpoints import save, sharded
from tests.support.families import build, sample_image
from tests.support.faults import edit, take_template

IMAGE, QUESTION = sample_image((200, 120)), "what is left of the dog?"
INDEX = "model.safetensors.index.json"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def sentence(name, loader=load):
    with pytest.raises(ModelError) as caught:
        loader(name)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message
    return message


@pytest.fixture
def folder(tmp_path):
    """A checkpoint in one file of weights."""
    save(tmp_path / "model")
    return tmp_path / "model"


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def recoded(name, encoding):
    return lambda folder: (folder / name).write_text((folder / name).read_text(), encoding=encoding)


def config(**changes):
    return lambda folder: edit(folder / "config.json", **changes)


def renamed(new):
    return lambda folder: (folder / "model.safetensors").rename(folder / new)


def weights(change):
    def spoil(folder):
        tensors = change(load_file(folder / "model.safetensors"))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def prefixed(prefix, **more):
    return weights(lambda tensors: {**{prefix + name: each for name, each in tensors.items()}, **more})


def linked(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "gone")


def text_config(**changes):
    def spoil(folder):
        text = json.loads((folder / "config.json").read_text())["text_config"]
        edit(folder / "config.json", text_config={**text, **changes})

    return spoil


def template(file, value):
    def spoil(folder):
        edit(folder / file, chat_template=value(take_template(folder)))

    return spoil


def tensors_in(dtype):
    def convert(tensors):
        return {name: each.to(dtype) if each.dim() == 2 else each for name, each in tensors.items()}

    return weights(convert)


@weights
def scaled(tensors):
    """As FP8 checkpoints store a weight, whose quantization_config is gone."""
    name = next(name for name in tensors if name.endswith("layers.0.mlp.up_proj.weight"))
    return {**tensors, name: tensors[name].to(torch.float8_e4m3fn), f"{name}_scale_inv": torch.ones(1)}


TWIN = "take the config.json of the model that it was made from"
FOLDERS = {
    "a mark before the config": (
        recoded("config.json", "utf-8-sig"),
        r"^config\.json of .* begins with a byte order mark",
    ),
    "a mark before the tokenizer": (
        recoded("tokenizer_config.json", "utf-8-sig"),
        r"^tokenizer_config\.json of .* mark",
    ),
    "UTF-16": (
        recoded("config.json", "utf-16"),
        r"^config\.json of .* is not written in UTF-8; save it so, or download",
    ),
    "a comma too many": (write("config.json", '{\n"model_type": "llava",\n}'), r"no JSON \(line 3\); download or copy"),
    "nested without an end": (write("config.json", "[" * 100_000), r"^config\.json of .* is cut off or no JSON"),
    "pointer for the weights": (
        write("model.safetensors", POINTER),
        r"^model\.safetensors of .* is a pointer of Git LFS",
    ),
    "pointer for the tokenizer": (write("tokenizer.json", POINTER), r"^tokenizer\.json of .*; run git lfs pull, or"),
    "a web page as weights": (write("model.safetensors", "<!doctype html>"), "is cut off or no weight file; download"),
    "no kind of model": (config(model_type=None), rf'model_type is None, and must be a text such as "llava".*{TWIN}'),
    "a list as kind": (config(model_type=["llava"]), r"model_type is \['llava'\], and must be a text"),
    "no class name": (config(architectures=[5]), r"architectures is \[5\], and must be a list of class names"),
    "a precision that is none": (
        config(dtype="float17"),
        r"dtype is 'float17', and must be a precision of PyTorch, such",
    ),
    "its older name": (config(torch_dtype="bf16", dtype=None), r"torch_dtype is 'bf16', and must be a precision"),
    "a list as quantization": (config(quantization_config=[1]), r"quantization_config is \[1\], and must be an object"),
    "LLaVA's own format": (config(model_type="llava_llama"), "is a 'llava_llama' model, which is not supported"),
    "an image classifier": (write("config.json", '{"model_type": "vit"}'), "is a 'vit' model, which is not supported"),
    "an encoder": (
        write("config.json", '{"model_type": "bert"}'),
        "a 'bert' model, which has no part that reads images",
    ),
    "GGUF": (
        renamed("model-Q4_K_M.gguf"),
        r"weights in model-Q4_K_M\.gguf, and only safetensors .*; take the checkpoint",
    ),
    "another name": (renamed("model.fp16.safetensors"), r"index\.json, only model\.fp16\.safetensors\); download"),
    "a link to nothing": (linked, r"no weights \(model\.safetensors is a link to a file that is not there\); download"),
    "of torch.compile": (
        prefixed("_orig_mod."),
        r"lack 98 tensors .*, and hold others, such as _orig_mod\.\S+; save the",
    ),
    "of peft": (
        prefixed("base_model.model.", **{"base_model.model.x.lora_A.weight": torch.zeros(2, 2)}),
        r"holds LoRA weights that are not merged, such as \S+lora_A\.weight; merge them",
    ),
    "a trained head beside": (
        weights(lambda tensors: {**tensors, "lm_head.modules_to_save.default.weight": torch.zeros(96, 32)}),
        r"that are not merged, such as lm_head\.modules_to_save\.default\.weight; merge them",
    ),
    "more layers than the config": (
        text_config(num_hidden_layers=2),
        r"do not fit its config\.json: they hold \S+\.layers\.2\.\S+, and the",
    ),
    "fewer layers than the config": (
        text_config(num_hidden_layers=6),
        r"lack 18 tensors .* such as \S+\.layers\.4\.\S+; save the .* again, or take them and config\.json from",
    ),
    "the config of a far larger model": (
        text_config(intermediate_size=10**9),
        r"do not fit its config\.json: they are [\d,]+ numbers, and .* of a model of 384,000,\d+,\d+; take both from",
    ),
    "no config of the language model": (
        config(text_config=None),
        r"do not fit its config\.json: they are [\d,]+ numbers",
    ),
    "whole numbers": (tensors_in(torch.int8), r"keeps \S+ in I8, and its config\.json names no quantization; take the"),
    "truth values": (tensors_in(torch.bool), r"keeps \S+ in BOOL, and its config\.json names no quantization"),
    "complex numbers": (tensors_in(torch.complex64), r"keeps \S+ in C64, and its config\.json names no quantization"),
    "8 bits with scales": (
        scaled,
        r"keeps \S+up_proj\.weight in F8_E4M3, and its config\.json names no quantization; take the",
    ),
    "template in Latin 1": (
        write("chat_template.jinja", b"{# f\xfcr #}"),
        r"^chat_template\.jinja of .* is not written in",
    ),
    "a number as template": (
        template("tokenizer_config.json", lambda _: 5),
        r"chat_template is 5, and must be a text, or",
    ),
    "templates without names": (
        template("tokenizer_config.json", lambda text: [{"template": text}]),
        r"^In tokenizer_config\.json of .* chat_template is \[.*\], and must be a text, or a list of named ones",
    ),
    "templates as texts": (
        template("processor_config.json", lambda text: [text]),
        r"^In processor_config\.json .* a list",
    ),
    "a text about names as template": (
        template("tokenizer_config.json", lambda _: ["{{ message.name }}"]),
        r"chat_template is \['\{\{ message\.name \}\}'\], and must be a text, or a list of named ones",
    ),
    "a number as one of the templates": (
        template("tokenizer_config.json", lambda _: [5]),
        r"chat_template is \[5\], and must be a text, or a list of named ones",
    ),
    "a name without a template": (
        template("tokenizer_config.json", lambda _: [{"name": "default"}]),
        r"chat_template is \[\{'name': 'default'\}\], and must be a text, or a list of named ones",
    ),
    "adapter without a base": (lambda folder: edit(folder / "adapter_config.json"), r"an adapter of another model \("),
}


@pytest.mark.parametrize("loader", [load, lambda name: load_localizer(name, "cpu", None, None, None)])
@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_that_cannot_be_loaded_is_one_sentence(case, loader, folder):
    spoil, expected = FOLDERS[case]
    spoil(folder)
    assert re.search(expected, sentence(folder, loader))


@pytest.mark.parametrize("value", [[], None, "x", {"a": 5}, {"a": "../model.safetensors"}, {"a": "/etc/passwd"}])
def test_an_index_names_files_of_its_folder(value, tmp_path):
    sharded(tmp_path)
    edit(tmp_path / INDEX, weight_map=value)
    assert re.search(rf"^{INDEX} of .* does not tell in which of its files each tensor is", sentence(tmp_path))


def test_shards_without_an_index_are_named(tmp_path):
    (sharded(tmp_path) / INDEX).unlink()
    assert "json, only model-00001-of-00003.safetensors, model-00002" in sentence(tmp_path)


KEPT = {  # what people's tools write, and which answers as before
    "no metadata of the weights": lambda folder: save_file(
        load_file(folder / "model.safetensors"), folder / "model.safetensors"
    ),
    "float64": tensors_in(torch.float64),
    "a class name as text": config(architectures="LlavaForConditionalGeneration"),
    "a mark before the template": lambda folder: recoded("chat_template.jinja", "utf-8-sig")(folder),
    "a template for itself": template("chat_template.json", lambda text: text),
    "a named template": template("tokenizer_config.json", lambda text: {"default": text}),
    "spaces and umlauts": lambda folder: folder.rename(folder.parent / "mein Mödell ü"),
}


@pytest.mark.parametrize("case", KEPT)
def test_a_folder_that_can_be_read_is(case, folder):
    ids = load(folder).prepare(IMAGE, QUESTION).input_ids.tolist()
    KEPT[case](folder)
    (there,) = folder.parent.iterdir()
    assert load(there).prepare(IMAGE, QUESTION).input_ids.tolist() == ids


NAMES = {
    "~nobody-here/model": r"^There is no model '~nobody-here/model' \(.*home directory.*\); supported are ",
    "x" * 5000: r"^There is no model 'xxx.*…x+' \(File name too long\); supported are",
    "https://huggingface.co/llava-hf/llava-1.5-7b-hf": r"is an address; give the name of the model alone, llava-hf/ll",
    "hf.co/llava-hf/llava-1.5-7b-hf/tree/main": r"give the name of the model alone, llava-hf/llava-1\.5-7b-hf\.$",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_folder_is_one_sentence(name):
    assert re.search(NAMES[name], sentence(name))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_is_no_folder(name, folder, monkeypatch):
    expected = "is a file; name the folder that it is in, with config.json and all weights."
    assert sentence(folder / name) == f"{folder / name} {expected}"
    monkeypatch.chdir(folder.parent)
    assert sentence(f"model/{name}") == f"model/{name} {expected}", "and no name on the hub"


def test_a_folder_that_is_closed_to_this_user_is_one_sentence(folder, monkeypatch):
    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", closed)
    assert re.search(r"^There is no model '.*' \(Permission denied\); supported are", sentence(folder))


def test_a_file_that_is_closed_to_this_user_is_one_sentence(folder, monkeypatch):
    def closed(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", closed)
    assert re.search(r"^config\.json of .* cannot be read \(Permission denied\); allow it, or", sentence(folder))


@pytest.mark.parametrize("inner", ["checkpoint-500", "snapshots/0a1b2c"])
def test_the_folder_below_that_holds_the_model_is_named(inner, folder):
    shutil.copytree(folder, folder.parent / "out" / inner)
    assert sentence(folder.parent / "out").endswith(f"(no config.json); its folder {inner} does: name that one.")


@pytest.mark.parametrize(
    ("family", "other"),
    [("llava", "qwen2_5_vl"), ("qwen2_5_vl", "llava"), ("internvl", "gemma3"), ("gemma3", "idefics3")],
)
def test_the_processor_of_another_family_is_told_at_loading(family, other, tmp_path):
    for name in (family, other):
        build(name, tmp_path / name)
    shutil.copy(tmp_path / other / "processor_config.json", tmp_path / family)
    try:
        adapter = load(tmp_path / family)
    except ModelError as error:
        message = str(error)
    else:
        with pytest.raises(ModelError) as told:
            adapter.encode(adapter.prepare(IMAGE, QUESTION))
        message = str(told.value)
    assert re.search(r"processor.*; (take|correct) ", message) and "\n" not in message


@pytest.mark.parametrize(
    ("file", "changes"),
    [("config.json", {"vision_feature_layer": -9}), ("processor_config.json", {"size": 56, "crop_size": 56})],
)
def test_what_the_vision_tower_does_not_take_is_one_sentence(file, changes, folder):
    if file == "processor_config.json":
        changes = {"image_processor": {**json.loads((folder / file).read_text())["image_processor"], **changes}}
    edit(folder / file, **changes)
    adapter = load(folder)
    with pytest.raises(ModelError, match=r"vision tower of model does not take what its processor makes \(.*\); take"):
        adapter.encode(adapter.prepare(IMAGE, QUESTION))


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3", "paligemma", "internvl"])
def test_a_token_that_the_model_has_no_embedding_of_is_one_sentence(family, tmp_path):
    build(family, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(tmp_path)
    adapter = load(tmp_path)
    adapter.prepare(IMAGE, QUESTION)
    with pytest.raises(
        ModelError, match=r"knows the token 'zebra' \(\d+\), and the model's embedding ends before it \(\d+"
    ):
        adapter.prepare(IMAGE, "where is the zebra?")


def test_a_long_list_of_transformers_is_shortened(folder):
    text = json.loads((folder / "config.json").read_text())["text_config"]
    edit(folder / "config.json", text_config={**text, "model_type": "mamba9"})
    message = sentence(folder)
    assert "mamba9" in message and " …); " in message and len(message) < 500
