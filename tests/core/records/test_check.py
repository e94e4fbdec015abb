"""The report of a check: JSON and back, the verdict, and the text that is pasted into an issue."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crop_core.records.check import FAILED, NOT_APPLICABLE, CheckError, CheckReport, Proof, check_scenes
from crop_core.records.check_table import check_text, progress, what_to_report
from tests.support.fake_records import check_report

BROKEN = Proof("prompt", FAILED, 1.0, 0.0, 0.1, "ids unlike the processor's")


def test_a_report_is_json_and_back() -> None:
    report = check_report()
    text = json.dumps(report.to_json(), allow_nan=False)
    assert CheckReport.from_json(json.loads(text)) == report
    assert list(json.loads(text))[:3] == ["environment", "passed", "finished"]
    assert json.loads(text)["proofs"][0] == {
        "name": "baseline",
        "status": "passed",
        "measured": 1e-6,
        "tolerance": 1e-3,
        "seconds": 0.5,
        "detail": "first-token logits",
    }


def test_a_check_has_passed_only_once_it_is_whole() -> None:
    report = check_report()
    assert report.passed and what_to_report(report) == ""
    assert not replace(report, finished=False).passed
    failed = replace(report, proofs=[*report.proofs, BROKEN])
    assert not failed.passed and failed.failed == ["prompt"]
    assert "Failed: prompt; pruning is not known to be exact for crop-tiny on" in what_to_report(failed)


def test_the_text_holds_every_figure_with_its_interval() -> None:
    lines = check_text(check_report()).splitlines()
    rows = [" ".join(line.split()) for line in lines]
    assert rows[0] == "model crop-tiny"
    assert "self 2 0.50 (0.25 to 0.75) 100 % (50 % to 100 %) 12 % 12.0 ms" in rows
    assert "Baseline - 576 2 - 100 % (50 % to 100 %)" in rows
    assert "CROP 33.3 % 192 2 50 % (10 % to 90 %) 50 % (10 % to 90 %)" in rows
    assert "Downsample 33.3 % - 0 - - missing in 2 of 2 scenes: no memory." in rows
    assert "time to first token 130 ms (100 ms to 200 ms) 80.0 ms (70.0 ms to 100 ms)" in rows
    assert rows[-1] == "Passed: 2 of 2 proofs."


def test_the_last_line_says_what_failed_and_what_was_not_proved() -> None:
    report = check_report()
    unproved = Proof("method visionzip", NOT_APPLICABLE, None, None, 0.0, "merges patches")
    assert check_text(replace(report, proofs=[*report.proofs, BROKEN])).endswith("\n\nFailed: prompt.")
    text = check_text(replace(report, proofs=[*report.proofs, unproved], finished=False))
    assert text.endswith("Not finished: 2 of 3 proofs passed so far; 1 not applicable.")


def test_what_was_not_measured_has_its_reason() -> None:
    text = check_text(check_report(costs=[], repetitions=[], missing={"costs": "There is no memory."}))
    assert "Cost of an answer\nNot measured: There is no memory.\n" in text


def test_progress_is_one_line() -> None:
    assert progress(check_report(3)) == "2 proofs, 3 of 3 scenes, 5 of 5 timed runs"
    assert progress(CheckReport({"scenes": 50})) == "0 proofs, 0 of 50 scenes, 0 of 5 timed runs"


@pytest.mark.parametrize("number", [0, -1, 1001, 1.5, None, True, "5"])
def test_a_number_of_scenes_is_a_whole_one(number: object) -> None:
    with pytest.raises(CheckError, match=r"^A check of .* scenes is not possible; give 1 to 1000\.$"):
        check_scenes(number)


def test_the_file_of_the_former_version_is_read() -> None:
    former = {"environment": {"model": "x"}, "passed": True, "proofs": [{**check_report().to_json()["proofs"][0]}]}
    report = CheckReport.from_json(former)
    assert (len(report.proofs), report.scenes, report.finished) == (1, [], False)
