"""The model of lmms-eval as lmms-eval calls it; with stand-ins for its five names where it is not installed."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from crop_core.evaluate.lmms_eval.settings import LmmsError
from tests.support import checkpoints

QUESTION = "what is left of the dog?"
LOGGED: list[tuple[Any, ...]] = []


@dataclass
class TokenCounts:
    output_tokens: int | None = None


@dataclass
class GenerationResult:
    text: str
    token_counts: TokenCounts | None = None


class Base:
    def __init__(self) -> None:
        self._rank, self.task_dict = 0, {}

    @property
    def rank(self) -> int:
        return self._rank


STAND_INS: dict[str, dict[str, Any]] = {
    "lmms_eval": {},
    "lmms_eval.api": {},
    "lmms_eval.api.instance": {"GenerationResult": GenerationResult, "Instance": object, "TokenCounts": TokenCounts},
    "lmms_eval.api.model": {"lmms": Base},
    "lmms_eval.models": {},
    "lmms_eval.models.model_utils": {},
    "lmms_eval.models.model_utils.gen_metrics": {"log_metrics": None},
}


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch):
    """crop_core.evaluate.lmms_eval.model, with what it logs in LOGGED."""
    if find_spec("lmms_eval") is None:
        for name, members in STAND_INS.items():
            module = ModuleType(name)
            module.__dict__.update(members)
            monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "crop_core.evaluate.lmms_eval.model", raising=False)
    module = importlib.import_module("crop_core.evaluate.lmms_eval.model")
    LOGGED.clear()
    monkeypatch.setattr(module, "log_metrics", lambda *metrics: LOGGED.append(metrics))
    yield module
    sys.modules.pop("crop_core.evaluate.lmms_eval.model", None)  # the next test may find it with the real package


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two random checkpoints: 8x8 visual tokens, and a localizer."""
    folder = tmp_path_factory.mktemp("lmms")
    checkpoints.save(folder / "answers")
    checkpoints.save(folder / "locates", "squash", seed=1)
    return folder


@pytest.fixture
def model(plug_in, folder, tmp_path):
    built = plug_in.CropLmms(
        batch_size="1", max_batch_size=None, pretrained=str(folder / "answers"), localizer=str(folder / "locates"),
        budget=32, device="cpu", trace=str(tmp_path / "trace.jsonl"),
    )  # fmt: skip
    rows = [{"image": Image.new("RGB", (112, 112), colour), "target": "red"} for colour in ("red", "green", "blue")]
    built.task_dict["colours"] = {"test": rows}
    return built


def request(number: int, settings: Any, context: Any = QUESTION, task: str = "colours") -> SimpleNamespace:
    """What an Instance is to a model."""
    arguments = (context, settings, lambda row: [row["image"]], number, task, "test")
    return SimpleNamespace(args=arguments, doc_id=number, task_name=task)


def test_every_request_gets_its_answer_and_its_line(model, tmp_path) -> None:
    result = list(model.generate_until([request(k, {"max_new_tokens": 3}) for k in range(3)]))
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    expected = [model.runner.answer([row["image"]], QUESTION, 3) for row in model.task_dict["colours"]["test"]]
    assert [each.text for each in result] == [each.text for each in expected]
    assert len({each.text for each in result}) > 1  # they depend on the image
    assert [each.token_counts.output_tokens for each in result] == [len(each.run.generated.ids) for each in expected]
    assert [(line["task"], line["split"], line["doc_id"]) for line in lines] == [
        ("colours", "test", k) for k in range(3)
    ]
    for line, each in zip(lines, expected, strict=True):
        facts = {**each.facts(), "seconds": line["seconds"]}
        assert line == {
            **facts,
            "task": "colours",
            "split": "test",
            "doc_id": line["doc_id"],
            "request": "generate_until",
        }


def test_the_means_are_told_once(model) -> None:
    list(model.generate_until([request(k, {"max_new_tokens": 2}) for k in range(2)]))
    ((seconds, tokens, speed, means),) = LOGGED
    assert tokens == 4
    assert speed == pytest.approx(tokens / seconds)
    assert means["visual_tokens"] == 64
    assert 0 < means["mean_tokens"] <= 32
    list(model.loglikelihood([request(0, "red")]))
    assert LOGGED[1][1] == 1  # each kind of request by itself


def test_answers_are_made_as_they_are_read(model, tmp_path) -> None:
    """So that the response cache holds the first when the second ends it all."""
    answers = model.generate_until([request(0, {"max_new_tokens": 2}), request(1, {"temperature": 1.0})])
    assert not (tmp_path / "trace.jsonl").exists()
    next(answers)
    assert len((tmp_path / "trace.jsonl").read_text().splitlines()) == 1
    with pytest.raises(LmmsError, match=r"^Question 1 of the task colours asks for sampling at temperature 1, and"):
        next(answers)
    assert len(LOGGED) == 1


def test_an_end_is_cut_off(model) -> None:
    (whole,) = model.generate_until([request(0, {"max_new_tokens": 4})])
    first, second, *_ = whole.text.split()
    (cut,) = model.generate_until([request(0, {"max_new_tokens": 4, "until": [second]})])
    assert cut.text == first + " "


def test_a_likelihood_is_a_loss_and_whether_it_is_greedy(model) -> None:
    (answer,) = model.generate_until([request(0, {"max_new_tokens": 2})])
    choices = [answer.text, "red", lambda row: row["target"]]
    greedy, red, called = (result.text for result in model.loglikelihood([request(0, choice) for choice in choices]))
    judged = model.runner.judge([model.task_dict["colours"]["test"][0]["image"]], QUESTION, "red")
    assert greedy[1]
    assert red == called == (judged.loss, judged.greedy)
    assert not red[1]


def test_what_must_be_known_is_told_once(model, folder, plug_in, caplog: pytest.LogCaptureFixture) -> None:
    """Settings that nobody reads, and what a localizer says of its regions; here that nobody measured its heads."""
    own = plug_in.CropLmms(pretrained=str(folder / "answers"), localizer="self", budget=32, device="cpu")
    own.task_dict = model.task_dict
    list(own.generate_until([request(k, {"max_new_tokens": 1, "image_aspect_ratio": "pad"}) for k in range(2)]))
    setting, guess = [
        record.message for record in caplog.records if record.name == "crop_core.evaluate.lmms_eval.model"
    ]
    assert setting == "The task's setting image_aspect_ratio is ignored."
    assert "guess" in guess


def test_what_cannot_be_asked_is_one_sentence(model, plug_in) -> None:
    with pytest.raises(LmmsError, match=r"^Question 0 of the task colours has the question \('a', \[\]\), which is no"):
        list(model.generate_until([request(0, {}, context=("a", []))]))
    with pytest.raises(LmmsError, match=r"^Question 0 of the task colours has the continuation 3, which is no text"):
        list(model.loglikelihood([request(0, 3)]))
    without = SimpleNamespace(args=("", "red"), doc_id=0, task_name="colours")  # as acc_mutual_info asks
    with pytest.raises(LmmsError, match=r"^Question 0 of the task colours asks for an answer without its image"):
        list(model.loglikelihood([without]))
    with pytest.raises(NotImplementedError, match="answers one question at a time"):
        model.generate_until_multi_round([])
    with pytest.raises(LmmsError, match=r"^The batch size is 8, and questions run one by one; give 1"):
        plug_in.CropLmms(batch_size=8)


def test_each_process_takes_its_gpu(plug_in, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plug_in._process_gpu() is None
    monkeypatch.setattr(plug_in.torch.cuda, "is_available", lambda: True)
    assert plug_in._process_gpu() is None
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert plug_in._process_gpu() == "cuda:3"
