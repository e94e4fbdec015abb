"""Greedy decoding: the model's most likely tokens, whatever a checkpoint's generation settings ask for."""

import json

import pytest
import torch

from crop_core.models import load
from crop_core.models.generation import generate
from tests.support.families import FAMILIES, VARIANTS, build, sample_image
from tests.support.faults import TOKENIZER, edit

QUESTION = "what is left of the dog?"
IMAGE = sample_image((200, 120))
STEPS = 6
SETTINGS = {
    "repetition_penalty": 3.0,
    "encoder_repetition_penalty": 3.0,
    "no_repeat_ngram_size": 1,
    "min_length": 500,
    "min_new_tokens": 500,
    "bad_words_ids": [[each] for each in range(5, 90)],
    "suppress_tokens": list(range(5, 90)),
    "begin_suppress_tokens": list(range(5, 90)),
    "forced_bos_token_id": 7,
    "forced_eos_token_id": 7,
    "sequence_bias": [[[each], -50.0] for each in range(5, 90)],
    "exponential_decay_length_penalty": [1, 3.0],
    "guidance_scale": 4.0,
    "do_sample": True,
    "temperature": 9.0,
    "top_k": 1,
    "top_p": 0.01,
    "num_beams": 3,
    "num_return_sequences": 2,
    "penalty_alpha": 0.6,
    "stop_strings": ["w"],
    "max_time": 1e-6,
    "max_length": 3,
    "prompt_lookup_num_tokens": 3,
    "watermarking_config": {"greenlist_ratio": 0.25, "bias": 9.0},
    "cache_implementation": "static",
    "use_cache": False,
    "custom": "setting",
}


def written(folder):
    """Ids of a greedy answer, and the most likely ones."""
    adapter = load(folder)
    inputs = adapter.prepare(IMAGE, QUESTION)
    out = generate(adapter, inputs.kwargs(adapter.encode(inputs)), STEPS)
    return out.ids, out.logits.argmax(-1).tolist()


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_answers_are_the_most_likely_tokens_whatever_a_checkpoint_asks_for(family, tmp_path, capsys):
    build(family, tmp_path)
    expected, _ = written(tmp_path)
    edit(tmp_path / "generation_config.json", **SETTINGS)
    edit(tmp_path / "config.json", repetition_penalty=3.0, no_repeat_ngram_size=1)  # as older libraries have it
    ids, likely = written(tmp_path)
    assert ids == likely == expected


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_by_itself(name, tmp_path):
    build("llava", tmp_path)
    expected, _ = written(tmp_path)
    assert len(expected) == STEPS
    edit(tmp_path / "generation_config.json", **{name: SETTINGS[name]})
    ids, likely = written(tmp_path)
    assert ids == likely == expected


def test_a_setting_would_change_the_answer(tmp_path):
    """The checks above have power: transformers itself follows the checkpoint."""
    build("llava", tmp_path)
    expected, _ = written(tmp_path)
    adapter = load(tmp_path)
    adapter.model.generation_config.repetition_penalty = 3.0
    inputs = adapter.prepare(IMAGE, QUESTION)
    assert generate(adapter, inputs.kwargs(adapter.encode(inputs)), STEPS).ids != expected


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_an_answer_ends_at_every_end_token_of_the_checkpoint_or_at_its_tokenizers(family, tmp_path):
    build(family, tmp_path)
    edit(tmp_path / "generation_config.json", eos_token_id=[95])
    (first, *_), _ = written(tmp_path)
    edit(tmp_path / "generation_config.json", eos_token_id=[95, first, 94])
    assert written(tmp_path)[0] == [first]
    for file in ("config.json", "generation_config.json"):
        data = json.loads((tmp_path / file).read_text())
        parts = [data, *(part for part in data.values() if isinstance(part, dict))]
        for part in parts:
            part.update({name: None for name in ("eos_token_id", "pad_token_id", "bos_token_id") if name in part})
        (tmp_path / file).write_text(json.dumps(data))
    word = load(tmp_path).tokenizer.convert_ids_to_tokens(first)
    edit(tmp_path / TOKENIZER, eos_token=word)
    assert written(tmp_path)[0] == [first]


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_a_tokenizer_without_special_tokens_answers_as_before(family, tmp_path, capfd):
    build(family, tmp_path)
    expected, _ = written(tmp_path)
    edit(tmp_path / TOKENIZER, bos_token=None, eos_token=None, pad_token=None, unk_token=None)
    capfd.readouterr()
    assert written(tmp_path)[0] == expected
    (tmp_path / "generation_config.json").unlink()
    assert written(tmp_path)[0] == expected
    assert "pad_token_id" not in capfd.readouterr().err


def test_the_generation_settings_of_a_checkpoint_are_saved_as_they_were(tmp_path):
    build("llava", tmp_path)
    edit(tmp_path / "generation_config.json", repetition_penalty=1.05, eos_token_id=[2, 9])
    adapter = load(tmp_path)
    assert adapter.model.generation_config.eos_token_id == [2, 9]
    adapter.save(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    assert saved == json.loads((tmp_path / "generation_config.json").read_text())


@pytest.mark.parametrize(("stated", "longest"), [(7, 7), (None, 256), (0, 256), ("many", 256), (10**6, 10_000)])
def test_the_longest_answer_is_the_one_that_a_checkpoint_states(stated, longest, tmp_path):
    build("llava", tmp_path)
    edit(tmp_path / "generation_config.json", max_new_tokens=stated)
    assert load(tmp_path).max_new_tokens == longest


def test_probabilities_are_of_the_model_itself(tmp_path):
    """Not of penalised logits: the first logits are those of a forward pass."""
    build("qwen2_5_vl", tmp_path)
    edit(tmp_path / "generation_config.json", repetition_penalty=1.5)
    adapter = load(tmp_path)
    inputs = adapter.prepare(IMAGE, QUESTION)
    encoded = adapter.encode(inputs)
    out = generate(adapter, inputs.kwargs(encoded), 1)
    with torch.no_grad():
        logits = adapter.model(**inputs.kwargs(encoded)).logits[:, -1]
    assert torch.allclose(out.logits, logits, atol=1e-5)
