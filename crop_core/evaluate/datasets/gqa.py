"""GQA (Hudson and Manning, arXiv 1902.09506): questions about scenes, made from scene graphs.

`testdev_balanced_questions.json` of questions1.2.zip, an object {id: {"question", "imageId", "answer", "types":
{"structural", ...}, ...}}, and `images/ID.jpg` of images.zip. Kinds are the structural types.
"""

from __future__ import annotations

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.prompts import with_request
from crop_core.evaluate.datasets.protocol import Example

SPLITS = ("testdev_balanced", "val_balanced")
_FOLDERS = ("", "questions1.2/", "questions/", "data/", "data/questions1.2/")


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split; DatasetError without its files."""
    file = copy.file(*(f"{folder}{copy.split}_questions.json" for folder in _FOLDERS))
    images = copy.image_folder("images", "data/images")
    with published(file):
        return [
            Example(
                id=str(key),
                question=with_request(row["question"]),
                answers=(row["answer"],),
                image=images / f"{row['imageId']}.jpg",
                kind=row["types"]["structural"],
                group=str(row["imageId"]),
            )
            for key, row in read_json(file).items()
        ]
