"""Rows to a file that tables are read from: JSON lines, CSV or Parquet, by the file's ending.

A column's type is ``str``, ``int``, ``float``, ``bool`` or :data:`IMAGE`; a list ``[type]``; or a record ``{name:
type}``. Any value may be missing (None). Parquet files also carry the features of Hugging Face's ``datasets``, so that
``load_dataset`` knows a picture from bytes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from labkit.errors import UsageError

IMAGE = "image"
"""The type of a picture: ``{"bytes": ..., "path": None}``, an encoded file. Parquet only."""
BATCH = 1000
"""Rows of a Parquet file that are in memory at once."""
_DTYPES = {str: "string", int: "int64", float: "float64", bool: "bool"}

Columns = Mapping[str, Any]


def write(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Columns) -> int:
    """Write a file, whole or not at all; returns the number of rows.

    Raises:
        UsageError: the ending is none of these, a column cannot be in such a file, Parquet's package is missing, or the
            file cannot be written.
    """
    path = Path(path)
    writers = {".jsonl": _write_json, ".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise UsageError(f"{path} ends in none of {', '.join(writers)}; name the file after what it is to be")
    part = path.with_name(f"{path.name}.part")
    try:
        count = writers[path.suffix](part, rows, columns)
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file") from None
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_json(path: Path, rows: Iterable[Mapping[str, Any]], columns: Columns) -> int:
    if IMAGE in columns.values():
        raise UsageError(f"JSON lines hold no pictures; write {path.name.removesuffix('.jsonl.part')}.parquet")
    count = 0
    with path.open("wb") as handle:
        for row in rows:
            handle.write(json.dumps(carried({name: row[name] for name in columns}), ensure_ascii=False).encode())
            handle.write(b"\n")
            count += 1
    return count


def _write_csv(path: Path, rows: Iterable[Mapping[str, Any]], columns: Columns) -> int:
    nested = [name for name, kind in columns.items() if not isinstance(kind, type)]
    if nested:
        raise UsageError(f"a CSV file holds no lists, and {nested[0]} is one; write a .jsonl or .parquet file")
    count = 0
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: row[name] for name in columns})
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], columns: Columns) -> int:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("a .parquet file needs pyarrow: `pip install pyarrow`, or write another kind") from None
    about = json.dumps({"info": {"features": features(columns)}})
    schema = pyarrow.schema(list(_arrow(columns)), metadata={"huggingface": about})
    count, waiting = 0, iter(rows)
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while batch := [{name: carried(row[name]) for name in columns} for row in islice(waiting, BATCH)]:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def features(kind: Any) -> Any:
    """A column's type, or all columns, as ``datasets.Features.to_dict`` has them."""
    if isinstance(kind, Mapping):
        return {name: features(of) for name, of in kind.items()}
    if isinstance(kind, list):
        return {"feature": features(kind[0]), "_type": "List"}
    return {"_type": "Image"} if kind == IMAGE else {"dtype": _DTYPES[kind], "_type": "Value"}


def _arrow(columns: Columns) -> Iterator[Any]:
    import pyarrow

    def of(kind: Any) -> Any:
        if isinstance(kind, Mapping):
            return pyarrow.struct(list(_arrow(kind)))
        if isinstance(kind, list):
            return pyarrow.list_(of(kind[0]))
        if kind == IMAGE:
            return pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        return getattr(pyarrow, {"bool": "bool_"}.get(_DTYPES[kind], _DTYPES[kind]))()

    return (pyarrow.field(name, of(kind)) for name, kind in columns.items())


def carried(value: Any) -> Any:
    """Plain data in whose texts lone surrogates, which UTF-8 cannot carry, are written out: ``\\udc80``."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {name: carried(of) for name, of in value.items()}
    return [carried(of) for of in value] if isinstance(value, list | tuple) else value
