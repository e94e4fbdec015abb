"""The switch "short answer": a sentence of the model's family below the question, which the user reads."""

import json
import re
from typing import ClassVar

import pytest

from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.engine.run import Task
from crop_core.localize import WholeImage
from crop_core.models import load
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import RunSpec
from tests.support import checkpoints
from tests.support.families import FAMILIES, VARIANTS, build, sample_image

LLAVA, BRIEF = "Answer the question using a single word or phrase.", "Give a very brief answer."
SENTENCE = {"smolvlm": BRIEF, "idefics3": BRIEF, "paligemma": "", "paligemma2": ""}
QUESTION, IMAGE = "what is left of the dog?", sample_image((200, 120))
SHORT = CropConfig(budget=Budget(share=0.75), max_new_tokens=3, repeats=1, short_answer=True)
PLAIN = CropConfig(budget=Budget(share=0.75), max_new_tokens=3, repeats=1)


@pytest.fixture
def reads_requests(monkeypatch):
    """Random checkpoints whose tokenizers know the words of the requests."""
    words = dict.fromkeys(re.findall(r"\w+|\.", f"{LLAVA} {BRIEF}".lower()))
    monkeypatch.setattr(checkpoints, "WORDS", [*checkpoints.WORDS, *(w for w in words if w not in checkpoints.WORDS)])


@pytest.fixture
def engine(reads_requests, tmp_path):
    build("llava", tmp_path)
    return CropEngine(load(tmp_path), WholeImage(), warm_up=False)


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_the_model_reads_its_familys_sentence_below_the_question(family, reads_requests, tmp_path):
    build(family, tmp_path)
    adapter, sentence = load(tmp_path), SENTENCE.get(family, LLAVA)
    assert adapter.short_answer_request == sentence
    asked = Task(adapter, IMAGE, QUESTION, SHORT).encode().prepared.input_ids.tolist()
    by_hand = adapter.prepare(IMAGE, f"{QUESTION}\n{sentence}".strip()).input_ids.tolist()
    assert asked == by_hand
    assert (asked != Task(adapter, IMAGE, QUESTION, PLAIN).encode().prepared.input_ids.tolist()) == bool(sentence)


def test_the_user_reads_the_sentence_and_the_question_stays_as_it_was_typed(engine):
    asked = engine.compare(IMAGE, QUESTION, SHORT, memory=False)
    assert asked.question == QUESTION
    assert f"The model read one more sentence below the question: “{LLAVA}”" in asked.notices
    assert not any("sentence below" in notice for notice in engine.compare(IMAGE, QUESTION, PLAIN).notices)
    by_hand = engine.compare(IMAGE, f"{QUESTION}\n{LLAVA}", PLAIN, memory=False)
    assert (asked.baseline.text, asked.crop.text) == (by_hand.baseline.text, by_hand.crop.text)
    assert asked.baseline.tokens == by_hand.baseline.tokens


class Listening(WholeImage):
    """Keeps what it is asked."""

    asked: ClassVar[list[str]] = []

    def localize(self, image, question):
        self.asked.append(question)
        return super().localize(image, question)


def test_a_localizer_reads_the_question_alone(engine):
    listening = CropEngine(engine.adapter, Listening(), warm_up=False)
    assert LLAVA in " ".join(listening.answer(IMAGE, QUESTION, SHORT, memory=False).notices)
    assert set(Listening.asked) == {QUESTION}


def test_many_runs_are_asked_so_too_and_share_nothing_with_other_prompts(engine):
    specs = [RunSpec("random", CropConfig("random", Budget(share=0.5)))]

    def texts(**how):
        return [(each.text, each.kl_first) for each in engine.run_many(IMAGE, QUESTION, specs, None, 3, **how)]

    short, plain = texts(short_answer=True), texts()
    assert (texts(short_answer=True), texts()) == (short, plain)
    by_hand = CropConfig("none", None, max_new_tokens=3, repeats=1)
    assert short[0][0] == engine.answer(IMAGE, f"{QUESTION}\n{LLAVA}", by_hand, memory=False).text
    assert short != plain


def test_the_command_line_tells_the_sentence(reads_requests, tmp_path, capsys):
    build("llava", tmp_path / "model")
    IMAGE.save(tmp_path / "a.png")
    common = [str(tmp_path / "a.png"), QUESTION, "--model", str(tmp_path / "model"), "--localizer", "whole"]
    asked = [*common, "--budget", "75%", "--max-new-tokens", "2", "--short-answer", "--json", "-"]
    assert main(["ask", *asked]) == 0
    assert any(LLAVA in notice for notice in json.loads(capsys.readouterr().out)["notices"])
