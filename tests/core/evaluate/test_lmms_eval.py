"""lmms-eval itself runs tasks of local data with our model: its accuracy is what our engine's answers come to.

Skipped where lmms-eval is not installed: it brings over eighty packages.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crop_core.engine.engine import CropEngine
from crop_core.evaluate.metrics.text_match import normal
from crop_core.records.config import Budget, CropConfig
from crop_core.train.world.held_out import held_out
from tests.support import ROOT

os.environ["HF_DATASETS_OFFLINE"] = "1"
pytest.importorskip("lmms_eval")
pytestmark = pytest.mark.filterwarnings("ignore")  # lmms-eval's own

ITEMS = held_out(1)[:6]
ANSWERS = sorted({item.question.answer for item in ITEMS})
CHOICES = [sorted({item.question.answer, *ANSWERS[:2]}) for item in ITEMS]
COMMON = """
dataset_path: {folder}/data
dataset_kwargs:
  load_from_disk: True
test_split: test
doc_to_visual: !function images.of
doc_to_text: question
"""
WRITTEN = """
task: world
output_type: generate_until
doc_to_target: answer
generation_kwargs: {max_new_tokens: 8, temperature: 0, do_sample: false, image_aspect_ratio: original}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
"""
CHOSEN = """
task: world_choice
output_type: multiple_choice
doc_to_target: number
doc_to_choice: choices
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The held-out questions as a data set on disk, and two tasks about it."""
    import datasets

    folder = tmp_path_factory.mktemp("tasks")
    rows = {
        "image": [item.scene.image for item in ITEMS],
        "question": [item.question.text + "\n" for item in ITEMS],
        "answer": [item.question.answer for item in ITEMS],
        "number": [own.index(item.question.answer) for own, item in zip(CHOICES, ITEMS, strict=True)],
        "choices": CHOICES,
    }
    texts = {"question": datasets.Value("string"), "answer": datasets.Value("string")}
    lists = {"number": datasets.Value("int64"), "choices": datasets.Sequence(datasets.Value("string"))}
    data = datasets.Dataset.from_dict(rows, features=datasets.Features({"image": datasets.Image(), **texts, **lists}))
    datasets.DatasetDict({"test": data}).save_to_disk(str(folder / "data"))
    (folder / "pictures.py").write_text("def of(doc):\n    return [doc['image']]\n")
    for name, own in (("world", WRITTEN), ("world_choice", CHOSEN)):
        (folder / f"{name}.yaml").write_text(COMMON.format(folder=folder) + own)
    return folder


@pytest.fixture(scope="module")
def engine() -> CropEngine:
    return CropEngine.from_pretrained(device="cpu")


def evaluated(folder: Path, arguments: str, task: str = "world", **how: Any) -> dict[str, Any]:
    """What lmms-eval's own simple_evaluate makes of the task."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.models import MODEL_REGISTRY_V2
    from lmms_eval.tasks import TaskManager

    from crop_core.evaluate.lmms_eval import manifest

    MODEL_REGISTRY_V2.register_manifest(manifest())  # as by its entry point, of which the last test is
    tasks = TaskManager(include_path=str(folder), include_defaults=False)
    return simple_evaluate(
        "crop", arguments + ",device=cpu", tasks=[task], task_manager=tasks, bootstrap_iters=0, **how
    )


@pytest.mark.parametrize("method", ["crop", "plc+fastv", "random", "none"])
def test_accuracy_is_that_of_the_engines_answers(folder: Path, engine: CropEngine, method: str) -> None:
    arguments = f"method={method}" + ("" if method == "none" else ",budget=96")
    result = evaluated(folder, arguments)
    budget = None if method == "none" else Budget(mean_tokens=96)
    config = CropConfig(method=method, budget=budget, max_new_tokens=8, repeats=1)
    answers = [engine.answer(i.scene.image, i.question.text + "\n", config, memory=False) for i in ITEMS]
    right = [normal(a.text) == normal(i.question.answer) for a, i in zip(answers, ITEMS, strict=True)]
    samples = sorted(result["samples"]["world"], key=lambda sample: sample["doc_id"])
    assert [sample["filtered_resps"][0] for sample in samples] == [answer.text for answer in answers]
    assert result["results"]["world"]["exact_match,none"] == pytest.approx(sum(right) / len(right))
    means = [answer.trace.mean_tokens for answer in answers]
    assert result["throughput"]["avg_mean_tokens"] == pytest.approx(sum(means) / len(means))


def test_choices_are_weighed_by_the_loss_of_transformers(folder: Path, engine: CropEngine) -> None:
    import torch

    adapter, right = engine.adapter, []
    for item, choices in zip(ITEMS, CHOICES, strict=True):
        prepared, losses = adapter.prepare(item.scene.image, item.question.text + "\n"), []
        for choice in choices:
            tail = torch.tensor([adapter.tokenizer(" " + choice, add_special_tokens=False)["input_ids"]])
            labels = torch.cat([torch.full_like(prepared.input_ids, -100), tail], 1)
            ids = torch.cat([prepared.input_ids, tail], 1)
            with torch.no_grad():
                out = adapter.model(input_ids=ids, pixel_values=prepared.vision["pixel_values"], labels=labels)
            losses.append(float(out.loss))
        right.append(choices[losses.index(min(losses))] == item.question.answer)
    result = evaluated(folder, "method=none", "world_choice")
    assert result["results"]["world_choice"]["acc,none"] == pytest.approx(sum(right) / len(right))
    assert sum(right) > len(right) / 2


def test_a_run_that_was_stopped_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crop_core.evaluate.lmms_eval.runner import RequestRunner

    monkeypatch.setenv("LMMS_CACHE_RUN_ID", "one")
    answered, answer = [], RequestRunner.answer

    def stopped_at(count: int) -> None:
        def counted(self: RequestRunner, *question: Any) -> Any:
            if len(answered) == count:
                raise KeyboardInterrupt
            answered.append(question)
            return answer(self, *question)

        monkeypatch.setattr(RequestRunner, "answer", counted)

    arguments = f"method=ilp,budget=64,trace={tmp_path / 'trace.jsonl'}"
    stopped_at(4)
    with pytest.raises(KeyboardInterrupt):
        evaluated(folder, arguments, use_cache=str(tmp_path / "cache"))
    stopped_at(-1)
    result = evaluated(folder, arguments, use_cache=str(tmp_path / "cache"))
    assert len(answered) == len(ITEMS)  # of which the first run answered four
    assert len((tmp_path / "trace.jsonl").read_text().splitlines()) == len(ITEMS)
    monkeypatch.setattr(RequestRunner, "answer", answer)
    assert result["results"] == evaluated(folder, arguments)["results"]


def test_the_command_finds_the_model_by_its_entry_point(folder: Path, tmp_path: Path) -> None:
    """As an installed package has it: the entry points of pyproject.toml in a dist-info folder."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = re.search(r'^\[project\.entry-points\."(.*?)"\]\n(.*?)\n\n', project, re.MULTILINE | re.DOTALL)
    assert section
    package = tmp_path / "site" / "crop_explorer-0.1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: crop-explorer\nVersion: 0.1.0\n")
    (package / "entry_points.txt").write_text(f"[{section[1]}]\n" + section[2].replace('"', "") + "\n")
    command = [
        sys.executable, "-m", "lmms_eval", "--model", "crop", "--model_args", "method=divprune,budget=25%,device=cpu",
        "--tasks", "world", "--include_path", str(folder), "--output_path", str(tmp_path / "out"), "--limit", "3",
    ]  # fmt: skip
    paths = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path, capture_output=True)
    (written,) = (tmp_path / "out").rglob("*_results.json")
    result = json.loads(written.read_text())
    assert result["config"]["model"] == "crop"
    assert 0 <= result["results"]["world"]["exact_match,none"] <= 1
    assert 142 <= result["throughput"]["avg_mean_tokens"] <= 144
