"""Dataset protocol: examples, a metric, and how questions are put. Knows nothing of models, methods and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from crop_core.io.images import check_question, open_row

if TYPE_CHECKING:
    import pandas as pd

Cells = tuple[int, int, int, int]  # inclusive grid cells x0, y0, x1, y1


class DatasetError(ValueError):
    """Data that cannot be read; the message is one sentence with the place, the error and what to do."""


@dataclass(frozen=True)
class Example:
    """One question about one image. Can be pickled: other processes and machines read it.

    id: unique in its dataset, and the same in every session. question: the prompt's text, without a request for a
    short answer. answers: all right answers, read as the metric defines; none where
    they are hidden, as those of a test split. image: the
    file, or a function that makes the image. kind: what results are grouped by. group: the
    same for examples that are about one image (questions of one image are not independent). needed: grid cells of
    the smallest region that holds the evidence, if known. everything: whether only the whole image does.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    image: Path | Callable[[], Image.Image]
    kind: str = ""
    group: str = ""
    needed: Cells | None = None
    everything: bool = False

    def open(self) -> Image.Image:
        """The image, upright and RGB; ImageError for one that cannot be read."""
        return open_row(self.image) if isinstance(self.image, Path) else self.image()


class Metric(Protocol):
    """Scores answers. A new metric is one file and one row of `crop_core/evaluate/metrics/registry.py`."""

    name: str  # in the registry and the records, such as "vqa"
    label: str  # in table heads, such as "VQA accuracy"

    def score(self, reply: str, example: Example) -> float:
        """Score of a reply, 0..1; methods are compared by its mean and in paired tests."""

    def summary(self, records: pd.DataFrame) -> Mapping[str, float]:
        """The official figures of one run, by name, the main one first.

        records: the rows of that run, with the columns of `crop_core.evaluate.runner.work.Record`.
        """


@dataclass(frozen=True)
class Dataset:
    """Examples and their metric. name: on the command line. max_new_tokens: of an answer, its end token included.
    short_answer: whether models are asked for a short answer, as in the official evaluation. skipped: rows that could
    not be used and why, to be reported once; "" for none. taken: a sentence about the others, "" for data that is not
    read. scored: False where replies are only kept.
    """

    name: str
    examples: Sequence[Example]
    metric: Metric
    max_new_tokens: int = 16
    short_answer: bool = True
    skipped: str = ""
    taken: str = ""
    scored: bool = True


def texts(answers: Any) -> tuple[str, ...]:
    """A question's answers as texts, whether they come as a list, a text, a number, or objects with "answer"; none
    where all of them are null or blank. What is no text stays, and is refused later.
    """
    given = answers if isinstance(answers, (list, tuple)) else [answers]
    given = [each.get("answer") if isinstance(each, dict) else each for each in given]
    if all(each is None or not str(each).strip() for each in given):
        return ()
    return tuple("" if each is None else str(each) if type(each) in (int, float) else each for each in given)


MAX_QUESTION_CHARS = 8000  # about 2000 tokens: benchmarks ask longer questions than people type


def question_lines(question: Any) -> str:
    """The question, cleaned line by line; QuestionError for an empty or too long one."""
    raw = question.splitlines() if isinstance(question, str) else []
    lines = [check_question(line, MAX_QUESTION_CHARS) for line in raw if line.strip()]
    if not lines or sum(map(len, lines)) > MAX_QUESTION_CHARS:
        check_question(question, MAX_QUESTION_CHARS)  # raises
    return "\n".join(lines)
