"""Settings of the app: CROP_* variables and `.env`, read once, typed, each explained in one line.

A wrong value is one sentence (`SettingsError`); a secret is never shown. None leaves the choice to the code that reads
it. Knows nothing of torch, and of Gradio only the variables that stand in for ours.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from crop_core.records.localizers import NONE, localizer_help, named_localizers
from ui.server.logins import parse_logins, parts
from ui.server.setting_errors import GRADIO, HIDDEN, PREFIX, SettingsError, check_lines, sentence, variable

ENV_FILE = ".env"
BUNDLED = ("crop-tiny", "crop-tiny-locator")
_HOST = "a name or a number of this machine, such as 127.0.0.1, ::1 or 0.0.0.0, without a port"
_ROOT_PATH = "a path that starts with /, or a whole address"
_SITES = "schemes and hosts without a path, such as https://course.example.edu, separated by commas"
_MODEL = "a bundled name, a local folder or a hub id; when empty the bundled one, on a Space's GPU one that fits it"


class Settings(BaseSettings):
    """The settings of the app. Each field is the variable CROP_<NAME>, in the environment or, where it is not there, in
    the file `.env` of the working directory; an empty one counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    model: str | None = Field(default=None, description=f"Answering model: {_MODEL}.")
    localizer: str | None = Field(
        default=None,
        description=f"Localizer: {localizer_help()}.",
    )
    device: str | None = Field(
        default=None, description="cpu, cuda, cuda:1, or auto for all of them at once; chosen automatically when empty."
    )
    dtype: str | None = Field(
        default=None, description="float32, bfloat16 or float16; chosen for the device when empty."
    )
    quantize: Literal["8bit", "4bit"] | None = Field(
        default=None, description="8bit or 4bit weights in both models, by bitsandbytes; none when empty."
    )
    compiled: bool = Field(default=False, description="1 to run parts of the model compiled, on a GPU; starts slower.")
    host: str | None = Field(
        default=None, description="Address to listen on; this machine alone when empty, 0.0.0.0 for all."
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Port to listen on; the first free one from 7860 on when empty."
    )
    root_path: str | None = Field(
        default=None,
        description="Path under which a reverse proxy serves the app, such as /crop; the whole host when empty.",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Sites whose pages may show the app in a frame, such as https://course.example.edu, separated by "
        "commas; the hub's may.",
    )
    run_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Sites from which a visitor's browser may open recorded runs by ?run=, such as "
        "https://course.example.edu, separated by commas; this app's own host may.",
    )
    max_upload_mb: int = Field(
        default=20, ge=1, le=1000, description="Largest image file that is accepted, in megabytes."
    )
    max_queue: int = Field(
        default=64, ge=1, le=10000, description="Requests that may wait for the model before new ones are rejected."
    )
    time_limit: int = Field(
        default=300,
        ge=1,
        le=86400,
        description="Seconds that one request may take; then it fails with a time-out message.",
    )
    cache_mb: int = Field(
        default=256,
        ge=0,
        le=1_000_000,
        description="Megabytes of images' features kept for the next question about them; 0 keeps none.",
    )
    results_mb: int = Field(
        default=64,
        ge=0,
        le=1_000_000,
        description="Megabytes of results kept for whoever asks the same about the same image; 0 keeps none.",
    )
    keep_hours: int = Field(
        default=24, ge=1, le=8760, description="Hours after which uploaded images and offered files are deleted."
    )
    login: SecretStr | None = Field(
        default=None, description="Logins as user:password, several separated by commas; no login is needed when empty."
    )
    rate: int | None = Field(
        default=None, ge=1, le=1000, description="Questions a minute for each login or address; no limit when empty."
    )
    public: bool = Field(
        default=False,
        description="1 on a public server: only the bundled models and those of CROP_ALLOWED_MODELS are loaded.",
    )
    allowed_models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="Further models and localizers that a public server may load, separated by commas."
    )
    log: Literal["short", "json"] | None = Field(
        default=None,
        description="Lines of the log: short or json; when empty short on a terminal and json elsewhere.",
    )
    log_questions: bool = Field(default=False, description="1 to log the question of each request.")
    metrics: bool = Field(
        default=False, description="1 to offer metrics for Prometheus at /metrics; needs prometheus-client."
    )
    check: bool = Field(
        default=False,
        description="1 to offer a check of the model on the page, to the first login or, without CROP_LOGIN, to all.",
    )
    mcp: bool = Field(default=False, description="1 to offer ask, compare and localize as MCP tools too; needs mcp.")

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment and `.env`; Gradio's variables of address and path count where ours are not set.

        Raises SettingsError for the first value that is not allowed.
        """
        check_lines(Path(ENV_FILE))
        own = cls._read({})
        given = {name: value for name, other in GRADIO.items() if (value := os.environ.get(other, "").strip())}
        return cls._read({name: value for name, value in given.items() if getattr(own, name) is None})

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> Settings:
        """Settings of these variables alone; other names are ignored. SettingsError as `from_env`."""
        given = {name: variables[variable(name)] for name in cls.model_fields if variable(name) in variables}
        return cls._read({}, _env_prefix="=", _env_file=None, **given)  # "=" is in no name: nothing else is read

    @classmethod
    def _read(cls, given: dict[str, Any], **values: Any) -> Settings:
        """given: fields that are Gradio's. values: further fields, and where not to read them from."""
        try:
            return cls(**given, **values)
        except ValidationError as error:
            raise SettingsError(sentence(error.errors(include_url=False)[0], cls.model_fields, given)) from None
        except UnicodeDecodeError:
            raise SettingsError("The file .env is not a text in UTF-8; write it again as NAME=value lines.") from None
        except OSError as error:
            raise SettingsError(f"The file .env cannot be read ({error.strerror}); allow it, or remove it.") from None

    @model_validator(mode="before")
    @classmethod
    def _not_empty(cls, values: dict[str, Any]) -> dict[str, Any]:
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @field_validator("host")
    @classmethod
    def _a_host(cls, value: str | None) -> str | None:
        bare = re.sub(r"^\[(.*:.*)\]$", r"\1", value or "")
        if not re.fullmatch(r"[\w.-]*", bare) and not _is_ipv6(bare):
            raise ValueError(_HOST)
        return bare or None

    @field_validator("root_path")
    @classmethod
    def _a_path(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"(https?://([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?)?(/[\w.~%-]+)*/?", value):
            raise ValueError(_ROOT_PATH)
        return value.rstrip("/") if value else None

    @field_validator("allowed_models", "frame_ancestors", "run_origins", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(parts(value)) if isinstance(value, str) else value

    @field_validator("frame_ancestors", "run_origins")
    @classmethod
    def _sites(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(re.fullmatch(r"https?://(\*\.)?[\w.-]+(:\d+)?/?", site) for site in value):
            raise ValueError(_SITES)
        return tuple(site.rstrip("/") for site in value)

    @field_validator("login")
    @classmethod
    def _pairs(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_logins(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _allowed(self) -> Settings:
        for name in ("model", "localizer"):
            value = getattr(self, name)
            if self.public and value not in (None, *named_localizers(), *BUNDLED, *self.allowed_models):
                raise ValueError(
                    f"{variable(name)} is {value!r}, which a public server may not load; put it into "
                    "CROP_ALLOWED_MODELS, or leave it empty."
                )
        if self.check and self.public and not self.login:
            raise ValueError(
                "CROP_CHECK on a public server needs CROP_LOGIN, since a check takes the model for minutes; set it, or "
                "unset one of CROP_CHECK and CROP_PUBLIC."
            )
        if self.mcp and self.login:
            raise ValueError(
                "CROP_MCP cannot be used with CROP_LOGIN, since MCP clients cannot log in; unset one of them."
            )
        return self

    @property
    def logins(self) -> list[tuple[str, str]] | None:
        """(user, password) of every login; None where no login is needed."""
        return None if self.login is None else parse_logins(self.login.get_secret_value())

    def engine_options(self) -> dict[str, Any]:
        """Keyword arguments for CropEngine.from_pretrained: only what was set, so that its own defaults stand."""
        options: dict[str, Any] = {
            name: value
            for name in ("model", "localizer", "device", "dtype", "quantize", "compiled")
            if (value := getattr(self, name))
        }
        if self.localizer == NONE:
            options["localizer"] = None
        return options

    def limits(self) -> dict[str, Any]:
        """Further keyword arguments, which a server sets and the engine's defaults leave out."""
        return {"time_limit": self.time_limit, "remember": self.cache_mb * 10**6}

    def page(self) -> dict[str, Any]:
        """Keyword arguments for the layout of the page."""
        return {"keep_hours": self.keep_hours, "operator": self.operator}

    @property
    def operator(self) -> str | None:
        """The login that may check the model, "" for everybody, None where it is not offered."""
        if not self.check:
            return None
        return self.logins[0][0] if self.logins else ""

    def describe(self) -> list[str]:
        """NAME=value of every field that was set, in their order; secrets as ***."""
        names = (name for name in type(self).model_fields if name in self.model_fields_set)
        return [f"{variable(name)}={_text(getattr(self, name))}" for name in names]


def explained() -> dict[str, tuple[str, str]]:
    """Every environment variable with its default, as text, and its explanation."""
    return {
        variable(name): (_text(field.default), field.description or "") for name, field in Settings.model_fields.items()
    }


def _text(value: object) -> str:
    """A value as it would be written into a variable."""
    if value is None or isinstance(value, SecretStr):
        return "" if value is None else HIDDEN
    if isinstance(value, tuple):
        return ",".join(value)
    return str(int(value)) if isinstance(value, bool) else str(value)


def _is_ipv6(text: str) -> bool:
    """Whether it is an IPv6 address, without a zone (%eth0), which no URL of the app could have."""
    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False
