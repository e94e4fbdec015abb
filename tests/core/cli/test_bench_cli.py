"""`bench` as a command: the whole way on a random model, going on, adding to it, and bad input."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from crop_core.cli import bench as bench
from crop_core.cli.main import main
from crop_core.engine.engine import CropEngine
from crop_core.evaluate.datasets.registry import SOURCES
from crop_core.evaluate.runner import store
from tests.support import checkpoints

QUESTIONS = ("what is left of the dog ?", "where is the red cat ?", "what is the red dog ?")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def short_answers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "files", replace(SOURCES["files"], max_new_tokens=6))
        yield


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The command line of a small sweep: three questions of one's own and one about a broken image."""
    folder = tmp_path_factory.mktemp("bench")
    rows = []
    for number, question in enumerate(QUESTIONS):
        Image.effect_noise((200, 120), 60 + number).convert("RGB").save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "question": question, "answer": "dog", "kind": "place", "id": number})
    (folder / "broken.png").write_bytes(b"no image")
    rows.append({"image": "broken.png", "question": "what is it ?", "answer": "cat", "id": 9})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    models = folder / "models"
    model = checkpoints.save(models / "model", "pad", layers=6)
    locator = checkpoints.save(models / "locator", "squash", seed=1)
    data = ["files", "--path", str(folder / "rows.jsonl"), "--device", "cpu"]
    return ["bench", *data, "--model", model, "--localizer", locator]


@pytest.fixture(scope="module")
def out(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    assert (
        main([*command, "--methods", "crop,random", "--budgets", "24,50%", "--seeds", "0,1", "--out", str(folder)]) == 0
    )
    return folder


def test_records_summary_and_report_are_written(out):
    frame = store.read(out)
    names = {"baseline", "blind", "crop 24", "crop 50%", "random 24", "random 50%"}
    assert set(frame["trial"]) == names | {"random 24, seed 1", "random 50%, seed 1"}
    assert set(frame["example"]) == {"0", "1", "2"} and len(frame) == 24
    summary = json.loads((out / "summary.json").read_text())
    assert summary["questions"] == 3
    assert {run["name"]: run["seeds"] for run in summary["runs"]}["random 24"] == 2
    assert summary["sweep"]["dataset"] == "files" and summary["sweep"]["precision"] == "float32"
    page = (out / "report.html").read_text()
    assert "<table" in page and "CROP 24" in page
    assert not list(out.glob("part-*"))


def test_it_goes_on_and_more_can_be_added(command, out, capsys):
    sessions = len(store.facts(out)["sessions"])
    assert main([*command, "--methods", "fastv", "--budgets", "24", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "of the questions, 1 skipped (9: " in printed.err and "broken.png" in printed.err
    assert "FastV 24" in printed.out and "CROP 24" in printed.out, "what was measured before is in the report too"
    assert len(store.facts(out)["sessions"]) == sessions + 1
    assert len(store.read(out)) == 27


def test_another_model_or_precision_is_not_put_beside(command, out, refused):
    elsewhere = [*command[: command.index("--model")], "--model", "crop-tiny", "--localizer", "self", "--out", str(out)]
    assert "are of the model" in refused(*elsewhere)
    assert "are of the precision 'float32', not 'bfloat16'" in refused(
        *command, "--dtype", "bfloat16", "--out", str(out)
    )
    assert "are of the metric" in refused(*command, "--metric", "contains", "--out", str(out))


def test_the_whole_image_can_be_the_region(command, tmp_path):
    options = ["--localizer", "whole", "--methods", "region", "--budgets", "24", "--limit", "1", "--out", str(tmp_path)]
    assert main([*command[: command.index("--localizer")], *options]) == 0
    assert store.facts(tmp_path)["localizer"] == "whole"
    row = store.read(tmp_path).set_index("trial").loc["region 24"]
    assert (row.x0, row.y0, row.x1, row.y1) == (0, 0, 7, 7) and row.mean_tokens <= 24


def test_localizers_side_by_side(command, tmp_path, capsys):
    (start, locator), out = (command[: command.index("--localizer")], command[-1]), tmp_path / "out"
    options = ["--localizers", f"{locator},self,whole", "--budgets", "24,32", "--limit", "2", "--out", str(out)]
    assert main([*start, *options]) == 0
    facts, frame = store.facts(out), store.read(out)
    assert (facts["localizer"], facts["profile"]) == (locator, None)
    regions = ("", ", self region", ", random region", ", whole region")
    assert set(frame["trial"]) == {"baseline", "blind", *(f"crop {n}{each}" for n in (24, 32) for each in regions)}
    summary = json.loads((out / "summary.json").read_text())["localizers"]
    assert [each["region"] for each in summary] == ["predicted", "self", "random", "whole"]
    whole = summary[3]
    assert (whole["area"], whole["localizer_s"], whole["iou"]) == (1, 0, None), "no boxes: nothing to compare with"
    assert summary[0]["area"] == summary[2]["area"] < 1 and summary[1]["localizer_s"] > 0
    printed = capsys.readouterr().out
    assert (
        "| localizer" in printed and f"| {locator}" in printed and "| random region of the first one's size" in printed
    )
    assert "CROP by localizer" in (out / "report.html").read_text()
    assert main([*start, *options]) == 0, "nothing is asked twice"
    assert len(store.facts(out)["sessions"]) == 1


def test_a_third_localizer_is_another_checkpoint(command, tmp_path):
    locator, out = command[-1], tmp_path / "out"
    options = ["--localizers", f"self,{locator}", "--budgets", "24", "--limit", "1", "--out", str(out)]
    assert main([*command[: command.index("--localizer")], *options]) == 0
    frame = store.read(out).set_index("trial")
    cells = ["x0", "y0", "x1", "y1"]
    engine = CropEngine.from_pretrained(command[command.index("--model") + 1], locator, "cpu", warm_up=False)
    row = frame.loc[f"crop 24, {locator} region"]
    image = Image.open(Path(command[command.index("--path") + 1]).with_name(f"{frame['example'].iloc[0]}.png"))
    question = QUESTIONS[int(frame["example"].iloc[0])]
    assert row[cells].tolist() == list(engine.localize(image, question).grid)


def test_a_profile_that_came_meanwhile_is_not_mixed_in(command, tmp_path, refused, monkeypatch, capsys):
    model, out = command[command.index("--model") + 1], tmp_path / "out"
    own = [*command[: command.index("--localizer")], "--localizer", "self", "--methods", "crop", "--budgets", "24"]
    assert main([*own, "--limit", "1", "--out", str(out)]) == 0
    capsys.readouterr()
    monkeypatch.setenv("LOCALIZER_PROFILES", str(tmp_path))
    (tmp_path / f"{Path(model).name}-01234567.json").write_text("{}")
    assert "are of the profile None, not '" in refused(*own, "--limit", "1", "--out", str(out))


def test_localizers_that_cannot_be_compared(command, refused):
    start = command[: command.index("--localizer")]
    assert "'none' finds no region" in refused(*start, "--localizers", "none")
    assert "--localizers names none" in refused(*start, "--localizers", ",")
    assert "no localizer 'nowhere'" in refused(*start, "--localizers", "self,nowhere", "--budgets", "24")


def test_an_interrupt_says_how_to_go_on(command, tmp_path, monkeypatch, capsys):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "sweep", interrupted)
    assert main([*command, "--out", str(tmp_path / "new")]) == 130
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed.startswith(
        f"crop_core: Interrupted; what was answered is in '{tmp_path / 'new'}', and the same command"
    )


@pytest.fixture
def refused(capsys):
    """Run a command line that is refused, and return its last sentence."""

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        return err.splitlines()[-1]

    return run


def test_bad_input_is_one_sentence(command, tmp_path, refused):
    assert "'corp' is not known" in refused("bench", "--methods", "corp")
    assert "no method" in refused("bench", "--methods", ",")
    assert "'many' is neither" in refused("bench", "--budgets", "64,many")
    assert "no whole numbers" in refused("bench", "--seeds", "one")
    assert "at least 1" in refused("bench", "--workers", "0")
    assert "'moon' is not known" in refused("bench", "moon")
    assert "--path" in refused("bench", "pope")
    assert "limit" in refused("bench", "--limit", "0")
    assert "no model 'gpt'" in refused(*command, "--model", "gpt", "--out", str(tmp_path / "a"))
    assert "nowhere" in refused(*command, "--device", "nowhere", "--out", str(tmp_path / "b"))
    assert "--no-score" in refused(*command, "--metric", "exact", "--no-score")
    assert "--boxes" in refused("bench", "pope", "--path", str(tmp_path), "--boxes", "xywh")
    (tmp_path / "hidden.csv").write_text("image;question;answer\na.png;what?;\n")
    hidden = refused("bench", "files", "--path", str(tmp_path / "hidden.csv"))
    assert "have no answers to score" in hidden and "--no-score to keep the replies" in hidden


def test_a_large_budget_keeps_every_token_and_the_report_says_of_how_many(command, tmp_path, capsys):
    plan = ["--methods", "crop,fastv", "--budgets", "65,24", "--limit", "2", "--out", str(tmp_path)]
    assert main([*command, *plan]) == 0
    rows = store.read(tmp_path).query("trial in ['crop 65', 'fastv 65']")
    assert len(rows) == 4 and set(rows["mean_tokens"]) == {64} and rows["same"].all() and not rows["kl_first"].any()
    out, err = capsys.readouterr()
    sentence = "At 65 tokens, 2 of 2 questions are about images of no more visual tokens than that; nothing was pruned"
    assert sentence in out and sentence in (tmp_path / "report.html").read_text()
    assert "crop_core: 2 questions about 2 images from '" in err


def test_replies_without_scores(command, tmp_path, capsys):
    folder = tmp_path / "rows"
    folder.mkdir()
    Image.new("RGB", (90, 60), "red").save(folder / "a.png")
    (folder / "rows.csv").write_text("Image;Question\na.png;what is it ?\n")
    out = tmp_path / "out"
    options = ["--no-score", "--methods", "crop", "--budgets", "24", "--out", str(out)]
    here = [str(folder) if each.endswith("rows.jsonl") else each for each in command]
    for _ in range(2):  # the second finds everything answered
        assert main([*here, *options]) == 0
        assert "Not scored; the replies are in" in capsys.readouterr().out
    replies = json.loads((out / "submissions/crop-24/answers.json").read_text())
    row = store.read(out).set_index("trial").loc["crop 24"]
    assert replies == [{"id": "row 1", "answer": row.reply}] and row.score != row.score
    assert not (out / "report.html").exists()
