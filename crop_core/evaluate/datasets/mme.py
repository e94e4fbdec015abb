"""MME (Fu et al., arXiv 2306.13394): two yes/no questions about every image, in 14 subtasks.

`MME_Benchmark_release_version/SUBTASK/` with `NAME.jpg` or `.png` beside `NAME.txt`, or the images in `images/` and
the texts in `questions_answers_YN/`; a text's lines are question, tab, Yes or No. "Please answer yes or no." is
replaced by the request of the other benchmarks, as in LLaVA's llava_mme.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crop_core.evaluate.datasets.local_copy import LocalCopy, published
from crop_core.evaluate.datasets.protocol import DatasetError, Example, question_lines, texts
from crop_core.evaluate.metrics.closed_ended import COGNITION, PERCEPTION
from crop_core.io.paths import visible
from crop_core.io.text_files import encoding_of

KINDS = (*PERCEPTION, *COGNITION)
SPLITS = ("all", "perception", "cognition", *KINDS)
_PARTS = {"all": KINDS, "perception": PERCEPTION, "cognition": COGNITION}
_RELEASE = "MME_Benchmark_release_version"
_ENDINGS = (".jpg", ".jpeg", ".png")
_REQUEST = "Please answer yes or no."


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the subtasks of the split; DatasetError where one is missing."""
    if copy.images is not None:
        raise DatasetError("The images of MME lie beside its questions; leave out --images.")
    kinds = _PARTS.get(copy.split, (copy.split,))
    return [example for kind in kinds for example in _subtask(_folder(copy, kind), kind)]


def _folder(copy: LocalCopy, kind: str) -> Path:
    bases = ("", f"{_RELEASE}/MME_Benchmark/", f"{_RELEASE}/", "MME_Benchmark/")
    return copy.subfolder(*(f"{base}{kind}" for base in bases))


def _subtask(folder: Path, kind: str) -> Iterator[Example]:
    apart = (folder / "questions_answers_YN").is_dir()
    questions, images = (folder / "questions_answers_YN", folder / "images") if apart else (folder, folder)
    by_name = {each.stem: each for each in visible(images) if each.suffix.lower() in _ENDINGS}
    files = visible(questions, "*.txt")
    if not files:
        raise DatasetError(
            f"There is no text with questions in '{questions}'; give the folder of the unpacked download."
        )
    for file in files:
        with published(file):
            yield from _questions(file, kind, by_name.get(file.stem, images / f"{file.stem}.jpg"))


def _questions(file: Path, kind: str, image: Path) -> Iterator[Example]:
    lines = [line for line in file.read_text(encoding=encoding_of(file)).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        question, answer = map(str.strip, line.split("\t"))
        if answer.lower() not in ("yes", "no", ""):
            raise DatasetError(f"'{file}' answers {answer!r}; an answer of MME is Yes or No.")
        group = f"{kind}/{image.name}"
        yield Example(
            id=f"{group} {number}",
            question=question_lines(question.removesuffix(_REQUEST)),
            answers=texts(answer.lower()),
            image=image,
            kind=kind,
            group=group,
        )
