"""Calibration of a model's own attention: end to end on three families, stopped and taken up again, and refusals."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from crop_core.cli.main import main
from crop_core.localize import SelfLocalizer
from crop_core.localize.self_attention import published_heads as published
from crop_core.localize.self_attention.attention_rule import KEY, MAX_SIDE
from crop_core.localize.self_attention.pooled_grid import PooledGrid
from crop_core.localize.self_attention.profiles import ProfileKey, find_profile, profiles_digest
from crop_core.localize.self_attention.rule_choice import choose_rule
from crop_core.models import load
from crop_core.models.geometry import Framing, grid_layout
from crop_core.train.localizer import attention_readings as readings
from crop_core.train.localizer.attention_fit import RuleFigures
from crop_core.train.localizer.calibration_page import _better
from crop_core.train.localizer.calibration_questions import (
    CALIBRATE,
    FIT,
    MEASURE,
    drawn_questions,
    parts_of,
)
from crop_core.train.localizer.settings import TuneError
from tests.support.families import build

IMAGES, QUESTIONS = 20, ("where is red ?", "what is left of the dog ?")


@pytest.fixture(autouse=True)
def profiles(tmp_path, monkeypatch):
    folder = tmp_path / "profiles"
    monkeypatch.setenv("LOCALIZER_PROFILES", str(folder))
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Two questions about each of some images, in one quarter of which is a red square."""
    folder, lines = tmp_path_factory.mktemp("rows"), []
    for number in range(IMAGES):
        left, top = 60 * (number % 2), 40 * (number // 2 % 2)
        image = Image.effect_noise((120, 80), 40).convert("RGB")
        ImageDraw.Draw(image).rectangle((left, top, left + 59, top + 39), fill="red")
        image.save(folder / f"{number}.png")
        box = [left, top, left + 60, top + 40]
        lines += [{"image": f"{number}.png", "question": each, "boxes": [box]} for each in QUESTIONS]
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def model(name, tmp_path):
    folder = tmp_path / f"tiny-{name}"
    build(name, folder)
    return folder


def calibrated(folder, rows, *more):
    return main(["localizer", "calibrate", "--model", str(folder), str(rows), "--device", "cpu", *more])


@pytest.mark.parametrize("name", ["llava", "qwen2_5_vl", "gemma3"])
def test_a_model_is_calibrated_and_reads_its_profile_by_itself(name, tmp_path, rows, profiles, capsys):
    folder, page = model(name, tmp_path), tmp_path / "report.html"
    assert calibrated(folder, rows, "--html", str(page)) == 0
    printed = capsys.readouterr().out
    (file,) = profiles.iterdir()
    content = json.loads(file.read_bytes())
    assert content["key"]["model"] == folder.name and content["questions"] == 2 * (IMAGES // 5)
    lines = printed.splitlines()
    assert lines[1].startswith("calibrated") and any(line.startswith("the plain rule") for line in lines)
    assert f"{content['iou']:.3f}" in lines[1] and str(file) in lines[-1]
    html = page.read_text()
    assert html.count("data:image/svg+xml;base64,") >= 3 and QUESTIONS[0] in html
    adapter = load(folder, "cpu")
    found = SelfLocalizer(adapter).localize(Image.open(rows.parent / "0.png").convert("RGB"), QUESTIONS[0])
    (notice,) = found.notices
    assert file.name in notice and f"mean IoU {content['iou']:.2f}" in notice and "the rows given" in notice
    (profile, _) = find_profile(adapter)
    assert profile.rule.to_json() == content[KEY]
    assert found.region.confidence is not None


def test_a_stopped_run_goes_on_to_the_very_same_profile(tmp_path, rows, profiles, capsys, monkeypatch):
    folder, read = model("llava", tmp_path), []
    assert calibrated(folder, rows) == 0
    (whole,) = [each for each in profiles.iterdir() if each.suffix == ".json"]
    content = whole.read_bytes()
    shutil.rmtree(profiles)
    features = readings.attention_features

    def stopping(*arguments):
        read.append(arguments)
        if len(read) in (8, 12):
            raise KeyboardInterrupt
        return features(*arguments)

    monkeypatch.setattr(readings, "attention_features", stopping)
    for _ in range(2):
        assert calibrated(folder, rows) == 130
        (kept,) = profiles.iterdir()
        assert str(kept) in capsys.readouterr().err and kept.suffix == ".attention"
        with kept.open("ab") as torn:
            torn.write(b"1234567")
    assert calibrated(folder, rows) == 0
    assert len(read) == 2 * IMAGES + 2, "what was read is not read again"
    assert whole.read_bytes() == content and not kept.exists()


def test_a_stopped_run_of_other_rows_is_told(tmp_path, rows, profiles, capsys, monkeypatch):
    folder = model("llava", tmp_path)
    monkeypatch.setattr(readings, "attention_features", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert calibrated(folder, rows) == 130
    capsys.readouterr()
    assert calibrated(folder, rows, "--side", "3") == 2
    assert "is of the side [8], not [3]; give the same rows and options, or delete it" in capsys.readouterr().err
    next(profiles.iterdir()).write_bytes(b"\x93NUMPY")
    assert calibrated(folder, rows) == 2
    assert "holds a calibration that was stopped" in capsys.readouterr().err


def test_two_grids_are_measured_in_one_run_and_the_better_one_is_kept(tmp_path, rows, profiles, capsys):
    folder = model("llava", tmp_path)
    alone = {}
    for side in (4, 2):
        assert calibrated(folder, rows, "--side", str(side)) == 0
        alone[side] = table(capsys.readouterr().out)
    assert calibrated(folder, rows, "--side", "4,2") == 0
    out = capsys.readouterr().out
    both = table(out)
    (profile,) = [json.loads(each.read_text()) for each in profiles.glob("*.json")]
    kept = profile["crop_attention"]["side"]
    other = {4: 2, 2: 4}[kept]
    assert both["calibrated"] == alone[kept]["calibrated"]
    assert both[f"calibrated at {other} x {other}"] == alone[other]["calibrated"]
    assert f"over at most {kept} x {kept} visual tokens" in out


def table(out):
    """Rows of the printed table by the name of the rule."""
    lines = out.split("\n\n")[0].splitlines()[1:]
    return {line.split("  ")[0]: line.split()[-4:] for line in lines}


@pytest.fixture(scope="module")
def made(tmp_path_factory, rows):
    """A calibrated model and its profile."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALIZER_PROFILES", str(folder / "profiles"))
        assert calibrated(model("llava", folder), rows) == 0
    return folder


@pytest.fixture
def kept(made, tmp_path, profiles):
    """A copy of both."""
    shutil.copytree(made / "profiles", profiles)
    return Path(shutil.copytree(made / "tiny-llava", tmp_path / "tiny-llava"))


def refusal(adapter):
    """What is said of the profile, which is not used."""
    rule, notices, _ = choose_rule(adapter)
    first, guess = notices
    assert not rule.calibration.calibrated and "a guess" in guess
    assert first.endswith(".") and "and is not used" in first and "localizer calibrate --model tiny-llava" in first
    return first


def test_a_profile_of_another_revision_dtype_or_tokenizer_is_refused(kept, profiles, monkeypatch):
    assert "of the dtype 'float32', not 'bfloat16'" in refusal(load(kept, "cpu", "bfloat16"))
    adapter = load(kept, "cpu")
    assert len(choose_rule(adapter)[1]) == 1
    with monkeypatch.context() as patch:
        patch.setattr(type(adapter), "prompt", lambda *_: "another prompt")
        assert "of the tokenizer '" in refusal(adapter)
    generation = kept / "generation_config.json"
    generation.write_text(generation.read_text().replace("32", "31"))
    assert "of the revision 'files " in refusal(load(kept, "cpu"))


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"key": {}}', b"\xff"])
def test_a_damaged_profile_is_told_and_the_next_rule_taken(content, kept, profiles):
    file = next(each for each in profiles.iterdir() if each.suffix == ".json")
    file.write_bytes(content)
    assert f"The profile {file.name} cannot be read" in refusal(load(kept, "cpu"))


@pytest.mark.parametrize("change", [{"iou": "x"}, {"questions": None}, {"coverage": True}, {"source": 3}])
def test_a_profile_with_a_value_of_another_kind_is_told(change, kept, profiles):
    file = next(each for each in profiles.iterdir() if each.suffix == ".json")
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **change}))
    assert f"The profile {file.name} cannot be read and is not used; calibrate again" in refusal(load(kept, "cpu"))


def test_a_profile_that_reads_heads_that_are_not_there_is_refused(kept, profiles):
    adapter, file = load(kept, "cpu"), next(each for each in profiles.iterdir() if each.suffix == ".json")
    content = json.loads(file.read_bytes())
    content[KEY]["terms"] = {"9.0 last": 1.0}
    file.write_text(json.dumps(content))
    first, _ = choose_rule(adapter).notices
    assert "reads what the model does not have" in first and "It is not used; calibrate again" in first


def test_a_result_that_is_worse_than_what_there_was_is_told():
    figures = {"calibrated": 0.67, "own rule": 0.82, "whole image": 0.4}
    compared = {name: RuleFigures(13, iou, 0.9, 0.2) for name, iou in figures.items()}
    assert _better(compared) == ("own rule", 0.82, 0.67)
    assert _better({**compared, "calibrated": RuleFigures(13, 0.82, 0.9, 0.2)}) is None
    assert _better({"calibrated": compared["calibrated"]}) is None


def test_profiles_are_of_one_model_and_change_its_digest(kept, profiles):
    adapter = load(kept, "cpu")
    file = ProfileKey.of(adapter).file
    assert file.is_file() and profiles_digest(str(kept)) == profiles_digest("tiny-llava") is not None
    assert profiles_digest("tiny") is None and profiles_digest("llava") is None
    before = profiles_digest(str(kept))
    shutil.copy(file, file.with_name("tiny-llava-00000000.json"))
    assert profiles_digest(str(kept)) != before


def refused(capsys, *arguments):
    """The one sentence of a command line that is refused."""
    assert main(["localizer", "calibrate", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1]


def test_bad_input_is_one_sentence(tmp_path, rows, profiles, capsys):
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(rows.read_text().splitlines()[:30]))
    where = ("--images", str(rows.parent), "--model", "x")
    assert "30 usable questions about 15 images are too few" in refused(capsys, str(few), *where)
    few.write_text("\n".join([line for line in rows.read_text().splitlines() if '"0.png"' in line] * 30))
    assert "60 usable questions about 1 images are too few" in refused(capsys, str(few), *where)
    bare = [{**json.loads(line), "boxes": None} for line in rows.read_text().splitlines()]
    few.write_text("\n".join(map(json.dumps, bare)))
    assert "No row of" in refused(capsys, str(few), *where)
    assert "12 usable questions" in refused(capsys, "--model", "x", "--questions", "12")
    assert "--limit are about rows" in refused(capsys, "--model", "x", "--limit", "12")
    assert "--layers is 0" in refused(capsys, "--model", "x", "--layers", "0")
    assert "--side has 65" in refused(capsys, "--model", "x", "--side", "65")
    assert "--side has 8," in refused(capsys, "--model", "x", "--side", "8,8")
    assert "--side is '8,x', and must be whole numbers" in refused(capsys, "--model", "x", "--side", "8,x")
    assert "--coverage is 0," in refused(capsys, "--model", "x", "--coverage", "0")
    assert "There is no model 'x'" in refused(capsys, str(rows), "--model", "x")
    assert not profiles.exists()


def test_a_model_whose_attention_cannot_be_read_leaves_nothing(tmp_path, rows, profiles, capsys, monkeypatch):
    folder = model("llava", tmp_path)
    monkeypatch.setattr("crop_core.localize.self_attention.localizer.text_rows", lambda _: 0)
    assert "ends with the image; put the question after" in refused(capsys, str(rows), "--model", str(folder))
    assert [*profiles.iterdir()] == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path, rows, capsys, monkeypatch):
    monkeypatch.setenv("LOCALIZER_PROFILES", "/dev/null/profiles")
    text = refused(capsys, str(rows), "--model", str(model("llava", tmp_path)))
    assert "The folder '/dev/null/profiles' for profiles cannot be written" in text and "LOCALIZER_PROFILES" in text


def test_images_that_cannot_be_read_are_skipped(tmp_path, rows, profiles, capsys):
    folder = tmp_path / "some"
    shutil.copytree(rows.parent, folder)
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    lines = rows.read_text().splitlines()
    (folder / rows.name).write_text("\n".join([*lines, *(line.replace("where", "and where") for line in lines)]))
    assert calibrated(model("llava", tmp_path), folder / rows.name) == 0
    assert "3.png: " in capsys.readouterr().err


def test_no_image_is_in_two_parts_and_scenes_are_always_the_same():
    questions, source = drawn_questions(60)
    assert source == "drawn scenes" and len(questions) == 60
    assert [(each.image, each.question) for each in drawn_questions(60)[0]] == [
        (each.image, each.question) for each in questions
    ]
    part, by_image = parts_of(questions), {}
    assert {*part.tolist()} == {FIT, CALIBRATE, MEASURE}
    for each, number in zip(questions, part, strict=True):
        assert by_image.setdefault(each.image, number) == number
    with pytest.raises(TuneError, match="ask for fewer"):
        drawn_questions(10**7)


def test_a_paper_s_heads_are_read_for_the_checkpoints_that_it_names():
    for name, found in published.PUBLISHED.items():
        adapter = named(name, found.layers, found.width)
        for called in (name, name.split("/")[1]):
            adapter.name = called
            rule, (notice,), _ = choose_rule(adapter)
            assert {(term.layer, term.head) for term in rule.terms} == {*found.heads}
            assert rule.side == MAX_SIDE and sum(term.weight for term in rule.terms) == pytest.approx(1)
            assert "arXiv 2503.06287" in notice and "not measured here" in notice
        assert published.published_heads(named(name, found.layers, found.width - 1)) is None
    assert published.published_heads(named("llava-hf/other", 32, 32)) is None
    assert published.PUBLISHED["llava-hf/llava-1.5-7b-hf"].heads == ((14, 24), (14, 13))


@pytest.mark.parametrize("size", [(640, 480), (1200, 600), (336, 336)])
def test_a_paper_s_heads_are_read_on_every_token_of_llava(size):
    framing = Framing(pad_square=False, shortest_edge=336, resize=(0, 0), crop=(336, 336))
    assert PooledGrid.of(grid_layout(size, framing, 14), MAX_SIDE).plan.count == 24 * 24


def named(name, layers, heads):
    """An adapter as far as the choice of a rule knows it."""
    text = type("Text", (), {"num_hidden_layers": layers, "num_attention_heads": heads})
    model = type("Model", (), {"config": type("Config", (), {"text_config": text})})
    return type("Adapter", (), {"name": name, "model": model, "folder": Path("x")})()
