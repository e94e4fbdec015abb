"""How long an answer may be, what is said where a limit ends it, and how answers of several words are compared."""

from dataclasses import replace

import pytest
from PIL import Image

from crop_core.engine.engine import CropEngine
from crop_core.records.comparison_table import agreement, comparison_table
from crop_core.records.config import DEFAULT_NEW_TOKENS, Budget, ConfigError, CropConfig
from crop_core.records.results import Answer, Comparison, RunSpec
from tests.support import checkpoints, fake_records

IMAGE = Image.effect_noise((200, 120), 90).convert("RGB")
QUESTION = "what is left of the dog?"
CONFIG = CropConfig(budget=Budget(mean_tokens=24), localizer="whole", repeats=1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return CropEngine.from_pretrained(checkpoints.save(tmp_path_factory.mktemp("models") / "model", layers=6), None)


@pytest.fixture
def settings(engine, monkeypatch):
    """The model's generation settings, with an end token that it never writes by itself."""
    settings = engine.adapter.model.generation_config
    monkeypatch.setattr(settings, "eos_token_id", [engine.adapter.image_token_id])
    return settings


def answers(baseline: str, crop: str, cut: bool = False) -> Comparison:
    result = fake_records.comparison()
    return replace(
        result, baseline=replace(result.baseline, text=baseline, cut=cut), crop=replace(result.crop, text=crop, cut=cut)
    )


def test_the_models_own_limit_is_the_default(engine, settings, monkeypatch):
    monkeypatch.setattr(settings, "max_new_tokens", 3)
    assert len(engine.answer(IMAGE, QUESTION, CONFIG).tokens) == 3
    assert len(engine.answer(IMAGE, QUESTION, replace(CONFIG, max_new_tokens=5)).tokens) == 5
    assert {len(each.text.split()) for each in engine.run_many(IMAGE, QUESTION, [RunSpec("CROP", CONFIG)])} == {3}
    monkeypatch.setattr(settings, "max_new_tokens", None)
    assert engine.adapter.max_new_tokens == DEFAULT_NEW_TOKENS == 256


def test_an_answer_that_a_limit_ends_is_cut_and_the_user_reads_it(engine, settings):
    result = engine.compare(IMAGE, QUESTION, replace(CONFIG, max_new_tokens=6))
    assert (result.baseline.cut, result.crop.cut) == (True, True)
    assert "Both answers are cut after 6 tokens; a larger max_new_tokens leaves more room." in result.notices
    assert "Note: Both answers are cut after 6 tokens" in comparison_table(result)
    again = Comparison.from_json(result.to_json())
    assert (again.baseline.cut, again.crop.cut) == (True, True)
    alone = engine.answer(IMAGE, QUESTION, replace(CONFIG, max_new_tokens=1))
    assert alone.to_json()["cut"]
    assert alone.notices[-1] == "The answer is cut after 1 token; a larger max_new_tokens leaves more room."


def test_an_answer_with_an_end_token_is_whole(engine, settings, monkeypatch):
    first = engine.answer(IMAGE, QUESTION, replace(CONFIG, method="none", max_new_tokens=1))
    assert first.cut
    token = engine.adapter.tokenizer.convert_tokens_to_ids(first.tokens[0].text)
    for end in (token, [engine.adapter.image_token_id, token]):
        monkeypatch.setattr(settings, "eos_token_id", end)
        for limit in (1, 4):
            whole = engine.answer(IMAGE, QUESTION, replace(CONFIG, method="none", max_new_tokens=limit))
            assert (len(whole.tokens), whole.cut) == (1, False)


def test_files_of_earlier_versions_are_not_cut():
    data = fake_records.comparison().to_json()
    for side in ("baseline", "crop"):
        del data[side]["cut"]
    assert not Comparison.from_json(data).baseline.cut
    assert not Answer.from_json({**data["crop"], "trace": data["trace"]}).cut


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("a b c d e f", "a b c x e"), "answer changed, the same for 3 of 6 words"),
        (("a b c d e", "a b c d e f g"), "answer changed, the same for 5 of 7 words"),
        (("x b c d e", "a b c d e"), "answer changed, the same for 0 of 5 words"),
        (("a dog", "a cat"), "answer changed"),
        (("", "a"), "answer changed"),
        (("a dog", "a dog"), "same answer, about as sure"),
    ],
)
def test_changed_answers_of_several_words_say_how_far_they_are_the_same(pair, words):
    assert agreement(answers(*pair)) == words
    assert words in comparison_table(answers(*pair))


def test_equal_answers_that_are_cut_are_the_same_as_far_as_they_go():
    assert agreement(answers("a dog", "a dog", cut=True)) == "same answer as far as both go, about as sure"


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_limits_that_are_not_possible(limit):
    with pytest.raises(ConfigError, match=f"max_new_tokens is {limit}; give 1 to 10000"):
        CropConfig(max_new_tokens=limit)
