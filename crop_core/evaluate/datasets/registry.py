"""Datasets by name. A new dataset is one file beside this one and one row here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crop_core.evaluate.datasets import files, mme, pope, published_json, scienceqa, viscot
from crop_core.evaluate.datasets.bundled_world import world
from crop_core.evaluate.datasets.local_copy import LocalCopy
from crop_core.evaluate.datasets.protocol import Dataset, DatasetError, Example
from crop_core.evaluate.metrics.registry import metric as metric_of
from crop_core.io.row_reader import Skipped


@dataclass(frozen=True)
class Source:
    """Loader and defaults of a dataset. metric: its name, "" where the answers decide. splits: the default first.
    max_new_tokens: as in Dataset. by_image: whether a limit samples images with all of their questions.
    """

    load: Callable[[LocalCopy], list[Example]]
    metric: str = ""
    splits: tuple[str, ...] = ()
    max_new_tokens: int = 16
    by_image: bool = False


SOURCES = {
    "files": Source(files.load, max_new_tokens=32),
    "gqa": Source(published_json.load_gqa, "gqa", published_json.GQA_SPLITS),
    "vqav2": Source(published_json.load_vqav2, "vqa", published_json.VQAV2_SPLITS),
    "textvqa": Source(published_json.load_textvqa, "textvqa", published_json.TEXTVQA_SPLITS),
    "pope": Source(pope.load, "yesno", pope.SPLITS),
    "scienceqa": Source(scienceqa.load, "choice", scienceqa.SPLITS),
    "mme": Source(mme.load, "mme", mme.SPLITS, by_image=True),
    "docvqa": Source(published_json.load_docvqa, "anls", published_json.DOCVQA_SPLITS, max_new_tokens=32),
    "viscot": Source(viscot.load, "contains", max_new_tokens=32),
}


def dataset_names() -> list[str]:
    """What `dataset` knows."""
    return ["world", *SOURCES]


def dataset(
    name: str,
    path: str | Path | None = None,
    *,
    limit: int | None = None,
    split: str | None = None,
    images: str | Path | None = None,
    metric: str | None = None,
) -> Dataset:
    """The dataset `name`, from its local copy at `path`.

    Args:
        name: one of `dataset_names`. All but the bundled "world" need a path.
        path: the folder of the unpacked official download, or one file for "files" and "viscot".
        limit: this many questions at most, sampled at random but always the same, those of a smaller limit among them;
            of the "world" as many of each kind, where the limit is a multiple of ten.
        split: the part of it, see the dataset's file; None for the default.
        images: the folder of the images, if not the default.
        metric: another metric than the dataset's own.

    Raises:
        DatasetError: unknown names, missing files, files in another layout, no usable question.
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"A limit of {limit} leaves nothing to ask; give 1 or more.")
    other_metric = metric_of(metric) if metric else None
    if name == "world":
        if path is not None or images is not None or split is not None:
            raise DatasetError("The bundled world is drawn, not read; leave out the path, the images and the split.")
        data = world(limit)
    elif name not in SOURCES:
        raise DatasetError(f"The dataset {name!r} is not known; choose one of {', '.join(dataset_names())}.")
    elif path is None:
        raise DatasetError(f"The dataset {name!r} is read from this machine; give its folder with --path.")
    else:
        split = _split(name, split, SOURCES[name].splits)
        data = _read(name, LocalCopy(Path(path), split, None if images is None else Path(images)), limit)
    return replace(data, metric=other_metric) if other_metric else data


def _read(name: str, copy: LocalCopy, limit: int | None) -> Dataset:
    source = SOURCES[name]
    examples = _sample(list(_valid(source.load(copy), copy.skipped)), limit, source.by_image)
    examples = list(_with_image(examples, copy.skipped))
    if not examples:
        why = copy.skipped if copy.skipped.count else "it is empty"
        raise DatasetError(f"Nothing of '{copy.path}' can be used: {why}.")
    metric = metric_of(source.metric or files.default_metric(examples))
    return Dataset(name, examples, metric, source.max_new_tokens, str(copy.skipped) if copy.skipped.count else "")


def _split(name: str, split: str | None, splits: Sequence[str]) -> str:
    if split is not None and split not in splits:
        advice = f"choose one of {', '.join(splits)}" if splits else "leave it out"
        raise DatasetError(f"The dataset {name!r} has no split {split!r}; {advice}.")
    return split or next(iter(splits), "")


def _valid(examples: Sequence[Example], skipped: Skipped) -> Iterator[Example]:
    """Examples with answers and a unique id, all of which can be written to a file."""
    seen: set[str] = set()
    for each in examples:
        if not _is_writable(each):
            skipped.add(ascii(each.id).strip("'"), "it holds half a character, which no file can")
        elif each.id in seen:
            skipped.add(each.id, "another question has this id")
        elif not each.answers or not all(isinstance(answer, str) for answer in each.answers):
            skipped.add(each.id, "it has no answers that are texts")
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
    """Examples whose image file exists."""
    exists = {path: path.is_file() for path in {each.image for each in examples} if isinstance(path, Path)}
    for each in examples:
        if isinstance(each.image, Path) and not exists[each.image]:
            skipped.add(each.id, f"there is no image '{each.image}'")
        else:
            yield each


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
