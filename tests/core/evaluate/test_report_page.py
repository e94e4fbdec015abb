import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from crop_core.evaluate.report import curves, heatmaps
from crop_core.evaluate.report.html import report
from crop_core.evaluate.report.summary import summarise
from crop_core.evaluate.report.table import full_table, localizers_table
from crop_core.evaluate.runner.plan import ALL, Trial
from tests.support.bench_records import frame, record, records

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FACTS = {"model": "crop-tiny", "versions": {"torch": "2.13"}, "command": "bench --path <here>"}
VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Tags, links, texts of cells, and whether every tag is closed by its own."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.cells, self.sources = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href") and not value.startswith("#")]
        assert not [name for name, _ in attributes if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th", "li", "dd"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th", "li", "dd"} & set(self.open):
            self.cells[-1] += data


@pytest.fixture(scope="module")
def rows():
    return records(questions=36, per_image=3)


def test_localizers_stand_side_by_side_where_there_are_several(rows):
    assert summarise(rows).localizers == () and "CROP by localizer" not in report(summarise(rows), rows, FACTS)
    more = []
    for region, cells, seconds in (
        ("text", (3, 3, 4, 4), 0.9),
        ("whole", (0, 0, 7, 7), 0.0),
        ("random", (0, 0, 1, 1), 0.1),
    ):
        trial = Trial("crop", "64", region=region)
        places = dict(zip(("x0", "y0", "x1", "y1"), cells, strict=True))
        more += [record(each, trial, localizer_s=seconds, **places) for each in sorted(set(rows["example"]))]
    both = pd.concat([rows, frame(more)], ignore_index=True)
    summary = summarise(both)
    assert [each.region for each in summary.localizers] == ["predicted", "text", "random", "whole"]
    own, text, random, whole = summary.localizers
    assert (own.iou, own.coverage, own.area) == (1, 1, 1 / 64)
    assert (text.iou, text.coverage, text.area) == (1 / 4, 1, 4 / 64)
    assert (random.iou, random.coverage) == (0, 0) and (whole.iou, whole.area) == (1 / 64, 1)
    assert (text.localizer_s, whole.localizer_s) == pytest.approx((0.9, 0.0))
    table = localizers_table(summary, "my-locator")
    assert [row[0] for row in table.rows] == [
        "Baseline", "my-locator", "text", "random region of the first one's size", "whole image",
    ]  # fmt: skip
    assert table.head[4:7] == ("kept 192 tokens", "kept 128 tokens", "kept 64 tokens")
    assert table.rows[2][1:7] == ("0.250", "100.0%", "6.2%", "", "", "100.0%"), "only at the budgets that were run"
    page = report(summary, both, {**FACTS, "localizer": "my-locator"})
    assert "CROP by localizer" in page and {"my-locator", "random region of the first one's size"} <= set(
        Reader(page).cells
    )


@pytest.fixture(scope="module")
def page(rows):
    return report(summarise(rows), rows, FACTS)


def test_one_file_that_asks_nothing_of_a_network(page):
    reader = Reader(page)
    assert reader.open == [] and reader.sources == []
    assert len(page) < 6e6
    assert page.count("plotly.js v") == 1, "Plotly once"
    assert reader.tags.count("figure") == 3 + 3 + 3


def test_what_the_page_says(page, rows):
    cells = Reader(page).cells
    assert {"crop-tiny", "2.13", "bench --path <here>"} <= set(cells)
    assert set(full_table(summarise(rows)).rows[2]) <= set(cells)
    assert page.index("ties for first") < page.index("<figure>"), "the result comes first"


def test_what_models_and_data_say_is_text():
    evil = {"kind": EVIL, "group": EVIL, "gold": EVIL, "dataset": EVIL}
    trials = (ALL, Trial("crop", "64"), Trial("fastv", "64"))
    rows = frame(
        [
            record(f"{EVIL} {at}", trial, float(trial == ALL or at > 0), reply=EVIL, **evil)
            for trial in trials
            for at in (0, 1)
        ]
        + [record("mixed", trial, float(trial.method != "crop"), reply=EVIL, **evil) for trial in trials]
    )
    page = report(summarise(rows), rows, {"model": EVIL, EVIL: EVIL})
    reader = Reader(page)
    assert reader.open == [] and "img" not in reader.tags
    plain = report(summarise(rows.replace(EVIL, "plain")), rows.replace(EVIL, "plain"), {"model": "a", "b": "c"})
    assert reader.tags == Reader(plain).tags
    assert EVIL in reader.cells and EVIL not in page


def test_at_most_so_many_questions_are_listed(rows, monkeypatch):
    monkeypatch.setattr("crop_core.evaluate.report.html.SHOWN", 2)
    page = report(summarise(rows), rows, FACTS)
    shown = re.findall(r"<summary>At \w+ tokens: (\d+) of (\d+)", page)
    assert len(shown) == 3 and {count for count, _ in shown} == {"2"}
    assert max(int(total) for _, total in shown) > 2


def test_a_sweep_of_one_trial_has_a_page():
    rows = frame([record("a", ALL)])
    assert Reader(report(summarise(rows), rows, {})).tags.count("figure") == 0


def test_the_figures_show_the_summary(rows):
    summary = summarise(rows)
    figure = curves.accuracy(summary, "some model")
    band, line = figure.data[0], figure.data[1]
    assert (line.name, list(line.x)) == ("CROP", [64, 128, 192])
    run = summary.of(Trial("crop", "64"))
    assert line.y[0] == run.accuracy.value
    assert (band.y[0], band.y[-1], band.legendgroup) == (run.accuracy.low, run.accuracy.high, line.legendgroup)
    assert {shape.y0 for shape in figure.layout.shapes} == {summary.full.accuracy.value, summary.blind.accuracy.value}
    assert "n = 36 · made up · some model" in figure.layout.title.text
    assert curves.divergence(summary).data[0].y[0] == run.agreement.value
    assert curves.costs(summary).data[0].x[0] == run.kv_bytes / 1e6


def test_a_kind_is_text_in_figures_too():
    rows = frame([record("a", trial, kind="<b>&</b>") for trial in (ALL, Trial("crop", "64"))])
    assert heatmaps.kinds(summarise(rows), "64").data[0].x[0] == "&lt;b&gt;&amp;&lt;/b&gt; (1)"


def test_a_method_has_one_look_in_all_figures(rows):
    summary = summarise(rows)
    looks = {}
    for figure in (curves.accuracy(summary), curves.divergence(summary), curves.costs(summary)):
        for trace in (each for each in figure.data if each.mode == "lines+markers"):
            looks.setdefault(trace.name, set()).add((trace.line.color, trace.line.dash, trace.marker.symbol))
    assert len(looks) == 4 and {len(result) for result in looks.values()} == {1}


def test_heat_maps(rows):
    summary = summarise(rows)
    grid = heatmaps.kinds(summary, "64").data[0]
    crop = summary.of(Trial("crop", "64"))
    assert list(grid.z[0]) == [*crop.kept_by_kind.values(), crop.kept.value]
    pairs = json.loads(heatmaps.pairs(summary, summary.standings[2]).to_json())["data"][0]
    first = summary.standings[2].pairs[0]
    assert pairs["z"][0][1] == 100 * first.difference == -pairs["z"][1][0]
    assert pairs["z"][0][0] is None
    assert pairs["text"][0][1].endswith("*") is first.differs


def test_one_method_has_no_empty_table_of_tests_and_facts_are_words(rows):
    alone = rows[rows["method"].isin(["none", "crop"])]
    page = report(summarise(alone), alone, {**FACTS, "others": ["a", "b"], "seed": None})
    assert "Paired tests" not in page and 'href="#pairs"' not in page
    assert "<dd>a, b</dd>" in page and "None</dd>" not in page
    assert "Paired tests" in report(summarise(rows), rows, FACTS)


def test_an_axis_of_shares_ends_at_all(rows):
    for figure in (curves.accuracy(summarise(rows)), curves.costs(summarise(rows))):
        assert figure.layout.yaxis.autorangeoptions.clipmax == 1.05
