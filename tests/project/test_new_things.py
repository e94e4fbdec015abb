"""A new method, localizer, family, dataset, metric or figure is one file and one row, a tab or command one file, and
shows wherever it must.

CONTRIBUTING.md promises so. Each test adds a dummy in exactly those places: a file in a folder that its package reads
too, and a row of its table.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType

import gradio as gr
import pytest
from PIL import Image

from benchmarks import reference
from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.datasets.protocol import DatasetError
from crop_core.evaluate.datasets.registry import SOURCES, Source, dataset
from crop_core.evaluate.metrics.registry import METRICS
from crop_core.evaluate.runner import plan
from crop_core.models.families.registry import FAMILIES
from crop_core.records.config import Budget, CropConfig
from crop_core.records.localizers import LOCALIZERS, LocalizerInfo
from crop_core.records.methods import METHODS, Method
from crop_core.records.region import Region
from tests.support import ROOT, checkpoints
from tests.support.fake_records import FakeEngine, comparison, sample_image
from ui.export.figure import FIGURES, FigureKind, FigureOptions, figure
from ui.page.controls import SettingsPanel
from ui.page.export_panel import publish_part
from ui.page.layout import build
from ui.page.sweep_widgets import method_choice

NewFile = Callable[[str, str], ModuleType]
IMAGE, QUESTION = Image.effect_noise((200, 120), 90).convert("RGB"), "what is left of the dog?"
REGION = Region(2, 2, 4, 4, 200, 120)

COMPRESSOR = '''
from dataclasses import dataclass
import numpy as np
from crop_core.compress.protocol import Compressor
from crop_core.compress.protocol import kept

@dataclass(frozen=True)
class FirstCompressor(Compressor):
    """Keeps the first tokens."""

    def plan(self, image, count=None):
        return kept(np.arange(count or 1), image.layout.count)
'''
PRUNER = '''
from crop_core.prune.protocol import Decision, ScheduledPruner

class FirstPruner(ScheduledPruner):
    """Keeps the first tokens."""

    def decide(self, context):
        return [Decision(alive[: self.count(context)]) for alive in context.alive]
'''
LOCALIZER = '''
from dataclasses import dataclass
from crop_core.localize.fixed_regions import KnownRegion
from crop_core.records.region import Region

@dataclass(frozen=True)
class CornerLocalizer:
    """The first cell of every image."""

    adapter: object
    weights_bytes: int = 0

    @classmethod
    def from_checkpoint(cls, adapter):
        return cls(adapter)

    def localize_region(self, image, question):
        return Region(0, 0, 0, 0, *image.size)

    def localize(self, image, question):
        return KnownRegion(self.localize_region(image, question)).localize(image, question)
'''


@pytest.fixture
def new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewFile:
    """Writes the file dummy.py of a package, and imports it."""

    def write(package: str, source: str) -> ModuleType:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "dummy.py").write_text(source, encoding="utf-8")
        parent = import_module(package)
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{package}.dummy", raising=False)
        module = import_module(f"{package}.dummy")
        monkeypatch.setitem(sys.modules, f"{package}.dummy", module)  # undone at the end
        monkeypatch.setattr(parent, "dummy", module)
        return module

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random answering model, of 64 visual tokens."""
    return checkpoints.save(tmp_path_factory.mktemp("llava"), layers=4)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command line prints, on one line."""
    with suppress(SystemExit):  # how --help ends
        main(list(arguments))
    return " ".join(capsys.readouterr().out.split())


def labels(app: gr.Blocks, kind: type) -> list[str]:
    return [block.label for block in app.blocks.values() if isinstance(block, kind)]


@pytest.mark.parametrize(
    ("package", "source", "row"),
    [
        ("crop_core.compress", COMPRESSOR, {"compressor": "crop_core.compress.dummy:FirstCompressor"}),
        ("crop_core.prune", PRUNER, {"pruner": "crop_core.prune.dummy:FirstPruner"}),
    ],
    ids=["compressor", "pruner"],
)
def test_a_method(package, source, row, folder, new_file, monkeypatch, capsys):
    new_file(package, source)
    method = Method("Dummy", "Dummy: keep the first tokens", needs_region=False, **row)
    monkeypatch.setitem(METHODS, "dummy", method)
    joined = "dummy+ilp" if method.compressor else "plc+dummy"
    engine = CropEngine.from_pretrained(folder, None, warm_up=False)
    for name in ("dummy", joined):
        config = CropConfig(name, Budget(mean_tokens=32), max_new_tokens=2, repeats=1)
        trace = engine.answer(IMAGE, QUESTION, config, REGION).trace
        assert 0 < trace.mean_tokens <= 32
    assert "dummy" in printed(capsys, "ask", "--help")
    with gr.Blocks():
        settings, choice = SettingsPanel(), method_choice(["dummy"], "dummies")
    assert ("Dummy: keep the first tokens", "dummy") in settings.method.choices
    assert ("Dummy", "dummy") in choice.choices
    assert {"dummy", joined} <= {trial.method for trial in plan.trials(["all", joined])}
    assert "| `dummy` " in reference.method_list()


def test_a_localizer_by_name(folder, new_file, monkeypatch, capsys):
    module = new_file("crop_core.localize", LOCALIZER)
    path = "crop_core.localize.dummy:CornerLocalizer"
    monkeypatch.setitem(LOCALIZERS, "dummy", LocalizerInfo("the first cell", path, needs_model=True))
    engine = CropEngine.from_pretrained(folder, "dummy", warm_up=False)
    assert engine.localizer == module.CornerLocalizer(engine.adapter)
    config = CropConfig(budget=Budget(mean_tokens=32), max_new_tokens=2, repeats=1)
    assert engine.answer(IMAGE, QUESTION, config).trace.region.grid == (0, 0, 0, 0)
    for command in ("ask", "bench"):
        assert "dummy: the first cell" in printed(capsys, command, "--help")
    settings = again("ui.server.settings")
    assert "dummy: the first cell" in settings.explained()["CROP_LOCALIZER"][1]
    assert settings.Settings(localizer="dummy", public=True).engine_options() == {"localizer": "dummy"}
    assert "| `dummy` " in reference.localizer_list()


def again(name: str) -> ModuleType:
    """The module as a program that starts now imports it, beside the one that is there."""
    spec = importlib.util.spec_from_file_location("again", import_module(name).__file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules["again"] = module
    try:
        spec.loader.exec_module(module)
        module.Settings.model_rebuild()
    finally:
        del sys.modules["again"]
    return module


def test_a_kind_of_localizer_checkpoint(folder, new_file, monkeypatch):
    module = new_file("crop_core.localize", LOCALIZER)
    row = LocalizerInfo("a checkpoint of the first cell", "crop_core.localize.dummy:CornerLocalizer", checkpoint=True)
    monkeypatch.setitem(LOCALIZERS, "dummy", row)
    engine = CropEngine.from_pretrained(folder, folder, warm_up=False)
    assert isinstance(engine.localizer, module.CornerLocalizer)
    assert "a checkpoint of the first cell" in reference.localizer_list()


def test_a_family(new_file, monkeypatch, capsys, tmp_path):
    source = "from crop_core.models.families.llava import LlavaAdapter\n\nclass DummyAdapter(LlavaAdapter): ...\n"
    module = new_file("crop_core.models.families", source)
    row = type(FAMILIES["llava"])(
        "Dummy VL", "a/dummy-vl", FAMILIES["llava"].model_class, FAMILIES["llava"].processor_class, module.DummyAdapter
    )
    monkeypatch.setitem(FAMILIES, "dummy_vl", row)
    assert "a/dummy-vl Dummy VL" in printed(capsys, "models")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "moon", "vision_config": {}}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"supported are .* and Dummy VL"):
        CropEngine.from_pretrained(tmp_path)
    assert "| Dummy VL " in reference.family_list()


def test_a_dataset(new_file, monkeypatch, tmp_path, capsys):
    sample_image().save(tmp_path / "scene.png")
    source = (
        "from crop_core.evaluate.datasets.protocol import Example\n\n\ndef load(copy):\n"
        "    return [Example('0', 'what?', ('dog',), copy.path / 'scene.png')]\n"
    )
    module = new_file("crop_core.evaluate.datasets", source)
    monkeypatch.setitem(SOURCES, "dummy", Source(module.load, "contains"))
    read = dataset("dummy", tmp_path)
    assert (read.name, len(read.examples), read.metric.name) == ("dummy", 1, "contains")
    with pytest.raises(DatasetError, match=r"choose one of .*dummy\."):
        dataset("moon")
    assert "viscot, dummy (default: world)" in printed(capsys, "bench", "--help")


def test_a_metric(new_file, monkeypatch, capsys):
    source = "from crop_core.evaluate.metrics.text_match import Exact\n\nclass Dummy(Exact):\n    name = 'dummy'\n"
    monkeypatch.setitem(METRICS, "dummy", new_file("crop_core.evaluate.metrics", source).Dummy())
    assert dataset("world", limit=10, metric="dummy").metric.name == "dummy"
    with pytest.raises(DatasetError, match=r"choose one of .*dummy\."):
        dataset("world", limit=10, metric="bleu")
    assert "gqa, dummy (default: the dataset's metric)" in printed(capsys, "bench", "--help")


def test_every_dataset_and_metric_is_in_the_docs():
    text = (ROOT / "docs/benchmark.md").read_text(encoding="utf-8")
    assert [name for name in (*SOURCES, *METRICS) if f"`{name}`" not in text] == []


def test_a_figure(new_file, monkeypatch):
    new_file("ui.export", "from ui.export.time_bars import times\n\n\ndef dummy(run):\n    return times(run)\n")
    monkeypatch.setitem(FIGURES, "dummy", FigureKind("Dummy figure", ("dummy:dummy",)))
    with gr.Blocks() as app:
        publish_part()
    choices = [each for block in app.blocks.values() for each in getattr(block, "choices", None) or []]
    assert ("Dummy figure", "dummy") in choices
    assert figure([sample_image()], comparison(), FigureOptions("dummy")).facts["figure"] == "dummy"


def test_a_command(new_file, capsys):
    source = (
        "def add_command(commands): commands.add_parser('dummy', help='does nothing').set_defaults(run=lambda _: 3)"
    )
    new_file("crop_core.cli", source)
    assert "dummy does nothing" in printed(capsys, "--help")
    assert main(["dummy"]) == 3


def test_a_tab(new_file):
    source = (
        "import gradio as gr\n\nTITLE, ORDER = 'Dummy', 99\n\n\ndef build(page):\n    gr.Textbox(label='Of a dummy')\n"
    )
    new_file("ui.page.tabs", source)
    app = build(FakeEngine(), [])
    assert labels(app, gr.Tab) == ["Explore", "Methods", "Budget", "Learn", "Dummy"]
    assert "Of a dummy" in labels(app, gr.Textbox)


@pytest.mark.parametrize("file", reference.TEXTS, ids=str)
def test_the_lists_in_the_docs_are_those_of_the_tables(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert "list -->" in text and reference.filled(text) == text, "run python -m benchmarks.reference"
