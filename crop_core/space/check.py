"""Check of a Space without the hub: everything that it would refuse, or fail to build."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from crop_core.records.formatting import nearest
from crop_core.space.files import file_problems, files_of
from crop_core.space.front_matter import HARDWARE, front_matter_problems, read_front_matter
from crop_core.space.requirements import FILE, requirement_problems
from crop_core.space.spacefile import SpaceDescription, SpaceError, read_text

Mistakes = Callable[[Mapping[str, str]], list[str]]  # of variables: a sentence each


def problems(folder: Path, space: SpaceDescription, mistakes: Mistakes) -> list[str]:
    """A sentence for each thing that stands between a folder and a Space; none where it can be pushed.

    mistakes: what the app says of variables, which are its settings.
    """
    result = []
    files = files_of(folder, space.files)
    if space.hardware not in HARDWARE:
        result.append(f"The hub has no hardware {space.hardware!r}; {_flavors(space.hardware)}")
    try:
        front = read_front_matter(folder)
        result += front_matter_problems(front, files)
        result += requirement_problems(read_text(folder / FILE), front, space.hardware)
    except SpaceError as error:
        result.append(str(error))
    for name in (FILE, "README.md"):
        if name not in files:
            result.append(f"{name} is not among the files that go up, and a Space needs it; name it in Spacefile.")
    return [*result, *file_problems(folder, space.files, files), *_variable_problems(space, mistakes)]


def _flavors(name: str) -> str:
    return nearest(name, HARDWARE, f"choose one of {', '.join(HARDWARE)}.")


def _variable_problems(space: SpaceDescription, mistakes: Mistakes) -> list[str]:
    names = [name for name in space.variables if not re.fullmatch(r"[A-Za-z_]\w*", name)]
    public = [name for name in space.secrets if name in space.variables]
    return [
        *(f"The variable {name!r} in Spacefile is no name; use letters, digits and _." for name in names),
        *(f"{name} is a secret, and everybody can read the variables of Spacefile; take it out." for name in public),
        *mistakes(space.variables),
    ]
