"""The table of rows as Parquet."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from mdlstm_core.bulk.results import rows_of
from mdlstm_core.errors import InputError

PARQUET = "results.parquet"

_ROWS_AT_ONCE = 10_000


def check_pyarrow() -> None:
    """Find out before a run whether its table can be written as Parquet after it.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise InputError(
            "Parquet is written by pyarrow, which is not installed: "
            "pip install 'mdlstm-labeler[scale]'."
        ) from error


def write_parquet(target: Path) -> Path:
    """Write the table of a run that is over once more, as `results.parquet`; return the file.

    Raises:
        InputError: it cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    text = [pa.field(name, pa.string()) for name in ("id", "image", "mask", "error")]
    schema = pa.schema([*text[:3], pa.field("seconds", pa.float64()), text[3]])
    path = target / PARQUET
    part = path.with_name(f"{PARQUET}.part")
    rows = rows_of(target)
    try:
        with parquet.ParquetWriter(part, schema) as writer:
            while some := list(islice(rows, _ROWS_AT_ONCE)):
                values = [{k: _text(v) for k, v in row._asdict().items()} for row in some]
                writer.write_table(pa.Table.from_pylist(values, schema=schema))
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _text(value: str | float | None) -> str | float | None:
    # Parquet holds UTF-8 alone, the names of files on Linux any bytes.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
