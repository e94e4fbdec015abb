"""The benchmark's own arithmetic: figures, tables, and the texts that they are put into."""

import json
import random

import pytest
from sheets import WHOLE, region, sheet

from crop_core.bench import accuracy, calibrate, localizer, publish, reliability, self_localizer, tables
from crop_core.bench.examiner import ALL, BASELINE, elsewhere, normal, runs
from crop_core.config import Budget
from crop_core.localize import rule
from crop_core.localize.calibration import KEY, Calibration


@pytest.mark.parametrize(
    ("a", "b", "iou", "covers"),
    [
        (region(0, 0, 3, 3), region(0, 0, 3, 3), 1.0, True),
        (region(0, 0, 3, 3), region(2, 2, 5, 5), 4 / 28, False),
        (region(0, 0, 7, 7), region(2, 2, 3, 3), 4 / 64, True),
        (region(0, 0, 1, 1), region(5, 5, 6, 6), 0.0, False),
    ],
)
def test_iou_and_coverage(a, b, iou, covers):
    assert localizer.iou(a, b) == pytest.approx(iou)
    assert localizer.covers(a, b) is covers


def test_the_localizer_is_judged_on_the_whole_image_and_on_everything_else_apart():
    small, corner = region(2, 2, 3, 3, 0.5), region(0, 0, 1, 1, 0.5)
    found = localizer.summary(
        [
            sheet("whole", WHOLE, WHOLE, everything=True),
            sheet("whole", small, WHOLE, everything=True),
            sheet("count", WHOLE, small),  # wrongly the whole image, but it covers
            sheet("count", WHOLE, WHOLE),  # boxes in opposite corners: the whole image is right
            sheet("color", small, small),
            sheet("color", corner, small),
        ]
    )
    assert found["whole_image"] == 1 / 2
    assert found["whole_image_wrongly"] == 1 / 4
    assert found["coverage"] == 4 / 6
    assert found["iou"] == pytest.approx((1 + 4 / 64 + 4 / 64 + 1 + 1 + 0) / 6)
    assert found["by_kind"]["whole"]["whole_image_wrongly"] is None
    assert found["by_kind"]["color"]["whole_image"] is None
    assert found["by_kind"]["color"]["coverage"] == 1 / 2


def test_calibration_error_by_hand():
    """Two cases near 0.95 of which one comes true, one certain case that does, one of 0.3 that does not."""
    bins = reliability.bins([(0.92, True), (0.98, False), (1.0, True), (0.3, False)])
    assert [each.count for each in bins] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 3]
    last = bins[-1]
    assert (last.low, last.high) == (0.9, 1.0)
    assert last.confidence == pytest.approx(2.9 / 3)
    assert last.observed == pytest.approx(2 / 3)
    assert reliability.ece(bins) == pytest.approx((3 * (0.9 / 3) + 1 * 0.3) / 4)
    assert bins[0].to_json() == {"from": 0.0, "to": 0.1, "count": 0, "confidence": None, "observed": None}


def test_calibration_that_is_right_has_no_error_and_none_without_cases():
    assert reliability.ece(reliability.bins([(0.5, True), (0.5, False), (0.0, False), (1.0, True)])) == 0
    assert reliability.ece(reliability.bins([])) is None


def test_answers_of_several_words_are_compared_without_case_and_spacing():
    assert normal("  Hot  tea\ttoday ") == "hot tea today"
    assert sheet(answer="hot tea today", crop_64="Hot tea  today").is_right("crop 64")
    assert not sheet(answer="hot tea today", crop_64="hot tea").is_right("crop 64")


def test_a_random_region_has_the_same_size_and_stays_inside():
    places = {elsewhere(region(2, 3, 6, 4), random.Random(seed)).grid for seed in range(60)}
    assert len(places) > 5
    assert {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in places} == {(4, 1)}


def test_runs_are_every_method_at_every_budget():
    table = runs(["ilp", "random"], [192, 64])
    assert list(table) == [ALL, "ilp 192", "ilp 64", "random 192", "random 64"]
    assert table[ALL] is BASELINE
    assert table["random 64"].budget == Budget(mean_tokens=64)


def test_accuracy_retention_and_tables_are_what_was_counted():
    said = [
        sheet("count", answer="2", all_tokens="2", blind="3", crop_64="2"),
        sheet("count", answer="3", all_tokens="3", blind="3", crop_64="2"),
        sheet("exist", answer="no", all_tokens="yes", blind="yes", crop_64="yes"),
        sheet("exist", answer="yes", all_tokens="yes", blind="yes", crop_64="yes"),
    ]
    found = accuracy.tallies(said, {"count": "2", "exist": "no"})
    by_kind = {"count": 1.0, "exist": 0.5}
    assert accuracy.headline(found) == {"overall": 0.75, "blind": 0.5, "majority": 0.5, "by_kind": by_kind}
    assert accuracy.retention(found, ["crop"], [64.0]) == {"crop": {"64": pytest.approx(2 / 3)}}
    assert next(iter(found)) == ALL
    lines = tables.accuracy_table({name: tally.to_json() for name, tally in found.items()}).splitlines()
    assert lines[-1].startswith("| crop 64    | 64          | 50.0% | 66.7%")
    assert tables.markdown(["a", "bb"], [["1", "2"]]).splitlines()[-1] == "| 1 | 2  |"
    shown = localizer.summary([sheet(found=region(0, 0, 3, 7, 0.85)), sheet(found=region(0, 0, 7, 7, 0.95))])
    assert "| overall   | 0.75     | 0.50 " in tables.localizer_table(shown)
    assert "| 0.8 to 0.9 | 1         | 0.85            | 0.00       |" in tables.reliability_table(shown)


def test_the_subset_is_the_first_questions_of_each_kind():
    sheets = [
        sheet("count", answer="2", all_tokens="2"),
        sheet("count", answer="2", all_tokens="3"),
        sheet("exist", found=region(0, 0, 3, 7), answer="no", all_tokens="no"),
    ]
    subset = localizer.subset(sheets, per_kind=1)
    assert subset == {"per_kind": 1, "right": 2, "answers": ["2", "no"], "iou": 0.75}


def test_publishing_fills_the_places_and_nothing_else():
    text = "before <!-- ece -->old\nfigure<!-- end --> after <!-- ratio --><!-- end -->"
    filled = publish.fill(text, {"ece": "0.01", "ratio": "0.5"})
    assert filled == "before <!-- ece -->0.01<!-- end --> after <!-- ratio -->0.5<!-- end -->"
    assert publish.fill(filled, {"ece": "0.01", "ratio": "0.5"}) == filled
    with pytest.raises(KeyError):
        publish.fill("<!-- no such figure --><!-- end -->", {})


def test_what_the_texts_say_is_what_was_measured():
    known = publish.measured()
    for file in publish.TEXTS:
        text = file.read_text()
        assert "<!-- end -->" in text
        assert publish.fill(text, known) == text, f"run python -m crop_core.bench.publish: {file} is not up to date"


def test_a_calibration_is_written_where_the_localizer_reads_it(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    calibrate.write(Calibration(0.1, 1.5, -0.25), tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["model_type"] == "llava"
    assert Calibration(**written[KEY]) == Calibration(0.1, 1.5, -0.25)
    own = rule.Rule((rule.Term(1, 2, "last", 0.5),), bias=0.25)
    calibrate.write(own, tmp_path, rule.KEY)
    written = json.loads((tmp_path / "config.json").read_text())
    assert KEY in written
    assert rule.Rule.from_json(written[rule.KEY]) == own


def test_regions_that_read_nothing_are_what_a_localizer_has_to_beat():
    small = region(2, 2, 3, 3)
    found = self_localizer.beside([sheet("color", small, small), sheet("whole", small, WHOLE, everything=True)])
    assert found["whole image"]["iou"] == pytest.approx((4 / 64 + 1) / 2)
    assert found["whole image"]["coverage"] == 1
    assert found["whole image"]["confidence"] is found["random region"]["ece"] is None
    assert found["random region"]["iou"] < (1 + 4 / 64) / 2
    assert found["random region"]["coverage"] == 0
