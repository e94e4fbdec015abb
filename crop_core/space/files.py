"""Files that go up to a Space, and what keeps them from it: sizes, and Git LFS pointers in the place of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

MB = 10**6
MAX_TOTAL = 1000 * MB  # of a Space's repository
LARGE = 10 * MB  # from which a file must be in Git LFS
POINTER = b"version https://git-lfs.github.com/spec/v1"
NEVER = ("__pycache__/*", "*/__pycache__/*", "*.pyc", ".*", "*/.*")


def files_of(folder: Path, patterns: tuple[str, ...]) -> dict[str, Path]:
    """Path in the repository -> file, of all that the patterns name: a file, a folder ("ui/"), or "!" to leave out."""
    out = [*NEVER, *(pattern[1:] for pattern in patterns if pattern.startswith("!"))]
    result = {}
    for pattern in patterns:
        for path in _named(folder, pattern):
            name = path.relative_to(folder).as_posix()
            if not any(fnmatch(name, each) for each in out):
                result[name] = path
    return dict(sorted(result.items()))


def file_problems(folder: Path, patterns: tuple[str, ...], files: Mapping[str, Path]) -> Iterator[str]:
    """A sentence for each file that a Space would refuse, or that is missing."""
    for pattern in patterns:
        if not pattern.startswith("!") and not any(_named(folder, pattern)):
            yield f"Spacefile names {pattern!r} among its files, and there is none; add it, or take it out."
    for name, path in files.items():
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                yield f"{name} is a pointer of Git LFS and not the file itself; run git lfs pull."
    total = size(files)
    if total > MAX_TOTAL:
        yield f"The files are {total // MB} MB, and a Space holds {MAX_TOTAL // MB} MB; take some out of Spacefile."


def file_notes(files: Mapping[str, Path]) -> list[str]:
    """What a host has to know who uploads by Git instead."""
    large = [name for name, path in files.items() if path.stat().st_size > LARGE]
    return [f"Over {LARGE // MB} MB, which git push needs Git LFS for: {', '.join(large)}."] if large else []


def size(files: Mapping[str, Path]) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in files.values())


def _named(folder: Path, pattern: str) -> Iterator[Path]:
    """Files that a pattern without "!" names."""
    if pattern.endswith("/"):
        yield from (path for path in (folder / pattern).rglob("*") if path.is_file())
    elif not pattern.startswith("!") and (folder / pattern).is_file():
        yield folder / pattern
