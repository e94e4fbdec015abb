"""The results file, its ratios to the baseline, and the report in Markdown, made from the JSON alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.full_size.variants import BASELINE, LOCALIZERS, NO_LOCALIZER
from benchmarks.tables import markdown
from crop_core.records.config import ConfigError

Row = Mapping[str, Any]


def ratios(own: Row, base: Row) -> dict[str, float]:
    """Ratios of one variant's figures to the baseline's; medians, localizer included except for the prefill."""
    prefill, plain = own["prefill_s"]["median"], base["prefill_s"]["median"]
    scoring = own["scoring_s"]["median"]
    return {
        "ttft_ratio": own["ttft_s"]["median"] / base["ttft_s"]["median"],
        "total_ratio": own["total_s"]["median"] / base["total_s"]["median"],
        "memory_ratio": own["peak_bytes"] / base["peak_bytes"],
        "kv_ratio": own["kv_bytes"] / base["kv_bytes"],
        "flops_ratio": (own["flops"] + own["localizer_flops"]) / base["flops"],
        "prefill_ratio": prefill / plain,
        "prefill_flops_ratio": own["prefill_flops"] / base["prefill_flops"],
        "prefill_over_flops": (prefill / plain) / (own["prefill_flops"] / base["prefill_flops"]),
        "scoring_share": scoring / (scoring + prefill),
    }


def with_ratios(variants: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The figures of every variant with its ratios to the baseline."""
    base = variants[BASELINE]
    return {name: {**own, **ratios(own, base)} for name, own in variants.items()}


def over_flops(own: Row, base: Row) -> float:
    """Ratio of two prefills' seconds over the ratio of their FLOPs (`prefill_s`, `prefill_flops`)."""
    return (own["prefill_s"] / base["prefill_s"]) / (own["prefill_flops"] / base["prefill_flops"])


SHOWN_METHODS, SHOWN_LOCALIZERS = (BASELINE, "plc", "crop"), (NO_LOCALIZER, "free", "slots", "self")
_MS = ("ttft_s", "total_s", "localizer_s", "encode_s", "compression_s", "scoring_s", "prefill_s")
_HEAD = ["variant", "mean tokens", "first token ms", "total ms", "localizer ms", "encode ms", "compress ms", "score ms"]
_HEAD += [
    "prefill ms",
    "decode tokens/s",
    "KV MB",
    "peak MB",
    "TFLOP",
    "TTFT ratio",
    "memory ratio",
    "prefill/FLOPs",
    "score share",
]


def report(results: Row) -> str:
    """The report: all models, one section each."""
    parts = ["# Full size, random weights", _INTRODUCTION, _localizers(), overview(results)]
    for name, model in results["models"].items():
        parts += [f"## {name}", *_model(model)]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(results: Row) -> str:
    """A row for every model and variant of CROP, compared with the baseline."""
    head = ["model", "variant", "first token ms", "of it", "KV MB", "peak MB", "total ms"]
    rows = []
    for name, model in results["models"].items():
        variants = model.get("runs", {}).get("variants", {})
        shown = [
            each
            for each, own in variants.items()
            if own["method"] in SHOWN_METHODS and own["localizer"] in SHOWN_LOCALIZERS
        ]
        rows += [[name, each, *_beside(variants[each])] for each in shown]
    return markdown(head, rows)


def _beside(own: Row) -> list[str]:
    ms = [f"{1000 * own[each]['median']:.0f}" for each in ("ttft_s", "total_s")]
    memory = [f"{own[each] / 1e6:.0f}" for each in ("kv_bytes", "peak_bytes")]
    return [ms[0], f"{own['ttft_ratio']:.2f}", *memory, ms[1]]


_INTRODUCTION = (
    "Written by `benchmarks/gpu.py`. Medians over alternating rounds after a warm-up; the localizer is in the time to "
    "the first token, in the total, in the peak and in the FLOPs. Memory is above the weights, those of the localizer "
    "included. Ratios are to the baseline `none`."
)


def _localizers() -> str:
    return "\n".join(["Localizers:", "", *(f"- {name}: {text}" for name, (text, _) in LOCALIZERS.items())])


def _model(model: Row) -> list[str]:
    content = []
    if "runs" in model:
        content += [_about(model["facts"]), _circumstances(model["runs"]), _runs(model["runs"]["variants"])]
        content += [f"Refused, {name}: {why}" for name, why in model["runs"]["refused"].items()]
    if "questions" in model:
        content += [_circumstances(model["questions"]), _questions(model["questions"]["asked"])]
    if "batches" in model:
        content += [_circumstances(model["batches"]), _batches(model["batches"])]
    if "profile" in model:
        content += [_circumstances(model["profile"]), _profiles(model["profile"]["variants"])]
    return content


def _about(facts: Row) -> str:
    width, height = facts["image"]
    return (
        f"{facts['parameters']:,} parameters, {facts['weights_bytes'] / 1e9:.1f} GB; an image of {width} x {height}, "
        f"{facts['visual_tokens']} visual and {facts['text_tokens']} text tokens, {facts['layers']} decoder layers."
    )


def _circumstances(section: Row) -> str:
    how = section["circumstances"]
    versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
    return (
        f"`{how['command']}` on {how['device_name']}, {how['dtype']}, {how['attention']} attention, budget "
        f"{how['budget']}, {versions}; {how['date']}."
    )


def _runs(variants: Row) -> str:
    def cells(name: str, own: Row) -> list[str]:
        return [
            name,
            f"{own['mean_tokens']:.0f}",
            *(f"{1000 * own[each]['median']:.1f}" for each in _MS),
            f"{own['decode_tokens_per_s']['median']:.1f}",
            *(f"{own[each] / 1e6:.1f}" for each in ("kv_bytes", "peak_bytes")),
            f"{(own['flops'] + own['localizer_flops']) / 1e12:.3g}",
            *(f"{own[each]:.2f}" for each in ("ttft_ratio", "memory_ratio", "prefill_over_flops")),
            f"{own['scoring_share']:.1%}",
        ]

    return markdown(_HEAD, [cells(name, own) for name, own in variants.items()])


def _questions(seconds: Row) -> str:
    rows = [[name, *(f"{own[each]:.2f}" for each in ("median", "min", "max"))] for name, own in seconds.items()]
    return f"Seconds that one question keeps a worker:\n\n{markdown(['request', 'median', 'min', 'max'], rows)}"


def _batches(section: Row) -> str:
    plain = {rate["batch"]: rate for rate in section["variants"].get(BASELINE, {}).get("rates", [])}
    rows = [
        [
            name,
            f"{own['largest_batch']}{' or more' if own['largest_batch'] == section['most'] else ''}",
            str(rate["batch"]),
            *(f"{1000 * rate[each]:.0f}" for each in ("prefill_s", "total_s")),
            f"{rate['decode_tokens_per_s']:.0f}",
            f"{rate['kv_bytes'] / 1e6:.1f}",
            f"{over_flops(rate, plain[rate['batch']]):.2f}" if rate["batch"] in plain else "",
        ]
        for name, own in section["variants"].items()
        for rate in own.get("rates", [])
    ]
    about = "Batches of the language model's part alone: copies of one prompt, vision features computed once."
    head = ["variant", "largest batch", "batch", "prefill ms", "total ms", "decode tokens/s", "KV MB", "prefill/FLOPs"]
    return f"{about}\n\n{markdown(head, rows)}"


def _profiles(profiles: Row) -> str:
    rows = [
        [name, each["name"][:60], str(each["calls"]), f"{each['ms']:.2f}"]
        for name, own in profiles.items()
        for each in own["ops"]
    ]
    waits = [
        f"- {name}: " + (", ".join(f"{count} x {what}" for what, count in _all(own).items()) or "none")
        for name, own in profiles.items()
    ]
    table = markdown(["prefill of", "operator or kernel", "calls", "own ms"], rows)
    return "\n".join(["Waits and transfers between the start of generate and the first token:", "", *waits, "", table])


def _all(profile: Row) -> dict[str, int]:
    return {**profile["waits"], **profile["reads"], **profile["copies"], **profile["places"]}


FORMAT = 1


class Results:
    """The results file: sections by model, rewritten atomically after every step, so that interruptions lose nothing.

    path: of the JSON; a report in Markdown is written next to it. Its other models and sections are kept. Raises
    ConfigError for another kind of file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[str, Any] = {"format": FORMAT, "models": {}}
        if path.exists():
            self.data = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ConfigError(f"{self.path} is no result of this benchmark; move it away or give another --out.")
        return content

    def put(self, model: str, **sections: Any) -> None:
        """Replace sections of a model."""
        self.data["models"].setdefault(model, {}).update(sections)
        self._write(self.path, json.dumps(self.data, indent=1) + "\n")
        self._write(self.path.with_suffix(".md"), report(self.data))

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(path.suffix + ".part")
        whole.write_text(text, encoding="utf-8")
        os.replace(whole, path)
