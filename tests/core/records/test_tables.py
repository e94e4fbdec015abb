"""Results as tables: what a row holds, and CSV and LaTeX that other programs read back."""

import csv
import io
import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crop_core.records.config import ConfigError, CropConfig
from crop_core.records.formatting import format_number
from crop_core.records.latex import escaped, tabular
from crop_core.records.results import RunError
from crop_core.records.sheet import Sheet, SheetRequest, SheetRow, run_row, sheet_specs
from crop_core.records.tables import comparison_rows, csv_text, run_rows, token_rows
from tests.support.fake_records import FakeEngine, comparison, padded_trace, run_result, sample_image, trace
from tests.support.figures import REGION


def sheet(question="what?"):
    errors = (RunError("FastV", "fastv", "A budget of 7 tokens is too small."),)
    results = (run_result("Baseline", "none", model="m"), run_result("CROP", localizer_s=0.01, localizer_flops=10**9))
    return Sheet((SheetRow(sample_image(), question, results, errors, "a_1.jpg"),), "64 tokens")


def test_a_run_is_a_row_with_the_localizer_in_its_costs():
    baseline, crop = run_rows([run_result("Baseline", "none"), run_result(localizer_s=0.01, localizer_flops=10**9)])
    assert (crop["localizer_ms"], crop["first_token_ms"]) == (10, pytest.approx(60))
    assert (crop["gflop"], crop["kv_cache_mib"]) == (4.0, 1_300_000 / 2**20)
    assert (crop["region"], crop["region_source"], crop["region_confidence"]) == ("2,1,4,3", "predicted", 0.83)
    assert baseline["region"] is baseline["region_source"] is None, "it reads none"


def test_a_run_that_failed_is_a_row_with_its_reason():
    (row,) = run_rows([], [RunError("CROP", "crop", "Too small.")], question="what?")
    assert row == {"question": "what?", "run": "CROP", "method": "crop", "error": "Too small."}


def test_both_runs_of_a_comparison_are_rows_of_the_same_columns():
    result = comparison(changed=True)
    baseline, crop = comparison_rows(result)
    assert list(baseline) == list(crop)
    assert [row["answer"] for row in (baseline, crop)] == [result.baseline.text, result.crop.text]
    assert (baseline["same_answer"], crop["same_answer"]) == (True, False)
    own, other = (
        math.exp(sum(getattr(token, name) for token in result.baseline.tokens)) for name in ("logprob", "other_logprob")
    )
    assert (baseline["baseline_answer_probability"], crop["baseline_answer_probability"]) == (own, other)
    assert crop["weights_mib"] > baseline["weights_mib"], "the localizer's are included"


def test_every_token_is_a_row_with_its_place_and_its_life():
    how = trace(REGION, plc=False)
    rows = token_rows([how, how])
    assert len(rows) == 2 * how.visual_tokens and {row["image"] for row in rows} == {1, 2}
    row = rows[7 * 24 + 9]  # of 24x24 tokens in 336x336 pixels
    assert [row[side] for side in ("left", "top", "right", "bottom")] == [126, 98, 140, 112]
    assert (row["grid_column"], row["grid_row"], row["in_region"]) == (3, 2, True)
    died = [row["pruned_at_layer"] for row in rows[: how.visual_tokens]]
    assert died == [None if layer == how.layers else layer for layer in how.died_at.tolist()]
    names = [name for name in row if name.startswith("score_at_layer_")]
    assert names == [f"score_at_layer_{step.layer}" for step in how.steps]
    pooled = token_rows([trace(REGION)])
    group = [row["group"] for row in pooled]
    assert [row["group_size"] for row in pooled] == [group.count(each) for each in group]


def test_a_token_without_a_place_has_empty_cells():
    boxes = trace(REGION, plc=False).boxes.copy()
    boxes[5] = np.nan
    how = trace(REGION, plc=False)
    rows = token_rows(
        [type(how).from_json({**how.to_json(), "boxes": [None if k == 5 else b for k, b in enumerate(boxes.tolist())]})]
    )
    assert {rows[5][name] for name in ("left", "grid_column", "grid_row", "view")} == {None}


def test_padding_is_told_from_the_image():
    how = padded_trace()
    beside = [row["padding"] for row in token_rows([how])]
    assert beside == how.padding.tolist() and 0 < sum(beside) < len(beside)


def test_csv_has_a_head_line_and_is_read_back():
    rows = list(csv.DictReader(io.StringIO(csv_text(sheet('a "b", c\nd').runs))))
    assert [row["run"] for row in rows] == ["Baseline", "CROP", "FastV"]
    assert {row["question"] for row in rows} == {'a "b", c\nd'} and {row["budget"] for row in rows} == {"64 tokens"}
    assert (rows[1]["same_answer"], rows[1]["baseline_answer_probability"], rows[2]["answer"]) == ("yes", "0.9", "")
    frame = pd.read_csv(io.StringIO(sheet().csv()))
    assert frame["gflop"].tolist()[:2] == [3.0, 4.0]


def test_a_sheet_is_a_data_frame_with_the_columns_of_its_csv():
    frame = sheet().table()
    assert list(frame) == next(csv.reader(io.StringIO(sheet().csv())))
    assert frame["error"].tolist()[2].startswith("A budget of 7")
    html = sheet("<b>what</b>?")._repr_html_()
    assert "&lt;b&gt;what" in html and "<b>what" not in html


def test_a_latex_table_has_a_line_a_run_and_nothing_that_latex_reads():
    lines = sheet("100% & $5_{x}^2 # ~ \\ “why”?").latex().splitlines()
    assert lines[1:3] == [r"\begin{tabular}{llcrrrr}", r"\toprule"] and lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    (about,) = [line for line in lines if "multicolumn{7}" in line]
    assert r"a\_1.jpg: 100\% \& \$5\_\{x\}\textasciicircum{}2 \# \textasciitilde{} \textbackslash{} ``why''?" in about
    crop = next(line for line in lines if line.startswith("CROP"))
    assert crop == rf"CROP & rabbit & yes & 90.0 & {format_number(run_result().trace.mean_tokens)} & 1.2 & 4.00 \\"
    assert any(line.startswith(r"FastV & \multicolumn{6}{l}{A budget of 7") for line in lines)


def test_control_characters_are_no_latex():
    assert escaped("a\x00b\nc") == "a b c"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_reads_the_table(tmp_path):
    head = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    (tmp_path / "a.tex").write_text(head + sheet("a_b & 50%?").latex() + r"\end{document}")
    done = subprocess.run(["pdflatex", "-halt-on-error", "a.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_a_tabular_separates_groups_by_rules():
    assert tabular(["a"], [[["1"]], [["2"], ["3"]]], "r").count(r"\midrule") == 2


def test_specs_of_a_sheet_take_names_as_a_list_or_a_text():
    config = CropConfig(budget=64)
    for methods in (["crop", "plc+fastv"], "crop, plc+fastv", "crop,crop,plc+fastv"):
        specs = sheet_specs(methods, config)
        assert [(spec.name, spec.config.method) for spec in specs] == [("CROP", "crop"), ("PLC + FastV", "plc+fastv")]
        assert {spec.config.budget for spec in specs} == {config.budget}
    for wrong in ("magic", "none", "crop,none", "", []):
        with pytest.raises(ConfigError, match=r"\.$"):
            sheet_specs(wrong, config)


def test_a_row_runs_every_method_in_the_given_region():
    engine = FakeEngine()
    image = Image.new("RGB", (336, 336))
    row = run_row(
        engine, SheetRequest(image, "what?", REGION, "a.jpg"), sheet_specs("crop,random", CropConfig(budget=64))
    )
    assert [each.name for each in row.results] == ["Baseline", "CROP", "Random"] and row.methods == ("CROP", "Random")
    assert row.results[1].region == REGION and (row.name, row.question) == ("a.jpg", "what?")
    failed = run_row(engine, SheetRequest(image, "what?"), sheet_specs("crop", CropConfig(budget=7)))
    assert [each.why for each in failed.errors] == ["A budget of 7 tokens is too small."] and failed.methods == (
        "CROP",
    )
    assert Sheet.of([row, failed], CropConfig(budget="25%")).budget == "25 %"


def test_a_sheet_without_rows_is_refused():
    with pytest.raises(ConfigError, match="give at least one image"):
        Sheet((), "64 tokens")
