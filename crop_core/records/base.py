"""Base of all records: frozen, validated, serialized to JSON and back, from one list of fields.

A field's annotation gives its type, its JSON form, and (`limit`) its bounds in an untrusted file: far above any model's
values, and low enough that drawing them takes neither minutes nor gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_serializer,
)
from pydantic import dataclasses as pydantic_dataclasses
from typing_extensions import Self, dataclass_transform

from crop_core.records.formatting import truncated_repr

UNTRUSTED = "untrusted"  # the validation context in which `limit` holds
CONFIG = ConfigDict(populate_by_name=True)


class RecordError(ValueError):
    """Invalid values of a record; the message is one sentence with the field and the reason."""


@dataclass_transform(frozen_default=True)
class Record:
    """A subclass is a frozen pydantic dataclass.

    error: raised by its constructor for invalid values. keys: fields and properties in JSON, in this order, "key:name"
    for a property of another name; all fields by default. eq: whether records compare by fields.
    """

    _error: ClassVar[type[RecordError]]
    _adapter: ClassVar[TypeAdapter[Any]]

    def __init_subclass__(cls, *, error: type[RecordError] = RecordError, keys: str = "", eq: bool = True) -> None:
        super().__init_subclass__()
        cls._error = error
        if keys:
            cls._written = model_serializer(mode="wrap")(_serializer(keys.split()))  # type: ignore[attr-defined]
        pydantic_dataclasses.dataclass(frozen=True, eq=eq, config=CONFIG)(cls)
        cls._adapter = TypeAdapter(cls)
        cls.__init__ = _one_sentence(cls)(cls.__init__)  # type: ignore[method-assign]

    def to_json(self) -> dict[str, Any]:
        """Plain values, valid JSON: non-finite numbers are null."""
        data: dict[str, Any] = self._adapter.dump_python(self, mode="json", by_alias=True)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of `to_json`, also of earlier versions; unknown keys are ignored. Raises RecordError."""
        with _one_sentence(cls):
            record: Self = cls._adapter.validate_python(data)
        return record

    @classmethod
    def from_untrusted_json(cls, content: bytes) -> Self:
        """Parse untrusted JSON: strict types ("1" is no number), and every `limit` holds. Raises RecordError."""
        with _one_sentence(cls):
            record: Self = cls._adapter.validate_json(content, strict=True, context=UNTRUSTED)
        return record


@contextmanager
def _one_sentence(kind: type[Record]) -> Iterator[None]:
    """Turn the first validation error into a RecordError: the record's own message, or field and reason."""
    try:
        yield
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        own = first.get("ctx", {}).get("error")
        if isinstance(own, RecordError):
            raise own from None
        place = [str(part) if isinstance(part, int) or part.isidentifier() else "…" for part in first["loc"][:6]]
        if place and place[0].isdigit():  # a positional argument
            place[0] = fields(kind)[int(place[0])].name  # type: ignore[arg-type]
        raise kind._error(_reason(".".join(place), first["type"], str(own or first["msg"]))) from None


def _reason(place: str, kind: str, message: str) -> str:
    """What is wrong in a record, as a sentence that stands alone or behind "is not ...:"."""
    if kind == "missing":
        return f"it has no {place!r}."
    if kind == "json_invalid":
        return f"it is not JSON ({message.partition(': ')[2]})."
    return f"{place or 'as a whole'}: {message}."


def _serializer(keys: Sequence[str]) -> Callable[..., dict[str, Any]]:
    def serialize(self: Any, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        data, names = write(self), (key.partition(":") for key in keys)
        return {key: data[key] if key in data else getattr(self, name or key) for key, _, name in names}

    return serialize


def limit(maximum: float, minimum: float = 0) -> AfterValidator:
    """Annotation: bounds of a number or a length, checked in untrusted files only."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if info.context == UNTRUSTED:
            size = value if isinstance(value, (int, float)) else len(value)
            if not minimum <= size <= maximum:
                what = "value" if size is value else "length"
                raise ValueError(f"The {what} is {truncated_repr(size)}, allowed are {minimum:g} to {maximum:g}")
        return value

    return AfterValidator(check)


def null(value: Any) -> WrapValidator:
    """Annotation: JSON null, for a missing or non-finite value, is read as `value`."""
    return WrapValidator(lambda given, check: value if given is None else check(given))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


FINITE = PlainSerializer(_finite)  # annotation: JSON holds null for NaN and infinity
Word = Annotated[str, limit(300)]
Prose = Annotated[str, limit(20_000)]


@dataclass(frozen=True)
class Array:
    """Annotation of a numpy array, a list in JSON; null stands for NaN, infinity, or a row with one.

    kind: dtype of the array, its values least to most in an untrusted file. item: of the JSON list. width: of a row.
    """

    kind: Any
    item: Any
    least: float
    most: float
    width: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        items: Any = Annotated[list[self.item], WrapValidator(self._read), PlainSerializer(_listed)]  # type: ignore[name-defined]
        return handler.generate_schema(items)

    def _read(self, given: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> NDArray[Any]:
        """Arrays, and trusted lists, are converted by numpy only, for speed."""
        given = check(given) if info.mode == "json" else given
        try:
            if self.width and not isinstance(given, np.ndarray):
                given = [[math.nan] * self.width if row is None else row for row in given]
            values = np.asarray(given, dtype=self.kind)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"Input should be an array of {np.dtype(self.kind)}") from None
        if info.context == UNTRUSTED and ((values < self.least) | (values > self.most)).any():
            raise ValueError(f"A value is not within {self.least:g} to {self.most:g}")
        return values


def _listed(values: NDArray[Any]) -> list[Any]:
    listed: list[Any] = values.tolist()
    for place in np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))):
        listed[place] = None
    return listed
