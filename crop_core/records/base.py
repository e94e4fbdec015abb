"""The base of every record: frozen, validated when it is made, written as JSON and read back, by one list of fields.

A field's annotation says its kind, how JSON holds it, and (`limit`) its bounds in a file that anybody may have
written. Those are far above what any model gives, and low enough that drawing what they let in takes neither minutes
nor gigabytes.
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
    """Values that make no record; the message is one sentence with the field and what is wrong."""


@dataclass_transform(frozen_default=True)
class Record:
    """A subclass is a frozen pydantic dataclass.

    error: what its constructor raises for values of a wrong kind. keys: the fields and properties that JSON holds, in
    this order, where these are not all fields as they come. eq: whether equal fields make equal records.
    """

    _error: ClassVar[type[RecordError]]
    _adapter: ClassVar[TypeAdapter[Any]]

    def __init_subclass__(cls, *, error: type[RecordError] = RecordError, keys: str = "", eq: bool = True) -> None:
        super().__init_subclass__()
        cls._error = error
        if keys:
            cls._written = model_serializer(mode="wrap")(_written(keys.split()))  # type: ignore[attr-defined]
        pydantic_dataclasses.dataclass(frozen=True, eq=eq, config=CONFIG)(cls)
        cls._adapter = TypeAdapter(cls)
        cls.__init__ = _one_sentence(cls)(cls.__init__)  # type: ignore[method-assign]

    def to_json(self) -> dict[str, Any]:
        """Plain values, valid JSON: what is not finite is null."""
        data: dict[str, Any] = self._adapter.dump_python(self, mode="json", by_alias=True)
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Inverse of `to_json`, also of earlier versions'; unknown keys are left out. Raises RecordError."""
        with _one_sentence(cls):
            record: Self = cls._adapter.validate_python(data)
        return record

    @classmethod
    def from_untrusted_json(cls, content: bytes) -> Self:
        """What anybody may have written: no value is converted ("1" is no number), and every `limit` holds. Raises
        RecordError.
        """
        with _one_sentence(cls):
            record: Self = cls._adapter.validate_json(content, strict=True, context=UNTRUSTED)
        return record


@contextmanager
def _one_sentence(kind: type[Record]) -> Iterator[None]:
    """The first thing that is wrong as a RecordError: in a record's own words, or the field and what is said of it."""
    try:
        yield
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        own = first.get("ctx", {}).get("error")
        if isinstance(own, RecordError):
            raise own from None
        place = [str(part) if isinstance(part, int) or part.isidentifier() else "…" for part in first["loc"][:6]]
        if place and place[0].isdigit():  # an argument without its name
            place[0] = fields(kind)[int(place[0])].name  # type: ignore[arg-type]
        raise kind._error(f"{'.'.join(place) or 'as a whole'}: {own or first['msg']}.") from None


def _written(keys: Sequence[str]) -> Callable[..., dict[str, Any]]:
    def written(self: Any, write: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        data = write(self)
        return {key: data[key] if key in data else getattr(self, key) for key in keys}

    return written


def limit(most: float, least: float = 0) -> AfterValidator:
    """Annotation: bounds of a number, or of a length, that hold in an untrusted file alone."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if info.context == UNTRUSTED:
            size = value if isinstance(value, (int, float)) else len(value)
            if not least <= size <= most:
                what = "value" if size is value else "length"
                raise ValueError(f"The {what} is {truncated_repr(size)}, allowed are {least:g} to {most:g}")
        return value

    return AfterValidator(check)


def null(value: Any) -> WrapValidator:
    """Annotation: null, which JSON holds for a missing value or one that is not finite, is read as `value`."""
    return WrapValidator(lambda given, check: value if given is None else check(given))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


FINITE = PlainSerializer(_finite)  # annotation: JSON holds null for NaN and infinity
Word = Annotated[str, limit(300)]
Prose = Annotated[str, limit(20_000)]


@dataclass(frozen=True)
class Array:
    """Annotation of a numpy array, which JSON holds as a list; null stands for NaN, infinity, or a row with one.

    kind: of the array's numbers, each least to most in an untrusted file. item: of the list in JSON. width: of a row.
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
        """Arrays, and lists of our own, are converted by numpy alone, for speed."""
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
