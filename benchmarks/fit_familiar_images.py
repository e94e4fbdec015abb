"""`python -m benchmarks.fit_familiar_images`: fit what the bundled model takes for an image of its world.

Fits to scenes of training and in held-out styles, and sets the limit so that 95 % of other held-out scenes are
familiar; writes familiar_images.safetensors into the model's folder. With --strangers FOLDER it reports how many of the
images there, and of random crops of each, are unfamiliar.
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
QUIET, SHRINKAGE = 0.95, 0.003
KNOWN = "the drawn scenes, charts and lists of the bundled world"
CROPS = 3  # of each stranger, of 35 to 70 % of a side


def statistics(adapter: LlavaAdapter, images: Iterable[Image.Image]) -> torch.Tensor:
    """(K, D) of K images."""
    return torch.stack([image_statistics(adapter.tower_states(image)) for image in images])


def scenes(seeds: range, held_out: bool) -> Iterable[Image.Image]:
    """The images of scenes, drawn one after the other."""
    return (make_scene(seed, held_out=held_out).image for seed in tqdm(seeds, mininterval=5))


def strangers(folder: Path) -> list[Image.Image]:
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
    parser.add_argument("--strangers", type=Path, metavar="FOLDER", help="images that are not of the world")
    parser.add_argument("--scenes", type=int, default=500, help="scenes of each part, three of them of training")
    options = parser.parse_args()
    count, held_out = options.scenes, splits.FAMILIAR_IMAGES
    adapter = load(DEFAULT_MODEL, "cpu")
    if not isinstance(adapter, LlavaAdapter) or adapter.folder is None:
        raise SystemExit(f"{DEFAULT_MODEL} is no LLaVA checkpoint.")
    own = statistics(adapter, scenes(splits.TRAINING[: 3 * count], False))
    other, limit, test = (
        statistics(adapter, scenes(held_out[part * count : (part + 1) * count], True)) for part in range(3)
    )
    familiar = FamiliarImages.fitted(torch.cat([own, other]), limit, QUIET, SHRINKAGE, KNOWN)
    familiar.save(adapter.folder)
    result = {"scenes": len(test), "familiar": float((familiar.distance(test) <= familiar.limit).float().mean())}
    if options.strangers:
        given = statistics(adapter, strangers(options.strangers))
        unlike = familiar.distance(given) > familiar.limit
        whole = unlike[:: CROPS + 1]
        result |= {"images": len(whole), "unfamiliar": float(whole.float().mean())}
        result |= {"images and crops": len(unlike), "unfamiliar with crops": float(unlike.float().mean())}
    environment = benchmark_environment("python -m benchmarks.fit_familiar_images", "cpu")
    RESULTS.write_text(json.dumps({**environment, **result}, indent=1) + "\n")
    sys.stdout.write(f"{json.dumps(result)}\nwritten to {adapter.folder} and {RESULTS}\n")


if __name__ == "__main__":
    main()
