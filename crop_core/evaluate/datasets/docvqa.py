"""DocVQA (Mathew et al., arXiv 2007.00398): questions about scanned pages, with every spelling of the answer.

`val_v1.0_withQT.json` or `val_v1.0.json`, {"data": [{"questionId", "question", "image": "documents/NAME.png",
"answers": [text, ...], and in the first "question_types"}]}, and the images in `documents/` or `spdocvqa_images/`.
Kinds are the question types, the first of them where a question has several.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.prompts import with_request
from crop_core.evaluate.datasets.protocol import Example

SPLITS = ("val", "train")


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split; DatasetError without its files."""
    names = [f"{copy.split}_v1.0{with_types}.json" for with_types in ("_withQT", "")]
    folders = ("", "spdocvqa_qas/", f"{copy.split}/")
    file = copy.file(*(f"{folder}{name}" for folder in folders for name in names))
    images = copy.image_folder("documents", f"{copy.split}/documents", "spdocvqa_images", "images")
    with published(file):
        return [
            Example(
                id=str(row["questionId"]),
                question=with_request(row["question"]),
                answers=tuple(row["answers"]),
                image=images / PurePosixPath(row["image"]).name,
                kind=next(iter(row.get("question_types", ())), ""),
                group=row["image"],
            )
            for row in read_json(file)["data"]
        ]
