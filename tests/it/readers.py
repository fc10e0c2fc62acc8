"""Opens the folder of a dataset with one reader, as it is: no pattern, no option, no partitions.

Prints what the activities sum to per user, and how many rows the other datasets have, as JSON.

usage: readers.py duckdb|polars|pyarrow|pandas|datafusion|spark LAKE
"""

import json
import sys

SUMS = """
    SELECT user_id, source, count(*) AS activities, sum(elapsed_s) AS elapsed_s, sum(distance_m) AS distance_m,
           coalesce(sum({length}(track_lat_e5)), 0) AS points, coalesce(sum({length}(track_lon_e5)), 0) AS lon_points
    FROM {table} GROUP BY user_id, source
"""
NAMES = ["source", "activities", "elapsed_s", "distance_m", "points", "lon_points"]


def with_duckdb():
    import duckdb

    def rows(folder):
        return duckdb.sql(f"SELECT count(*) FROM read_parquet('{folder}/')").fetchall()[0][0]

    def sums(folder):
        return duckdb.sql(SUMS.format(table=f"read_parquet('{folder}/')", length="len")).fetchall()

    return sums, rows


def with_polars():
    import polars as pl

    def sums(folder):
        points = [pl.col(name).list.len().sum().alias(name) for name in ("track_lat_e5", "track_lon_e5")]
        table = pl.read_parquet(folder)
        return table.group_by("user_id", "source").agg(
            pl.len(), pl.col("elapsed_s").sum(), pl.col("distance_m").sum(), *points
        ).rows()

    return sums, lambda folder: pl.read_parquet(folder).height


def with_pandas():
    import pandas as pd

    def sums(folder):
        table = pd.read_parquet(folder)
        for name in ("track_lat_e5", "track_lon_e5"):
            table[name] = table[name].map(lambda points: 0 if points is None else len(points))
        groups = table.groupby(["user_id", "source"]).agg(
            {"source_id": "count", "elapsed_s": "sum", "distance_m": "sum", "track_lat_e5": "sum", "track_lon_e5": "sum"}
        )
        return [(*key, *row) for key, row in zip(groups.index, groups.itertuples(index=False))]

    return sums, lambda folder: len(pd.read_parquet(folder))


def with_pyarrow():
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def sums(folder):
        table = pq.read_table(folder)
        for name in ("track_lat_e5", "track_lon_e5"):
            lengths = pc.fill_null(pc.list_value_length(table[name]), 0)
            table = table.set_column(table.schema.get_field_index(name), name, lengths)
        summed = table.group_by(["user_id", "source"]).aggregate(
            [([], "count_all")] + [(name, "sum") for name in ("elapsed_s", "distance_m", "track_lat_e5", "track_lon_e5")]
        )
        names = ["user_id", "source", "count_all", "elapsed_s_sum", "distance_m_sum", "track_lat_e5_sum", "track_lon_e5_sum"]
        return list(zip(*[summed[name].to_pylist() for name in names]))

    return sums, lambda folder: pq.read_table(folder).num_rows


def with_datafusion():
    from datafusion import SessionContext

    def table(folder):
        context = SessionContext()
        context.register_parquet("t", folder)
        return context

    def sums(folder):
        rows = table(folder).sql(SUMS.format(table="t", length="array_length")).to_pylist()
        return [(row["user_id"], *[row[name] for name in NAMES]) for row in rows]

    return sums, lambda folder: table(folder).sql("SELECT count(*) AS n FROM t").to_pylist()[0]["n"]


def with_spark():
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()

    def sums(folder):
        spark.read.parquet(folder).createOrReplaceTempView("t")
        rows = spark.sql(SUMS.format(table="t", length="array_size")).collect()
        return [tuple(row) for row in rows]

    return sums, lambda folder: spark.read.parquet(folder).count()


READERS = {
    "duckdb": with_duckdb,
    "polars": with_polars,
    "pyarrow": with_pyarrow,
    "pandas": with_pandas,
    "datafusion": with_datafusion,
    "spark": with_spark,
}

if __name__ == "__main__":
    reader, lake = sys.argv[1:]
    sums, rows = READERS[reader]()
    users = {
        user: {"source": source, **dict(zip(NAMES[1:], map(float, values)))}
        for user, source, *values in sums(f"{lake}/activities")
    }
    counts = {name: rows(f"{lake}/{name}") for name in ("activities", "streams", "matches", "golden")}
    print(json.dumps({"users": users, "rows": counts}))
