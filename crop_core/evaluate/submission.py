"""Replies without scores: written in the file that each benchmark's own evaluation, or its server, takes.

Formats: VQA v2's and TextVQA's result files (visualqa.org, EvalAI), GQA's eval.py, DocVQA's server (rrc.cvc.uab.es),
POPE's evaluate.py, ScienceQA's evaluate_acc.py, MME's calculation.py. Other data gets a list of id and answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.evaluate.datasets.protocol import Dataset, Example
from crop_core.evaluate.metrics.closed_ended import LETTERS, lenient_letter
from crop_core.evaluate.outcome import comparable
from crop_core.evaluate.report.hints import unpruned
from crop_core.evaluate.report.scores import validate_records
from crop_core.evaluate.report.table import markdown, percent
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import Trial
from crop_core.evaluate.runner.work import Skipped

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "submissions"
Replies = Sequence[tuple[Example, str]]
Files = Mapping[str, str]  # text by name


def write_replies(folder: Path, data: Dataset, trials: Sequence[Trial], skipped: Sequence[Skipped]) -> str:
    """Write the replies of every run below `folder`; return a table of the runs and where the files are.

    skipped: examples left out of every trial. Raises RecordsError for records that are not complete.
    """
    left_out = {each.example for each in skipped}
    examples = {each.id: each for each in data.examples if each.id not in left_out}
    records = comparable(store.read(folder), examples, {trial.name for trial in trials})
    validate_records(records, scored=False)
    rows = []
    for name, run in records.groupby("trial", observed=True, sort=False):
        replies = dict(zip(run["example"].astype(str), run["reply"].astype(str), strict=True))
        pairs = [(each, replies[key]) for key, each in examples.items()]
        _write(folder / FOLDER / _folder_name(str(name)), _FORMATS.get(data.name, _plain)(pairs))
        rows.append(_row(str(name), run))
    table = markdown(("run", "questions", "agrees", "mean tokens"), rows)
    notes = [*unpruned(records), f"Not scored; the replies are in {folder / FOLDER}, a folder a run."]
    return "\n\n".join([table, *notes])


def _row(name: str, run: pd.DataFrame) -> tuple[str, ...]:
    return name, str(len(run)), percent(float(run["same"].mean())), f"{run['mean_tokens'].mean():.1f}"


def _folder_name(trial: str) -> str:
    return re.sub(r"[^a-z0-9+]+", "-", trial.replace("%", " percent")).strip("-")


def _write(folder: Path, files: Files) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _list(key: str, value: str, number: Callable[[str], Any] = int) -> Callable[[Replies], Files]:
    """One JSON list of {key: the question's id, value: the reply}."""

    def files(replies: Replies) -> Files:
        rows = [{key: number(each.id), value: reply} for each, reply in replies]
        return {"answers.json": json.dumps(rows, ensure_ascii=False) + "\n"}

    return files


def _question(example: Example) -> str:
    """The question in one line."""
    return " ".join(example.question.split())


def _pope(replies: Replies) -> Files:
    """Lines of question and answer, in the order of the questions; a file for each way to choose objects."""
    files: dict[str, str] = {}
    for each, reply in replies:
        row = json.dumps({"question": _question(each), "answer": reply}, ensure_ascii=False)
        name = f"coco_pope_{each.kind}_answers.json"
        files[name] = files.get(name, "") + row + "\n"
    return files


def _mme(replies: Replies) -> Files:
    """Lines of image, question, answer and reply between tabs; a file for each subtask."""
    files: dict[str, str] = {}
    for each, reply in replies:
        image, answer = each.group.partition("/")[2], "".join(each.answers).capitalize()
        line = "\t".join((image, _question(each), answer, " ".join(reply.split())))
        files[f"{each.kind}.txt"] = files.get(f"{each.kind}.txt", "") + line + "\n"
    return files


def _scienceqa(replies: Replies) -> Files:
    """Indices of the choices, -1 where a reply names none, and the replies."""
    results = {each.id: LETTERS.find(lenient_letter(reply) or "-") for each, reply in replies}
    outputs = {each.id: reply for each, reply in replies}
    return {"answers.json": json.dumps({"results": results, "outputs": outputs}, ensure_ascii=False) + "\n"}


_plain = _list("id", "answer", str)
_FORMATS: Mapping[str, Callable[[Replies], Files]] = {
    "vqav2": _list("question_id", "answer"),
    "textvqa": _list("question_id", "answer"),
    "docvqa": _list("questionId", "answer"),
    "gqa": _list("questionId", "prediction", str),
    "pope": _pope,
    "mme": _mme,
    "scienceqa": _scienceqa,
}
