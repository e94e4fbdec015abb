"""A push that the hub refuses, or whose Space does not start: one sentence, and nothing is left half done."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from crop_core.space import running
from tests.support.fake_hub import FakeHub
from tests.support.space_folder import NAME, replace_in

Push = Callable[..., tuple[int, list[str], list[str]]]
OTHER = ("--hardware", "l4x1", "--model", "a/b", "--private")


def refusal(result: tuple[int, list[str], list[str]]) -> str:
    """The sentence of a push that was refused."""
    status, out, err = result
    assert (status, out) == (2, [])
    assert re.fullmatch(r"crop_core: [^\n]*\.", err[-1])
    return err[-1].removeprefix("crop_core: ")


@pytest.mark.parametrize(
    ("method", "path", "status", "message", "said"),
    [
        ("GET", "/api/whoami-v2", 401, "Invalid.", "The hub does not know this token; run 'hf auth login'"),
        ("POST", ".*/create", 403, "No", f"The hub does not allow create_repo for {NAME} (No); run "),
        ("POST", ".*/create", 409, "You already created it", f"The name {NAME} is taken; choose another name."),
        ("POST", ".*/create", 402, "Buy PRO", "The hub asks to be paid for that (Buy PRO); choose other --h"),
        ("POST", ".*/create", 500, "Oh", f"The hub does not do create_repo for {NAME} (HTTP 500: Oh)."),
        ("POST", ".*/commit/main", 403, "No", f"The hub does not allow create_commit for {NAME} (No); run "),
        ("POST", ".*/preupload/main", 400, "Bad", f"The hub does not do create_commit for {NAME} (HTTP 400: Bad)."),
    ],
)  # fmt: skip
def test_a_refusal_is_one_sentence_and_leaves_nothing(
    method: str, path: str, status: int, message: str, said: str, hub: FakeHub, push: Push
) -> None:
    hub.refuse(method, path, status, message)
    assert refusal(push()).startswith(said)
    assert hub.space is None, "a Space that this push had made is gone again"


def test_a_refusal_puts_back_what_was_changed_before(hub: FakeHub, push: Push) -> None:
    push("--hardware", "cpu-basic")
    before = dict(hub.space), {**hub.variables, "CROP_PUBLIC": "0"}, dict(hub.files)
    hub.variables["CROP_PUBLIC"] = "0"
    hub.refuse("POST", ".*/commit/main", 500, "Oh")
    result = push(*OTHER)
    assert refusal(result).startswith(f"The hub does not do create_commit for {NAME}")
    assert ({**hub.space, "sleep": None}, hub.variables, hub.files) == before
    assert sum("delete_space_variable" in line for line in result[2]) == 2, "and tells what it does"


def test_what_cannot_be_undone_is_told(hub: FakeHub, push: Push) -> None:
    hub.refuse("POST", ".*/commit/main", 500, "Oh")
    hub.refuse("DELETE", ".*/delete", 403, "No")
    _, _, err = push()
    assert err[-2].startswith(
        'crop_core: delete_repo failed, so that {"repo_type": "space"} is still to be done by hand.'
    )


def test_an_interrupt_is_undone_too(hub: FakeHub, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("huggingface_hub.HfApi.create_commit", interrupted)
    status, _, err = push()
    assert (status, hub.space) == (130, None)
    assert err[-1] == "crop_core: Interrupted; what was changed on the hub has been undone."


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [
        ({"role": "read"}, NAME, "The token of ann may only read; make one that may write at http://127.0.0.1"),
        ({}, "bob/demo", "ann may not make Spaces of 'bob'; choose one of ann as the owner."),
        ({"orgs": (("bob", "read"), ("lab", "write"))}, "bob/demo", "ann may not make Spaces of 'bob'; "),
        ({}, "demo", "'demo' is no name of a Space; give OWNER/NAME, such as ann/crop-explorer."),
        ({"space": {"id": NAME, "private": False, "hardware": "cpu-basic"}, "files": {"index.html": b""}}, NAME,
         f"The name {NAME} is taken by another Space (it has no Spacefile); choose another name."),
    ],
)  # fmt: skip
def test_what_may_not_be_written_is_told_before_anything_changes(
    given: dict[str, Any], name: str, said: str, hub: FakeHub, push: Push
) -> None:
    for key, value in given.items():
        setattr(hub, key, value)
    for options in ((), ("--dry-run",)):
        assert refusal(push(*options, name=name)).startswith(said)
    assert hub.calls == []


def test_without_a_login_the_remedy_is_told(
    hub: FakeHub, push: Push, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder / "none"))
    assert refusal(push()) == (
        "You are not logged in to the hub; run 'hf auth login' with a token that may write, or set HF_TOKEN."
    )


def test_a_folder_that_would_be_refused_does_not_go_up(hub: FakeHub, push: Push, folder: Path) -> None:
    replace_in(folder / "README.md", "sdk: gradio", "sdk: docker")
    assert refusal(push()).startswith("sdk in README.md is 'docker', and must be gradio")
    assert hub.calls == []


@pytest.mark.parametrize(("stage", "log"), [("BUILD_ERROR", "build"), ("RUNTIME_ERROR", "container")])
def test_a_space_that_does_not_start_ends_with_its_log(stage: str, log: str, hub: FakeHub, push: Push) -> None:
    hub.stages, hub.error_message = ["BUILDING", stage], "Job failed\nwith exit code: 1"
    hub.log = tuple(f"line {number}\n" for number in range(30))
    result = push()
    assert refusal(result) == (
        f"{NAME} does not start ({stage}: Job failed with exit code: 1); all of its log is at "
        f"{hub.address}/spaces/{NAME}?logs={log}."
    )
    assert result[2][-11:-1] == [f"crop_core:   | line {number}" for number in range(20, 30)]
    assert hub.space is not None, "the Space is what was pushed; its log and its files are there to be mended"


def test_a_space_that_is_paused_is_told(hub: FakeHub, push: Push) -> None:
    hub.stages = ["PAUSED"]
    assert refusal(push()) == f"{NAME} is PAUSED; start it at {hub.address}/spaces/{NAME}/settings."


def test_a_space_that_never_runs_is_told(hub: FakeHub, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.stages = ["BUILDING"]
    monkeypatch.setattr(running, "MAX_WAIT", 0.0)
    assert refusal(push()).startswith(f"{NAME} is still BUILDING after 0 minutes; look at {hub.address}/spaces/")


def test_an_app_that_does_not_answer_is_told(hub: FakeHub, push: Push) -> None:
    hub.refuse("POST", "/gradio_api/call/ask", 503, "starting")
    assert push()[0] == 0, "the hub's proxy says so until the app listens"
    hub.refuse("POST", "/gradio_api/call/ask", 500, "no")
    assert refusal(push()) == (
        f"{hub.address}/gradio_api/call/ask does not answer (HTTP 500); see the log of the Space."
    )
