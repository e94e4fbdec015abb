"""Download of a Hugging Face hub checkpoint into the hub's cache; missing files only.

Files are downloaded one by one, so that an interrupt acts at once; complete files are kept. Every error becomes a
ModelError of one sentence. Knows nothing of the files' contents.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors, hf_hub_download

from crop_core.models.adapter import ModelError
from crop_core.records.formatting import counted, first_line, format_bytes

log = logging.getLogger(__name__)
FILES = re.compile(  # no pickles, no code; of folders only those of chat templates and a learned PLC
    r"[^/]+\.(json|jinja|txt|model)|additional_chat_templates/[^/]+\.jinja|model(-\d+-of-\d+)?\.safetensors|"
    r"plc/(config\.json|model\.safetensors)"
)
TIMEOUT_S = 10  # of the hub
UNREACHABLE = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError, TimeoutError)


def repository_files(repo: str) -> tuple[Path, dict[str, int]]:
    """Local folder of a repository, with config.json and earlier downloads, and the bytes of all its files by name.

    If the hub is unreachable: the folder that was downloaded last, and no names.
    """
    with _hub_errors(repo):
        try:
            info = HfApi().model_info(repo, timeout=TIMEOUT_S, files_metadata=True)
            sizes = {each.rfilename: each.size or 0 for each in info.siblings or []}
        except (*UNREACHABLE, errors.HTTPError) as error:
            if isinstance(error, errors.HfHubHTTPError):  # it was reached, and rejected the request
                raise
            sizes = {}
        return Path(hf_hub_download(repo, "config.json", local_files_only=not sizes)).parent, sizes


def remote_tensors(repo: str, folder: Path) -> dict[str, Any]:
    """Tensor name -> dtype and shape, from the headers of a repository's weights; empty if they cannot be read."""
    try:
        metadata = HfApi().get_safetensors_metadata(repo, revision=folder.name)
    except Exception:  # only the memory check depends on it
        return {}
    return {name: each for file in metadata.files_metadata.values() for name, each in file.tensors.items()}


def download(repo: str, folder: Path, sizes: Mapping[str, int]) -> None:
    """Download a repository's model files into the folder of `repository_files`; small ones first. sizes: the bytes of
    all its files; a line on the log says how much is missing before it comes.
    """
    needed = sorted(filter(FILES.fullmatch, sizes), key=lambda name: name.endswith(".safetensors"))
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        total = format_bytes(sum(sizes[name] for name in missing))
        log.warning("%s is not on this machine: downloading %s in %s.", repo, total, counted(len(missing), "file"))
    with _hub_errors(repo):
        for name in needed:
            hf_hub_download(repo, name, revision=folder.name)


def downloaded(repo: str) -> Path | None:
    """Local folder of a repository whose model was downloaded whole, without asking the hub; None for any other."""
    try:
        folder = Path(hf_hub_download(repo, "config.json", local_files_only=True)).parent
    except Exception:  # not there, a cache that cannot be read
        return None
    return folder if (folder / "model.safetensors").is_file() else None


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """Turn errors of the hub client into ModelError."""
    try:
        yield
    except Exception as error:  # its own errors and those of two network libraries
        raise ModelError(_sentence(repo, error)) from error


def _sentence(repo: str, error: Exception) -> str:
    """Message of an error; subclasses first."""
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
    if isinstance(error, (*UNREACHABLE, errors.HTTPError)):
        return f"{repo} is not on this machine and the hub cannot be reached; connect, or give a local folder."
    return f"The download of {repo} broke off ({first_line(error)}); start again; files that came whole are kept."
