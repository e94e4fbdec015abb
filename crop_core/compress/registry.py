"""Compressors by name. A new method is one file beside this one and one row here."""

from __future__ import annotations

from collections.abc import Callable

from crop_core.compress.pooling import PoolingCompressor
from crop_core.compress.protocol import CompressionError, Compressor
from crop_core.config import PlcConfig

COMPRESSORS: dict[str, Callable[[PlcConfig], Compressor]] = {
    "pooling": PoolingCompressor,
}


def compressor(name: str, config: PlcConfig) -> Compressor:
    """The compressor `name` with these settings."""
    if name not in COMPRESSORS:
        raise CompressionError(f"The compressor {name!r} is not known; choose one of {', '.join(COMPRESSORS)}.")
    return COMPRESSORS[name](config)
