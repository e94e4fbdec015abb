"""`check` as a command: the table, the JSON file and the three exit codes."""

import json

import pytest

from crop_core.cli.main import main
from crop_core.evaluate import check as module
from crop_core.prune import hooks
from crop_core.records.methods import METHODS
from tests.support import checkpoints


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoints.save(tmp_path_factory.mktemp("check") / "llava", side=56, layers=6)


@pytest.fixture(autouse=True)
def few_methods(monkeypatch):
    """All of them are run in tests/core/evaluate/test_check.py."""
    monkeypatch.setattr(module, "METHODS", {name: METHODS[name] for name in ("crop", "visionzip", "none")})


def test_the_bundled_model_passes(tmp_path, capsys):
    file = tmp_path / "check.json"
    assert main(["check", "--device", "cpu", "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    head, table = out.split("\n\n")
    assert "model           crop-tiny\n" in head and "localizer       GridVlmLocalizer\n" in head
    result = json.loads(file.read_text())
    assert result["passed"] is True
    assert {proof["status"] for proof in result["proofs"]} == {"passed"}
    rows = table.splitlines()
    assert rows[0].split() == ["proof", "status", "measured", "tolerance", "seconds", "detail"]
    for row, proof in zip(rows[1:], result["proofs"], strict=True):
        assert row.startswith(proof["name"]) and row.endswith(proof["detail"])
        assert proof["seconds"] > 0
    assert result["environment"]["dtype"] == "float32"


def test_a_failed_proof_is_named_with_what_to_report(folder, monkeypatch, capsys):
    step = hooks._step
    monkeypatch.setattr(hooks, "_step", lambda layer, *rest: step(layer + 1, *rest))
    assert main(["check", "--model", folder, "--device", "cpu", "--json", "-"]) == 1
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["passed"] is False
    failed = [each["name"] for each in result["proofs"] if each["status"] == "failed"]
    assert failed[:2] == ["pruning", "pruning with eviction"]
    assert err.startswith(f"crop_core: Failed: {', '.join(failed)}; pruning is not known to be exact for llava")
    assert f"transformers {result['environment']['transformers']}" in err and err.endswith("cpu, float32).\n")


def test_an_image_and_a_question_of_ones_own(folder, tmp_path, capsys):
    module.sample_image().resize((200, 120)).save(tmp_path / "own.png")
    own = ["--image", str(tmp_path / "own.png"), "--question", "where is the dog?"]
    assert main(["check", "--model", folder, "--device", "cpu", "--attention", "eager", *own, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["environment"]
    assert (found["image"], found["question"], found["attention"]) == ([200, 120], "where is the dog?", "eager")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nothing"], "There is no model 'nothing'"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--question", " "], "question"),
        (["--json", "no/such/folder.json"], "folder that exists"),
        (["--dtype", "float7"], "float7"),
        (["--attention", "magic"], "magic"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, capsys):
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
