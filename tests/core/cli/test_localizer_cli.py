"""`localizer train` and `localizer eval` as commands: the whole way, the bundled locator's figures, and bad input."""

import json

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from benchmarks import region_quality as bench
from crop_core.cli.main import main
from crop_core.localize import GridVlmLocalizer
from crop_core.models import load
from crop_core.train.localizer.trainer import Trainer
from crop_core.train.world.held_out import held_out
from tests.support import checkpoints
from tests.support.detectors import build_detector

pytestmark = pytest.mark.training

LOCATOR = "crop-tiny-locator"


@pytest.fixture(scope="module")
def items():
    return held_out(2)


@pytest.fixture(scope="module")
def world(items, tmp_path_factory):
    """Held-out questions of the bundled world as rows of JSON."""
    folder, rows = tmp_path_factory.mktemp("world"), []
    for number, item in enumerate(items):
        image, question = item.scene.image, item.question
        image.save(folder / f"{number}.png")
        content = {"image": f"{number}.png", "question": question.text, "kind": question.kind}
        rows.append({**content, "boxes": [question.box(*image.size)]})
    file = folder / "world.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_the_bundled_locator_has_the_figures_of_the_benchmark(items, world, capsys):
    assert main(["localizer", "eval", LOCATOR, str(world), "--device", "cpu", "--json", "-"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["model"], content["device"], content["dtype"]) == (LOCATOR, "cpu", "torch.float32")
    finder = GridVlmLocalizer(load(LOCATOR, "cpu"))
    result = pd.DataFrame({"kind": [item.question.kind for item in items], "everything": False, "confidence": 0.5})
    result[bench.REGION] = [finder.localize_region(item.scene.image, item.question.text).grid for item in items]
    result[bench.NEEDED] = [item.region.grid for item in items]
    wanted = bench.summary(result)
    for kind, figures in {"all": wanted, **wanted["by_kind"]}.items():
        assert content["figures"][kind]["iou"] == pytest.approx(figures["iou"], abs=1e-12)
        assert content["figures"][kind]["coverage"] == pytest.approx(figures["coverage"], abs=1e-12)
    assert set(content["figures"]) == {"all", *wanted["by_kind"]}
    assert content["figures"]["all"]["questions"] == len(items)


def test_a_limit_and_a_table(world, capsys):
    assert main(["localizer", "eval", LOCATOR, str(world), "--device", "cpu", "--limit", "3"]) == 0
    head, everything, *_ = capsys.readouterr().out.splitlines()
    assert head.split("  ")[-4:] == ["mean IoU", "covers all", "mean area", "mean time"]
    assert everything.split()[:2] == ["all", "3"]


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    folder, rows = tmp_path_factory.mktemp("squares"), []
    for number in range(24):
        left = 32 * (number % 2)
        image = Image.new("RGB", (64, 64), "gray")
        ImageDraw.Draw(image).rectangle((left, 0, left + 31, 63), fill="red")
        image.save(folder / f"{number}.png")
        rows.append({"image": f"{number}.png", "question": "where is red?", "boxes": [[left, 0, left + 32, 64]]})
    file = folder / "squares.jsonl"
    file.write_text("\n".join([*map(json.dumps, rows), "{broken"]))
    return file


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return checkpoints.save(tmp_path_factory.mktemp("base"), "squash", side=56, layers=2)


def test_train_then_eval(base, squares, tmp_path, capsys):
    out = tmp_path / "mine"
    quick = "--steps 30 --batch 4 --rate 1e-2 --dropout 0 --held-out 0.25 --eval-every 20 --device cpu --checkpointing"
    assert main(["localizer", "train", str(squares), "--model", base, "--out", str(out), *quick.split()]) == 0
    printed = capsys.readouterr()
    assert f"Saved as {out}" in printed.out
    assert "of the rows, 1 skipped (line 25: '{broken' is no JSON" in printed.err
    assert "step 20: mean IoU" in printed.err
    assert main(["localizer", "eval", str(out), str(squares), "--json", str(tmp_path / "f.json")]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())["figures"]["all"]
    assert figures["questions"] == 24
    assert figures["iou"] > 0.9


def test_an_interrupt_says_what_was_kept_and_how_to_go_on(base, squares, tmp_path, capsys, monkeypatch):
    out = tmp_path / "mine"
    quick = "--steps 4 --batch 2 --held-out 0.25 --device cpu --save-every 2"
    command = ["localizer", "train", str(squares), "--model", base, "--out", str(out), *quick.split()]
    update, said = Trainer._update, []

    def interrupted_at(step):
        def run(trainer):
            if trainer.step == step:
                raise KeyboardInterrupt
            update(trainer)

        return run

    for step in (1, 3):
        monkeypatch.setattr(Trainer, "_update", interrupted_at(step))
        assert main(command) == 130
        said.append(capsys.readouterr().err.splitlines()[-1])
    state = out.with_name("mine.training.pt")
    assert said == [
        "crop_core: Interrupted; no checkpoint was saved yet (--save-every); the same command begins again.",
        f"crop_core: Interrupted; the first 2 steps are kept in '{state}', and the same command goes on from there.",
    ]
    monkeypatch.setattr(Trainer, "_update", update)
    assert main(command) == 0
    assert "in the last of 4 steps" in capsys.readouterr().out and not state.exists()


def test_boxes_that_are_no_pixels(squares, tmp_path, refused):
    shares = tmp_path / "shares.jsonl"
    train = ("localizer", "train", str(shares), "--images", str(squares.parent), "--model", "gpt", "--out", "x")
    rows = [json.loads(line) for line in squares.read_text().splitlines()[:24]]
    rows = [{**row, "boxes": [[value / 64 for value in row["boxes"][0]]]} for row in rows]
    shares.write_text("\n".join(map(json.dumps, rows)))
    told = refused(*train)
    assert "24 skipped (line 1: box [0, 0, 0.5, 1] in 64 x 64 is less than a pixel" in told and "--boxes shares" in told
    assert "no model 'gpt'" in refused(*train, "--boxes", "shares")


def test_eval_of_where_a_model_looks_itself(base, squares, capsys):
    assert main(["localizer", "eval", base, str(squares), "--self", "--device", "cpu", "--json", "-"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["figures"]["all"]["questions"] == 24


@pytest.mark.parametrize("name", ["whole", "text", "owlv2"])
def test_eval_measures_any_localizer(name, squares, tmp_path, capsys):
    if name == "owlv2":
        build_detector(name, tmp_path / name)
    where = str(tmp_path / name) if name == "owlv2" else name
    assert main(["localizer", "eval", where, str(squares), "--limit", "3", "--device", "cpu", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["all"]["questions"] == 3


@pytest.fixture
def refused(capsys):
    """Run a command line that is refused, and return its one sentence; another may say before what was read."""

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        *read, sentence = err.splitlines()
        assert (code, out) == (2, "")
        assert len(read) <= 1 and all(" from '" in line for line in read)
        return sentence

    return run


def test_bad_training_is_one_sentence(base, squares, tmp_path, refused, monkeypatch):
    def train(*options, data=squares, model=base, out=tmp_path / "out"):
        return refused("localizer", "train", str(data), "--model", str(model), "--out", str(out), *options)

    clean = tmp_path / "clean.jsonl"
    clean.write_text(squares.read_text().replace("{broken", ""))
    here = ["--images", str(squares.parent)]
    assert "--rank is 0" in train("--rank", "0")
    assert "--rate" in train("--rate", "fast")
    assert "--limit is 0" in train("--limit", "0")
    assert "exists already" in train(out=tmp_path)
    assert "is no folder" in train(out=tmp_path / "no" / "out")
    assert "cannot be read" in train(data=tmp_path / "none.jsonl")
    assert "No row of" in train(data=clean)
    assert "no folder" in train("--images", str(tmp_path / "none"))
    assert "too few" in train(*here, "--limit", "2", data=clean)
    assert "no model 'gpt'" in train(*here, data=clean, model="gpt")
    assert "dtype" in train("--dtype", "float16")
    assert "--model" in refused("localizer", "train", str(clean), "--out", "x")
    monkeypatch.setattr("crop_core.train.localizer.lora.find_spec", lambda name: None)
    assert 'pip install "peft>=0.18"' in train()
    assert not (tmp_path / "out").exists()


def test_bad_measuring_is_one_sentence(base, world, tmp_path, refused):
    assert "command" in refused("localizer")
    assert "no model 'gpt'" in refused("localizer", "eval", "gpt", str(world))
    assert "'self' is no localizer without an answering model" in refused("localizer", "eval", "self", str(world))
    assert "'none' finds no region" in refused("localizer", "eval", "none", str(world))
    assert "cannot be read" in refused("localizer", "eval", LOCATOR, str(tmp_path / "none"))
    assert "cannot be written" in refused("localizer", "eval", LOCATOR, str(world), "--json", str(tmp_path))
    assert "--limit is -1" in refused("localizer", "eval", LOCATOR, str(world), "--limit", "-1")
