"""Records in a folder: Parquet parts while a sweep runs, one file when it is through, and what it was a sweep of.

A part is written under another name and then renamed, so that it is there whole or not at all; whatever was written
twice is read once. Knows nothing of models and datasets.
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.evaluate.runner.work import Record, SweepError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WHOLE, PARTS, FACTS = "records.parquet", "part-*.parquet", "sweep.json"
KEY = ["example", "trial"]
EXACT = ("score", "mean_tokens")  # floats of few values, judged to the last digit; the others need no 64 bits
NEEDS = {"pandas": "pandas>=2.2", "pyarrow": "pyarrow>=17", "scipy": "scipy>=1.13"}  # scipy: for the report


def check_installed() -> None:
    """SweepError with what to do where a package is missing that a sweep or its report needs."""
    missing = [wanted for name, wanted in NEEDS.items() if find_spec(name) is None]
    if missing:
        raise SweepError(f"A sweep needs packages that are not here; run pip install {shlex.join(missing)}.")


def schema() -> pa.Schema:
    """A column for each field of a record, in its order."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float32()}
    exact = {name: pa.float64() for name in EXACT}
    return pa.schema([(each.name, exact.get(each.name, kinds[str(each.type)])) for each in fields(Record)])


def read(folder: Path) -> pd.DataFrame:
    """Every record of a folder once; SweepError for a part that cannot be read, and for a folder without any."""
    check_installed()
    import pyarrow as pa

    tables = [_table(file) for file in _files(folder)]
    if not tables:
        raise SweepError(f"There are no records in '{folder}'; run python -m crop_core bench with --out {folder}.")
    return pa.concat_tables(tables).to_pandas().drop_duplicates(KEY, ignore_index=True)


def done(folder: Path) -> set[tuple[str, str]]:
    """(example, name of the trial) of every record; empty where there is none."""
    check_installed()
    columns = [_table(file, KEY).to_pydict() for file in _files(folder)]
    return {pair for each in columns for pair in zip(*each.values(), strict=True)}


def write_part(folder: Path, records: Sequence[Record]) -> None:
    """One more part; nothing for no records."""
    import pyarrow as pa

    if records:
        columns = {each.name: [getattr(record, each.name) for record in records] for each in fields(Record)}
        _write(pa.table(columns, schema()), folder / f"part-{uuid.uuid4().hex}.parquet")


def compact(folder: Path, examples: Iterable[str], trials: Iterable[str]) -> None:
    """All parts in one file, by example and then by trial in the order given here, what is not in it last."""
    import pyarrow as pa

    parts = list(folder.glob(PARTS))
    if not parts:
        return
    frame = read(folder)
    for key, order in zip(KEY, (examples, trials), strict=True):
        places = {name: place for place, name in enumerate(order)}
        frame[f"_{key}"] = frame[key].map(places).fillna(len(places))
    frame = frame.sort_values([f"_{key}" for key in KEY], kind="stable")
    _write(pa.Table.from_pandas(frame, schema(), preserve_index=False), folder / WHOLE)
    for part in parts:
        part.unlink()


def facts(folder: Path) -> dict[str, Any]:
    """What the folder's sweep.json says; SweepError where there is none that can be read."""
    try:
        told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = None
    if not isinstance(told, dict):
        raise SweepError(f"'{folder / FACTS}' cannot be read; give a folder that a sweep has written, or a new one.")
    return told


def claim(folder: Path, identity: Mapping[str, Any]) -> None:
    """Make the folder, or go on in one of the same sweep; `identity` is what all of its sessions must share. SweepError
    for a folder with records of another sweep, or of nobody knows which, and for one that cannot be written.
    """
    if _files(folder):
        told = facts(folder)
        for name, value in identity.items():
            if told.get(name) != value:
                raise SweepError(
                    f"The records in '{folder}' are of the {name} {told.get(name)!r}, not {value!r}; "
                    "give another folder by --out."
                )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_facts(folder, {**identity, "sessions": []})
    except OSError as error:
        raise SweepError(f"The folder '{folder}' cannot be written: {error.strerror or error}.") from error


def clear(folder: Path) -> None:
    """Nothing measured and nothing told; files that are no sweep's stay."""
    for file in (*_files(folder), *folder.glob(FACTS)):
        file.unlink()


def begin(folder: Path, session: Mapping[str, Any]) -> None:
    """Tell in a claimed folder what is run now: command, device, versions."""
    for torn in folder.glob("*.writing"):
        torn.unlink()
    told = facts(folder)
    _write_facts(folder, {**told, "sessions": [*told.get("sessions", []), session]})


def _write_facts(folder: Path, told: Mapping[str, Any]) -> None:
    _replace(folder / FACTS, json.dumps(told, indent=1).encode() + b"\n")


def _files(folder: Path) -> list[Path]:
    whole = folder / WHOLE
    return [*([whole] if whole.exists() else []), *sorted(folder.glob(PARTS))]


def _table(file: Path, columns: list[str] | None = None) -> pa.Table:
    """All columns, or these; SweepError for a file that is torn or holds something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as part:
            ours = part.schema_arrow.equals(schema())
            found = part.read(columns) if ours else None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SweepError(
            f"'{file}' cannot be read ({reason}); delete it, and the same command asks its questions again."
        ) from error
    if found is None:
        raise SweepError(f"'{file}' holds no records of this version; delete it, or give another folder by --out.")
    return found


def _write(table: pa.Table, file: Path) -> None:
    """Noisy floats byte by byte, which packs them best; all else by dictionary."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    noisy = [each.name for each in table.schema if each.type == pa.float32()]
    others = [name for name in table.schema.names if name not in noisy]
    how: dict[str, Any] = {"use_dictionary": others, "use_byte_stream_split": noisy}
    pq.write_table(table, out, compression="zstd", compression_level=19, **how)
    _replace(file, out.getvalue().to_pybytes())


def _replace(file: Path, content: bytes) -> None:
    """The whole file or what was there before, whenever the process ends."""
    new = file.with_name(f"{file.name}.writing")
    with new.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)
