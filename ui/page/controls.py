"""Settings panel: its widgets, and their (untrusted) values parsed into a `CropConfig` and a `Region`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from crop_core.records.config import MAX_SEED, PRESETS, Budget, ConfigError, CropConfig, IlpConfig, PlcConfig, Ring
from crop_core.records.formatting import truncated_repr
from crop_core.records.localizers import LOCALIZERS, SELF, TEXT, WHOLE
from crop_core.records.methods import METHODS, method_of
from crop_core.records.region import Region, RegionError
from ui.page.components import QUIET

BUDGETS = [*((f"{name} of 576", name) for name in PRESETS), ("Custom", "custom"), ("None: ratios as given", "ratios")]
MODES = [("Predicted", "predicted"), ("Self", SELF), ("Text", TEXT), ("Drawn", "drawn"), ("Whole", "whole")]
PREDICTED = ("predicted", SELF, TEXT)  # the modes in which a localizer finds the region
MODES_HELP = {
    SELF: "Self: where the model's own attention says.",
    TEXT: "Text: the lines in the image that the question is about.",
}
RINGS_HELP = "Width in cells : number of tokens pooled into one, from near to far; “rest” is everything beyond."
SCHEDULE_HELP = (
    "Layer : share of tokens alive from it on. Empty: one early and one late cut. A budget scales the shares."
)
JOINED_HELP = "Two can be joined by typing, one before the LLM and one inside it: plc+fastv."
EVICT_HELP = "Pruned tokens leave the KV cache of the layers before the last cut too, once the prompt is read."
SHORT_HELP = "Adds below the question, as in benchmarks: “{}”"
SEED_HELP = "What {} is drawn from: a whole number, 0 when empty. The other methods read none."
LONGEST_HELP = "max_new_tokens: tokens of the answer at most; empty for the model's own limit."
PULL = "(...region) => window.cropExplorer?.pull(region) ?? region"
ASK_PULL = f"(...values) => [...values.slice(0, -6), ...({PULL})(...values.slice(-6))]"
PUSH = "(...region) => { window.cropExplorer?.push(region); }"
FORGET = "(mode, others) => mode === 'drawn' ? others : ''"
# Enables a Stop button. Clicks come one by one, however fast: the page sends no second run once it knows of the first,
# which takes a task.
STOPPABLE = "async () => { await new Promise(setTimeout); return { __type__: 'update', interactive: true }; }"


@dataclass(frozen=True)
class ParsedSettings:
    """The parsed settings; `region` is None where the localizer predicts it. mode: one of MODES."""

    config: CropConfig
    region: Region | None
    mode: str


def pairs(text: str, what: str, example: str) -> list[tuple[str, float]]:
    """`text` "a:b, c:d" as [(a, number b), ...]; ConfigError that shows an example for anything else."""
    result = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        left, colon, right = part.partition(":")
        try:
            result.append((left.strip(), float(right)))
        except ValueError:
            colon = ""
        if not colon:
            raise ConfigError(
                f"The {what} {truncated_repr(text)} cannot be read at {truncated_repr(part)}; "
                f"write them like {example}."
            )
    return result


def number(text: str, what: str, example: str) -> float:
    """A number, "rest" meaning everything beyond."""
    try:
        return math.inf if text == "rest" else float(text)
    except ValueError:
        raise ConfigError(f"The {what} cannot be read at {truncated_repr(text)}; write them like {example}.") from None


def parse_rings(text: str) -> PlcConfig:
    """PLC rings from "1:4, 2:9, rest:36"."""
    what, example = "PLC rings", "1:4, 2:9, rest:36"
    return PlcConfig(tuple(Ring(number(width, what, example), ratio) for width, ratio in pairs(text, what, example)))


def rings_text(plc: PlcConfig) -> str:
    """Inverse of `parse_rings`."""
    return ", ".join(f"{'rest' if ring.width == math.inf else f'{ring.width:g}'}:{ring.ratio:g}" for ring in plc.rings)


def parse_schedule(text: str) -> IlpConfig:
    """An ILP schedule from "2:0.5, 6:0.2"; the default one when empty."""
    what, example = "ILP schedule", "2:0.5, 6:0.2"
    steps = []
    for layer, share in pairs(text, what, example):
        at = number(layer, what, example)
        if not math.isfinite(at) or at != int(at):
            raise ConfigError(
                f"The ILP schedule needs whole layers, not {truncated_repr(layer)}; write it like {example}."
            )
        steps.append((int(at), share))
    return IlpConfig(schedule=tuple(steps))


def parse_budget(choice: str, custom: str) -> Budget | None:
    """A preset, a custom budget ("64" or "11.1%"), or None: the ratios and shares as they stand."""
    if choice == "ratios":
        return None
    if choice != "custom":
        if choice not in PRESETS:
            raise ConfigError(
                f"The budget {truncated_repr(choice)} is not known; choose {', '.join(PRESETS)}, custom or ratios."
            )
        return PRESETS[choice]
    if not (custom or "").strip():
        raise ConfigError("The custom budget is empty; give a mean number of tokens per layer (64) or a share (11.1%).")
    return Budget.parse(custom)


def parse_longest(text: str) -> int | None:
    """max_new_tokens, None where it is left empty."""
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError:
        message = f"The longest answer {truncated_repr(text)} is not a number of tokens; give one such as 64, or none."
        raise ConfigError(message) from None


def parse_seed(text: str) -> int:
    """The random seed, 0 where it is left empty; of numbers below 0 and above MAX_SEED none is one."""
    try:
        seed = int(text.strip() or "0")
    except ValueError:
        seed = -1
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(
            f"The random seed {truncated_repr(text)} is not possible; give a whole number from 0 to {MAX_SEED}."
        )
    return seed


def offered_modes() -> list[tuple[str, str]]:
    """Those of MODES whose localizer's packages are installed, as (label, name)."""
    return [mode for mode in MODES if mode[1] not in LOCALIZERS or LOCALIZERS[mode[1]].installed]


def parse_region(mode: str, cells: Sequence[Any], size: tuple[int, int]) -> Region | None:
    """The drawn or whole region of an image of `size` (width, height), or None where it is predicted."""
    if mode in PREDICTED:
        return None
    if mode == "whole":
        return Region.whole(*size)
    if mode != "drawn":
        choices = ", ".join(name for _, name in MODES)
        raise RegionError(f"The region {truncated_repr(mode)} is not known; choose one of {choices}.")
    try:
        x0, y0, x1, y1 = (int(cell) for cell in cells)
    except (TypeError, ValueError, OverflowError):
        message = "The drawn region is incomplete; draw it on the image or give all four cells, 0 to 7."
        raise RegionError(message) from None
    return Region(x0, y0, x1, y1, *size, "drawn")


def without_drawn(mode: str) -> Any:
    """The region mode for a new image: a drawn region belongs to the one before."""
    return "predicted" if mode == "drawn" else gr.skip()


def parse_settings(values: Sequence[Any], size: tuple[int, int]) -> ParsedSettings:
    """Parse all settings, in the order of `SettingsPanel.values`; ConfigError or RegionError for an invalid one."""
    method, budget, custom, rings, schedule, evict, longest, short, seed, mode, *cells = values
    for each in (method, budget, custom, rings, schedule, longest, seed, mode):
        if not isinstance(each, str | None):
            raise ConfigError(f"A setting is a text, not {truncated_repr(each)}.")
    plc, ilp = parse_rings(rings or ""), replace(parse_schedule(schedule or ""), evict=bool(evict))
    config = CropConfig(
        method=method or "",
        budget=parse_budget(budget, custom),
        plc=plc,
        ilp=ilp,
        max_new_tokens=parse_longest(longest or ""),
        short_answer=bool(short),
        seed=parse_seed(seed or ""),
        localizer=mode if mode in (*PREDICTED, WHOLE) else "predicted",
    )
    return ParsedSettings(config, parse_region(mode, cells, size), mode)


def shown_custom(choice: str, share: float, custom: str) -> tuple[Any, Any]:
    """Slider and text of a custom budget, where it is chosen; an empty text becomes the slider's."""
    chosen = choice == "custom"
    text = {"value": f"{share:g}%"} if chosen and not (custom or "").strip() else {}
    return gr.Slider(visible=chosen), gr.Textbox(visible=chosen, **text)


def shown_stages(name: str) -> tuple[Any, Any, Any]:
    """PLC rings, ILP schedule and eviction, where the method (untrusted) reads them."""
    try:
        method = method_of(name)
    except (ConfigError, AttributeError, TypeError):
        return (gr.skip(),) * 3
    shown = method.reads_rings, method.reads_schedule, bool(method.pruner)
    return gr.Textbox(visible=shown[0]), gr.Textbox(visible=shown[1]), gr.Checkbox(visible=shown[2])


class SettingsPanel:
    """The widgets of the settings; `values` are the inputs of `parse_settings`, `usual` those as the page opens.

    short_request: the sentence that asks the model for a short answer; without one there is nothing to choose.
    """

    def __init__(self, short_request: str = "") -> None:
        methods = [(one.label, name) for name, one in METHODS.items()]
        with gr.Accordion("Settings", open=False, elem_id="settings"):
            budget = gr.Radio(
                BUDGETS,
                value="192",
                label="Token budget",
                info="Mean number of visual tokens per LLM layer.",
                elem_id="budget",
            )
            share = gr.Slider(1, 100, 11, step=1, label="Share of the tokens, %", visible=False, elem_id="share")
            custom = gr.Textbox(
                "",
                label="Custom budget",
                info="Tokens (64), a share (11.1%), or what is left (64 left).",
                visible=False,
                elem_id="custom",
            )
            method = gr.Dropdown(
                methods, value="crop", label="Method", info=JOINED_HELP, allow_custom_value=True, elem_id="method"
            )
            rings = gr.Textbox(rings_text(PlcConfig()), label="PLC rings", info=RINGS_HELP, elem_id="rings")
            schedule = gr.Textbox(
                "", label="ILP schedule", info=SCHEDULE_HELP, placeholder="2:0.5, 6:0.2", elem_id="schedule"
            )
            evict = gr.Checkbox(False, label="Evict from early layers", info=EVICT_HELP, elem_id="evict")
            longest = gr.Textbox("", label="Longest answer", info=LONGEST_HELP, placeholder="64", elem_id="longest")
            how = SHORT_HELP.format(short_request)
            short = gr.Checkbox(False, label="Short answer", info=how, visible=bool(short_request), elem_id="short")
            seeded = ", ".join(one.title for one in METHODS.values() if one.uses_seed)
            about = SEED_HELP.format(seeded)
            seed = gr.Textbox("", label="Random seed", info=about, placeholder="0", elem_id="seed")
        modes = offered_modes()
        about = " ".join(MODES_HELP[name] for _, name in modes if name in MODES_HELP)
        self.mode = gr.Radio(modes, value="predicted", label="Region", info=about, elem_id="mode")
        with gr.Row(visible=False, elem_id="cells") as row:
            names = ("Left column", "Top row", "Right column", "Bottom row")
            self.cells = [
                gr.Number(value, label=name, precision=0, min_width=70)
                for name, value in zip(names, (2, 2, 5, 5), strict=True)
            ]
        budget.change(shown_custom, [budget, share, custom], [share, custom], **QUIET)
        share.input(None, share, custom, js="(share) => `${share}%`", api_visibility="private")
        method.change(shown_stages, method, [rings, schedule, evict], **QUIET)
        self.row, self.method = row, method
        self.values = [method, budget, custom, rings, schedule, evict, longest, short, seed, self.mode, *self.cells]
        self.usual = [widget.value for widget in self.values]

    def follow(self, explorer: gr.HTML, others: gr.Textbox) -> None:
        """Keep the widgets and the regions drawn in the explorer in sync, in the browser; others: the regions of the
        images after the first, which a change of mode clears.
        """
        region = [self.mode, *self.cells, others]
        explorer.input(None, region, region, js=PULL, api_visibility="private")
        self.mode.input(None, [self.mode, others], others, js=FORGET, api_visibility="private")
        for widget in region:
            widget.change(None, region, None, js=PUSH, api_visibility="private")
        self.mode.change(lambda mode: gr.Row(visible=mode == "drawn"), self.mode, self.row, **QUIET)
