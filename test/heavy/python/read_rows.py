"""Reads files of rows with each library that reads Arrow: read_rows.py <file> ...; prints what each has read."""

import json
import sys

import duckdb
import polars
import pyarrow
import pyarrow.dataset

COLUMNS = ["id", "text", "metadata"]
files = sys.argv[1:]


def with_pyarrow():
    rows = []
    for file in files:
        with pyarrow.memory_map(file) as mapped:
            table = pyarrow.ipc.open_file(mapped).read_all()
            table.validate(full=True)
            rows += zip(*(table[column].to_pylist() for column in COLUMNS))
    return rows


def with_polars():
    return polars.concat([polars.read_ipc(file) for file in files]).select(COLUMNS).rows()


def with_duckdb():
    stored = pyarrow.dataset.dataset(files, format="ipc")  # noqa: F841, DuckDB finds it by its name
    return duckdb.sql("select id, text, metadata from stored").fetchall()


def count_with_duckdb():
    stored = pyarrow.dataset.dataset(files, format="ipc")  # noqa: F841
    asked = "select count(*) from stored where cast(json_extract(metadata, '$.n') as integer) >= 2000"
    return duckdb.sql(asked).fetchall()[0][0]


json.dump(
    {
        "pyarrow": with_pyarrow(),
        "polars": with_polars(),
        "duckdb": with_duckdb(),
        "counted": count_with_duckdb(),
    },
    sys.stdout,
)
