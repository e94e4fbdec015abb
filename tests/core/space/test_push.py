"""A push as the hub sees it: a stand-in records every call, and the dry run tells the same and makes none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from crop_core.space import running
from tests.support import ROOT
from tests.support.fake_hub import TOKEN, FakeHub
from tests.support.space_folder import NAME, QUESTION

Push = Callable[..., tuple[int, list[str], list[str]]]
PRIVATE_MODEL = ("--hardware", "l4x1", "--model", "a/b", "--private")
UP = {
    "LICENSE", "README.md", "Spacefile", "app.py", "assets/examples/01.png", "assets/examples/examples.json",
    "crop_core/a.py", "requirements.txt", "ui/a.py",
}  # fmt: skip


def test_a_space_is_made_as_spacefile_says(hub: FakeHub, push: Push) -> None:
    status, out, err = push()
    assert (status, out) == (0, [f"{hub.address}/spaces/{NAME}"])
    assert hub.made() == ["POST create", "POST main"]
    assert hub.calls[0][2] == {
        "name": "demo", "organization": "ann", "type": "space", "sdk": "gradio", "hardware": "zero-a10g",
        "variables": [{"key": "CROP_PUBLIC", "value": "1"}],
    }  # fmt: skip
    assert set(hub.files) == {*UP, ".gitattributes"}
    assert b"torch>=2.8,<2.12\n" in hub.files["requirements.txt"], "ZeroGPU has none that is newer"
    assert hub.files["app.py"] == b"pass\n"
    stages = [line.split(",")[0] for line in err if line.endswith("after the push")]
    assert stages == [f"crop_core: {stage}" for stage in ("building", "app starting", "running")]
    ((image, question),) = hub.asked
    assert question == QUESTION and image.startswith("data:image/png;base64,")
    assert any(line.startswith("crop_core: answer: a cat (") for line in err)
    assert err[-1].endswith(": CROP_LOGIN, HF_TOKEN") and "secrets that are not set" in err[-1]


def test_options_go_before_spacefile(hub: FakeHub, push: Push, folder: Path) -> None:
    assert push(*PRIVATE_MODEL)[0] == 0
    body = hub.calls[0][2]
    assert (body["hardware"], body["sleepTimeSeconds"], body["visibility"]) == ("l4x1", 3600, "private")
    assert {each["key"]: each["value"] for each in body["variables"]} == {
        "CROP_PUBLIC": "1", "CROP_MODEL": "a/b", "CROP_ALLOWED_MODELS": "a/b",
    }  # fmt: skip
    assert hub.files["requirements.txt"] == (folder / "requirements.txt").read_bytes(), "pinned for ZeroGPU alone"


@pytest.mark.parametrize("options", [(), PRIVATE_MODEL])
def test_a_dry_run_tells_the_calls_and_makes_none(options: tuple[str, ...], hub: FakeHub, push: Push) -> None:
    status, out, err = push(*options, "--dry-run")
    assert (status, err, hub.calls, hub.space) == (0, [], [], None)
    assert push(*options)[2][: len(out)] == [f"crop_core: {line}" for line in out], "the push tells the same"
    created, committed = (line.partition(": ") for line in out)
    sent, told = hub.calls[0][2], json.loads(created[2])
    assert (created[0], committed[0]) == ("create_repo", "create_commit")
    assert told["space_hardware"] == sent["hardware"] and told["space_variables"] == sent["variables"]
    assert told.get("space_sleep_time") == sent.get("sleepTimeSeconds")
    assert told.get("private", False) == (sent.get("visibility") == "private")
    assert committed[2].startswith(f"{len(UP)} files, 0.0 MB: LICENSE, README.md, ")


def test_a_dry_run_needs_neither_a_login_nor_a_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch, push: Push
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for token, said in (("", "You are not logged in to the hub"), (TOKEN, "The hub cannot be reached at ")):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "none"))
        status, out, err = push("--dry-run")
        assert status == 0 and [line.split(":")[0] for line in out] == ["create_repo", "create_commit"]
        assert err[0].startswith(f"crop_core: {said}") and err[0].endswith("These are the calls for a new Space.")


def test_a_second_push_changes_what_differs(hub: FakeHub, push: Push, folder: Path) -> None:
    push("--hardware", "cpu-basic")
    hub.variables |= {"CROP_PUBLIC": "0", "OWN": "kept"}
    hub.files["old.py"] = b""
    hub.calls.clear()
    (folder / "app.py").write_text("changed\n")
    dry = push("--dry-run", *PRIVATE_MODEL)
    assert hub.calls == []
    status, _, err = push(*PRIVATE_MODEL)
    assert status == 0 and dry[1] == [line.removeprefix("crop_core: ") for line in err[: len(dry[1])]]
    assert hub.made() == [
        "POST hardware", "POST sleeptime", "PUT settings",
        "POST variables", "POST variables", "POST variables", "POST main",
    ]  # fmt: skip
    assert hub.space["hardware"] == "l4x1" and hub.space["sleep"] == 3600 and hub.space["private"]
    assert hub.variables == {"CROP_PUBLIC": "1", "CROP_MODEL": "a/b", "CROP_ALLOWED_MODELS": "a/b", "OWN": "kept"}
    assert hub.files["app.py"] == b"changed\n" and "old.py" not in hub.files and ".gitattributes" in hub.files
    assert "crop_core: variables of its own, which stay: OWN" in err
    hub.calls.clear()
    assert push(*PRIVATE_MODEL)[0] == 0 and hub.made() == ["POST main"], "nothing else differs any more"


def test_an_organization_that_may_be_written_to_is_an_owner(hub: FakeHub, push: Push) -> None:
    hub.orgs = (("lab", "write"),)
    assert push(name="lab/demo")[:2] == (0, [f"{hub.address}/spaces/lab/demo"])


@pytest.mark.parametrize("with_commit", [True, False])
def test_the_state_before_the_push_is_not_taken_for_its_own(
    with_commit: bool, hub: FakeHub, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    push()
    hub.stages = ["RUNNING", "BUILD_ERROR", "BUILD_ERROR", "BUILDING", "RUNNING"]  # the first look is before the push
    real = FakeHub.runtime

    def late(self: FakeHub) -> dict[str, Any]:
        runtime = real(self)
        old = {"sha": "old"} if runtime["stage"] == "BUILD_ERROR" else {}
        return {**runtime, **old} if with_commit else {name: each for name, each in runtime.items() if name != "sha"}

    monkeypatch.setattr(FakeHub, "runtime", late)
    monkeypatch.setattr(running, "GRACE", 100.0)
    assert push()[0] == 0 and hub.stages == ["RUNNING"]


def test_an_app_behind_a_login_is_not_asked(hub: FakeHub, push: Push) -> None:
    hub.answer, hub.secrets = None, ("CROP_LOGIN", "HF_TOKEN")
    status, _, err = push()
    assert (status, hub.asked) == (0, [])
    assert "the app asks for a login (CROP_LOGIN)" in err[-1]


def test_the_repository_goes_up_without_tests_and_benchmarks_as_a_user_pushes_it(tmp_path: Path) -> None:
    with FakeHub().serving() as hub:
        environment = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "NO_PROXY": "*",
            "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "crop_core", "space", "push", NAME]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{hub.address}/spaces/{NAME}\n"), done.stderr
    assert all(line.startswith("crop_core: ") for line in done.stderr.splitlines()), done.stderr
    weights = "assets/models/crop-tiny/model.safetensors"
    assert hub.files[weights] == (ROOT / weights).read_bytes() and list(hub.lfs) != []
    assert {"app.py", "ui/server/space.py", "crop_core/engine/engine.py", "assets/examples/01.jpg"} <= set(hub.files)
    assert {name.split("/")[0] for name in hub.files} == {
        ".gitattributes", "LICENSE", "README.md", "Spacefile", "app.py", "assets", "crop_core", "requirements.txt",
        "ui",
    }  # fmt: skip
    assert [name for name in hub.files if "__pycache__" in name or name.endswith((".pyc", ".pyi"))] == []
