"""Report of a calibration: one HTML file with its figures, which heads are read, and where they look."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from crop_core.io.html_templates import html_templates
from crop_core.localize.self_attention.attention_rule import AttentionRule
from crop_core.localize.self_attention.explanation import explained
from crop_core.records.formatting import counted
from crop_core.records.region import GRID
from crop_core.train.localizer.attention_fit import RuleFigures
from crop_core.train.localizer.calibrate import CalibrationResult, MeasuredQuestion
from crop_core.train.localizer.calibration_questions import SCENES

TEMPLATES = html_templates(Path(__file__).with_name("templates"))
HEAD = ("rule", "questions", "mean IoU", "covers all", "mean area")
EXAMPLES, MAPS = 4, 5  # questions that are drawn, and maps beside each
PIXELS, COLOURS = 240, ("#009e73", "#d55e00")  # longer side of a drawn image; of the true and the predicted region
WORSE = (
    "No better than what there was: {} has a mean IoU of {:.2f} on these questions, and the calibrated rule {:.2f}; "
    "calibrate with more questions, or delete '{}' to go on as before."
)
ABOUT_SCENES = "Drawn scenes prove where the model looks in such scenes; photographs and pages were not measured."
ABOUT_ROWS = "The rows given prove where the model looks on questions and images like them, and on no others."


def calibration_page(result: CalibrationResult, layers: int, heads: int) -> str:
    """The whole file, for a model of so many decoder layers of so many heads."""
    profile, rule = result.profile, result.profile.rule
    facts = {**vars(profile.key), **profile.facts["settings"], **profile.facts["versions"], "profile": result.file.name}
    return TEMPLATES.get_template("calibration.html").render(
        title=f"Calibration of {profile.key.model} as its own localizer",
        sentences=sentences(result),
        head=HEAD,
        rows=table_rows(result.compared),
        weights=_weights(rule, layers, heads),
        examples=[
            {"question": each.question.question, "image": _example(rule, each)} for each in _chosen(result.measured)
        ],
        facts=facts,
    )


def sentences(result: CalibrationResult) -> list[str]:
    """The result, and what it proves."""
    profile, rule = result.profile, result.profile.rule
    heads = {(term.layer, term.head) for term in rule.terms}
    best, *others = result.compared.items()
    beside = ", ".join(f"{name} {each.iou:.2f}" for name, each in others)
    where = f"in layers {rule.layers[0]} to {rule.layers[-1]}, over at most {rule.side} x {rule.side} visual tokens,"
    read = f"{counted(len(heads), 'head')} {where}"
    return [
        f"{read} are read; mean IoU {best[1].iou:.2f} on {counted(profile.questions, 'question')} about "
        f"{profile.source} that nothing was fitted to ({beside}).",
        *([WORSE.format(*better, result.file)] if (better := _better(result.compared)) else []),
        ABOUT_SCENES if profile.source == SCENES else ABOUT_ROWS,
    ]


def _better(compared: dict[str, RuleFigures]) -> tuple[str, float, float] | None:
    """What has the highest IoU, with it and the calibrated rule's, if it is not the calibrated rule."""
    own, *others = compared.items()
    name, figures = max(others, key=lambda each: each[1].iou, default=own)
    return (name, figures.iou, own[1].iou) if figures.iou > own[1].iou else None


def table_rows(compared: dict[str, RuleFigures]) -> list[tuple[str, ...]]:
    """Cells below HEAD."""
    return [
        (name, str(each.questions), f"{each.iou:.3f}", f"{each.coverage:.1%}", f"{each.area:.1%}")
        for name, each in compared.items()
    ]


def _chosen(measured: list[MeasuredQuestion]) -> list[MeasuredQuestion]:
    """The first ones that are about different images, and of different kinds where they have one."""
    chosen: list[MeasuredQuestion] = []
    for each in measured:
        seen = {name for one in chosen for name in (one.question.image, one.question.kind) if name}
        if not {each.question.image, each.question.kind} & seen:
            chosen.append(each)
    return chosen[:EXAMPLES]


def _weights(rule: AttentionRule, layers: int, heads: int) -> str:
    """Address of the picture of all heads' weights."""
    weights = np.zeros((layers, heads))
    for term in rule.terms:
        weights[term.layer, term.head] += abs(term.weight)
    figure = Figure(figsize=(max(3.5, 0.22 * heads + 1.5), max(2.5, 0.18 * layers + 1)), layout="constrained")
    axes = figure.add_subplot(xlabel="head", ylabel="layer")
    figure.colorbar(axes.imshow(weights, cmap="viridis", aspect="auto"), ax=axes, label="weight")
    return _address(figure)


def _example(rule: AttentionRule, each: MeasuredQuestion) -> str:
    """Address of the picture of one question: its image with both regions, and the maps beside it."""
    image = each.question.open().copy()
    image.thumbnail((PIXELS, PIXELS))
    maps = explained(rule, each.shares).maps[:MAPS]
    figure = Figure(figsize=(2.3 * (len(maps) + 1), 2.6), layout="constrained")
    shown, *others = figure.subplots(1, len(maps) + 1)
    _draw_regions(shown, image, (each.question.grid, rule.decode(each.shares).numbers))
    for axes, one in zip(others, maps, strict=True):
        axes.imshow(one.values, cmap="viridis", extent=(0, image.width, image.height, 0))
        axes.set_title("\n".join(one.title.split(", ", 2)), fontsize=8)
    for axes in (shown, *others):
        axes.set_axis_off()
    return _address(figure)


def _draw_regions(axes: Any, image: Image.Image, regions: Iterable[tuple[int, ...]]) -> None:
    axes.imshow(np.asarray(image))
    width, height = image.width / GRID, image.height / GRID
    for (x0, y0, x1, y1), colour, line in zip(regions, COLOURS, ("-", "--"), strict=True):
        size = (x1 - x0 + 1) * width, (y1 - y0 + 1) * height
        axes.add_patch(Rectangle((x0 * width, y0 * height), *size, fill=False, edgecolor=colour, lw=2, ls=line))


def _address(figure: Figure) -> str:
    """The figure as a data URL."""
    content = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(content.getvalue()).decode()}"
