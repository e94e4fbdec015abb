"""What one answer cost. A record only: who measures it is in the other files here. Knows nothing of torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Cost:
    """Times in seconds, sizes in bytes, FLOPs in floating-point operations, of one answer on one device.

    ttft_s (time to first token) contains localizer_s, encode_s, compression_s, scoring_s and prefill_s; total_s is the
    whole answer. The baseline has no localizer, compression or scoring: zeros. kv_bytes: the exact KV cache after the
    last token. weights_bytes and localizer_weights_bytes: parameters of the answering model and of the localizer.
    peak_bytes: the most that activations and KV cache took above the weights, found by peak_method. flops: vision and
    LLM prefill, without the localizer's localizer_flops.
    """

    device: str
    dtype: str
    ttft_s: float
    total_s: float
    new_tokens: int
    tokens_per_s: float
    localizer_s: float
    encode_s: float
    compression_s: float
    scoring_s: float
    prefill_s: float
    decode_s: float
    kv_bytes: int
    weights_bytes: int
    localizer_weights_bytes: int
    peak_bytes: int
    peak_method: str
    flops: int
    localizer_flops: int

    def to_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cost:
        """Inverse of `to_json`; unknown keys are left out."""
        return cls(**{each.name: data[each.name] for each in fields(cls)})
