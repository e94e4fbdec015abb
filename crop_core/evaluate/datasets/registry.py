"""Datasets by name. A new dataset is one file beside this one and one row here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crop_core.evaluate.datasets import files, mme, pope, published_json, scienceqa, viscot
from crop_core.evaluate.datasets.bundled_world import users, world
from crop_core.evaluate.datasets.independent_world import independent
from crop_core.evaluate.datasets.local_copy import LocalCopy
from crop_core.evaluate.datasets.protocol import Dataset, DatasetError, Example
from crop_core.evaluate.metrics.registry import metric as metric_of
from crop_core.evaluate.metrics.registry import scorable
from crop_core.evaluate.metrics.unscored import UNSCORED
from crop_core.io.images import ImageError, image_size
from crop_core.io.paths import is_file
from crop_core.io.row_reader import Skipped


@dataclass(frozen=True)
class Source:
    """Loader and defaults of a dataset. metric: its name, "" where the answers decide. splits: the default first.
    max_new_tokens, short_answer: as in Dataset. by_image: whether a limit samples images with all of their questions.
    """

    load: Callable[[LocalCopy], list[Example]]
    metric: str = ""
    splits: tuple[str, ...] = ()
    max_new_tokens: int = 16
    short_answer: bool = True
    by_image: bool = False


SOURCES = {
    "files": Source(files.load, max_new_tokens=32),
    "gqa": Source(published_json.load_gqa, "gqa", published_json.GQA_SPLITS),
    "vqav2": Source(published_json.load_vqav2, "vqa", published_json.VQAV2_SPLITS),
    "textvqa": Source(published_json.load_textvqa, "textvqa", published_json.TEXTVQA_SPLITS),
    "pope": Source(pope.load, "yesno", pope.SPLITS),
    "scienceqa": Source(scienceqa.load, "choice", scienceqa.SPLITS, short_answer=False),
    "mme": Source(mme.load, "mme", mme.SPLITS, by_image=True),
    "docvqa": Source(published_json.load_docvqa, "anls", published_json.DOCVQA_SPLITS, max_new_tokens=32),
    "viscot": Source(viscot.load, "contains", max_new_tokens=32),
}


# Of the bundled world, in its own and in users' words; and of another one, which nothing was trained on.
DRAWN = {"world": world, "world_users": users, "world_independent": independent}


def dataset_names() -> list[str]:
    """What `dataset` knows."""
    return [*DRAWN, *SOURCES]


def dataset(
    name: str,
    path: str | Path | None = None,
    *,
    limit: int | None = None,
    split: str | None = None,
    images: str | Path | None = None,
    metric: str | None = None,
    boxes: str | None = None,
    score: bool = True,
) -> Dataset:
    """The dataset `name`, from its local copy at `path`.

    Args:
        name: one of `dataset_names`. All but those of DRAWN need a path.
        path: the folder of the unpacked official download, or one file for "files" and "viscot".
        limit: this many questions at most, sampled at random but always the same, those of a smaller limit among them;
            of those of DRAWN as many of each kind, where the limit is a multiple of their number (8 or 10).
        split: the part of it, see the dataset's file; None for the default.
        images: the folder of the images, if not the default.
        metric: another metric than the dataset's own.
        boxes: of "files", what its boxes mean, see `crop_core.train.localizer.boxes.FORMS`.
        score: False for questions without answers, such as a test split's, whose replies are only kept.

    Raises:
        DatasetError: unknown names, missing files, files in another layout, no usable question, no answers to score.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"A limit of {limit} leaves nothing to ask; give 1 or more.")
    if metric and not score:
        raise DatasetError(f"The metric {metric!r} needs scores; leave it out, or --no-score.")
    if boxes and name != "files":
        raise DatasetError(f"The boxes of {name!r} are known; leave out --boxes.")
    other_metric = metric_of(metric) if metric else None if score else UNSCORED
    if name in DRAWN:
        if path is not None or images is not None or split is not None:
            raise DatasetError(
                f"The dataset {name!r} is drawn, not read; leave out the path, the images and the split."
            )
        data = DRAWN[name](limit)
    elif name not in SOURCES:
        raise DatasetError(f"The dataset {name!r} is not known; choose one of {', '.join(dataset_names())}.")
    elif path is None:
        raise DatasetError(f"The dataset {name!r} is read from this machine; give its folder with --path.")
    else:
        split = _split(name, split, SOURCES[name].splits)
        data = _read(name, LocalCopy(Path(path), split, None if images is None else Path(images), boxes), limit, score)
    if metric and other_metric:
        data = replace(data, examples=[scorable(each, metric) for each in data.examples])
    return replace(data, metric=other_metric, scored=score) if other_metric else data


def _read(name: str, copy: LocalCopy, limit: int | None, score: bool) -> Dataset:
    source = SOURCES[name]
    loaded = source.load(copy)
    if score and loaded and not any(each.answers for each in loaded):
        raise DatasetError(_no_answers(copy, source.splits))
    examples = _sample(list(_valid(loaded, copy.skipped, score)), limit, source.by_image)
    examples = list(_with_image(examples, copy.skipped))
    if not examples:
        why = copy.skipped if copy.skipped.count else "it is empty"
        raise DatasetError(f"Nothing of '{copy.path}' can be used: {why}.")
    metric = metric_of(source.metric or files.default_metric(examples))
    skipped = str(copy.skipped) if copy.skipped.count else ""
    taken = copy.skipped.taken(len(examples), len({each.group for each in examples}), copy.path)
    return Dataset(name, examples, metric, source.max_new_tokens, source.short_answer, skipped, taken)


def _no_answers(copy: LocalCopy, splits: Sequence[str]) -> str:
    what = f"The questions of the split {copy.split!r}" if copy.split else "The questions"
    use = "use the validation split or other files with answers" if splits else "give each row an 'answer'"
    return (
        f"{what} in '{copy.path}' have no answers to score{copy.skipped.how}; {use}, or --no-score to keep the replies."
    )


def _split(name: str, split: str | None, splits: Sequence[str]) -> str:
    if split is not None and split not in splits:
        advice = f"choose one of {', '.join(splits)}" if splits else "leave it out"
        raise DatasetError(f"The dataset {name!r} has no split {split!r}; {advice}.")
    return split or next(iter(splits), "")


def _valid(examples: Sequence[Example], skipped: Skipped, score: bool) -> Iterator[Example]:
    """Examples with answers, where they are to be scored, and a unique id, all of which can be written to a file."""
    seen: set[str] = set()
    for each in examples:
        if not _is_writable(each):
            skipped.add(ascii(each.id).strip("'"), "it holds half a character, which no file can")
        elif each.id in seen:
            skipped.add(each.id, "another question has this id")
        elif (score and not each.answers) or not all(isinstance(answer, str) for answer in each.answers):
            skipped.add(each.id, "it has no answer that is a text")
        else:
            seen.add(each.id)
            yield each


def _is_writable(example: Example) -> bool:
    """False for texts with a lone surrogate, which JSON can spell."""
    try:
        "".join(map(str, (example.id, example.group, example.kind, *example.answers))).encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_image(examples: Sequence[Example], skipped: Skipped) -> Iterator[Example]:
    """Examples whose image file exists and begins as an image."""
    paths = {each.image for each in examples if isinstance(each.image, Path)}
    wrong = {path: why for path in paths if (why := _why_not(path))}
    for each in examples:
        if isinstance(each.image, Path) and each.image in wrong:
            skipped.add(each.id, wrong[each.image])
        else:
            yield each


def _why_not(image: Path) -> str:
    """Why an image's header cannot be read; "" where it can."""
    try:
        image_size(image)
    except ImageError as error:
        return str(error) if is_file(image) else f"there is no image '{image}'"
    return ""


def _sample(examples: list[Example], limit: int | None, by_image: bool) -> list[Example]:
    """At most `limit` examples in their order; those of a smaller limit are among those of a larger one."""
    if limit is None or limit >= len(examples):
        return examples
    rng = random.Random("limit")
    if by_image:
        groups = sorted({each.group for each in examples})
        rank = dict(zip(rng.sample(groups, len(groups)), range(len(groups)), strict=True))
        order = sorted(range(len(examples)), key=lambda index: rank[examples[index].group])
    else:
        order = rng.sample(range(len(examples)), len(examples))
    return [examples[index] for index in sorted(order[:limit])]
