"""Records folder of a sweep: Parquet parts while it runs, one file when it is done, and its facts (sweep.json).

A part is written under another name and then renamed, so that it exists whole or not at all; duplicates are read once.
Knows nothing of models and datasets.
"""

from __future__ import annotations

import json
import re
import shlex
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crop_core.evaluate.runner.work import Record, SweepError
from crop_core.io.output_files import replace_file
from crop_core.records.formatting import first_line
from crop_core.records.methods import JOINT, PAPER

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WHOLE, PARTS, FACTS = "records.parquet", "part-*.parquet", "sweep.json"
KEY = ["example", "trial"]
EXACT = ("score", "mean_tokens")  # floats compared to the last digit; the others need no 64 bits
FORMER = {"all tokens": "baseline", "found": "predicted", "needed": "reference", "elsewhere": "random"}  # words of 0.1
REQUIREMENTS = {"pandas": "pandas>=2.2", "pyarrow": "pyarrow>=17", "scipy": "scipy>=1.13"}  # scipy: for the report


def check_installed() -> None:
    """SweepError where a package is missing that a sweep or its report needs."""
    missing = [requirement for name, requirement in REQUIREMENTS.items() if find_spec(name) is None]
    if missing:
        raise SweepError(f"A sweep needs packages that are not here; run pip install {shlex.join(missing)}.")


def schema() -> pa.Schema:
    """Parquet schema: a column for each field of a record, in its order."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "bool": pa.bool_(), "int": pa.int64(), "float": pa.float32()}
    exact = {name: pa.float64() for name in EXACT}
    return pa.schema([(each.name, exact.get(each.name, kinds[str(each.type)])) for each in fields(Record)])


def read(folder: Path) -> pd.DataFrame:
    """Read every record of a folder once; SweepError for a part that cannot be read, and for a folder without any."""
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
    """Write one more part; nothing for no records."""
    import pyarrow as pa

    if records:
        columns = {each.name: [getattr(record, each.name) for record in records] for each in fields(Record)}
        _write(pa.table(columns, schema()), folder / f"part-{uuid.uuid4().hex}.parquet")


def compact(folder: Path, examples: Iterable[str], trials: Iterable[str]) -> None:
    """Join all parts in one file, sorted by example and then by trial in the given order, others last."""
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
    """The facts in the folder's sweep.json; SweepError where it cannot be read."""
    try:
        content = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise SweepError(f"'{folder / FACTS}' cannot be read; give a folder that a sweep has written, or a new one.")
    return content


def claim(folder: Path, identity: Mapping[str, Any]) -> None:
    """Prepare the folder, new or of the same sweep; `identity` is what all of its sessions must share. SweepError for a
    folder with records of another or an unknown sweep, and for one that cannot be written.
    """
    if _files(folder):
        recorded = facts(folder)
        for name, value in identity.items():
            if recorded.get(name) != value:
                raise SweepError(
                    f"The records in '{folder}' are of the {name} {recorded.get(name)!r}, not {value!r}; "
                    "give another folder by --out."
                )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_facts(folder, {**identity, "sessions": []})
    except OSError as error:
        raise SweepError(f"The folder '{folder}' cannot be written: {error.strerror or error}.") from error


def clear(folder: Path) -> None:
    """Delete the sweep's records and facts; other files stay."""
    for file in (*_files(folder), *folder.glob(FACTS)):
        file.unlink()


def drop(folder: Path, methods: Iterable[str]) -> int:
    """Delete the records of these methods, as published and joined with others too; their number."""
    import pyarrow as pa

    frame, names = read(folder), set(methods)
    parts = frame["method"].str.replace(PAPER, "", regex=False).str.split(JOINT)
    gone = parts.map(lambda own: not names.isdisjoint(own)).astype(bool)
    _write(pa.Table.from_pandas(frame[~gone], schema(), preserve_index=False), folder / WHOLE)
    for part in folder.glob(PARTS):
        part.unlink()
    return int(gone.sum())


def begin(folder: Path, session: Mapping[str, Any]) -> None:
    """Add a session to a claimed folder's facts: command, device, versions."""
    for torn in folder.glob("*.writing"):
        torn.unlink()
    recorded = facts(folder)
    _write_facts(folder, {**recorded, "sessions": [*recorded.get("sessions", []), session]})


def _write_facts(folder: Path, content: Mapping[str, Any]) -> None:
    replace_file(folder / FACTS, json.dumps(content, indent=1).encode() + b"\n")


def _files(folder: Path) -> list[Path]:
    whole = folder / WHOLE
    return [*([whole] if whole.exists() else []), *sorted(folder.glob(PARTS))]


def _table(file: Path, columns: list[str] | None = None) -> pa.Table:
    """A file's columns, all or these; SweepError for a torn file or one with another schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as part:
            ours = part.schema_arrow.equals(schema())
            table = part.read(columns) if ours else None
    except (pa.ArrowException, OSError) as error:
        raise SweepError(
            f"'{file}' cannot be read ({first_line(error)}); delete it, and the same command asks its questions again."
        ) from error
    if table is None:
        raise SweepError(f"'{file}' holds no records of this version; delete it, or give another folder by --out.")
    return _renamed(_renamed(table, "trial"), "region")


def _renamed(table: pa.Table, column: str) -> pa.Table:
    """The table with the former names of trials and regions in today's words."""
    import pyarrow as pa

    if column not in table.column_names:
        return table
    words = {name: _today(name) for name in table[column].unique().to_pylist()}
    values = pa.array([words[name] for name in table[column].to_pylist()], pa.string())
    return table.set_column(table.column_names.index(column), column, values)


def _today(name: str) -> str:
    for former, word in FORMER.items():
        name = re.sub(rf"\b{former}\b", word, name)
    return name


def _write(table: pa.Table, file: Path) -> None:
    """Write Parquet: float32 columns by byte-stream split, which compresses them best, all others by dictionary."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    noisy = [each.name for each in table.schema if each.type == pa.float32()]
    others = [name for name in table.schema.names if name not in noisy]
    encoding: dict[str, Any] = {"use_dictionary": others, "use_byte_stream_split": noisy}
    pq.write_table(table, out, compression="zstd", compression_level=19, **encoding)
    replace_file(file, out.getvalue().to_pybytes())
