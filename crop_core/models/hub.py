"""A checkpoint of the Hugging Face hub as a local folder: what is missing there is downloaded into the hub's own cache.

Files come one by one, so that an interrupt acts at once; what has arrived stays, and the next call goes on from there.
Every way in which this fails is one sentence. Knows nothing of what the files hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors, hf_hub_download

from crop_core.models.protocol import ModelError

FILES = re.compile(r"[^/]+\.(json|jinja|txt|model)|model[^/]*\.safetensors")  # no folders, no pickles, no code
UNREACHED = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)


def config_folder(repo: str) -> Path:
    """The local folder of a repository's newest commit, or of the one that was downloaded last where the hub cannot be
    reached; it holds config.json, and whatever else has been downloaded before.
    """
    with _told(repo):
        return Path(hf_hub_download(repo, "config.json")).parent


def remote_tensors(repo: str, folder: Path) -> dict[str, Any] | None:
    """What the headers of a repository's weights say, name -> dtype and shape, without the weights; None where that
    cannot be known, as without a connection.
    """
    try:
        found = HfApi().get_safetensors_metadata(repo, revision=folder.name)
    except Exception:  # only a check beforehand depends on it
        return None
    return {name: each for file in found.files_metadata.values() for name, each in file.tensors.items()}


def download(repo: str, folder: Path) -> None:
    """Everything that a model needs of the commit whose `config_folder` this is; without a connection nothing."""
    with _told(repo):
        try:
            names = HfApi().list_repo_files(repo, revision=folder.name)
        except (*UNREACHED, errors.HTTPError) as error:
            if isinstance(error, errors.HfHubHTTPError):
                raise
            return  # the folder may be whole already; what is missing is told by whoever reads it
        wanted = filter(FILES.fullmatch, names)
        for name in sorted(wanted, key=lambda name: name.endswith(".safetensors")):  # the small files first
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
    return f"The download of {repo} broke off ({reason}); start again, it goes on from there."
