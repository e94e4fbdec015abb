"""The chat template wherever it stands, the family's where there is none, and templates that cannot be used."""

import json

import pytest
import torch

from crop_core.engine.engine import CropEngine
from crop_core.models import ModelError, load
from crop_core.models.chat_template import settle
from crop_core.models.families import published_chats
from crop_core.models.families.registry import FAMILIES as ROWS
from crop_core.models.loading import hub
from crop_core.models.loading.loader import load_processor
from crop_core.records.config import Budget, CropConfig
from tests.support import checkpoints
from tests.support.families import FAMILIES, VARIANTS, build, sample_image
from tests.support.faults import TEMPLATE, TOKENIZER, edit, rename_tokens, take_template

QUESTION = "what is left of the dog?"
SHORT = "Answer the question using a single word or phrase."
CHATTING = [name for name in (*FAMILIES, *VARIANTS) if not name.startswith("paligemma")]
TWO = ["llava", "qwen2_5_vl"]
PARTS = "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }}{% endfor %}{% endfor %}"


def named(default="default"):
    return lambda text: [{"name": default, "template": text}, {"name": "rag", "template": "{{ documents }}"}]


def in_tokenizer(wrap=lambda text: text):
    def move(folder):
        edit(folder / TOKENIZER, chat_template=wrap(take_template(folder)))

    return move


def in_legacy_json(folder):
    edit(folder / "chat_template.json", chat_template=take_template(folder))


def in_processor_config(folder):
    edit(folder / "processor_config.json", chat_template=take_template(folder))


def beside_another(folder):
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "rag.jinja").write_text("{{ documents }}")


def under_another_name(folder):
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "chat.jinja").write_text(take_template(folder))


PLACES = {
    "tokenizer": in_tokenizer(),
    "tokenizer, named": in_tokenizer(named()),
    "chat_template.json": in_legacy_json,
    "processor_config.json": in_processor_config,
    "several": beside_another,
    "the only one, named": under_another_name,
}


@pytest.mark.parametrize("family", CHATTING)
def test_a_template_is_found_wherever_it_stands(family, tmp_path):
    build(family, tmp_path / "own")
    expected = load(tmp_path / "own").prompt(QUESTION, 2, [("what?", "the dog")])
    for place, move in PLACES.items():
        build(family, tmp_path / place)
        move(tmp_path / place)
        adapter = load(tmp_path / place)
        assert adapter.prompt(QUESTION, 2, [("what?", "the dog")]) == expected, place
        assert adapter.notices == ()


IM_START = {"w60": "<|im_start|>", "w61": "<|im_end|>"}
QWEN = {**IM_START, "<image>": "<|image_pad|>", "w91": "<|vision_start|>", "w92": "<|vision_end|>"}
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
QWEN_CHAT = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
    "<|im_start|>user\n3?<|im_end|>\n<|im_start|>assistant\n"
)
USER_SAYS = "User:<image>1?<end_of_utterance>\nAssistant: 2<end_of_utterance>\nUser: 3?<end_of_utterance>\nAssistant:"
PUBLISHED = {  # tokens of the family, and its prompt for a question, an answer and a further question
    "llava": ({}, "USER: <image>\n1? ASSISTANT: 2 USER: 3? ASSISTANT:"),
    "llava_next": ({}, "USER: <image>\n1? ASSISTANT: 2 USER: 3? ASSISTANT:"),
    "llava_onevision": (
        IM_START,
        "<|im_start|>user <image>\n1?<|im_end|><|im_start|>assistant \n2<|im_end|><|im_start|>user \n3?<|im_end|>"
        "<|im_start|>assistant\n",
    ),
    "qwen2_vl": (QWEN, SYSTEM + QWEN_CHAT),
    "qwen2_5_vl": (QWEN, SYSTEM + QWEN_CHAT),
    "qwen3_vl": (QWEN, QWEN_CHAT),
    "smolvlm": ({"w60": "<|im_start|>"}, "<|im_start|>" + USER_SAYS),
    "idefics3": ({"w60": "<|begin_of_text|>"}, "<|begin_of_text|>" + USER_SAYS),
    "internvl": (
        {**IM_START, "<image>": "<IMG_CONTEXT>"},
        "<|im_start|>user\n<IMG_CONTEXT>\n1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n<|im_start|>user\n3?<|im_end|>\n"
        "<|im_start|>assistant\n",
    ),
    "gemma3": (
        {"w60": "<start_of_turn>", "w61": "<end_of_turn>", "w80": "<start_of_image>", "<s>": "<bos>"},
        "<bos><start_of_turn>user\n<start_of_image>1?<end_of_turn>\n<start_of_turn>model\n2<end_of_turn>\n"
        "<start_of_turn>user\n3?<end_of_turn>\n<start_of_turn>model\n",
    ),
}


def without(folder):
    take_template(folder)


def for_text(folder):
    """As those of the language models that the families are made of."""
    (folder / TEMPLATE).write_text("{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}")


def with_parts_of_text(folder):
    (folder / TEMPLATE).write_text(PARTS)


def of_the_language_model(folder):
    take_template(folder)
    edit(folder / TOKENIZER, chat_template="{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}")


LACKING = {
    "none": (without, "has no chat template"),
    "text": (for_text, "has only a chat template for text alone"),
    "parts of text": (with_parts_of_text, "has only a chat template for text alone"),
    "the tokenizer's": (of_the_language_model, "has only a chat template for text alone"),
}


def test_every_family_whose_prompt_is_a_chat_has_a_published_one():
    assert set(PUBLISHED) == {name for name in FAMILIES if name != "paligemma"}


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("family", PUBLISHED)
def test_the_published_template_is_used_with_a_notice_or_refused(family, lacking, tmp_path, capsys):
    spoil, lacks = LACKING[lacking]
    tokens, expected = PUBLISHED[family]
    build(family, tmp_path)
    spoil(tmp_path)
    if tokens:
        with pytest.raises(
            ModelError, match=rf"{lacks}, and its tokenizer does not know <\S+>, which that of .* writes"
        ):
            load(tmp_path)
    rename_tokens(tmp_path, tokens)
    adapter = load(tmp_path)
    assert adapter.prompt("3?", 1, [("1?", "2")]) == expected
    sentence = f"{lacks}, so that questions are put in the chat format that {ROWS[family].title} was published with."
    assert adapter.notices == (f"{adapter.name} {sentence}",)
    adapter.prepare(sample_image((90, 160)), QUESTION)
    saved = tmp_path / "saved"
    adapter.save(saved)
    assert load(saved).prompt("3?", 1, [("1?", "2")]) == expected and load(saved).notices == ()


def test_the_notice_is_in_a_comparison_and_on_the_log(tmp_path, caplog):
    checkpoints.save(tmp_path, side=56, template=False)
    engine = CropEngine.from_pretrained(tmp_path, "self", warm_up=False)
    (notice,) = engine.adapter.notices
    found = engine.compare(sample_image((90, 60)), QUESTION, CropConfig(budget=Budget(share=0.5), max_new_tokens=2))
    assert found.notices[0] == notice and found.notices.count(notice) == 1
    assert notice in caplog.messages


NEXT = {  # of the language model: its tokens, its type, and the beginning of its prompt
    "vicuna": ({}, "llama", "USER: <image>\n1? ASSISTANT:"),
    "mistral": ({}, "mistral", "[INST] <image>\n1? [/INST]"),
    "34b": (IM_START, "llama", "<|im_start|>user\n<image>\n1?<|im_end|><|im_start|>assistant\n"),
    "llama3": (
        {"w60": "<|start_header_id|>", "w61": "<|end_header_id|>", "w62": "<|eot_id|>"},
        "llama",
        published_chats.LLAMA3.begin + "<|start_header_id|>user<|end_header_id|>\n\n<image>\n1?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
}


@pytest.mark.parametrize("model", NEXT)
def test_llava_next_is_asked_as_its_language_model_was(model, tmp_path):
    """In first revisions and fine-tunes without a template."""
    tokens, kind, expected = NEXT[model]
    build("llava_next", tmp_path)
    without(tmp_path)
    rename_tokens(tmp_path, tokens)
    config = json.loads((tmp_path / "config.json").read_text())
    edit(tmp_path / "config.json", text_config={**config["text_config"], "model_type": kind})
    assert load(tmp_path).prompt("1?") == expected


def unusable(text):
    return lambda folder: (folder / TEMPLATE).write_text(text.replace("OWN", (folder / TEMPLATE).read_text()))


BROKEN = {
    "syntax": (
        unusable("{% for m in messages %}{{ m "),
        r"cannot be used \(unexpected end of template.*\); correct it",
    ),
    "raises": (unusable("{{ raise_exception('Only tools.') }}"), r"cannot be used \(Only tools\); correct it"),
    "undefined": (unusable("{{ messages[0].name.first }}"), r"cannot be used \(.* has no attribute 'name'\)"),
    "unknown filter": (unusable("{{ messages | sideways }}"), r"cannot be used \(No filter named 'sideways'"),
    "system turn": (
        unusable("{% if messages[0]['role'] != 'system' %}{{ raise_exception('Start with system.') }}{% endif %}OWN"),
        r"cannot be used \(Start with system\); correct it",
    ),
    "two placeholders": (unusable("OWNOWN"), r"writes the image token <image> 2 times for 1 image\(s\); correct"),
    "no question": (
        lambda folder: (folder / TEMPLATE).write_text(
            (folder / TEMPLATE).read_text().replace("{{ part['text'] }}", "")
        ),
        "leaves out the question; correct it",
    ),
    "several without a default": (in_tokenizer(named("chat")), r"has the chat templates chat, rag, and none is called"),
    "a legacy file without it": (
        lambda folder: edit(folder / "chat_template.json", template=take_template(folder)),
        r"In chat_template\.json of .* chat_template is None, and must be a text, or a list of named ones",
    ),
}


@pytest.mark.parametrize("family", TWO)
@pytest.mark.parametrize("case", BROKEN)
def test_an_unusable_template_is_one_sentence_before_the_weights_are_read(case, family, tmp_path, monkeypatch):
    spoil, expected = BROKEN[case]
    build(family, tmp_path)
    spoil(tmp_path)
    monkeypatch.setattr(ROWS[family].model_class, "from_pretrained", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ModelError, match=expected) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("family", TWO)
def test_a_template_for_one_turn_answers_follow_ups_alone(family, tmp_path):
    build(family, tmp_path)
    unusable("{% if messages | length > 1 %}{{ raise_exception('One turn.') }}{% endif %}OWN")(tmp_path)
    engine = CropEngine.from_pretrained(tmp_path, "self", warm_up=False)
    assert not engine.keeps_history
    assert engine.adapter.prompt(QUESTION, 1, [("what?", "the dog")]) == engine.adapter.prompt(QUESTION)


@pytest.mark.parametrize("family", TWO)
def test_a_template_that_wants_alternating_roles_gets_them(family, tmp_path):
    build(family, tmp_path)
    strict = "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('x') }}"
    unusable(strict + "{% endif %}{% endfor %}OWN")(tmp_path)
    assert CropEngine.from_pretrained(tmp_path, "self", warm_up=False).keeps_history


@pytest.mark.parametrize("family", ["paligemma", "paligemma2"])
def test_paligemma_has_its_own_prefix_and_places_images_side_by_side(family, tmp_path):
    build(family, tmp_path)
    edit(tmp_path / TOKENIZER, chat_template="{{ messages[0]['content'] }}")  # Gemma's, for text
    adapter = load(tmp_path)
    assert adapter.notices == ()
    images = [sample_image((90, 60)), sample_image((60, 90))]
    for count in (1, 2):
        ids = adapter.prepare(images[:count], QUESTION).input_ids
        processed = adapter.processor(images=[images[:count]], text=["answer en " + QUESTION], return_tensors="pt")
        assert torch.equal(ids, processed["input_ids"])
    assert adapter.prompt(f"{QUESTION}\n{SHORT}") == adapter.prompt(QUESTION) == f"<image>answer en {QUESTION}"
    assert adapter.prompt(f"{SHORT} {QUESTION}") == f"<image>answer en {SHORT} {QUESTION}"


def test_every_template_is_downloaded():
    names = [
        "chat_template.jinja",
        "chat_template.json",
        "additional_chat_templates/rag.jinja",
        "tokenizer_config.json",
    ]
    assert all(map(hub.FILES.fullmatch, names))
    assert not any(map(hub.FILES.fullmatch, ["other/rag.jinja", "additional_chat_templates/more/rag.jinja"]))


def test_settling_twice_changes_nothing(tmp_path):
    build("llava", tmp_path)
    processor = load_processor(ROWS["llava"].processor_class, str(tmp_path))
    for _ in range(2):
        assert settle("x", processor, published_chats.VICUNA, "LLaVA-1.5") == ()
        assert processor.chat_template == checkpoints.TEMPLATE
