"""Reads what `longrun export DIR` wrote with other people's tools, and says in JSON what they found."""

import json
import os
import sys

import duckdb
import fitdecode
import geopandas
import gpxpy
import pandas
import pyarrow.parquet


def of_user(folder):
    table = geopandas.read_parquet(os.path.join(folder, "workouts.parquet"))
    features = geopandas.GeoDataFrame.from_features(json.load(open(os.path.join(folder, "workouts.geojson"))), crs="OGC:CRS84")
    assert table.crs.to_epsg() == 4326 or table.crs.to_string() == "OGC:CRS84", table.crs
    known = table[table.geometry.notna()]
    assert set(known.geometry.geom_type) == {"LineString"} and known.geometry.is_valid.all()
    # The columns of bounds find what lies in a box without reading the lines.
    west, south, east, north = known.geometry.iloc[0].bounds
    box = geopandas.read_parquet(os.path.join(folder, "workouts.parquet"), bbox=(west, south, east, north))
    assert known.golden_id.iloc[0] in set(box.golden_id)
    geo = json.loads(pyarrow.parquet.read_metadata(os.path.join(folder, "workouts.parquet")).metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["columns"]["geometry"]["bbox"] == [float(x) for x in known.total_bounds], geo
    lines = features.geometry[features.geometry.notna()]
    assert (lines.reset_index(drop=True).geom_equals(known.geometry.reset_index(drop=True))).all()
    starts, times, furthest = [], 0, 0.0
    for name in sorted(os.listdir(os.path.join(folder, "gpx"))):
        gpx = gpxpy.parse(open(os.path.join(folder, "gpx", name), encoding="utf-8"))
        points = gpx.tracks[0].segments[0].points
        assert len(points) > 1
        times += sum(point.time is not None for point in points)
        near = known[known.start_time == gpx.time]
        assert len(near) >= 1, (name, gpx.time)
        first = [gpxpy.geo.distance(points[0].latitude, points[0].longitude, None, g.coords[0][1], g.coords[0][0], None) for g in near.geometry]
        furthest = max(furthest, min(first))
        starts.append(gpx.time)
    fit, fit_records = 0, 0
    for number, name in enumerate(sorted(os.listdir(os.path.join(folder, "fit")))):
        fit += 1
        # It takes its time: every fourth is read.
        if number % 4:
            continue
        # Checksums are checked, and so is that every message has a definition.
        with fitdecode.FitReader(os.path.join(folder, "fit", name), check_crc=fitdecode.CrcCheck.RAISE) as reader:
            messages = [frame for frame in reader if isinstance(frame, fitdecode.FitDataMessage)]
        kinds = [message.name for message in messages]
        assert kinds[:2] == ["file_id", "event"] and kinds[-2:] == ["session", "activity"], kinds
        session = messages[-2]
        of = table[table.start_time == session.get_value("start_time")]
        sums = of[["distance_m", "elapsed_s"]].fillna(0).round(1).values.tolist()
        said = [session.get_value("total_distance") or 0, session.get_value("total_elapsed_time") or 0]
        assert any(abs(km - said[0]) < 0.1 and abs(s - said[1]) < 0.1 for km, s in sums), (name, said, sums)
        for record in (message for message in messages if message.name == "record"):
            fit_records += record.has_field("timestamp") and record.get_value("timestamp") is not None
    return {"fit": fit, "workouts": len(table), "fit_records": fit_records, "parquet": len(known), "geojson": len(lines), "gpx": len(starts), "gpx_times": times, "furthest_m": furthest}


def main(folder):
    found = {user: of_user(os.path.join(folder, user)) for user in sorted(os.listdir(folder))}
    files = os.path.join(folder, "*", "workouts.parquet")
    sums = duckdb.sql(f"SELECT sum(distance_m) / 1000, count(geometry) FROM read_parquet('{files}')").fetchall()[0]
    assert sums[1] == sum(of["parquet"] for of in found.values()), sums
    tables = [pandas.read_csv(os.path.join(folder, user, "workouts.csv")) for user in found]
    km = sum(table.distance_m.sum() for table in tables) / 1000
    print(json.dumps({**found, "duckdb_km": sums[0], "csv_km": km}))


main(sys.argv[1])
