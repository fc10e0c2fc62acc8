"""Asks DuckDB's spatial functions about the files of `longrun export`, and about the lists of the lake itself."""

import json
import sys

import duckdb
import duckdb_extensions

files, golden = sys.argv[1:3]
duckdb_extensions.import_extension("spatial")
duckdb.sql("LOAD spatial")


def one(query):
    return duckdb.sql(query).fetchone()


kind, lines, metres = one(f"""
    SELECT any_value(typeof(geometry)), count(geometry), sum(ST_Length_Spheroid(ST_FlipCoordinates(geometry)))
    FROM '{files}/*/workouts.parquet'
""")
# The two lists of `golden` as a line, as docs/lake.md has it.
of_lake = one(f"""
    SELECT count(line), sum(ST_Length_Spheroid(ST_FlipCoordinates(line))) FROM (
        SELECT ST_MakeLine([ST_Point(p[1] / 1e5, p[2] / 1e5) FOR p IN list_zip(track_lon_e5, track_lat_e5)]) AS line
        FROM '{golden}/*.parquet' WHERE len(track_lat_e5) > 1)
""")
x, y = one(f"SELECT ST_X(p), ST_Y(p) FROM (SELECT ST_StartPoint(geometry) AS p FROM '{files}/*/workouts.parquet' WHERE geometry IS NOT NULL LIMIT 1)")
near = one(f"SELECT count(*) FROM '{files}/*/workouts.parquet' WHERE ST_Intersects(geometry, ST_MakeEnvelope({x - 1e-4}, {y - 1e-4}, {x + 1e-4}, {y + 1e-4}))")
far = one(f"SELECT count(*) FROM '{files}/*/workouts.parquet' WHERE ST_Intersects(geometry, ST_MakeEnvelope(0, -60, 1, -59))")
print(json.dumps({"kind": kind, "lines": lines, "metres": metres, "of_lake": of_lake, "near": near[0], "far": far[0]}))
