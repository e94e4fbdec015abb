"""Push: make the Space on the hub what `Spacefile` and the folder say; either all of it, or nothing is changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from crop_core.records.formatting import counted
from crop_core.space.files import MB, files_of
from crop_core.space.hub import KIND, SpaceHub, SpaceState, Undo
from crop_core.space.requirements import FILE, ZERO, for_zero
from crop_core.space.spacefile import SpaceDescription, read_text

FREE = ("cpu-basic", ZERO)  # hardware whose sleep time cannot be set
KEPT = ".gitattributes"  # the hub's own: which files are in Git LFS
Content = dict[str, "Path | bytes"]


def make_space(hub: SpaceHub, folder: Path, space: SpaceDescription, private: bool, before: SpaceState | None) -> str:
    """Create the Space, or change what differs, then upload; returns the commit, "" in a dry run.

    before: the Space as it is, None where there is none. private: False leaves an existing one as it is. Raises
    SpaceError, or KeyboardInterrupt, after everything that was changed has been undone.
    """
    files = content(folder, space)
    with hub.all_or_nothing():
        if before is None:
            _create(hub, space, private)
        else:
            _update(hub, space, private, before)
        gone = sorted({*(before.files if before else ())} - {*files, KEPT})
        operations = [
            *(CommitOperationAdd(name, data) for name, data in files.items()),
            *(CommitOperationDelete(name) for name in gone),
        ]
        named: dict[str, Any] = {"repo_type": KIND, "operations": operations, "commit_message": "Push by crop space"}
        commit = hub.change("create_commit", shown=_summary(files, gone), **named)
    return "" if commit is None else str(commit.oid)


def content(folder: Path, space: SpaceDescription) -> Content:
    """Path in the repository -> file, or the bytes of one that goes up changed: requirements that ZeroGPU can meet."""
    files: Content = dict(files_of(folder, space.files))
    if space.hardware == ZERO and FILE in files:
        files[FILE] = for_zero(read_text(folder / FILE)).encode()
    return files


def _create(hub: SpaceHub, space: SpaceDescription, private: bool) -> None:
    """A new Space with hardware and variables from the start, so that a refusal leaves nothing behind."""
    options: dict[str, Any] = {"private": True} if private else {}  # else as the owner's Spaces are
    if space.hardware not in FREE:
        options["space_sleep_time"] = space.sleep_time
    hub.change(
        "create_repo",
        undo=("delete_repo", {"repo_type": KIND}),
        repo_type=KIND,
        space_sdk="gradio",
        space_hardware=space.hardware,
        space_variables=[{"key": key, "value": value} for key, value in space.variables.items()],
        **options,
    )


def _update(hub: SpaceHub, space: SpaceDescription, private: bool, before: SpaceState) -> None:
    """Only what differs; variables of the host's own stay. What is most likely to be refused comes first."""
    if before.hardware != space.hardware:
        undo = ("request_space_hardware", {"hardware": before.hardware}) if before.hardware else None
        hub.change("request_space_hardware", undo, hardware=space.hardware)
    if space.sleep_time is not None and space.hardware not in FREE and before.sleep_time != space.sleep_time:
        back = None if before.sleep_time is None else ("set_space_sleep_time", {"sleep_time": before.sleep_time})
        hub.change("set_space_sleep_time", back, sleep_time=space.sleep_time)
    if private and not before.private:
        named: dict[str, Any] = {"repo_type": KIND, "private": True}
        hub.change("update_repo_settings", ("update_repo_settings", {**named, "private": False}), **named)
    _update_variables(hub, space, before.variables)


def _update_variables(hub: SpaceHub, space: SpaceDescription, before: dict[str, str]) -> None:
    own = sorted({*before} - {*space.variables})
    if own:
        hub.say(f"variables of its own, which stay: {', '.join(own)}")
    for key, value in space.variables.items():
        undo: Undo = ("delete_space_variable", {"key": key})
        if key in before:
            undo = ("add_space_variable", {"key": key, "value": before[key]})
        if before.get(key) != value:
            hub.change("add_space_variable", undo, key=key, value=value)


def _summary(files: Content, gone: list[str]) -> str:
    """What a commit uploads and deletes, by the entries of the folder."""
    total = sum(len(data) if isinstance(data, bytes) else data.stat().st_size for data in files.values())
    entries = Counter(name.partition("/")[0] + "/" * ("/" in name) for name in files)
    each = [f"{name} ({counted(number, 'file')})" if name.endswith("/") else name for name, number in entries.items()]
    deleted = f"; deletes {', '.join(gone)}" if gone else ""
    return f"{counted(len(files), 'file')}, {total / MB:.1f} MB: {', '.join(each)}{deleted}"
