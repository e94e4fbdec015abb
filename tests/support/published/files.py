"""Reads `checkpoints/*.json`: the published files of every checkpoint, those that are like another one's merged."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from transformers import AutoConfig

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Checkpoint:
    """One repository. files: its JSON files by name, as published. tokenizer: a key of `tokenizer.KINDS`. added: token
    -> id, beside those of the kind. template: its chat template, "" for none, in `template_file`. tied: whether its
    weights lack the head. from_memory: the values that could not be looked up, "" for none.
    """

    name: str
    repo: str
    files: dict[str, Any]
    tokenizer: str
    added: dict[str, int]
    template: str
    template_file: str
    shards: int
    tied: bool
    from_memory: str

    @property
    def model_type(self) -> str:
        """That of config.json."""
        return str(self.files["config.json"]["model_type"])

    @cached_property
    def config(self) -> Any:
        """transformers' config of the published file, with the defaults that it relies on."""
        own = copy.deepcopy(self.files["config.json"])
        return AutoConfig.for_model(own.pop("model_type")).from_dict(own)


def _merged(base: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the changes in nested objects."""
    out = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if nested else value
    return out


def _entry(name: str, written: dict[str, Any]) -> dict[str, Any]:
    """The whole entry of a checkpoint that may be `like` another, `without` some of its keys (a/b/c)."""
    own = dict(written[name])
    like, without = own.pop("like", None), own.pop("without", ())
    if like is None:
        return own
    base = copy.deepcopy(_entry(like, written))
    for path in without:
        *parents, key = path.split("/")
        place = base
        for parent in parents:
            place = place[parent]
        del place[key]
    return _merged(base, own)


def _checkpoint(name: str, entry: dict[str, Any]) -> Checkpoint:
    template = entry.get("template")
    return Checkpoint(
        name=name,
        repo=entry["repo"],
        files={key: value for key, value in entry.items() if key.endswith(".json")},
        tokenizer=entry["tokenizer"],
        added=entry.get("added", {}),
        template=(HERE / "templates" / f"{template['text']}.jinja").read_text() if template else "",
        template_file=template["file"] if template else "",
        shards=entry["shards"],
        tied=entry.get("tied", False),
        from_memory=entry["from_memory"],
    )


def _read() -> dict[str, Checkpoint]:
    written: dict[str, Any] = {}
    for file in sorted((HERE / "checkpoints").glob("*.json")):
        written |= json.loads(file.read_text())
    return {name: _checkpoint(name, _entry(name, written)) for name in written}


CHECKPOINTS = _read()
