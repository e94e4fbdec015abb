"""The independent world in tables and in the failure gallery."""

from dataclasses import asdict

import pandas as pd
import pytest
from PIL import Image

from benchmarks import failure_gallery, independent
from benchmarks.publish import INDEPENDENT, RESULTS
from crop_core.evaluate.datasets.independent_world import example, items
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.report.table import markdown
from crop_core.evaluate.runner import store
from crop_core.evaluate.runner.plan import ALL, Trial
from tests.support import ROOT
from tests.support.sweeping import record

CROP, FASTV = Trial("crop", "64"), Trial("fastv", "64")
LOST = {CROP: ("color", "count"), FASTV: ("color", "place")}  # kinds whose question a method answers wrong


@pytest.fixture(scope="module")
def records():
    """One question of each kind."""
    rows = []
    for each in map(example, items(1)):
        for trial in (ALL, CROP, FASTV):
            right = each.kind not in LOST.get(trial, ())
            reply = each.answers[0] if right else "wrong"
            fields = {"kind": each.kind, "group": each.group, "reply": reply, "score": float(right)}
            sizes = {"visual_tokens": 576, "mean_tokens": float(trial.budget or 576)}
            rows.append(asdict(record(each, trial, **fields, **sizes)))
    return pd.DataFrame(rows)


def cells(table):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]


def test_tables_get_the_columns_of_the_other_world(records):
    other = summarise(records)
    table = markdown(["run", "exact"], [["baseline", "9%"], ["majority", "1%"], ["crop 64", "8%"]])
    head, _, *rows = cells(independent.beside_runs(table, other))
    assert head == ["run", "exact", "independent world"]
    assert rows == [["baseline", "9%", "100.0%"], ["majority", "1%", ""], ["crop 64", "8%", "75.0%"]]
    methods = markdown(["method", "64 tokens"], [["Baseline", "9%"], ["CROP", "8%"], ["FastV", "7%"]])
    head, _, *rows = cells(independent.beside_methods(methods, other))
    assert head == ["method", "64 tokens", "independent, 64 tokens"]
    assert rows[1][2].startswith("75.0%* (") and rows[2][2].startswith("75.0%*")
    for unmeasured in (markdown(["run"], [["baseline"], ["ilp 64"]]), markdown(["method"], [["Baseline"], ["ILP"]])):
        assert unmeasured == independent.beside_runs(unmeasured, other) == independent.beside_methods(unmeasured, other)
    by_kind = {row[0]: row[1] for row in cells(independent.by_kind(records))}
    assert by_kind["CROP 64"] == "75.0%" and by_kind["FastV 64"] == "75.0%"


def test_the_gallery_shows_and_counts_what_each_method_loses(records, tmp_path):
    images = tmp_path / "failures"
    images.mkdir()
    (images / "old.webp").touch()
    failure_gallery.write(records, tmp_path / "failures.md", images)
    asked, lost = {item.question.kind: item for item in items(1)}, {kind for kinds in LOST.values() for kind in kinds}
    assert {file.name for file in images.iterdir()} == {f"{asked[kind].scene.seed}-{kind}.webp" for kind in lost}
    text = (tmp_path / "failures.md").read_text()
    rows = {row[0]: row[1:] for row in cells(text) if len(row) == 4}
    assert rows["kind"] == ["baseline right", "CROP 64", "FastV 64"]
    assert rows["color"] == ["1 of 1", "100%, –", "100%, –"] and rows["place"] == ["1 of 1", "0%, –", "100%, –"]
    for kind, item in asked.items():
        section = text.partition(f"## {kind}\n")[2].partition("\n## ")[0]
        assert (item.question.text in section) == (kind in lost)
        assert ("No method lost any." in section) == (kind not in lost)
    with Image.open(images / f"{asked['color'].scene.seed}-color.webp") as image:
        assert max(image.size) == failure_gallery.WIDTH


def test_the_gallery_is_of_the_records_and_small():
    text = failure_gallery.page(store.read(RESULTS / INDEPENDENT))
    assert (ROOT / failure_gallery.PAGE).read_text() == text, "run python -m benchmarks.publish"
    files = list((ROOT / failure_gallery.IMAGES).iterdir())
    assert all(f"(failures/{file.name})" in text for file in files) and files
    assert sum(file.stat().st_size for file in files) < 300_000
