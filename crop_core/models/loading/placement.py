"""Device and precision of a model: the user's options, validated before anything is read.

Several devices are handled by accelerate: "auto" fills the GPUs, then memory, then offloads to disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from crop_core.models.adapter import ModelError

AUTO = "auto"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DeviceMap = Mapping[str, Any]  # module name -> "cpu", "cuda:0", 0, "disk", ...
Device = str | torch.device | DeviceMap


@dataclass(frozen=True)
class Placement:
    """device: the only device, or None where accelerate spreads the model by `map`. dtype: of unquantized weights."""

    device: torch.device | None
    map: str | dict[str, Any]
    dtype: torch.dtype
    quantize: str | None = None

    @classmethod
    def of(
        cls, device: Device | None = None, dtype: str | torch.dtype | None = None, quantize: str | None = None
    ) -> Placement:
        """From the arguments of `load`; ModelError for a device or dtype that cannot be used here."""
        single: torch.device | None = None
        spread: str | dict[str, Any] = AUTO
        if isinstance(device, Mapping):
            spread = dict(device)
        elif device != AUTO:
            single = _device(device)
            spread = {"": single}
        return cls(single, spread, _dtype(dtype, _kinds(spread)), quantize)

    @property
    def kinds(self) -> set[str]:
        """Device types that the model may use: "cuda", "cpu", "disk", ..."""
        return _kinds(self.map)

    @property
    def title(self) -> str:
        """The device, in words."""
        return "all GPUs" if self.device is None else str(self.device)

    @property
    def precision(self) -> str:
        """Quantization or dtype, in words."""
        return self.quantize or str(self.dtype).removeprefix("torch.")


def _kinds(spread: str | dict[str, Any]) -> set[str]:
    if isinstance(spread, str):
        return {"cuda", "cpu"} if torch.cuda.is_available() else {"cpu"}
    return {"cuda" if isinstance(each, int) else str(each).split(":")[0] for each in spread.values()}


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        result = torch.device(device)
        torch.zeros(1, device=result).cpu()  # fails too where a device holds no data, as "meta"
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"The device {str(device)!r} cannot be used here; use 'cpu', 'cuda' with a GPU, or 'auto'."
        ) from error
    return result


def _dtype(dtype: str | torch.dtype | None, kinds: set[str]) -> torch.dtype:
    if dtype is None:
        return torch.float32 if kinds <= {"cpu", "disk"} else torch.bfloat16
    result = DTYPES.get(str(dtype).removeprefix("torch."))
    if result is None:
        raise ModelError(f"The dtype {str(dtype)!r} is not supported; use one of {', '.join(DTYPES)}.")
    return result
