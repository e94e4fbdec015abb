"""The ids of a prompt are those of transformers' `apply_chat_template`, whoever writes BOS: tokenizer or template."""

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.check.check import Check
from crop_core.models import load
from crop_core.models.adapter import as_list
from tests.support.families import FAMILIES, VARIANTS, build, sample_image
from tests.support.faults import BEGIN, END, TEMPLATE, TEXT, adds

QUESTION = "what is left of the dog?"
IMAGES = [sample_image((200, 120)), sample_image((90, 160))]
BOS = 1


def by_transformers(adapter, images, history=()):
    """Ids of the checkpoint's processor, by itself."""
    turns = [{"role": "user", "content": [{"type": "image", "image": image} for image in images]}]
    for question, answer in history:
        turns[-1]["content"].append({"type": "text", "text": question})
        turns += [{"role": "assistant", "content": [{"type": "text", "text": answer}]}, {"role": "user", "content": []}]
    turns[-1]["content"].append({"type": "text", "text": QUESTION})
    how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    return adapter.processor.apply_chat_template(turns, **how)["input_ids"][0].tolist()


def with_bos(family, folder, template):
    """A checkpoint whose tokenizer adds BOS, and whose template writes it or does not."""
    build(family, folder)
    adds(folder, BEGIN, TEXT)
    if template and (folder / TEMPLATE).exists():
        (folder / TEMPLATE).write_text("{{ bos_token }}" + (folder / TEMPLATE).read_text())
    return folder


@pytest.mark.parametrize("template", [True, False])
@pytest.mark.parametrize("family", [name for name in (*FAMILIES, *VARIANTS) if not name.startswith("paligemma")])
def test_a_prompt_begins_with_one_bos(family, template, tmp_path):
    adapter = load(with_bos(family, tmp_path, template))
    for images, history in ((IMAGES[:1], ()), (IMAGES, ()), (IMAGES[:1], [("what is red?", "the cat")])):
        ids = adapter.prepare(images, QUESTION, history).input_ids[0].tolist()
        assert ids == by_transformers(adapter, as_list(images), history)
        assert ids.count(BOS) == 1 == ids[0]


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_the_proof_of_the_prompt_holds_with_bos(family, tmp_path):
    engine = CropEngine.from_pretrained(with_bos(family, tmp_path, True), "self", warm_up=False)
    proofs = Check(engine, question=QUESTION).proofs
    found = {"prompt": proofs._prompt(), "baseline": proofs._baseline()}
    assert {name: outcome.detail for name, outcome in found.items() if outcome.passed is False} == {}
    assert "two BOS" not in found["prompt"].detail


@pytest.mark.parametrize("family", ["llava", "gemma3", "internvl", "qwen3_vl"])
def test_a_tokenizer_of_training_puts_no_end_behind_a_prompt(family, tmp_path):
    build(family, tmp_path / "plain")
    adds(tmp_path / "plain", BEGIN, TEXT)
    build(family, tmp_path / "ended")
    adds(tmp_path / "ended", BEGIN, TEXT, END)
    plain, ended = (load(tmp_path / name) for name in ("plain", "ended"))
    assert ended.prepare(IMAGES, QUESTION).input_ids.tolist() == plain.prepare(IMAGES, QUESTION).input_ids.tolist()
    assert ended.prepare(IMAGES[0], QUESTION).input_ids[0].tolist() == by_transformers(ended, IMAGES[:1])
