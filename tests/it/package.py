"""`import longrun` on the lake of a demo, with whatever takes Arrow."""

import duckdb
import longrun
import pandas
import polars
import pyarrow

lake = longrun.lake()
nora = lake.golden(user="nora")
assert 0 < len(nora) < len(lake.golden())
frame = polars.DataFrame(nora)
assert frame.height == len(nora) and frame["user_id"].unique().to_list() == ["nora"]
# DuckDB and pandas ask for the capsule as well; DuckDB finds the rows by the variable's name.
few = lake.golden(user="nora", columns=["sport", "distance_m"])
[(count, metres)] = duckdb.sql("SELECT count(*), sum(distance_m) FROM few").fetchall()
assert count == frame.height and abs(metres - frame["distance_m"].sum()) < 1, (count, metres)
assert list(pandas.DataFrame.from_arrow(few).columns) == ["sport", "distance_m"]
assert pyarrow.table(few).num_rows == frame.height and few.arrow().schema == few.schema
lines = lake.golden(user="nora").lines(columns=["golden_id", "sport"])
assert set(lines.geom_type) == {"LineString"} and lines.crs.to_string() == "OGC:CRS84"
assert len(lines) == frame.filter(polars.col("track_lat_e5").list.len() > 1).height
for rows in (lake.activities(user="nora", source="strava"), lake.streams(user="nora", columns=["source_id"]), lake.matches(user="nora")):
    assert isinstance(len(rows), int)
assert longrun.run("reconcile", "--user", "nora")["totals"]["workouts"] == frame.height
try:
    longrun.run("report", "--user", "nobody")
    raise AssertionError("nobody has no report")
except RuntimeError as error:
    assert "no records of user" in str(error), error
try:
    longrun.lake("nowhere")
    raise AssertionError("there is no such lake")
except FileNotFoundError as error:
    assert "no lake.toml" in str(error), error
