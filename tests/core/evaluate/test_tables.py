"""The benchmark's own arithmetic: figures, tables, and the texts that they are put into."""

import json
import math
import random
from dataclasses import asdict

import pandas as pd
import pytest

from benchmarks import calibrate_localizer as calibrate
from benchmarks import publish, region_quality, tables
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.runner.plan import ALL, BLIND, Trial
from crop_core.localize.calibration import KEY, Calibration
from crop_core.localize.self_attention import attention_rule
from crop_core.records.region import Region, random_region
from tests.support.sweeping import record, toys

WHOLE = (0, 0, 7, 7)
CROP = Trial("crop", "64")


def rows(*content):
    """Records of (kind, region, needed region, confidence, whether everything is needed), a question each."""
    columns = ("kind", "found", "needed", "confidence", "everything")
    frame = pd.DataFrame([dict(zip(columns, each, strict=True)) for each in content])
    for names, column in ((region_quality.REGION, "found"), (region_quality.NEEDED, "needed")):
        frame[names] = frame[column].tolist()
    return frame.assign(example=[str(number) for number in range(len(content))])


@pytest.mark.parametrize(
    ("a", "b", "iou", "covers"),
    [
        ((0, 0, 3, 3), (0, 0, 3, 3), 1.0, True),
        ((0, 0, 3, 3), (2, 2, 5, 5), 4 / 28, False),
        ((0, 0, 7, 7), (2, 2, 3, 3), 4 / 64, True),
        ((0, 0, 1, 1), (5, 5, 6, 6), 0.0, False),
    ],
)
def test_iou_and_coverage(a, b, iou, covers):
    result = region_quality.figures(rows(("count", a, b, 0.5, False)))
    assert result["iou"] == pytest.approx(iou)
    assert result["coverage"] == covers


def test_the_localizer_is_judged_on_the_whole_image_and_on_everything_else_apart():
    small, corner = (2, 2, 3, 3), (0, 0, 1, 1)
    result = region_quality.summary(
        rows(
            ("whole", WHOLE, WHOLE, 0.5, True),
            ("whole", small, WHOLE, 0.5, True),
            ("count", WHOLE, small, 0.5, False),  # wrongly the whole image, but it covers
            ("count", WHOLE, WHOLE, 0.5, False),  # boxes in opposite corners: the whole image is right
            ("color", small, small, 0.5, False),
            ("color", corner, small, 0.5, False),
        )
    )
    assert result["whole_image"] == 1 / 2
    assert result["whole_image_wrongly"] == 1 / 4
    assert result["coverage"] == 4 / 6
    assert result["iou"] == pytest.approx((1 + 4 / 64 + 4 / 64 + 1 + 1 + 0) / 6)
    assert result["ece"] == pytest.approx(4 / 6 - 0.5)
    assert result["by_kind"]["whole"]["whole_image_wrongly"] is None
    assert result["by_kind"]["color"]["whole_image"] is None
    assert result["by_kind"]["color"]["coverage"] == 1 / 2


def test_regions_without_a_confidence_have_no_calibration():
    result = region_quality.figures(rows(("color", WHOLE, WHOLE, math.nan, False), ("color", WHOLE, WHOLE, 0.5, False)))
    assert result["confidence"] is result["ece"] is None


def test_calibration_error_by_hand():
    """Two cases near 0.95 of which one comes true, one certain case that does, one of 0.3 that does not."""
    bins = region_quality.bins([(0.92, True), (0.98, False), (1.0, True), (0.3, False)])
    assert [each.count for each in bins] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 3]
    last = bins[-1]
    assert (last.low, last.high) == (0.9, 1.0)
    assert last.confidence == pytest.approx(2.9 / 3)
    assert last.observed == pytest.approx(2 / 3)
    assert region_quality.ece(bins) == pytest.approx((3 * (0.9 / 3) + 1 * 0.3) / 4)
    assert bins[0].to_json() == {"from": 0.0, "to": 0.1, "count": 0, "confidence": None, "observed": None}


def test_calibration_that_is_right_has_no_error_and_none_without_cases():
    assert region_quality.ece(region_quality.bins([(0.5, True), (0.5, False), (0.0, False), (1.0, True)])) == 0
    assert region_quality.ece(region_quality.bins([])) is None


def test_accuracy_and_eviction_tables_are_what_was_counted(monkeypatch):
    monkeypatch.setattr(tables, "KINDS", ("count", "exist"))
    evicting = Trial("crop", "64", evict=True)
    right = {ALL: "1110", BLIND: "0011", CROP: "1100", evicting: "1010"}
    result = []
    for number, example in enumerate(toys(4)):
        kind = "count" if number < 2 else "exist"
        for trial, scores in right.items():
            tokens = 64.0 if trial.budget else 576.0
            fields = {"kind": kind, "gold": "2", "group": "", "reply": scores[number], "score": float(scores[number])}
            sizes = {"visual_tokens": 576, "mean_tokens": tokens, "kv_bytes": 2_000_000 // (1 + trial.evict)}
            result.append(asdict(record(example, trial, **(fields | sizes))))
    frame = pd.DataFrame(result)
    summary = summarise(frame, majority={"count": "2", "exist": "no"})
    lines = tables.accuracy_table(summary, [ALL, CROP]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]] == [
        ["baseline", "576", "75.0%", "100.0%", "100%", "50%"],
        ["majority", "", "50.0%", "66.7%", "100%", "0%"],
        ["crop 64", "64", "50.0%", "66.7%", "100%", "0%"],
    ]
    assert "majority" not in tables.accuracy_table(summary, [ALL, CROP], majority=False)
    assert tables.kinds_table(summary, {"a": ALL, "b": CROP}).splitlines()[-1] == "| all   | 75.0% | 50.0% |"
    lines = tables.eviction_table(frame, [ALL, CROP, evicting]).splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]] == [
        ["baseline", "75.0%", "2.00", ""],
        ["crop 64", "50.0%", "2.00", ""],
        ["crop 64, evicting", "50.0%", "1.00", "50.0%"],
    ]
    with pytest.raises(ValueError, match="lack the trial 'fastv 64'"):
        tables.accuracy_table(summary, [Trial("fastv", "64")])


def test_region_tables_show_what_was_found():
    shown = region_quality.summary(
        rows(("count", (0, 0, 3, 7), WHOLE, 0.85, False), ("count", WHOLE, WHOLE, 0.95, False)),
    )
    assert "| overall   | 0.75     | 0.50 " in tables.localizer_table(shown)
    assert "| 0.8 to 0.9 | 1         | 0.85            | 0.00       |" in tables.reliability_table(shown)


def test_the_subset_is_the_first_questions_of_each_kind():
    kinds = [("0", "count"), ("1", "count"), ("2", "exist"), ("3", "exist")]
    content = [(example, kind, trial) for example, kind in kinds for trial in ("baseline", "crop 64")]
    first = region_quality.first_of_each_kind(pd.DataFrame(content, columns=["example", "kind", "trial"]), 1)
    assert first["example"].tolist() == ["0", "0", "2", "2"]


def test_publishing_fills_the_places_and_nothing_else():
    text = "before <!-- ece -->old\nfigure<!-- end --> after <!-- ratio --><!-- end -->"
    filled = publish.fill(text, {"ece": "0.01", "ratio": "0.5"})
    assert filled == "before <!-- ece -->0.01<!-- end --> after <!-- ratio -->0.5<!-- end -->"
    assert publish.fill(filled, {"ece": "0.01", "ratio": "0.5"}) == filled
    with pytest.raises(KeyError):
        publish.fill("<!-- no such figure --><!-- end -->", {})


def test_what_the_texts_say_is_what_was_measured():
    texts = publish.filled()
    assert set(texts) == {*publish.TEXTS, publish.SEPARATE, publish.LOCALIZERS}
    for file, measured in texts.items():
        text = file.read_text()
        assert "<!-- end -->" in text
        assert measured == text, f"run python -m benchmarks.publish: {file} is not up to date"


def test_a_calibration_is_written_where_the_localizer_reads_it(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    calibrate.write(Calibration(0.1, 1.5, -0.25), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == "llava"
    assert Calibration(**written[KEY]) == Calibration(0.1, 1.5, -0.25)
    own = attention_rule.AttentionRule((attention_rule.AttentionTerm(1, 2, "last", 0.5),), bias=0.25)
    calibrate.write(own, tmp_path, attention_rule.KEY)
    written = json.loads((tmp_path / "config.json").read_text())
    assert KEY in written
    assert attention_rule.AttentionRule.from_json(written[attention_rule.KEY]) == own


def test_regions_that_read_nothing_are_what_a_localizer_has_to_beat():
    small = (2, 2, 3, 3)
    content = rows(("color", small, small, 0.5, False), ("whole", small, WHOLE, 0.5, True))
    result = region_quality.beside(content, {"0": [2, 2, 3, 4], "1": WHOLE})
    assert result["whole image"]["iou"] == pytest.approx((4 / 64 + 1) / 2)
    assert result["whole image"]["coverage"] == 1
    assert result["self, plain rule"]["iou"] == pytest.approx((4 / 6 + 1) / 2)
    assert result["whole image"]["confidence"] is result["random region"]["ece"] is None
    assert result["random region"]["iou"] < (1 + 4 / 64) / 2
    assert result["random region"]["coverage"] == 0
    assert content[region_quality.REGION].to_numpy().tolist() == [[*small], [*small]], "they stay what they were"


def test_a_random_region_has_the_same_size_and_stays_inside():
    corner = (2, 3, 6, 4)
    frame = pd.concat([rows(("color", corner, corner, 0.5, False))] * 60)
    places = random.Random(1)
    regions = [Region(*each, 1, 1) for each in frame[region_quality.REGION].to_numpy().tolist()]
    moved = {random_region(region, places).grid for region in regions}
    assert len(moved) > 5
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in moved} == {(4, 1)}
    assert all(x0 >= 0 and x1 < 8 and y0 >= 0 and y1 < 8 for x0, y0, x1, y1 in moved)
