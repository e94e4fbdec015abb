"""`localizer train` and `localizer eval` as commands: the whole way, the bundled locator's figures, and bad input."""

import json

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from benchmarks import region_quality as bench
from crop_core.cli.main import main
from crop_core.localize import GridVlmLocalizer
from crop_core.models import load
from crop_core.train.world.held_out import held_out
from tests.support import checkpoints

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
        told = {"image": f"{number}.png", "question": question.text, "kind": question.kind}
        rows.append({**told, "boxes": [question.box(*image.size)]})
    file = folder / "world.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


def test_the_bundled_locator_has_the_figures_of_the_benchmark(items, world, capsys):
    assert main(["localizer", "eval", LOCATOR, str(world), "--device", "cpu", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["device"], told["dtype"]) == (LOCATOR, "cpu", "torch.float32")
    finder = GridVlmLocalizer(load(LOCATOR, "cpu"))
    found = pd.DataFrame({"kind": [item.question.kind for item in items], "everything": False, "confidence": 0.5})
    found[bench.REGION] = [finder.localize_region(item.scene.image, item.question.text).grid for item in items]
    found[bench.NEEDED] = [item.region.grid for item in items]
    wanted = bench.summary(found)
    for kind, figures in {"all": wanted, **wanted["by_kind"]}.items():
        assert told["figures"][kind]["iou"] == pytest.approx(figures["iou"], abs=1e-12)
        assert told["figures"][kind]["coverage"] == pytest.approx(figures["coverage"], abs=1e-12)
    assert set(told["figures"]) == {"all", *wanted["by_kind"]}
    assert told["figures"]["all"]["questions"] == len(items)


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
    said = capsys.readouterr()
    assert f"Saved as {out}" in said.out
    assert "of the rows, 1 skipped (line 25: '{broken' is no JSON" in said.err
    assert "step 20: mean IoU" in said.err
    assert main(["localizer", "eval", str(out), str(squares), "--json", str(tmp_path / "f.json")]) == 0
    figures = json.loads((tmp_path / "f.json").read_text())["figures"]["all"]
    assert figures["questions"] == 24
    assert figures["iou"] > 0.9


def test_eval_of_where_a_model_looks_itself(base, squares, capsys):
    assert main(["localizer", "eval", base, str(squares), "--self", "--device", "cpu", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["figures"]["all"]["questions"] == 24


@pytest.fixture
def refused(capsys):
    """Run a command line that is refused, and return its one sentence."""

    def run(*arguments):
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        assert (code, out, err.count("\n")) == (2, "", 1)
        return err

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
    assert "cannot be read" in refused("localizer", "eval", LOCATOR, str(tmp_path / "none"))
    assert "cannot be written" in refused("localizer", "eval", LOCATOR, str(world), "--json", str(tmp_path))
    assert "--limit is -1" in refused("localizer", "eval", LOCATOR, str(world), "--limit", "-1")
