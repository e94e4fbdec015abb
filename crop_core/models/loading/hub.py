"""A checkpoint of the Hugging Face hub as a local folder: what is missing there is downloaded into the hub's own cache.

Files come one by one, so that an interrupt acts at once; those that came whole stay, and are not asked for again. Every
way in which this fails is one sentence. Knows nothing of what the files hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors, hf_hub_download

from crop_core.models.adapter import ModelError

FILES = re.compile(  # no pickles, no code, and of folders only that of a learned PLC
    r"[^/]+\.(json|jinja|txt|model)|model(-\d+-of-\d+)?\.safetensors|plc/(config\.json|model\.safetensors)"
)
SECONDS = 10  # until a hub that does not answer counts as out of reach
UNREACHED = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)


def repository_files(repo: str) -> tuple[Path, list[str]]:
    """The local folder of a repository, with config.json and whatever has been downloaded before, and the names of all
    its files. Where the hub cannot be reached: the folder that was downloaded last, and no names.
    """
    with _told(repo):
        try:
            names = [each.rfilename for each in HfApi().model_info(repo, timeout=SECONDS).siblings or []]
        except (*UNREACHED, errors.HTTPError) as error:
            if isinstance(error, errors.HfHubHTTPError):  # it was reached, and refused
                raise
            names = []
        return Path(hf_hub_download(repo, "config.json", local_files_only=not names)).parent, names


def remote_tensors(repo: str, folder: Path) -> dict[str, Any]:
    """What the headers of a repository's weights say, name -> dtype and shape, without the weights; nothing where that
    cannot be known.
    """
    try:
        found = HfApi().get_safetensors_metadata(repo, revision=folder.name)
    except Exception:  # only a check beforehand depends on it
        return {}
    return {name: each for file in found.files_metadata.values() for name, each in file.tensors.items()}


def download(repo: str, folder: Path, names: list[str]) -> None:
    """Those of a repository's files that a model needs, into the folder that `look` found; small ones first."""
    wanted = sorted(filter(FILES.fullmatch, names), key=lambda name: name.endswith(".safetensors"))
    with _told(repo):
        for name in wanted:
            hf_hub_download(repo, name, revision=folder.name)


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Errors of the hub's client as ModelError."""
    try:
        yield
    except Exception as error:  # it has many of its own, and those of two libraries for the network
        raise ModelError(_sentence(repo, error)) from error


def _sentence(repo: str, error: Exception) -> str:
    """What to do about it; the most special kind first, since they are derived from each other."""
    if "No space left" in str(error):
        return f"The disk is full, so that {repo} cannot be downloaded; make room, or let HF_HOME name another disk."
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms at https://huggingface.co/{repo}, then log in with 'hf auth login'."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The hub has no model {repo!r}, or a private one; check the name, or log in with 'hf auth login'."
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} cannot be a hub id; give owner/name, or a local folder."
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return f"{repo} on the hub holds no model (no config.json); name a checkpoint of transformers."
    if isinstance(error, errors.HfHubHTTPError):
        return f"The hub does not give {repo} now (HTTP {error.response.status_code}); try again later."
    if isinstance(error, (*UNREACHED, errors.HTTPError)):
        return f"{repo} is not on this machine and the hub cannot be reached; connect, or give a local folder."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return f"The download of {repo} broke off ({reason}); start again; files that came whole are kept."
