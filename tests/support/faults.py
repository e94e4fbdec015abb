"""What befalls checkpoints: files of a saved one changed in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

TOWERS = ("vision", "visual", "tower")  # in the names of a vision tower's tensors
TEMPLATE, TOKENIZER = "chat_template.jinja", "tokenizer_config.json"
BEGIN = {"SpecialToken": {"id": "<s>", "type_id": 0}}
END = {"SpecialToken": {"id": "</s>", "type_id": 0}}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}


def edit(file: Path, **changes: Any) -> None:
    """Change keys of a JSON file, new or old; None removes one."""
    data = {**(json.loads(file.read_text()) if file.exists() else {}), **changes}
    file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))


def take_template(folder: Path) -> str:
    """The chat template, removed from where it is saved."""
    text = (folder / TEMPLATE).read_text()
    (folder / TEMPLATE).unlink()
    return text


def adds(folder: Path, *pieces: dict[str, Any]) -> None:
    """Give the tokenizer special tokens around each text: BEGIN, TEXT and END in any order."""
    ids = {"<s>": 1, "</s>": 2}
    special = {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in ids.items()}
    edit(
        folder / "tokenizer.json",
        post_processor={"type": "TemplateProcessing", "single": pieces, "pair": pieces, "special_tokens": special},
    )


def rename_tokens(folder: Path, names: Mapping[str, str]) -> None:
    """Give tokens of the tokenizer other names, which then are special ones."""
    for file in (folder / "tokenizer.json", folder / TOKENIZER):
        text = file.read_text()
        for old, new in names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        file.write_text(text)
    data = json.loads((folder / "tokenizer.json").read_text())
    known = {each["content"] for each in data["added_tokens"]}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    more = [{"id": data["model"]["vocab"][new], "content": new, **flags} for new in names.values() if new not in known]
    edit(folder / "tokenizer.json", added_tokens=[*data["added_tokens"], *more])


def change_weight(
    folder: Path, chosen: Callable[[str], bool], value: float, everywhere: bool = True, tower: bool = False
) -> str:
    """Set the first tensor whose name is `chosen`, or only its first value; returns the name. tower: of the vision
    tower, else of the language model.
    """
    file = folder / "model.safetensors"
    tensors = load_file(file)
    name = next(each for each in tensors if chosen(each) and tower == any(part in each for part in TOWERS))
    changed = tensors[name].clone()
    (changed if everywhere else changed.view(-1)[:1]).fill_(value)
    save_file({**tensors, name: changed}, file, metadata={"format": "pt"})
    return name


def in_layer(number: int) -> Callable[[str], bool]:
    """Chooses a projection of a decoder layer."""
    return lambda name: f"layers.{number}." in name and name.endswith("mlp.up_proj.weight")
