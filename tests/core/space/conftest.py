"""A stand-in for the hub, a small Space to push to it, and the push."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from crop_core.cli.main import main
from crop_core.space import running
from tests.support.fake_hub import TOKEN, FakeHub
from tests.support.space_folder import NAME, space_folder

Push = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """The stand-in, as the hub that the client of this process knows, with a token."""
    with FakeHub().serving() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # which goes to a server of its own
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "*")
        for name, value in (("POLL", 0.001), ("GRACE", 1.0)):
            monkeypatch.setattr(running, name, value)
        yield hub


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Space, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return space_folder(tmp_path)


@pytest.fixture
def push(folder: Path, capsys: pytest.CaptureFixture[str]) -> Push:
    """(exit code, lines on standard output, lines on standard error) of a push."""

    def run(*options: str, name: str = NAME) -> tuple[int, list[str], list[str]]:
        status = main(["space", "push", name, *options])
        told = capsys.readouterr()
        return status, told.out.splitlines(), told.err.splitlines()

    return run
