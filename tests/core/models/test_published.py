"""Stand-ins of published checkpoints: their files, visual tokens and prompts, and what plain transformers answers.

Numbers and prompts are literal: those of the published processors and templates. What runs is in
test_published_runs.py.
"""

import json

import pytest
import torch
from safetensors.torch import load_file

from crop_core.engine.run import Task
from crop_core.models import ModelError, load
from crop_core.models.chat_template import render, settle
from crop_core.models.families.registry import FAMILIES as ROWS
from crop_core.models.loading.loader import load_config, load_processor
from crop_core.records.config import CropConfig
from crop_core.records.region import Region
from tests.support import ROOT
from tests.support.families import EXACT, sample_image
from tests.support.faults import edit
from tests.support.oracle import run
from tests.support.published import CHECKPOINTS, build
from tests.support.published.weights import hub_name

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # Mistral's template

QUESTION, TURN = "What is it?", ("Where?", "There.")
SMALL = {  # mrope_section: in the published ratio, where a head cannot have its own size
    *(
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ),
    *("embed_dim", "depth", "num_heads", "out_hidden_size", "projection_dim", "mrope_section"),
}
SIZES = [(336, 336), (672, 672), (1000, 300), (640, 480), (2000, 1500), (1700, 2200)]
ENCODED = [(336, 336), (1000, 300)]
NEXT, ONEVISION = (1176, 2928, 2182, 2340, 2340, 2448), (1485, 3699, 2779, 2929, 7309, 7353)
QWEN2, QWEN3 = (144, 576, 396, 391, 3834, 4819), (100, 441, 279, 300, 2914, 3657)
INTERNVL = (256, 1280, 1024, 3328, 3328, 3328)
TOKENS = {  # visual tokens of an image of each of SIZES
    "llava-1.5-7b-hf": (576,) * 6,
    "llava-1.5-13b-hf": (576,) * 6,
    "llava-1.5-7b-hf, first revision": (576,) * 6,
    "llava-v1.6-vicuna-7b-hf": NEXT,
    "llava-v1.6-mistral-7b-hf": NEXT,
    "llava-v1.6-34b-hf": NEXT,
    "llava-onevision-qwen2-0.5b-ov-hf": ONEVISION,
    "llava-onevision-qwen2-7b-ov-hf": ONEVISION,
    "Qwen2-VL-2B-Instruct": QWEN2,
    "Qwen2.5-VL-3B-Instruct": QWEN2,
    "Qwen2.5-VL-7B-Instruct": QWEN2,
    "Qwen2.5-VL-7B-Instruct, first revision": QWEN2,
    "Qwen3-VL-2B-Instruct": QWEN3,
    "Qwen3-VL-4B-Instruct": QWEN3,
    "Qwen3-VL-8B-Instruct": QWEN3,
    "SmolVLM-256M-Instruct": (1088, 1088, 576, 832, 832, 1088),
    "SmolVLM2-2.2B-Instruct": (1377, 1377, 729, 1053, 1053, 1377),
    "Idefics3-8B-Llama3": (2873, 2873, 1521, 2197, 2197, 2873),
    "InternVL3-1B-hf": INTERNVL,
    "InternVL3-8B-hf": INTERNVL,
    "gemma-3-4b-it": (256,) * 6,
    "paligemma2-3b-mix-448": (1024,) * 6,
}
PAD = "<|vision_start|><|image_pad|><|vision_end|>"
VICUNA = (
    "<image>\n",
    "USER: <image>\nWhat is it? ASSISTANT:",
    "USER: <image>\nWhere? ASSISTANT: There. USER: What is it? ASSISTANT:",
)
ONE = (
    "<image>",
    "<|im_start|>user <image>\nWhat is it?<|im_end|><|im_start|>assistant\n",
    "<|im_start|>user <image>\nWhere?<|im_end|><|im_start|>assistant \nThere.<|im_end|>"
    "<|im_start|>user \nWhat is it?<|im_end|><|im_start|>assistant\n",
)
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
CHATML = (
    PAD,
    f"<|im_start|>user\n{PAD}What is it?<|im_end|>\n<|im_start|>assistant\n",
    f"<|im_start|>user\n{PAD}Where?<|im_end|>\n<|im_start|>assistant\nThere.<|im_end|>\n"
    "<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\n",
)
SYSTEM_CHATML = (PAD, SYSTEM + CHATML[1], SYSTEM + CHATML[2])
SAYS = (
    "<image>",
    "<|im_start|>User:<image>What is it?<end_of_utterance>\nAssistant:",
    "<|im_start|>User:<image>Where?<end_of_utterance>\nAssistant: There.<end_of_utterance>\n"
    "User: What is it?<end_of_utterance>\nAssistant:",
)
CONTEXT = tuple(text.replace(PAD, "<IMG_CONTEXT>\n") for text in CHATML)
PROMPTS = {  # what stands for one image, the prompt of a question, and that of a follow-up
    **dict.fromkeys((name for name in TOKENS if "1.5" in name or "vicuna" in name), VICUNA),
    "llava-v1.6-mistral-7b-hf": (
        "<image>\n",
        "[INST] <image>\nWhat is it? [/INST]",
        "[INST] <image>\nWhere? [/INST] There.<\\s> [INST] What is it? [/INST]",
    ),
    "llava-v1.6-34b-hf": (
        "<image>\n",
        "<|im_start|>user\n<image>\nWhat is it?<|im_end|><|im_start|>assistant\n",
        "<|im_start|>user\n<image>\nWhere?<|im_end|><|im_start|>assistant\nThere.<|im_end|>"
        "<|im_start|>user\nWhat is it?<|im_end|><|im_start|>assistant\n",
    ),
    **dict.fromkeys((name for name in TOKENS if "onevision" in name), ONE),
    **dict.fromkeys((name for name in TOKENS if name.startswith(("Qwen2-", "Qwen2.5-"))), SYSTEM_CHATML),
    **dict.fromkeys((name for name in TOKENS if name.startswith("Qwen3-")), CHATML),
    **dict.fromkeys((name for name in TOKENS if name.startswith("Smol")), SAYS),
    "Idefics3-8B-Llama3": tuple(text.replace("<|im_start|>", "<|begin_of_text|>") for text in SAYS),
    **dict.fromkeys((name for name in TOKENS if name.startswith("InternVL")), CONTEXT),
    "gemma-3-4b-it": (
        "<start_of_image>",
        "<bos><start_of_turn>user\n<start_of_image>What is it?<end_of_turn>\n<start_of_turn>model\n",
        "<bos><start_of_turn>user\n<start_of_image>Where?<end_of_turn>\n<start_of_turn>model\nThere.<end_of_turn>\n"
        "<start_of_turn>user\nWhat is it?<end_of_turn>\n<start_of_turn>model\n",
    ),
    "paligemma2-3b-mix-448": ("<image>", "<image>answer en What is it?", "<image>answer en What is it?"),
}
_NESTED = ("vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight", "language_model.model.norm.weight")
HUB_NAMES = {  # of tensors in the hub's files, by config.model_type
    "llava": (*_NESTED, "language_model.lm_head.weight", "multi_modal_projector.linear_1.weight"),
    "llava_next": (*_NESTED, "language_model.lm_head.weight", "image_newline"),
    "llava_onevision": (*_NESTED, "image_newline", "multi_modal_projector.linear_2.bias"),
    "qwen2_vl": ("visual.blocks.0.attn.qkv.weight", "model.layers.0.self_attn.q_proj.bias", "visual.merger.mlp.0.bias"),
    "qwen2_5_vl": ("visual.blocks.31.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight", "model.norm.weight"),
    "qwen3_vl": ("model.visual.deepstack_merger_list.2.norm.weight", "model.language_model.norm.weight"),
    "idefics3": ("model.vision_model.post_layernorm.weight", "model.connector.modality_projection.proj.weight"),
    "smolvlm": ("model.vision_model.post_layernorm.bias", "model.text_model.norm.weight", "lm_head.weight"),
    "internvl": ("vision_tower.encoder.layer.0.lambda_1", "language_model.lm_head.weight"),
    "gemma3": (*_NESTED, "multi_modal_projector.mm_input_projection_weight"),
    "paligemma": (*_NESTED, "multi_modal_projector.linear.weight"),
}


@pytest.fixture(scope="module", params=CHECKPOINTS)
def checkpoint(request):
    return CHECKPOINTS[request.param]


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    build(checkpoint.name, folder)
    return folder


@pytest.fixture(scope="module")
def adapter(folder):
    return load(folder, "cpu")


def flat(data, path=()):
    """Leaves of nested objects by their path."""
    if not isinstance(data, dict):
        return {path: data}
    return {at: leaf for key, value in data.items() for at, leaf in flat(value, (*path, key)).items()}


def plain_inputs(checkpoint, folder, images, history=()):
    """What the folder's processor makes of a question by itself; of a prompt where it has no chat template."""
    config = load_config(checkpoint.name, folder)
    processor = load_processor(ROWS[checkpoint.model_type].processor_class, str(folder), config=config)
    if not checkpoint.template:
        if checkpoint.model_type == "llava":  # of the first revision transformers by itself repeats no image token
            processor.patch_size, processor.vision_feature_select_strategy = 14, "default"
            processor.num_additional_image_tokens = 1
        unit, *prompts = PROMPTS[checkpoint.name]
        text = prompts[bool(history)].replace(unit, unit * len(images), 1)
        return processor(images=[list(images)], text=[text], return_tensors="pt")
    turns = [{"role": "user", "content": [{"type": "image", "image": image} for image in images]}]
    for question, answer in history:
        turns[-1]["content"].append({"type": "text", "text": question})
        turns += [{"role": "assistant", "content": [{"type": "text", "text": answer}]}, {"role": "user", "content": []}]
    turns[-1]["content"].append({"type": "text", "text": QUESTION})
    how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return processor.apply_chat_template(turns, **how)


def test_the_tables_are_about_all_stand_ins():
    assert set(TOKENS) == set(PROMPTS) == set(CHECKPOINTS)
    assert {each.model_type for each in CHECKPOINTS.values()} == set(HUB_NAMES) == set(ROWS)


def test_the_docs_tell_its_tokens_and_what_is_from_memory(checkpoint):
    base, comma, revision = checkpoint.name.partition(",")
    tokens = f"{TOKENS[checkpoint.name][3]}, {TOKENS[checkpoint.name][5]}"
    row = f"| `{checkpoint.repo}/{base}`{comma}{revision} | {tokens} | {checkpoint.from_memory or 'none'} |"
    assert row in (ROOT / "docs" / "models.md").read_text().splitlines()


def test_only_widths_and_depths_are_not_the_published_ones(checkpoint, folder):
    published, own = flat(checkpoint.files["config.json"]), flat(json.loads((folder / "config.json").read_text()))
    changed = {path for path in {*published, *own} if published.get(path, ...) != own.get(path, ...)}
    assert changed and {path[-1] for path in changed} <= SMALL


def test_every_tensor_is_loaded_as_it_is_stored(checkpoint, adapter, folder):
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == checkpoint.shards
    stored = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert set(HUB_NAMES[checkpoint.model_type]) <= set(stored)
    loaded = {hub_name(checkpoint.model_type, name): tensor for name, tensor in adapter.model.state_dict().items()}
    heads = [name for name in loaded if name.endswith("lm_head.weight")]
    assert set(loaded) - set(stored) == (set(heads) if checkpoint.tied else set())
    for name, tensor in stored.items():
        assert tensor.dtype in (torch.float16, torch.bfloat16)
        assert torch.equal(loaded[name], tensor.float()), name
    embedding = adapter.model.get_input_embeddings().weight
    assert (adapter.model.lm_head.weight.data_ptr() == embedding.data_ptr()) == checkpoint.tied


def test_every_end_token_ends_an_answer(checkpoint, adapter):
    ends = checkpoint.files["generation_config.json"]["eos_token_id"]
    ends = ends if isinstance(ends, list) else [ends]
    assert all(adapter.ends([5, end]) for end in ends) and not adapter.ends([5])
    assert adapter.model.generation_config.repetition_penalty in (None, 1.0)
    assert len(adapter.notices) == (checkpoint.name == "llava-1.5-7b-hf, first revision")  # which has no template


def test_visual_tokens_are_those_of_the_published_processor(checkpoint, adapter):
    assert tuple(adapter.layout(size).count for size in SIZES) == TOKENS[checkpoint.name]


@pytest.mark.parametrize("size", ENCODED, ids=str)
def test_encoding_gives_as_many_features(checkpoint, adapter, size):
    inputs = adapter.prepare(sample_image(size), QUESTION)
    expected = TOKENS[checkpoint.name][SIZES.index(size)]
    assert int(inputs.visual.sum()) == len(adapter.encode(inputs).pooler_output[0]) == expected


def test_the_prompt_is_the_documented_one(checkpoint, adapter):
    image, one, follow_up = PROMPTS[checkpoint.name]
    assert adapter.prompt(QUESTION) == one
    assert adapter.prompt(QUESTION, 1, [TURN]) == follow_up
    assert adapter.prompt(QUESTION, 2) == one.replace(image, 2 * image)


def test_without_its_template_it_is_asked_in_the_same_words(checkpoint, folder):
    """As copies are whose chat template was lost: the published prompts in crop_core are those of the templates."""
    row = ROWS[checkpoint.model_type]
    processor = load_processor(row.processor_class, str(folder), config=load_config(checkpoint.name, folder))
    chat = row.adapter.published_chat(checkpoint.config, processor.tokenizer)
    if chat is None:
        assert not checkpoint.template
        return
    processor.chat_template = processor.tokenizer.chat_template = None
    settle(checkpoint.name, processor, chat, row.title)
    image, one, _ = PROMPTS[checkpoint.name]
    assert render(checkpoint.name, processor, [QUESTION], 1) == one
    assert render(checkpoint.name, processor, [QUESTION], 2) == one.replace(image, 2 * image)


def test_ids_are_those_of_the_processors_chat_template(checkpoint, folder, adapter):
    one, other = sample_image((400, 100)), sample_image((100, 300))
    for images, history in (([one], ()), ([one, other], ()), ([one], [TURN])):
        expected = plain_inputs(checkpoint, folder, images, history)["input_ids"].tolist()
        assert adapter.prepare(images, QUESTION, history).input_ids.tolist() == expected


def test_nothing_pruned_is_what_plain_transformers_generates(checkpoint, folder, adapter):
    image = sample_image((1000, 300))
    inputs = plain_inputs(checkpoint, folder, [image])
    expected = run(adapter.model, dict(inputs), steps=4)
    config = CropConfig(method="none", budget=None, localizer="whole", max_new_tokens=4)
    found = Task(adapter, image, QUESTION, config).baseline(Region.whole(*image.size)).generated
    logits = torch.cat(expected.logits)
    assert found.ids == expected.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    assert float((found.logits - logits).abs().max()) <= EXACT * float(logits.abs().max())


def test_an_image_processor_that_nobody_knows_is_one_sentence(tmp_path):
    """Only names after the family itself, of first revisions, are read as its present one."""
    build("Qwen2.5-VL-7B-Instruct", tmp_path)
    edit(tmp_path / "preprocessor_config.json", image_processor_type="SidewaysImageProcessor")
    with pytest.raises(
        ModelError, match=r"The processor of .* cannot be loaded \(Unrecognized image processor"
    ) as caught:
        load(tmp_path, "cpu")
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
