"""The HTML page of a check: one file, every value escaped, what failed is marked."""

from __future__ import annotations

import re
from dataclasses import replace

from crop_core.io.check_page import check_body, check_page
from crop_core.records.check import FAILED, Proof
from tests.support.fake_records import check_report


def test_it_is_one_file_that_fetches_nothing() -> None:
    page = check_page(check_report())
    assert page.lstrip().startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "default-src 'none'" in page and not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "prefers-color-scheme: dark" in page and "@media print" in page and "width=device-width" in page


def test_its_body_is_what_the_app_shows() -> None:
    report = check_report()
    body = check_body(report)
    assert body in check_page(report)
    for text in (
        "Passed: 2 of 2 proofs.",
        "0.50 (0.25 to 0.75)",
        "Downsample",
        "missing in 2 of 2 scenes",
        "revision",
    ):
        assert text in body
    assert "check-failed" not in body and "<style" not in body


def test_values_are_escaped_and_a_failure_is_marked() -> None:
    report = check_report(environment={**check_report().environment, "model": "<script>alert(1)</script>"})
    broken = Proof("prompt", FAILED, None, None, 0.1, "<b>ids</b>")
    page = check_page(replace(report, proofs=[*report.proofs, broken]))
    assert "<script" not in page and "<b>ids" not in page and "&lt;b&gt;ids" in page
    assert '<tr class="check-failed"><td>prompt</td><td>failed</td><td>-</td>' in page
    assert "Please report it with the output of --json" in page
