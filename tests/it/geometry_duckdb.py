"""Reads a lake that keeps geometry with DuckDB's spatial functions, and says in JSON what is there."""

import json
import sys

import duckdb
import duckdb_extensions

lake = sys.argv[1]
duckdb_extensions.import_extension("spatial")
duckdb.sql("LOAD spatial")


def one(query):
    return duckdb.sql(query).fetchone()[0]


print(json.dumps({
    "kind": one(f"SELECT any_value(typeof(geometry)) FROM '{lake}/golden/*.parquet'"),
    "activities": one(f"SELECT count(geometry) FROM '{lake}/activities/*.parquet'"),
    "golden": one(f"SELECT count(geometry) FROM '{lake}/golden/*.parquet' WHERE ST_Length(geometry) >= 0"),
    "in_the_box": one(f"""
        SELECT count(*) FROM '{lake}/golden/*.parquet'
        WHERE bbox.xmin > 2.29 AND bbox.xmax < 2.31 AND bbox.ymin > 48.09 AND bbox.ymax < 48.21
        AND ST_Intersects(geometry, ST_MakeEnvelope(2.29, 48.09, 2.31, 48.21)) AND year(start_time) = 2019 AND month(start_time) = 5
    """),
}))
