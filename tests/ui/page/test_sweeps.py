import json
from html import unescape

import gradio as gr
import pytest

from crop_core.records.config import Budget
from crop_core.records.methods import METHODS, method_of
from crop_core.records.region import Region
from tests.support.fake_records import FakeEngine, run_result, sample_image
from tests.support.panel import SETTINGS, shown_status
from ui.page.one_more_run import BROKEN
from ui.page.sweeps import LOCALIZERS, SHARES, WHOLE, SweepHandlers, centred_region, valid_methods
from ui.views.explorer_state import COLUMNS, LOCALIZER_COLUMNS, gallery_json, table
from ui.views.figures import answer_map, budget_curves

KEPT = gr.skip()
BEFORE = [name for name, one in METHODS.items() if one.compressor and not one.pruner]  # of which two can be joined
INSIDE = [name for name, one in METHODS.items() if one.pruner and not one.compressor]


@pytest.fixture
def scene(tmp_path):
    sample_image().save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def test_methods_come_one_by_one_at_the_budget_of_the_settings(scene):
    engine = FakeEngine()
    moments = list(SweepHandlers(engine).methods(scene, "what?", ["crop", "random"], *SETTINGS))
    assert [len(json.loads(gallery["data"])["rows"]) for gallery, *_ in moments[1:]] == [1, 2, 3]
    lines = [shown_status(status) for *_, status in moments]
    assert [line.split(", about")[0] for line in lines] == ["Starting …", "0 of 2 runs", "1 of 2 runs", "Done: 2 runs."]
    assert ["<progress" in status for *_, status in moments] == [False, True, True, False]
    assert [way.config.budget for way in engine.requested] == [Budget(share=192 / 576)] * 2
    _, rows, _, note, _ = moments[-1]
    assert note == ""
    assert [row[:3] for row in rows["data"]] == [
        ["Baseline", "rabbit", "yes"],
        ["CROP", "rabbit", "yes"],
        ["Random", "turtle", "no"],
    ]


def test_localizers_stand_side_by_side_with_the_method_of_the_settings(scene):
    engine = FakeEngine()
    names = ["", "self", "whole"]
    drawn = (*SETTINGS[:9], "drawn", 0, 0, 1, 0)
    handlers = SweepHandlers(engine)
    *_, last = handlers.compared(scene, "what?", LOCALIZERS, ["fastv"], names, *drawn)
    assert [(way.name, way.config.localizer, way.config.method) for way in engine.requested] == [
        ("the app's localizer", "predicted", "crop"),
        ("self", "self", "crop"),
        ("whole", "whole", "crop"),
        ("drawn by you", "predicted", "crop"),
    ]
    assert engine.requested[-1].region.grid == (0, 0, 1, 0) and engine.requested[0].region is None
    _, rows, figure, note, status = last
    assert rows["data"][1][4] == 14.1, "the app's localizer looked for itself, though a region is drawn"
    assert (note, shown_status(status)) == ("", "Done: 4 runs.")
    assert figure.heading == "What CROP with each localizer keeps (budget: 33.3 %)"
    *_, (_, rows, _, _, _) = handlers.compared(scene, "what?", "methods", ["fastv"], names, *SETTINGS)
    assert rows["headers"] == [*COLUMNS] and engine.requested[-1].config.method == "fastv"


@pytest.mark.parametrize(
    ("names", "method", "said"),
    [
        ([], "crop", "No valid localizer is chosen"),
        (["self", "/etc/passwd"], "crop", "No valid localizer is chosen"),
        (["detector"], "crop", "No valid localizer is chosen"),
        (["self"], "fastv", "FastV reads no region. Choose a method in Settings that reads one"),
    ],
)
def test_localizers_that_cannot_be_compared_are_one_sentence(scene, names, method, said):
    engine = FakeEngine()
    *_, last = SweepHandlers(engine).localizers(scene, "what?", names, method, *SETTINGS[1:])
    assert last[:3] == (KEPT, KEPT, KEPT) and said in last[4] and engine.requested == []


def test_a_budget_that_a_method_cannot_meet_is_told_and_the_others_go_on(scene):
    settings = (SETTINGS[0], "custom", "7", *SETTINGS[3:])
    moments = list(SweepHandlers(FakeEngine()).methods(scene, "what?", ["crop", "ilp"], *settings))
    assert shown_status(moments[-1][4]).startswith("Done: 2 runs.")
    assert "CROP: A budget of 7 tokens is too small." in moments[-1][4]
    assert "ILP: A budget of 7" in moments[-1][4]


def test_a_sweep_asks_every_method_at_every_budget(scene):
    engine = FakeEngine()
    figure, _, note, status = list(SweepHandlers(engine).budgets(scene, "what?", ["plc", "ilp"], *SETTINGS))[-1]
    assert [way.config.budget.share for way in engine.requested] == [share for share in SHARES for _ in range(2)]
    assert {way.name for way in engine.requested} == {"PLC", "ILP"}, "CROP's stages are told apart"
    assert (note, shown_status(status)) == ("", f"Done: {2 * len(SHARES)} runs.")
    assert [line.name for line in figure.data] == [f"{name}: no flip" for name in ("PLC", "PLC", "ILP", "ILP")]


def test_the_region_that_was_drawn_is_slid_over_all_cells_alone(scene):
    engine = FakeEngine()
    settings = (*SETTINGS[:9], "drawn", 0, 0, 1, 0)
    figure, _, _, status = list(SweepHandlers(engine).places(scene, "what?", *settings))[-1]
    assert shown_status(status) == "Done: 64 runs."
    assert {way.config.method for way in engine.requested} == {"region"}
    assert {(w.region.x1 - w.region.x0, w.region.y1 - w.region.y0) for w in engine.requested} == {(1, 0)}
    assert {(w.region.x0, w.region.y0) for w in engine.requested} == {(x, y) for x in range(7) for y in range(8)}
    assert figure.data[0].z[7][7] == 0.9


def test_without_a_drawn_region_the_size_is_the_localizers(scene):
    engine = FakeEngine()
    list(SweepHandlers(engine).places(scene, "what?", *SETTINGS))
    assert engine.requested[0].region is None
    assert {w.region.x1 - w.region.x0 for w in engine.requested[1:]} == {2}


def test_the_whole_image_has_no_other_place(scene):
    engine = FakeEngine()
    *_, last = SweepHandlers(engine).places(scene, "what?", *SETTINGS[:9], "drawn", 0, 0, 7, 7)
    assert last[:2] == (KEPT, KEPT) and WHOLE in last[3]
    assert engine.requested == []


@pytest.mark.parametrize(
    ("path", "question", "names"),
    [(None, "what?", ["crop"]), ("scene", " ", ["crop"]), ("scene", "what?", []), ("scene", "what?", ["evil"])],
)
def test_bad_input_changes_the_message_alone(scene, path, question, names):
    *_, last = SweepHandlers(FakeEngine()).methods(scene if path else None, question, names, *SETTINGS)
    assert last[:3] == (KEPT, KEPT, KEPT)
    assert 'role="alert"' in last[4] and last[3] == "", "beside the button, not under Run"


def test_a_failure_inside_keeps_what_is_shown(scene):
    class Dying(FakeEngine):
        def stream(self, request):
            yield next(super().stream(request))
            raise RuntimeError("secret")

    *_, before, last = SweepHandlers(Dying()).methods(scene, "what?", ["crop"], *SETTINGS)
    assert (last[0], last[2]) == (before[0], before[2])
    assert BROKEN[:20] in last[4]
    assert "secret" not in last[4]


def test_a_region_at_the_border_is_pushed_back_into_the_image():
    assert centred_region(0, 7, 3, 2, (80, 80)).grid == (0, 6, 2, 7)
    assert centred_region(4, 4, 3, 3, (80, 80)).grid == (3, 3, 5, 5)
    assert centred_region(5, 5, 8, 8, (80, 80)).grid == (0, 0, 7, 7)


def test_only_methods_that_prune_are_taken_and_in_the_order_of_the_choice():
    assert valid_methods(["random", "crop", "none", "random"]) == ["random", "crop"]
    assert [method_of(name).title for name in ("crop", "plc", "divprune", "plc+ilp")] == [
        "CROP",
        "PLC",
        "DivPrune",
        "PLC + ILP",
    ]
    assert len({method_of(name).title for name in METHODS}) == len(METHODS)


def test_methods_can_be_joined_in_a_comparison(scene):
    engine = FakeEngine()
    list(SweepHandlers(engine).methods(scene, "what?", ["crop", " plc+fastv ", "fastv@paper"], *SETTINGS))
    assert [(each.name, each.config.method) for each in engine.requested] == [
        ("CROP", "crop"),
        ("PLC + FastV", "plc+fastv"),
        ("FastV as published", "fastv@paper"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "No method that prunes is chosen"),
        (["none"], "No method that prunes is chosen"),
        (["crop", "plc+magic"], "The method 'plc+magic' is not known; choose one of crop"),
        ([f"{one}+{other}" for one in BEFORE for other in INSIDE], f"at most {len(METHODS)} can be compared at once"),
    ],
)
def test_methods_that_cannot_be_compared_are_one_sentence(scene, names, message):
    engine = FakeEngine()
    *_, last = SweepHandlers(engine).methods(scene, "what?", names, *SETTINGS)
    assert message in unescape(last[-1]) and engine.requested == []


def test_the_gallery_sends_what_all_share_once_and_no_scores():
    payload = json.loads(gallery_json(sample_image(), [run_result(), run_result("Random")])["data"])
    assert len(payload["shared"]["boxes"]) == 576
    assert [set(row["trace"]) & {"boxes", "layers"} for row in payload["rows"]] == [set(), set()]
    assert all(set(step) == {"layer", "kept"} for row in payload["rows"] for step in row["trace"]["steps"])


def test_rows_of_the_table_hold_the_localizer_and_stay_numbers():
    runs = [run_result(localizer_s=0.01, localizer_flops=10**9)]
    row = dict(zip(table(runs)["headers"], table(runs)["data"][0], strict=True))
    assert row["first token, ms"] == 60.0
    assert row["GFLOP"] == 4.0
    assert row["KV cache, MiB"] == 1.24
    found = table(runs, LOCALIZER_COLUMNS)
    row = dict(zip(found["headers"], found["data"][0], strict=True))
    assert (row["localizer, ms"], row["first token, ms"], row["region, %"]) == (10.0, 60.0, 14.1), "9 of 64 cells"
    assert len(found["headers"]) == len(COLUMNS), "the widths are those of both tables"


def test_a_curve_marks_where_the_answer_flips_and_ends_at_every_token():
    whole = run_result("Baseline", "none", answer_probability=0.99)
    points = [
        whole,
        run_result("CROP", answer_probability=0.9),
        run_result("CROP", text="turtle", same=False, answer_probability=0.1),
    ]
    chance, work = budget_curves(points).data
    assert sorted(chance.y) == [0.1, 0.9, 0.99]
    assert sorted(chance.marker.symbol) == ["circle", "circle", "x"]
    assert work.y[-1] == 3.0


def test_the_map_puts_each_probability_in_its_cell():
    region = Region(0, 0, 0, 0, 100, 50, "drawn")
    results = [run_result("Baseline"), run_result("3,1", region=region, answer_probability=0.25)]
    figure = answer_map(sample_image(100, 50), results, Region(2, 4, 3, 7, 100, 50))
    assert {(each.x0, each.y0, each.x1, each.y1) for each in figure.layout.shapes} == {(25, 25, 50, 50)}
    heat = figure.data[0]
    assert heat.z[1][3] == 0.25
    assert heat.z[0][0] is None
    assert (heat.x[3], heat.y[1]) == (43.75, 9.375)
