from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from crop_core.cli.main import main
from crop_core.io.data_url import image_from_data_url
from crop_core.records import formatting
from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import Comparison
from tests.support import checkpoints, fake_records

QUESTION = "what is left of the dog?"


class Double:
    """Stands in for CropEngine: remembers what it was given and returns a hand-made comparison."""

    keeps_history = True
    loaded: dict[str, Any]
    request: tuple[Any, ...]
    whole: list[tuple[Any, ...]]

    @classmethod
    def from_pretrained(cls, **options: Any) -> type[Double]:
        if options.get("model") == "nothing":
            raise ValueError("There is no model 'nothing'; supported are these.")
        if options.get("localizer") == "gps":
            raise ValueError("There is no model 'gps'; supported are these.")
        cls.loaded = options
        return cls

    @classmethod
    def compare(
        cls, images: list[Image.Image], question: str, config: CropConfig, regions: Any, history: Any = ()
    ) -> Comparison:
        image, region = images[0], regions[0]
        cls.request = (image, question, config, region)
        cls.whole.append((len(images), question, regions, list(history)))
        assert config.budget is not None
        config.budget.tokens(576)
        content = {"unknown_words": ["xylophone"], "notices": ["A notice."], "method": config.method}
        return fake_records.comparison(question, image.size, region, **content)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> type[Double]:
    Double.whole = []
    module = ModuleType("crop_core.engine.engine")
    module.CropEngine = Double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "crop_core.engine.engine", module)
    return Double


@pytest.fixture(name="image")
def image_file(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.new("RGB", (320, 160), "white").save(path)
    return str(path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Run a command line that is refused, and return its one sentence."""

    def run(*arguments: str) -> str:
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = exit.code
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        assert err.count("\n") == 1
        assert err.endswith(".\n")
        return err

    return run


def test_ask_prints_both_answers_and_costs(
    double: type[Double], image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", image, f"  {QUESTION}\n"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    made = fake_records.comparison()
    assert lines["Baseline"].split()[1] == lines["CROP"].split()[1] == "rabbit"
    assert "same answer" in lines["Verdict"]
    assert formatting.format_seconds(made.baseline.cost.total_s) in lines["Total time"]
    assert formatting.format_seconds(made.crop.cost.total_s) in lines["Total time"]
    assert (
        formatting.format_flops(made.crop.cost.flops + made.crop.cost.localizer_flops) in lines["Work to first token"]
    )
    assert "columns 2-4, rows 1-3" in lines["Region"]
    assert "xylophone" in out
    assert "A notice." in out
    opened, question, config, region = double.request
    assert (opened.size, question, config, region) == ((320, 160), QUESTION, CropConfig(), None)
    assert double.loaded == {}


def test_a_changed_answer_is_called_changed(
    double: type[Double], image: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Double, "compare", lambda *given, **how: fake_records.comparison(changed=True))
    assert main(["ask", image, QUESTION]) == 0
    out = capsys.readouterr().out
    assert "rabbit (" in out
    assert "turtle (" in out
    assert "answer changed" in out


def test_json_to_standard_output_is_all_there_is(
    double: type[Double], image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", image, QUESTION, "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    content = json.loads(out)
    documented = {
        "question", "image", "model", "device", "dtype", "region", "tokens", "baseline", "crop", "trace",
    }  # fmt: skip
    assert documented <= set(content)
    assert content["image"] == {"width": 320, "height": 160}
    assert {"grid", "box", "source", "confidence"} <= set(content["region"])
    assert {"visual", "after_plc", "mean_per_layer"} <= set(content["tokens"])
    assert {"answer", "cost"} <= set(content["baseline"])
    assert {"answer", "cost"} <= set(content["crop"])
    assert Comparison.from_json(content).to_json() == content


def test_json_to_a_file_comes_besides_the_table(
    double: type[Double], image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "answer.json"
    assert main(["ask", image, QUESTION, "--json", str(target)]) == 0
    assert json.loads(target.read_text())["question"] == QUESTION
    assert "same answer" in capsys.readouterr().out


def test_the_images_go_into_the_json_when_asked(double: type[Double], image: str, tmp_path: Path) -> None:
    target = tmp_path / "answer.json"
    assert main(["ask", image, QUESTION, "--also", image, "--json", str(target), "--with-image"]) == 0
    images = json.loads(target.read_text())["pictures"]
    assert [image_from_data_url(url).size for url in images] == [(320, 160)] * 2


def test_an_image_without_a_json_is_one_sentence(
    double: type[Double], image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", image, QUESTION, "--with-image"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_json_is_strict_and_plain_ascii(
    double: type[Double], image: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Double, "compare", lambda *given, **how: fake_records.comparison("où?", kl_first=float("inf")))
    assert main(["ask", image, "où?", "--json", "-"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "Infinity" not in out
    assert "NaN" not in out
    assert json.loads(out)["question"] == "où?"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("64", Budget(mean_tokens=64)), ("25%", Budget(share=0.25)), ("11.1 %", Budget(share=0.111))],
)
def test_a_budget_is_a_number_or_a_share(budget: str, expected: Budget, double: type[Double], image: str) -> None:
    assert main(["ask", image, QUESTION, "--budget", budget]) == 0
    given = double.request[2].budget
    assert given.mean_tokens == expected.mean_tokens
    assert given.share == pytest.approx(expected.share)


def test_method_repeats_and_models_are_passed_on(double: type[Double], image: str) -> None:
    models = ["--model", "a/b", "--localizer", "c", "--device", "auto", "--dtype", "float32", "--quantize", "8bit"]
    assert main(["ask", image, QUESTION, "--method", "ilp", "--repeats", "3", *models]) == 0
    assert double.loaded == {
        "model": "a/b", "localizer": "c", "device": "auto", "dtype": "float32", "quantize": "8bit"
    }  # fmt: skip
    assert double.request[2].method == "ilp"
    assert double.request[2].repeats == 3


def test_a_region_of_ones_own_needs_no_localizer(double: type[Double], image: str) -> None:
    for box in ("40, 20,120.5,79", "[40, 20, 120.5, 79]", "(40 20 120.5 79)", "40,20,120.5,79"):
        assert main(["ask", image, QUESTION, "--box", box]) == 0
        assert double.loaded == {"localizer": None}
        assert double.request[3].grid == (1, 1, 3, 3)
        assert double.request[3].source == "drawn"
    assert main(["ask", image, QUESTION, "--localizer", "whole"]) == 0
    assert double.loaded == {"localizer": None}
    assert double.request[3].is_whole
    assert double.request[3].source == "whole"


@pytest.mark.parametrize(("name", "recorded"), [("self", "self"), ("text", "text"), ("auto", "predicted")])
def test_a_run_s_file_holds_the_localizer_that_was_named(
    double: type[Double], image: str, tmp_path: Path, name: str, recorded: str
) -> None:
    file = tmp_path / "run.json"
    assert main(["ask", image, QUESTION, "--localizer", name, "--json", str(file)]) == 0
    assert json.loads(file.read_text())["localizer"] == recorded and double.loaded == {"localizer": name}


def test_several_images_and_further_questions(
    double: type[Double], image: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (64, 64)).save(other)
    more = ["--also", str(other), "--box", "0,0,40,20", "--then", "and right?", "--evict"]
    assert main(["ask", image, QUESTION, *more]) == 0
    (images, first, regions, before), (_, then, again, history) = double.whole
    assert (images, first, then, before) == (2, QUESTION, "and right?", [])
    assert regions[0].grid == (0, 0, 0, 0) and regions[1] is None and again == regions
    assert history == [(QUESTION, "rabbit")], "the answer with every token"
    assert double.request[2].ilp.evict
    assert double.loaded == {}, "the second image has no box, so that the localizer is needed"
    assert capsys.readouterr().out.count("Verdict") == 2


def test_a_box_too_many_is_refused(double: type[Double], image: str, refused) -> None:
    assert "2 boxes for 1 image" in refused("ask", image, QUESTION, "--box", "0,0,9,9", "--box", "0,0,9,9")


def test_a_further_question_is_checked_before_a_model_loads(double: type[Double], image: str, refused) -> None:
    assert "question is empty" in refused("ask", image, QUESTION, "--then", " ")


def test_two_methods_can_be_joined(double: type[Double], image: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", image, QUESTION, "--method", "random+dart"]) == 0
    assert (double.loaded, double.request[2].method) == ({"localizer": None}, "random+dart")
    out = capsys.readouterr().out
    assert out.count("Random + DART") == 3 and "Random + DART reads no region" in out


def test_a_method_that_reads_no_region_needs_no_localizer(
    double: type[Double], image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", image, QUESTION, "--method", "random", "--seed", "7"]) == 0
    assert double.loaded == {"localizer": None}
    assert (double.request[2].method, double.request[2].seed, double.request[3]) == ("random", 7, None)
    out = capsys.readouterr().out
    assert out.count("Random") == 3 and "Random reads no region" in out and "columns" not in out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--budget", "0"], "0 tokens"),
        (["--budget", "-5"], "budget"),
        (["--budget=-5"], "-5 tokens"),
        (["--budget", "0.1%"], "at least 1"),
        (["--budget", "-5%"], "-5 %"),
        (["--budget", "0%"], "0 %"),
        (["--budget", "101%"], "101 %"),
        (["--budget", "many"], "many"),
        (["--budget", "nan"], "nan"),
        (["--box", "1,2,3"], "four numbers"),
        (["--box", "a,b,c,d"], "four numbers"),
        (["--box", "100,10,50,90"], "upside down"),
        (["--box", "10,10,10,90"], "empty"),
        (["--box", "0,0,321,160"], "outside the image"),
        (["--box=-5,0,100,100"], "outside the image"),
        (["--box", "-5,0,100,100"], "The box (-5, 0, 100, 100) lies outside the image, which is 320 pixels wide"),
        (["--box", "-.5 0 1 1"], "outside the image"),
        (["--box", "0.1,0.2,0.5,0.6"], "in pixels of the image, which is 320 x 160, not as shares of it"),
        (["--box", "[1, 2, 3]"], "four numbers"),
        (["--box", "nan,0,1,1"], "four numbers"),
        (["--method", "fastest"], "fastest"),
        (["--method", "fastv+plc"], "or join one before the LLM and one inside it, as in plc+fastv"),
        (["--method", "none"], "prunes nothing"),
        (["--localizer", "gps"], "gps"),
        (["--quantize", "2bit"], "2bit"),
        (["--repeats", "0"], "repeats"),
        (["--seed=-1"], "seed is -1"),
        (["--max-new-tokens", "0"], "max_new_tokens is 0; give 1 to 10000"),
        (["--max-new-tokens", "few"], "few"),
        (["--repeats", "x"], "repeats"),
        (["--model", "nothing"], "no model"),
        (["--json", "no/such/folder/a.json"], "cannot be written"),
        (["--json", "."], "cannot be written"),
        (["--nonsense"], "nonsense"),
    ],
)
def test_bad_options_are_one_sentence(
    options: list[str], word: str, double: type[Double], image: str, refused: Any
) -> None:
    assert word in refused("ask", image, QUESTION, *options)


@pytest.mark.parametrize("question", ["", "   ", "\x00", "x" * 501])
def test_bad_questions(question: str, double: type[Double], image: str, refused: Any) -> None:
    assert "question" in refused("ask", image, question)


def test_bad_images(double: type[Double], tmp_path: Path, refused: Any) -> None:
    text = tmp_path / "notes.png"
    text.write_text("not an image")
    assert "not an image" in refused("ask", str(text), QUESTION)
    assert "no file" in refused("ask", str(tmp_path / "missing.png"), QUESTION)
    assert "folder" in refused("ask", str(tmp_path), QUESTION)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options for a tiny random answering model with 64 visual tokens, and such a localizer."""
    root = tmp_path_factory.mktemp("models")
    model = checkpoints.save(root / "model", mode="pad")
    return ["--model", model, "--localizer", checkpoints.save(root / "locator", mode="squash", seed=1)]


def test_the_whole_way_with_real_models(
    folders: list[str], image: str, capsys: pytest.CaptureFixture[str], refused: Any
) -> None:
    assert main(["ask", image, QUESTION, "--json", "-", "--budget", "50%", "--repeats", "1", *folders]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["question"] == QUESTION
    assert content["image"] == {"width": 320, "height": 160}
    assert content["tokens"]["visual"] == 64
    assert content["tokens"]["mean_per_layer"] <= 32
    assert content["region"]["source"] == "predicted"
    assert 0 < content["region"]["confidence"] <= 1
    assert content["crop"]["cost"]["localizer_s"] > 0
    assert Comparison.from_json(content).to_json() == content

    assert main(["ask", image, QUESTION, "--box", "0,0,160,160", "--budget", "20", "--repeats", "1", *folders]) == 0
    assert "columns 0-3, rows 0-7" in capsys.readouterr().out

    assert main(["ask", image, QUESTION, "--budget", "65", "--repeats", "1", *folders]) == 0
    assert "Note: Nothing was pruned: a budget of 65 tokens keeps all 64 visual tokens" in capsys.readouterr().out

    assert "out of reach" in refused("ask", image, QUESTION, "--method", "ilp", "--budget", "2", *folders)
    assert "dtype" in refused("ask", image, QUESTION, "--dtype", "float7", *folders)
    assert "device" in refused("ask", image, QUESTION, "--device", "abacus", *folders)


def test_a_folder_without_a_model_and_an_unknown_model(
    folders: list[str], image: str, tmp_path: Path, refused: Any
) -> None:
    assert "holds no model" in refused("ask", image, QUESTION, "--model", str(tmp_path))
    assert "no model 'gpt'" in refused("ask", image, QUESTION, "--model", "gpt")
    assert "no localizer 'gpt'; choose one of " in refused("ask", image, QUESTION, *folders, "--localizer", "gpt")


def test_an_interrupt_is_one_line(
    double: type[Double], image: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Double, "from_pretrained", interrupted)
    assert main(["ask", image, QUESTION, "--json", "-"]) == 130
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "Interrupted" in err


def test_a_command_is_needed(refused: Any) -> None:
    assert "command" in refused()
    assert "dance" in refused("dance")
    assert "QUESTION" in refused("ask", "picture.png")


def test_models_lists_what_can_be_loaded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [SimpleNamespace(name="one", kind="bundled", family="LLaVA", description="first")]
    monkeypatch.setattr("crop_core.models.loading.registry.available", lambda: rows)
    assert main(["models"]) == 0
    assert capsys.readouterr().out.split() == ["one", "LLaVA", "first"]


def test_the_module_runs_and_helps_without_torch() -> None:
    code = """
import runpy, sys
sys.argv = ["crop_core", "ask", "--help"]
try:
    runpy.run_module("crop_core", run_name="__main__")
except SystemExit as end:
    print("torch" in sys.modules, end.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--budget" in done.stdout
    assert done.stdout.endswith("False 0\n")
    command = [sys.executable, "-m", "crop_core", "ask", "missing.png", "why?"]
    bad = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "crop_core: There is no file 'missing.png'.\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.format_seconds(0.0214), "21.4 ms"),
        (formatting.format_seconds(0.31), "310 ms"),
        (formatting.format_seconds(2.5), "2.50 s"),
        (formatting.format_bytes(512), "512 B"),
        (formatting.format_bytes(3_570_000), "3.4 MiB"),
        (formatting.format_bytes(1023), "1023 B"),
        (formatting.format_flops(8.9e9), "8.9 GFLOP"),
        (formatting.format_flops(1.26e13), "12.6 TFLOP"),
        (formatting.format_number(64.0), "64"),
        (formatting.format_number(63.9167), "63.9"),
        (formatting.format_probability(0.0004), "under 0.1 %"),
        (formatting.format_probability(0.83), "83.0 %"),
    ],
)
def test_units(text: str, expected: str) -> None:
    assert text == expected
