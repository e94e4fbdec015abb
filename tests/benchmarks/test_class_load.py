"""What the benchmark of a class reports, by hand-made visits; no app is started."""

from __future__ import annotations

from types import SimpleNamespace

from benchmarks.class_load import Visit, report

OPTIONS = SimpleNamespace(visitors=4, questions=2, within=10.0, limit=5.0)


def test_a_report_counts_who_waited_how_long_and_who_had_no_answer() -> None:
    visits = [Visit(1.0, 3.0), Visit(2.0, 8.0), Visit(4.0, 9.0), Visit(5.0, None, "ValueError: The queue is full")]
    result = report(visits, (700_000_000, 710_000_000), OPTIONS)
    assert (result["answered"], result["within_limit"]) == (3, 2), "five seconds are still within the limit"
    assert result["seconds"] == {"count": 3, "p50": 5.0, "p95": 6.0, "worst": 6.0}
    assert result["answers_per_s"] == 0.375, "three in the eight seconds from the first press to the last answer"
    assert result["memory_mb"] == {"before": 700.0, "after": 710.0}
    assert result["problems"] == ["ValueError: The queue is full"]


def test_a_class_without_any_answer_is_told_too() -> None:
    result = report([Visit(1.0)], (1, 1), OPTIONS)
    assert (result["answered"], result["answers_per_s"], result["seconds"]) == (0, 0.0, {})
