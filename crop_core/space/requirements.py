"""requirements.txt of a Space: what its machine could not install, and the torch that ZeroGPU has.

Source of the versions: the hub's own refusal of others, https://huggingface.co/docs/hub/spaces-zerogpu, August 2026.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

FILE = "requirements.txt"
ZERO = "zero-a10g"  # ZeroGPU
TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")  # of ZeroGPU
BELOW = "<2.12"  # the newest of them
PYTHON = ("3.10", "3.12")  # of ZeroGPU


def requirement_problems(text: str, front: dict[str, Any], hardware: str) -> Iterator[str]:
    """A sentence for each requirement that cannot be met. front: the README's front matter."""
    wanted: dict[str, Requirement] = {}
    for number, line in _lines(text):
        try:
            one = Requirement(line)
            wanted[one.name] = one
        except InvalidRequirement:
            yield f"Line {number} of {FILE} is {line!r}, which is no requirement; write it like gradio>=6.20,<7."
    version = str(front.get("sdk_version", ""))
    gradio = wanted.get("gradio")
    if gradio and re.fullmatch(r"[\d.]+", version) and not gradio.specifier.contains(version):
        yield f"{FILE} asks for {gradio}, and README.md for the sdk_version {version}; let both admit one version."
    if hardware == ZERO:
        yield from _zero_problems(wanted.get("torch"), str(front.get("python_version", PYTHON[0])))


def for_zero(text: str) -> str:
    """The file as it goes up to ZeroGPU: without versions of torch that are too new there."""
    return re.sub(
        r"^torch\b(?![-_])(.*)$", lambda line: f"{line[0]}{',' if line[1] else ''}{BELOW}", text, flags=re.MULTILINE
    )


def _zero_problems(torch: Requirement | None, python: str) -> Iterator[str]:
    if torch and not any(torch.specifier.contains(version) for version in TORCH):
        yield f"{FILE} asks for {torch}, and ZeroGPU has {', '.join(TORCH)}; admit one, or choose other hardware."
    if ".".join(python.split(".")[:2]) not in PYTHON:
        yield f"python_version in README.md is {python}, and ZeroGPU has {' and '.join(PYTHON)}; choose one of them."


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, text) of each line that is neither empty, a comment nor an option of pip."""
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare and not bare.startswith("-"):
            yield number, bare
