"""One Space on the hub: its state, and changes that are told before they are made, and undone when a later one fails.

The calls are those of `huggingface_hub.HfApi`, by their names. A dry run tells them and makes none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, errors

from crop_core.records.formatting import first_line
from crop_core.space.spacefile import NAME, SpaceError

KIND = "space"
OWN = {".gitattributes", "README.md"}  # files that the hub itself puts into a new Space
UNREACHABLE = (errors.OfflineModeIsEnabled, ConnectionError, TimeoutError, errors.HTTPError)
LOG_IN = "run 'hf auth login' with a token that may write, or set HF_TOKEN"
Say = Callable[[str], None]
Undo = tuple[str, dict[str, Any]]  # a call and its arguments


class NoHubError(SpaceError):
    """The hub cannot be asked: without a login, or without a connection."""


@dataclass(frozen=True)
class SpaceState:
    """A Space as it is. hardware: the requested one. files: paths in its repository."""

    private: bool
    hardware: str | None
    sleep_time: int | None
    variables: dict[str, str]
    files: tuple[str, ...]


class SpaceHub:
    """The hub, for one Space. repo: OWNER/NAME. say: told of every change. dry: whether none is made."""

    def __init__(self, api: HfApi, repo: str, say: Say, dry: bool = False) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
            raise SpaceError(f"{repo!r} is no name of a Space; give OWNER/NAME, such as ann/crop-explorer.")
        self.api, self.repo, self.say, self.dry = api, repo, say, dry
        self._undo: list[Undo] = []

    @property
    def address(self) -> str:
        """Page of the Space on the hub."""
        return f"{self.api.endpoint}/spaces/{self.repo}"

    def check_rights(self) -> None:
        """SpaceError for a missing or unknown token, one that may only read, and an owner that is somebody else."""
        user = self.read(self.api.whoami)
        if (user.get("auth") or {}).get("accessToken", {}).get("role") == "read":
            raise SpaceError(
                f"The token of {user['name']} may only read; make one that may write at "
                f"{self.api.endpoint}/settings/tokens, and run 'hf auth login' with it."
            )
        owner = self.repo.split("/")[0]
        writable = [org["name"] for org in user.get("orgs", []) if org.get("roleInOrg") != "read"]
        if owner not in (user["name"], *writable):
            may = ", ".join([user["name"], *writable])
            raise SpaceError(f"{user['name']} may not make Spaces of {owner!r}; choose one of {may} as the owner.")

    def state(self) -> SpaceState | None:
        """The Space as it is, None where there is none; SpaceError where the name is that of something else."""
        try:
            info = self.read(self.api.space_info, self.repo)
        except SpaceError as error:
            if isinstance(error.__cause__, errors.RepositoryNotFoundError):
                return None
            raise
        files = tuple(each.rfilename for each in info.siblings or [])
        if info.id != self.repo:
            raise SpaceError(f"{self.repo} is now called {info.id}; use that name.")
        if NAME not in files and not OWN.issuperset(files):
            raise SpaceError(f"The name {self.repo} is taken by another Space (it has no {NAME}); choose another name.")
        runtime = self.read(self.api.get_space_runtime, self.repo)
        variables = self.read(self.api.get_space_variables, self.repo)
        return SpaceState(
            bool(info.private),
            runtime.requested_hardware or runtime.hardware,
            runtime.sleep_time,
            {key: each.value for key, each in variables.items()},
            files,
        )

    def read(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Result of a call that changes nothing; SpaceError with one sentence."""
        with self.errors(call.__name__):
            return call(*arguments, **named)

    def change(self, call: str, undo: Undo | None = None, shown: str = "", **named: Any) -> Any:
        """Make a change, and remember how it is undone: a call and its arguments. shown: what is told of it."""
        self.say(f"{call}: {shown or json.dumps(named)}")
        if self.dry:
            return None
        with self.errors(call):
            result = getattr(self.api, call)(repo_id=self.repo, **named)
        if undo is not None:
            self._undo.append(undo)
        return result

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Undo the changes made inside, the last one first, when one of them fails or is interrupted."""
        try:
            yield
        except BaseException as error:
            self._undo_all()
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt("Interrupted; what was changed on the hub has been undone.") from None
            raise
        self._undo.clear()

    def _undo_all(self) -> None:
        while self._undo:
            call, named = self._undo.pop()
            try:
                self.change(call, **named)
            except SpaceError as error:
                self.say(f"{call} failed, so that {json.dumps(named)} is still to be done by hand. {error}")

    @contextmanager
    def errors(self, call: str) -> Iterator[None]:
        """Errors of a call of the client as SpaceError with one sentence."""
        try:
            yield
        except SpaceError:
            raise
        except Exception as error:  # its own errors and those of its network library
            raise self._translated(call, error) from error

    def _translated(self, call: str, error: Exception) -> SpaceError:
        """An error of the client as one sentence; subclasses first."""
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = " ".join((getattr(error, "server_message", None) or first_line(error)).split()).rstrip(".")
        if isinstance(error, errors.LocalTokenNotFoundError):
            return NoHubError(f"You are not logged in to the hub; {LOG_IN}.")
        if status is None and isinstance(error, UNREACHABLE):
            return NoHubError(f"The hub cannot be reached at {self.api.endpoint} ({reason}); try again when it can.")
        if status == 401 and not isinstance(error, errors.RepositoryNotFoundError):
            return SpaceError(f"The hub does not know this token; {LOG_IN}.")
        if status == 402:
            return SpaceError(
                f"The hub asks to be paid for that ({reason}); choose other --hardware, such as cpu-basic."
            )
        if status == 403:
            remedy = f"{LOG_IN}, or choose other --hardware"
            return SpaceError(f"The hub does not allow {call} for {self.repo} ({reason}); {remedy}.")
        if status == 409:
            return SpaceError(f"The name {self.repo} is taken; choose another name.")
        answer = f"HTTP {status}: {reason}" if status else reason
        return SpaceError(f"The hub does not do {call} for {self.repo} ({answer}).")
