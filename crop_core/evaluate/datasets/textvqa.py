"""TextVQA (Singh et al., arXiv 1904.08920): questions about text in photos, ten people's answers each.

`TextVQA_0.5.1_val.json`, {"data": [{"question_id", "image_id", "question", "answers": [text, ...]}]}, and
`train_images/ID.jpg` of train_val_images.zip. The text that an OCR system read in the image, which LLaVA-1.5's own
evaluation puts into the prompt, is not told: what is measured is reading with fewer visual tokens.
"""

from __future__ import annotations

from crop_core.evaluate.datasets.local_copy import LocalCopy, published, read_json
from crop_core.evaluate.datasets.prompts import with_request
from crop_core.evaluate.datasets.protocol import Example
from crop_core.evaluate.datasets.vqav2 import by_agreement

SPLITS = ("val", "train")


def load(copy: LocalCopy) -> list[Example]:
    """Every question of the split; DatasetError without its files."""
    file = copy.file(f"TextVQA_0.5.1_{copy.split}.json")
    images = copy.image_folder("train_images", "train_val_images/train_images")
    with published(file):
        return [
            Example(
                id=str(row["question_id"]),
                question=with_request(row["question"][:1].upper() + row["question"][1:]),
                answers=by_agreement(row["answers"]),
                image=images / f"{row['image_id']}.jpg",
                group=row["image_id"],
            )
            for row in read_json(file)["data"]
        ]
