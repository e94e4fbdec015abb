"""Cost of one answer, as a record. Knows nothing of torch or of measuring."""

from __future__ import annotations

from typing import Annotated

from crop_core.records.base import Record, Word, limit

Amount = Annotated[float, limit(1e24)]
Count = Annotated[int, limit(10**24)]


class Cost(Record):
    """Times in seconds, sizes in bytes, FLOPs in floating-point operations, of one answer on one device.

    ttft_s (time to first token) contains localizer_s, encode_s, compression_s, scoring_s and prefill_s; total_s is the
    whole answer. The baseline has no localizer, compression or scoring: zeros. kv_bytes: the exact KV cache after the
    last token. weights_bytes and localizer_weights_bytes: parameters of the answering model and of the localizer.
    peak_bytes: peak of activations and KV cache above the weights, measured by peak_method. flops: vision and
    LLM prefill, without the localizer's localizer_flops.
    """

    device: Word
    dtype: Word
    ttft_s: Amount
    total_s: Amount
    new_tokens: Count
    tokens_per_s: Amount
    localizer_s: Amount
    encode_s: Amount
    compression_s: Amount
    scoring_s: Amount
    prefill_s: Amount
    decode_s: Amount
    kv_bytes: Count
    weights_bytes: Count
    localizer_weights_bytes: Count
    peak_bytes: Count
    peak_method: Word
    flops: Count
    localizer_flops: Count
