"""Whether an image is like those that a model was trained on, for checkpoints that say so in a file of their own.

The file, FILE, holds the distribution of a few statistics of the vision tower's features over images of the training
world, and the direction from there to photographs and other images; an image that is far from that world, or far in
that direction, is told to the user. Sources: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution
Samples, arXiv 1807.03888, with one Gaussian of the statistics of whole images; Hendrycks et al., Deep Anomaly Detection
with Outlier Exposure, arXiv 1812.04606, with Fisher's linear discriminant instead of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from crop_core.models.adapter import ModelError

FILE = "familiar_images.safetensors"
TENSORS = ("mean", "scale", "whitening", "direction")
STATISTICS = ((2, "mean"), (2, "std"), (3, "mean"))  # of the features after so many layers of the tower, over tokens


@dataclass(frozen=True, eq=False)
class FamiliarImages:
    """A Gaussian of the D statistics of an image. mean, scale: (D,) of each. whitening: (D, D) of the scaled ones.

    direction: (D,) unit vector among the whitened ones, from the world to other images. limit: largest distance of an
    image that is like those of the world. limit_along: the same along `direction`. known: what they are, in the plural.
    """

    mean: Tensor
    scale: Tensor
    whitening: Tensor
    direction: Tensor
    limit: float
    limit_along: float
    known: str

    @classmethod
    def load(cls, folder: Path | None) -> FamiliarImages | None:
        """Of a checkpoint's folder; None where it has no such file, ModelError for a broken one."""
        if folder is None or not (folder / FILE).is_file():
            return None
        try:
            with safe_open(folder / FILE, "pt") as file:
                about = file.metadata()
                parts = {name: file.get_tensor(name).float() for name in TENSORS}
            return cls(
                **parts,
                limit=float(about["limit"]),
                limit_along=float(about["limit_along"]),
                known=about["known"],
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{FILE} of {folder.name} cannot be read; delete it, or copy it again.") from error

    @classmethod
    def fitted(
        cls, images: Tensor, others: Tensor, held_out: Tensor, quiet: float, shrinkage: float, known: str
    ) -> FamiliarImages:
        """Fit to statistics (K, D) of images of the world and (L, D) of others.

        quiet: share of more images of the world, (M, D), that each of the two limits leaves familiar. shrinkage: weight
        of the identity in the covariance of the scaled statistics, which are correlated and many for few images.
        """
        mean, scale = images.mean(0), images.std(0).clamp(min=1e-6)
        covariance = torch.cov(((images - mean) / scale).T)
        values, vectors = torch.linalg.eigh(torch.lerp(covariance, torch.eye(len(mean)), shrinkage))
        whitening = (vectors / values.sqrt()).half().float()
        along = (((others - mean) / scale) @ whitening).mean(0)
        world = cls(mean, scale, whitening, along / along.norm(), 0.0, 0.0, known)
        limit, limit_along = (float(each.quantile(quiet)) for each in world.distances(held_out))
        return replace(world, limit=limit, limit_along=limit_along)

    def save(self, folder: Path) -> None:
        """Write the file into a checkpoint's folder."""
        parts = {name: getattr(self, name) for name in TENSORS} | {"whitening": self.whitening.half()}
        about = {"limit": repr(self.limit), "limit_along": repr(self.limit_along), "known": self.known}
        save_file({name: part.contiguous() for name, part in parts.items()}, folder / FILE, about)

    def distances(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """Of statistics (..., D): Mahalanobis distances, and how far they lie along `direction`."""
        whitened = ((statistics - self.mean) / self.scale) @ self.whitening
        return whitened.norm(dim=-1), whitened @ self.direction

    def familiar(self, statistics: Tensor) -> Tensor:
        """Which of the images with statistics (..., D) are like those of the world, bool."""
        distance, along = self.distances(statistics)
        return (distance <= self.limit) & (along <= self.limit_along)

    def knows(self, hidden: Sequence[Tensor]) -> bool:
        """Whether an image is like those of the world. hidden: as `image_statistics`."""
        return bool(self.familiar(image_statistics(hidden)))


def image_statistics(hidden: Sequence[Tensor]) -> Tensor:
    """The D statistics of an image. hidden: by layer, from the embedding on, (T, W) features of its visible tokens."""
    return torch.cat([getattr(hidden[layer].float().cpu(), name)(0) for layer, name in STATISTICS])
