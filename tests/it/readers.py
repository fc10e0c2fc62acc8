"""Opens a lake's activities as a Hive table and prints what they sum to per user, as JSON.

usage: readers.py duckdb|polars|pyarrow LAKE
"""

import json
import sys


def with_duckdb(pattern):
    import duckdb

    rows = duckdb.sql(
        f"""
        SELECT user_id, source, count(*), sum(elapsed_s), sum(distance_m),
               coalesce(sum(len(track_lat_e5)), 0), coalesce(sum(len(track_lon_e5)), 0)
        FROM read_parquet('{pattern}', hive_partitioning = true)
        GROUP BY user_id, source
        """
    )
    return rows.fetchall()


def with_polars(pattern):
    import polars as pl

    points = [pl.col(name).list.len().sum().alias(name) for name in ("track_lat_e5", "track_lon_e5")]
    table = pl.scan_parquet(pattern, hive_partitioning=True)
    sums = table.group_by("user_id", "source").agg(
        pl.len(), pl.col("elapsed_s").sum(), pl.col("distance_m").sum(), *points
    )
    return sums.collect().rows()


def with_pyarrow(pattern):
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    folder = pattern.split("/**", 1)[0]
    table = ds.dataset(folder, format="parquet", partitioning="hive").to_table(
        columns=["user_id", "source", "elapsed_s", "distance_m", "track_lat_e5", "track_lon_e5"]
    )
    for name in ("track_lat_e5", "track_lon_e5"):
        lengths = pc.fill_null(pc.list_value_length(table[name]), 0)
        table = table.set_column(table.schema.get_field_index(name), name, lengths)
    sums = table.group_by(["user_id", "source"]).aggregate(
        [([], "count_all"), ("elapsed_s", "sum"), ("distance_m", "sum")]
        + [(name, "sum") for name in ("track_lat_e5", "track_lon_e5")]
    )
    names = ["user_id", "source", "count_all", "elapsed_s_sum", "distance_m_sum"]
    columns = [sums[name].to_pylist() for name in names + ["track_lat_e5_sum", "track_lon_e5_sum"]]
    return list(zip(*columns))


READERS = {"duckdb": with_duckdb, "polars": with_polars, "pyarrow": with_pyarrow}

if __name__ == "__main__":
    reader, lake = sys.argv[1:]
    rows = READERS[reader](f"{lake}/activities/**/*.parquet")
    names = ["source", "activities", "elapsed_s", "distance_m", "points", "lon_points"]
    print(json.dumps({user: dict(zip(names, values)) for user, *values in rows}))
