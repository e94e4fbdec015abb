"""Whether an image is like those that a model was trained on, for checkpoints that say so in a file of their own.

The file, FILE, holds the distribution of a few statistics of the vision tower's features over images of the training
world; an image far from it is told to the user. Source: Lee et al., A Simple Unified Framework for Detecting
Out-of-Distribution Samples, arXiv 1807.03888, with one Gaussian of the statistics of whole images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from crop_core.models.adapter import ModelError

FILE = "familiar_images.safetensors"
STATISTICS = ((2, "mean"), (2, "std"), (3, "mean"))  # of the features after so many layers of the tower, over tokens


@dataclass(frozen=True, eq=False)
class FamiliarImages:
    """A Gaussian of the D statistics of an image. mean, scale: (D,) of each. whitening: (D, D) of the scaled ones.

    limit: largest distance of an image that is like those of the world. known: what they are, in the plural.
    """

    mean: Tensor
    scale: Tensor
    whitening: Tensor
    limit: float
    known: str

    @classmethod
    def load(cls, folder: Path | None) -> FamiliarImages | None:
        """Of a checkpoint's folder; None where it has no such file, ModelError for a broken one."""
        if folder is None or not (folder / FILE).is_file():
            return None
        try:
            with safe_open(folder / FILE, "pt") as file:
                about = file.metadata()
                parts = {name: file.get_tensor(name).float() for name in ("mean", "scale", "whitening")}
            return cls(**parts, limit=float(about["limit"]), known=about["known"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{FILE} of {folder.name} cannot be read; delete it, or copy it again.") from error

    @classmethod
    def fitted(cls, images: Tensor, held_out: Tensor, quiet: float, shrinkage: float, known: str) -> FamiliarImages:
        """Fit to statistics (K, D) of images of the world.

        quiet: share of the other images of the world, (M, D), that are to be familiar. shrinkage: weight of the
        identity in the covariance of the scaled statistics, which are correlated and many for few images.
        """
        mean, scale = images.mean(0), images.std(0).clamp(min=1e-6)
        covariance = torch.cov(((images - mean) / scale).T)
        values, vectors = torch.linalg.eigh(torch.lerp(covariance, torch.eye(len(mean)), shrinkage))
        gaussian = cls(mean, scale, (vectors / values.sqrt()).half().float(), 0.0, known)
        limit = float(gaussian.distance(held_out).quantile(quiet))
        return cls(gaussian.mean, gaussian.scale, gaussian.whitening, limit, known)

    def save(self, folder: Path) -> None:
        """Write the file into a checkpoint's folder."""
        parts = {"mean": self.mean, "scale": self.scale, "whitening": self.whitening.half()}
        about = {"limit": repr(self.limit), "known": self.known}
        save_file({name: part.contiguous() for name, part in parts.items()}, folder / FILE, about)

    def distance(self, statistics: Tensor) -> Tensor:
        """Mahalanobis distances of statistics (..., D)."""
        return (((statistics - self.mean) / self.scale) @ self.whitening).norm(dim=-1)

    def knows(self, hidden: Sequence[Tensor]) -> bool:
        """Whether an image is like those of the world. hidden: as `image_statistics`."""
        return bool(self.distance(image_statistics(hidden)) <= self.limit)


def image_statistics(hidden: Sequence[Tensor]) -> Tensor:
    """The D statistics of an image. hidden: by layer, from the embedding on, (T, W) features of its visible tokens."""
    return torch.cat([getattr(hidden[layer].float().cpu(), name)(0) for layer, name in STATISTICS])
