"""Compressors by name. A new method is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable

from crop_core.compress.cdpruner import CdPrunerCompressor
from crop_core.compress.distinct import DistinctCompressor
from crop_core.compress.divprune import DivPruneCompressor
from crop_core.compress.learned import LearnedCompressor
from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import Compressor
from crop_core.compress.random_subset import RandomCompressor
from crop_core.compress.region_only import RegionCompressor
from crop_core.compress.visionzip import VisionZipCompressor
from crop_core.compress.vispruner import VisPrunerCompressor
from crop_core.records.compression_plan import CompressionError
from crop_core.records.config import CropConfig

COMPRESSORS: dict[str, Callable[[CropConfig], Compressor]] = {
    "pooling": lambda config: PoolingCompressor(config.plc),
    "distinct": lambda config: DistinctCompressor(config.plc),
    "random": lambda config: RandomCompressor(config.seed),
    "region": lambda config: RegionCompressor(),
    "visionzip": lambda config: VisionZipCompressor(),
    "divprune": lambda config: DivPruneCompressor(),
    "cdpruner": lambda config: CdPrunerCompressor(),
    "vispruner": lambda config: VisPrunerCompressor(),
    "learned": lambda config: LearnedCompressor(config.plc),
    "queries": lambda config: LearnedCompressor(config.plc, anchors=False),
}
READ_TOWER = {"visionzip", "vispruner"}  # those that read what the vision tower attends to
LEARNED = {"learned", "queries"}  # those that a model must have been trained for
BY_PLACE = {"pooling", "random", "region"}  # those that read where tokens lie alone, and multiply nothing


def reads_tower(name: str) -> bool:
    """Whether the compressor `name` needs `Image.tower`."""
    return name in READ_TOWER


def is_learned(name: str) -> bool:
    """Whether the compressor `name` needs `Image.queries`, and a model with a learned PLC."""
    return name in LEARNED


def compressor(name: str, config: CropConfig) -> Compressor:
    """The compressor `name` with its part of the settings."""
    if name not in COMPRESSORS:
        raise CompressionError(f"The compressor {name!r} is not known; choose one of {', '.join(COMPRESSORS)}.")
    return COMPRESSORS[name](config)
