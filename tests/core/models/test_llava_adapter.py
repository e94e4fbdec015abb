"""The LLaVA adapter and the registry, on tiny random checkpoints that are loaded from disk like any other."""

import json
import shutil

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, CLIPConfig

from crop_core.models import ModelError, available, load
from crop_core.models.loading.registry import FAMILIES
from tests.support.checkpoints import save

IMAGE = Image.linear_gradient("L").resize((200, 120)).convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("crop"))


@pytest.fixture(scope="module")
def adapter(folder):
    return load(folder)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def edit(path, **changes):
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, **changes}))


def plain(folder, text):
    """What transformers itself makes of a prompt."""
    return AutoProcessor.from_pretrained(folder, backend="pil")(images=IMAGE, text=text, return_tensors="pt")


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("mode", ["crop", "pad", "squash"])
def test_inputs_are_those_of_the_checkpoints_own_processor(mode, template, tmp_path):
    adapter = load(save(tmp_path, mode, template=template))
    inputs = adapter.prepare(IMAGE, "what is left?")
    expected = plain(tmp_path, "USER: <image>\nwhat is left? ASSISTANT:")
    assert torch.equal(inputs.input_ids, expected["input_ids"])
    assert torch.equal(inputs.vision["pixel_values"], expected["pixel_values"])
    assert inputs.visual.sum() == adapter.layout(IMAGE.size).count == 64
    assert inputs.image_sizes == ((200, 120),)


@pytest.mark.parametrize(
    ("feature_layer", "strategy", "count"), [(-2, "default", 64), (-1, "full", 65), ([-2, -1], "default", 64)]
)
def test_encoding_is_what_the_model_does_with_pixels(feature_layer, strategy, count, tmp_path):
    adapter = load(save(tmp_path, feature_layer=feature_layer, strategy=strategy))
    inputs = adapter.prepare(IMAGE, "what is left?")
    encoded = adapter.encode(inputs)
    assert [tuple(each.shape) for each in encoded.pooler_output] == [(count, 32)]
    assert adapter.layout(IMAGE.size).count == count
    with torch.no_grad():
        mine = adapter.model(input_ids=inputs.input_ids, mm_encoder_outputs={"image": encoded}).logits
        theirs = adapter.model(**plain(tmp_path, adapter.prompt("what is left?"))).logits
    assert torch.equal(mine, theirs)


def test_a_question_cannot_smuggle_in_special_tokens(adapter):
    inputs = adapter.prepare(IMAGE, "what <image> is </s> left<image>?")
    assert torch.equal(inputs.input_ids, adapter.prepare(IMAGE, "what is left ?").input_ids)


def test_words_that_the_tokenizer_does_not_know(adapter):
    assert adapter.unknown_words("What is the zebra, left of zebra and okapi?") == ["zebra", "and", "okapi"]
    assert adapter.unknown_words("what is left of the dog?") == []


def test_texts_of_tokens(adapter):
    ids = adapter.tokenizer.convert_tokens_to_ids(["red", "dog", "</s>"])
    assert adapter.decode(ids) == "red dog"
    assert [adapter.token_text(each) for each in ids] == ["red", "dog", "</s>"]


def test_dtype_and_device(folder):
    assert load(folder).dtype == torch.float32
    adapter = load(folder, device="cpu", dtype="bfloat16", attn="eager")
    assert (adapter.dtype, adapter.device) == (torch.bfloat16, torch.device("cpu"))
    assert adapter.prepare(IMAGE, "what?").vision["pixel_values"].dtype == torch.bfloat16
    assert adapter.model.config.text_config._attn_implementation == "eager"
    assert not adapter.model.training


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("no-such-model", {}, "no model 'no-such-model'"),
        ("/no/such/folder", {}, "no model '/no/such/folder'"),
        ("somebody/no-such-model", {}, "somebody/no-such-model is not on this machine and the hub cannot be reached"),
        (None, {"device": "gpu7"}, "device 'gpu7' cannot be used"),
        (None, {"device": "meta:x"}, "device 'meta:x' cannot be used"),
        (None, {"device": "meta"}, "device 'meta' cannot be used"),
        (None, {"dtype": "int8"}, "dtype 'int8' is not supported"),
        (None, {"attn": "flash"}, "implementation 'flash' is not supported"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(name, how, message, folder):
    with pytest.raises(ModelError, match=message) as caught:
        load(name or folder, **how)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json.*LLaVA-1\.5"):
        load(tmp_path)


def test_a_model_of_another_family(tmp_path):
    CLIPConfig().save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"'clip' model, which is not supported; supported are .*llava-hf/llava-1.5-7b-hf"
    ):
        load(tmp_path)


def test_a_llava_with_another_vision_tower(copy):
    config = json.loads((copy / "config.json").read_text())
    edit(copy / "config.json", vision_config={**config["vision_config"], "model_type": "siglip_vision_model"})
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"vision tower siglip_vision_model.*supported are clip_vision_model"):
        load(copy)


def test_pickled_weights_are_not_read(copy):
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"keeps its weights in pytorch_model\.bin, and only safetensors are read"):
        load(copy)


def test_code_in_a_checkpoint_is_not_run(copy):
    (copy / "evil.py").write_text("raise SystemExit('ran')\n")
    edit(copy / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Config"})
    with pytest.raises(ModelError, match=r"is a 'evil' model, which is not supported"):
        load(copy)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_truncated_file(copy, broken):
    content = (copy / broken).read_bytes()
    (copy / broken).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=rf"{broken} of .* is cut off"):
        load(copy)


def test_weights_that_lack_a_tensor(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights[next(name for name in weights if "linear_2.weight" in name)]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 1 tensors"):
        load(copy)


def test_a_processor_that_disagrees_with_the_model(copy):
    edit(copy / "processor_config.json", vision_feature_select_strategy="full")
    with pytest.raises(ModelError, match="'full' in the processor and 'default' in the model"):
        load(copy)


def test_a_processor_that_counts_other_tokens(copy):
    edit(copy / "processor_config.json", num_additional_image_tokens=0)
    with pytest.raises(ModelError, match="63 placeholders for 64 visual tokens"):
        load(copy).prepare(IMAGE, "what?")


def test_an_old_processor_without_patch_size(copy):
    edit(
        copy / "processor_config.json",
        patch_size=None,
        vision_feature_select_strategy=None,
        num_additional_image_tokens=0,
    )
    assert load(copy).prepare(IMAGE, "what?").visual.sum() == 64


def test_what_is_available_names_every_family():
    listed = available()
    assert {info.name for info in listed} >= {row.example for row in FAMILIES.values()}
    assert {info.kind for info in listed} <= {"bundled", "family"}
