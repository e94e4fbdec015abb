"""`check` as a command: whole for every family, exit codes, files, a check that was stopped, and what is broken on
purpose.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from crop_core.cli import check as command
from crop_core.cli.main import main
from crop_core.evaluate.check import proofs as module
from crop_core.models.loading import hub
from crop_core.records.check import REPETITIONS
from crop_core.records.methods import METHODS
from tests.support import checkpoints, sabotage
from tests.support.families import FAMILIES, VARIANTS, build
from tests.support.learned import add_plc

QUESTION = "what is left of the dog?"  # of words that the tiny models know
FEW = ("crop", "ilp", "visionzip", "none")
EXACTNESS = ["pruning", "pruning with eviction", "dropping"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return checkpoints.save(tmp_path_factory.mktemp("check") / "llava", side=56, layers=6)


@pytest.fixture
def few_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are run for every family."""
    monkeypatch.setattr(module, "METHODS", {name: METHODS[name] for name in FEW})


def checked(folder: Any, file: Path, *more: str, code: int = 0) -> dict[str, Any]:
    """What the command wrote to the file."""
    assert (
        main(["check", "--model", str(folder), "--device", "cpu", "--scenes", "1", *more, "--json", str(file)]) == code
    )
    return json.loads(file.read_text())


def statuses(result: dict[str, Any], status: str) -> list[str]:
    return [proof["name"] for proof in result["proofs"] if proof["status"] == status]


@pytest.mark.parametrize("family", [*FAMILIES, *VARIANTS])
def test_it_runs_whole_for_every_family(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(family, tmp_path / "model")
    add_plc(tmp_path / "model")
    capsys.readouterr()
    page = tmp_path / "check.html"
    result = checked(tmp_path / "model", tmp_path / "check.json", "--question", QUESTION, "--html", str(page))
    out, err = capsys.readouterr()
    assert err == "" and "Passed: " in out.splitlines()[-1]
    assert result["passed"] is result["finished"] is True and result["missing"] == {}
    proofs = {proof["name"]: proof for proof in result["proofs"]}
    assert list(proofs) == [
        *["checkpoint", "visual tokens", "prompt", "baseline"],
        *[*EXACTNESS, *(f"method {name}" for name in METHODS if name != "none"), "localizer"],
    ]
    assert statuses(result, "failed") == []
    unproved = statuses(result, "not applicable")
    reading = [f"method {name}" for name, row in METHODS.items() if row.reads_tower]
    one_each = ("llava", "llava_next", "llava_onevision", "paligemma", "paligemma2")  # whose towers can be read
    assert unproved == ([] if family in one_each else reading) and len(reading) >= 4
    assert all("merges several patches" in proofs[name]["detail"] for name in unproved)
    for name in EXACTNESS:
        assert proofs[name]["measured"] <= proofs[name]["tolerance"] < 0.1
        assert "logits of 8 tokens" in proofs[name]["detail"]
    assert all("2 images" in proofs[f"method {name}"]["detail"] for name in ("crop", "fastv"))
    boxes = ["model"] if family in ("qwen2_5_vl", "qwen3_vl") else []  # whose own format they can be asked for
    assert [row["localizer"] for row in result["regions"]] == ["self", "whole", *boxes]
    assert {row["scenes"] for row in result["regions"]} == {1}
    assert [row["method"] for row in result["answers"]] == ["baseline", *["crop", "random", "downsample"] * 3]
    assert {row["scenes"] for row in result["answers"]} == {1}
    assert len(result["repetitions"]) == REPETITIONS and all(row["crop"]["median"] > 0 for row in result["costs"])
    assert all(name in page.read_text() for name in (*proofs, "mean IoU", "Downsample", "peak memory"))


def test_the_bundled_model_passes(few_methods: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = checked("crop-tiny", tmp_path / "check.json")
    out, err = capsys.readouterr()
    assert err == ""
    head, table, *_, verdict = out.split("\n\n")
    assert "model           crop-tiny\n" in head and "localizer       GridVlmLocalizer\n" in head
    assert "localizer_name  crop-tiny-locator\n" in head
    assert statuses(result, "passed") == [proof["name"] for proof in result["proofs"]]
    rows = table.splitlines()
    assert rows[0].split() == ["proof", "status", "measured", "tolerance", "seconds", "detail"]
    for row, proof in zip(rows[1:], result["proofs"], strict=True):
        assert row.startswith(proof["name"]) and row.endswith(proof["detail"])
        assert proof["seconds"] > 0
    assert verdict == f"Passed: {len(rows) - 1} of {len(rows) - 1} proofs.\n"
    assert result["environment"]["dtype"] == "float32"
    assert [row["localizer"] for row in result["regions"]] == ["crop-tiny-locator", "self", "whole"]


def test_json_alone_is_printed_alone(few_methods: None, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--model", folder, "--device", "cpu", "--scenes", "1", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and json.loads(out)["passed"] is True


def test_an_image_and_a_question_of_ones_own(few_methods: None, folder: str, tmp_path: Path) -> None:
    module.sample_image().resize((200, 120)).save(tmp_path / "own.png")
    own = ["--image", str(tmp_path / "own.png"), "--question", "where is the dog?", "--attention", "eager"]
    environment = checked(folder, tmp_path / "check.json", *own)["environment"]
    assert (environment["image"], environment["question"]) == ([200, 120], "where is the dog?")
    assert environment["attention"] == "eager"


def test_without_a_localizer_the_region_is_the_whole_image(few_methods: None, folder: str, tmp_path: Path) -> None:
    result = checked(folder, tmp_path / "check.json", "--localizer", "none")
    assert statuses(result, "not applicable") == ["localizer"]
    assert [row["localizer"] for row in result["regions"]] == ["self", "whole"]
    assert {row["scenes"] for row in result["answers"]} == {1}


# A check that is broken on purpose fails, by the name of the right proof.


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        (sabotage.cut_one_layer_late, ["pruning", "pruning with eviction"]),
        (sabotage.keep_one_token_more, ["pruning", "pruning with eviction"]),
        (sabotage.plan_one_token_more, ["method crop", "method ilp"]),
        (sabotage.shift_positions_inside, ["pruning", "pruning with eviction"]),
        (sabotage.shift_positions_before, ["dropping"]),
        (sabotage.renumber, ["dropping"]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_broken_engine_fails_by_name(
    broken: sabotage.Sabotage,
    names: list[str],
    few_methods: None,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken(monkeypatch)
    result = checked(folder, tmp_path / "check.json", code=1)
    out, err = capsys.readouterr()
    assert result["passed"] is False and statuses(result, "failed") == names
    assert out.endswith(f"\nFailed: {', '.join(names)}.\n")
    assert err.startswith(f"crop_core: Failed: {', '.join(names)}; pruning is not known to be exact for llava on ")
    assert f"transformers {result['environment']['transformers']}" in err and err.endswith("cpu, float32).\n")


def test_a_second_bos_fails_by_name(
    few_methods: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints.save(tmp_path / "llava", side=56, layers=6)
    sabotage.begin_twice(folder)
    assert checked(folder, tmp_path / "guarded.json")["passed"] is True
    sabotage.without_guard(monkeypatch)
    result = checked(folder, tmp_path / "check.json", code=1)
    assert statuses(result, "failed") == ["prompt", "baseline"]
    assert "begins with two BOS tokens" in next(row["detail"] for row in result["proofs"] if row["name"] == "prompt")
    assert "crop_core: Failed: prompt, baseline; " in capsys.readouterr().err


def test_a_weight_that_is_not_a_number_fails_by_name(few_methods: None, tmp_path: Path) -> None:
    folder = Path(checkpoints.save(tmp_path / "llava", side=56, layers=6))
    weights = load_file(folder / "model.safetensors")
    next(value for name, value in weights.items() if "lm_head" in name)[0, 0] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    result = checked(folder, tmp_path / "check.json", code=1)
    assert statuses(result, "failed")[:2] == ["checkpoint", "baseline"]
    assert result["finished"] is True and result["costs"] == [] and "costs" in result["missing"]
    assert {row["scenes"] for row in result["answers"]} == {0}
    assert all("missing in 1 of 1 scenes: " in row["missing"] for row in result["answers"])


# A check that was stopped goes on.


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    """The same figures in any run."""
    copied = json.loads(json.dumps(result))
    del copied["environment"]["date"], copied["costs"]
    for row in (
        *copied["proofs"],
        *copied["regions"],
        *(each for s in copied["scenes"] for each in s["regions"].values()),
    ):
        del row["seconds"]
    for cost in (each[side] for each in copied["repetitions"] for side in ("baseline", "crop")):
        for name in [name for name in cost if name.endswith("_s") or name in ("runs", "ranges")]:
            del cost[name]
    return copied


@pytest.fixture(scope="module")
def unstopped(folder: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "METHODS", {name: METHODS[name] for name in FEW})
        return checked(folder, tmp_path_factory.mktemp("unstopped") / "check.json", "--scenes", "2")


@pytest.mark.parametrize("parts", [0, 1, 6, 11, 12, 13, 14, 18])
def test_a_stopped_check_goes_on_where_it_was(
    parts: int,
    few_methods: None,
    folder: str,
    unstopped: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, kept, keep = tmp_path / "check.json", [], command._keep

    def stopping(report: Any, target: str | None) -> None:
        keep(report, target)
        kept.append(report)
        if len(kept) == parts + 1:  # the first is empty
            raise KeyboardInterrupt

    monkeypatch.setattr(command, "_keep", stopping)
    checked(folder, file, "--scenes", "2", code=130)
    sentence = f"crop_core: Interrupted; what was done is in '{file}', and the same command goes on from there.\n"
    assert capsys.readouterr().err == sentence
    stopped = json.loads(file.read_text())
    assert stopped["finished"] is stopped["passed"] is False
    assert sum(len(stopped[name]) for name in ("proofs", "scenes", "repetitions")) == parts
    result = checked(folder, file, "--scenes", "2")
    assert len(kept) - (parts + 1) == len(unstopped["proofs"]) + 2 + REPETITIONS + 2 - parts  # with first and last
    assert without_times(result) == without_times(unstopped)
    assert capsys.readouterr().out.count("\nbaseline ") == 1


def test_without_a_file_nothing_is_kept_and_that_is_said(
    few_methods: None, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "proof_line", stopped)
    assert main(["check", "--model", folder, "--device", "cpu"]) == 130
    assert capsys.readouterr().err == "crop_core: Interrupted; a check with --json FILE goes on where it was stopped.\n"


def test_a_terminal_shows_what_is_done_until_the_end(
    few_methods: None, folder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopping(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    arguments = ["check", "--model", folder, "--device", "cpu", "--scenes", "1"]
    assert main(arguments) == 0
    *_, last, end = capsys.readouterr().err.split("\r\033[K")
    assert (last, end) == ("11 proofs, 1 of 1 scenes, 5 of 5 timed runs", "")
    monkeypatch.setattr("crop_core.evaluate.check.check.repetitions", stopping)
    assert main(arguments) == 130
    assert capsys.readouterr().err.split("\r\033[K")[-1].startswith("crop_core: Interrupted; ")


@pytest.fixture
def stopped(few_methods: None, folder: str, unstopped: dict[str, Any], tmp_path: Path) -> Path:
    """The file of a check of two scenes that was stopped after four proofs."""
    part = {**unstopped, "finished": False, "passed": False, "proofs": unstopped["proofs"][:4]}
    part |= {"scenes": [], "regions": [], "answers": [], "repetitions": [], "costs": []}
    (tmp_path / "check.json").write_text(json.dumps(part))
    return tmp_path / "check.json"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["--scenes", "3"], "it is of the scenes 2, not 3;"),
        (["--dtype", "bfloat16"], "it is of the dtype 'float32', not 'bfloat16';"),
        (["--attention", "eager"], "it is of the attention 'sdpa', not 'eager';"),
        (["--question", "where?"], "it is of the question 'what price does the milk have?', not 'where?';"),
        (["--localizer", "whole"], "it is of the localizer 'SelfLocalizer', not 'WholeImage';"),
    ],
)
def test_a_check_of_something_else_does_not_go_on(
    changed: list[str], message: str, stopped: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stopped.read_bytes()
    arguments = ["check", "--model", folder, "--device", "cpu", "--scenes", "2", *changed, "--json", str(stopped)]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), stopped.read_bytes()) == ("", 1, before)
    assert err.startswith(f"crop_core: '{stopped}' holds a check that was stopped, and {message}")


def test_other_weights_are_another_revision(stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = checkpoints.save(tmp_path / "llava", side=56, layers=6, seed=1)
    assert main(["check", "--model", other, "--device", "cpu", "--scenes", "2", "--json", str(stopped)]) == 2
    assert "and it is of the revision 'files " in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [b"", b'{"environment": {}, "passed": true, "proofs": []}'], ids=["empty", "former"]
)
def test_a_new_check_replaces_a_finished_one(content: bytes, few_methods: None, folder: str, tmp_path: Path) -> None:
    (tmp_path / "check.json").write_bytes(content)
    assert checked(folder, tmp_path / "check.json")["passed"] is True


# Bad input is one sentence.


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b"\xff\xfe", b'{"a": 1}', b'{"proofs": 3, "environment": {}, "finished": false}', b"[" * 10**5],
)
def test_a_file_of_something_else_is_not_overwritten(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "check.json"
    file.write_bytes(content)
    assert main(["check", "--json", str(file)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), file.read_bytes()) == ("", 1, content)
    assert "is there already and holds no check that can go on; give another --json FILE, or delete it." in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "There is no model 'nothing'"),
        (["--model", "llava-hf/llava-1.5-7b-hf"], "is not on this machine and the hub cannot be reached"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--image", ""], "give the file of one image"),
        (["--question", " "], "question"),
        (["--json", "no/such/folder.json"], "folder that exists"),
        (["--html", "no/such/folder.html"], "folder that exists"),
        (["--html", "."], "The HTML file '.' cannot be written"),
        (["--scenes", "0"], "A check of 0 scenes is not possible; give 1 to 1000."),
        (["--scenes", "-1"], "A check of -1 scenes is not possible"),
        (["--scenes", "1001"], "give 1 to 1000"),
        (["--dtype", "float7"], "float7"),
        (["--attention", "magic"], "magic"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err


def test_a_checkpoint_that_is_half_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = checkpoints.sharded(tmp_path / "llava")
    (folder / "model-00002-of-00003.safetensors").unlink()
    monkeypatch.setattr(hub, "repository_files", lambda repo: (folder, []))  # as it was when the hub was last reached
    capsys.readouterr()
    for model in (str(folder), "owner/half"):
        assert main(["check", "--model", model, "--json", str(tmp_path / "check.json")]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "1 of its 3 weight files are missing, such as model-00002-of-00003.safetensors" in err
    assert not (tmp_path / "check.json").exists()


def test_a_disk_that_is_full_is_one_sentence(
    few_methods: None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    file = tmp_path / "check.json"
    assert main(["check", "--model", folder, "--device", "cpu", "--json", str(file)]) == 2
    assert capsys.readouterr().err == f"crop_core: The JSON file '{file}' cannot be written: No space left on device.\n"
