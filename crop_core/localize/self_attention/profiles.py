"""Profiles: attention rules that `localizer calibrate` has fitted to a checkpoint on this machine, in the user's cache.

A profile is one JSON file. It holds for the revision, precision and tokenizer alone that it was fitted to: other
weights attend otherwise, and another prompt is read elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from crop_core.io.output_files import replace_file
from crop_core.localize.self_attention.attention_rule import KEY, AttentionRule
from crop_core.models.adapter import Adapter, ModelError, dtype_name
from crop_core.models.loading.checkpoint import revision

FOLDER_VARIABLE = "LOCALIZER_PROFILES"  # environment variable: the folder of the profiles
ENDING, DIGITS = ".json", 8  # of a profile's name
_OWN = ("crop-explorer", "localizers")  # in the user's cache


class ProfileError(ModelError):
    """A profile that cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class ProfileKey:
    """What a profile is of. revision: the hub's commit, or a digest of the files. dtype: with the bits of quantized
    weights. tokenizer: digest of its words and of the prompt that it makes.
    """

    model: str
    revision: str
    dtype: str
    tokenizer: str

    @classmethod
    def of(cls, adapter: Adapter) -> ProfileKey:
        """That of a loaded model. Raises ProfileError for one that is not loaded from a folder."""
        if adapter.folder is None:
            raise ProfileError(f"{adapter.name} was not loaded from a checkpoint, so that no profile can belong to it.")
        bits = [each for each in ("8bit", "4bit") if getattr(adapter.model, f"is_loaded_in_{each}", False)]
        words = json.dumps([sorted(adapter.tokenizer.get_vocab().items()), adapter.prompt("?")])
        dtype = " ".join([dtype_name(adapter), *bits])
        return cls(adapter.name, revision(adapter.folder), dtype, sha256(words.encode()).hexdigest()[:12])

    @property
    def file(self) -> Path:
        """Where its profile is kept."""
        digest = sha256(repr((self.revision, self.dtype, self.tokenizer)).encode()).hexdigest()[:DIGITS]
        return profiles_folder() / f"{_slug(self.model)}-{digest}{ENDING}"


@dataclass(frozen=True)
class Profile:
    """rule: the fitted one. source: what its questions are about. questions: that measured `iou` and `coverage`, which
    it was not fitted to. facts: more about the fit.
    """

    key: ProfileKey
    rule: AttentionRule
    source: str
    questions: int
    iou: float
    coverage: float
    facts: dict[str, Any] = field(default_factory=dict)

    def save(self) -> Path:
        """Write it where `find_profile` looks; ProfileError where that is not possible."""
        file = self.key.file
        content = {**{each.name: getattr(self, each.name) for each in fields(self)}, "key": asdict(self.key)}
        content[KEY] = content.pop("rule").to_json()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:
            raise cannot_write(file.parent, error) from error
        return file

    @classmethod
    def load(cls, file: Path, adapter: Adapter) -> Profile:
        """Read for this model. Raises ProfileError for a file that cannot be read or is of another model."""
        try:
            content = json.loads(file.read_bytes())
            key, stored = ProfileKey(**content.pop("key")), content.pop(KEY)
            _check(file, key, ProfileKey.of(adapter))
            rule = AttentionRule.read(stored, adapter.model.config, f"The rule in the profile {file.name}")
            profile = cls(key, rule, **content)
            kinds = {"source": str, "questions": int, "iou": float, "coverage": float, "facts": dict}
            if any(type(getattr(profile, name)) is not kind for name, kind in kinds.items()):
                raise TypeError("a value is of another type")
            return profile
        except ModelError as error:
            raise ProfileError(f"{error} It is not used; {_again(adapter.name)}.") from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ProfileError(
                f"The profile {file.name} cannot be read and is not used; {_again(adapter.name)}."
            ) from error


def find_profile(adapter: Adapter) -> tuple[Profile, Path] | None:
    """The profile of a loaded model, and its file; None where its model has none.

    Raises ProfileError where those of its model cannot be read, or are of another revision, dtype or tokenizer.
    """
    files = _files(adapter.name)
    if not files or adapter.folder is None:
        return None
    own = ProfileKey.of(adapter).file
    file = own if own in files else files[-1]
    return Profile.load(file, adapter), file


def profiles_digest(model: str) -> str | None:
    """Digest of all profiles of a model, by its name or folder; None without any."""
    files = _files(Path(model).resolve().name if Path(model).is_dir() else model)
    return sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:12] if files else None


def profiles_folder() -> Path:
    """The folder of all profiles: that of FOLDER_VARIABLE, else one in the user's cache."""
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named).expanduser()
    home = Path(os.path.expanduser("~"))  # Path.home() raises without one
    caches = {"win32": os.environ.get("LOCALAPPDATA") or home / "AppData/Local", "darwin": home / "Library/Caches"}
    return Path(caches.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or home / ".cache").joinpath(*_OWN)


def _files(model: str) -> list[Path]:
    """The profiles of a model, of any revision, dtype and tokenizer."""
    name = re.compile(re.escape(_slug(model)) + rf"-[0-9a-f]{{{DIGITS}}}{re.escape(ENDING)}")
    return sorted(each for each in profiles_folder().glob(f"*{ENDING}") if name.fullmatch(each.name))


def cannot_write(folder: Path, error: OSError) -> ProfileError:
    """The error about a folder that takes no files."""
    return ProfileError(
        f"The folder '{folder}' for profiles cannot be written ({error.strerror or error}); allow it, or name another "
        f"by {FOLDER_VARIABLE}."
    )


def _check(file: Path, key: ProfileKey, wanted: ProfileKey) -> None:
    for each in fields(ProfileKey):
        before, now = getattr(key, each.name), getattr(wanted, each.name)
        if before != now:
            raise ProfileError(
                f"The profile {file.name} is of the {each.name} {before!r}, not {now!r}, and is not used; "
                f"{_again(wanted.model)}."
            )


def _again(model: str) -> str:
    return f"calibrate again (python -m crop_core localizer calibrate --model {model}), or delete it"


def _slug(model: str) -> str:
    return re.sub(r"[^\w.-]+", "--", model)
