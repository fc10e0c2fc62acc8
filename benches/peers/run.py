"""The same activities to Parquet: longrun, DuckDB, Polars and pyarrow in one run.

usage: run.py LONGRUN [--users 100] [--activities 2000] [--rounds 5] [--folder DIR]

longrun reads its landing (JSON pages in zstd frames), types every column, decodes the tracks
and merges into bucketed files. The others read the same list entries as plain JSON lines, infer
the columns and write one file of the same codec and level; they lay nothing out and need no
decompression. None of them can decode a track: their first rows leave the polylines as text, and
the last one is what the fastest of them takes with the tracks decoded in Python. Numbers longer than 64 bits are shortened for them, since not
all of them can read those. Every round runs all of them, one after the other, so that a machine
whose speed drifts slows all alike; the table shows medians of whole processes.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

DUCKDB = """
import duckdb, sys
duckdb.sql(f"COPY (SELECT * FROM read_json('{sys.argv[1]}', format = 'newline_delimited'))"
           f" TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)")
"""
POLARS = """
import polars as pl, sys
pl.scan_ndjson(sys.argv[1], infer_schema_length=None).sink_parquet(sys.argv[2], compression="zstd", compression_level=3)
"""
# What it takes to have the tracks as well, with the decoder that people use in Python.
DUCKDB_DECODED = """
import duckdb, polyline, pyarrow as pa, pyarrow.parquet as pq, sys
rows = duckdb.sql(f"SELECT * FROM read_json('{sys.argv[1]}', format = 'newline_delimited')").to_arrow_table()
lats, lons = [], []
for map in rows["map"]:
    line = map["summary_polyline"].as_py()
    points = polyline.decode(line) if line else []
    lats.append([round(lat * 100_000) for lat, _ in points])
    lons.append([round(lon * 100_000) for _, lon in points])
rows = rows.append_column("track_lat_e5", pa.array(lats, pa.list_(pa.int32())))
rows = rows.append_column("track_lon_e5", pa.array(lons, pa.list_(pa.int32())))
pq.write_table(rows, sys.argv[2], compression="zstd", compression_level=3)
"""
PYARROW = """
import pyarrow.json as pj, pyarrow.parquet as pq, sys
pq.write_table(pj.read_json(sys.argv[1]), sys.argv[2], compression="zstd", compression_level=3)
"""


def timed(command):
    """Seconds, user+system seconds and peak memory in MiB of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{command[0]} failed:\n{errors}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def size_mib(path):
    files = [path] if path.is_file() else path.rglob("*.parquet")
    return sum(file.stat().st_size for file in files) / 2**20


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("longrun")
    arguments.add_argument("--users", type=int, default=100)
    arguments.add_argument("--activities", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", default=tempfile.gettempdir())
    options = arguments.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(dir=options.folder))
    try:
        run(options, folder)
    finally:
        shutil.rmtree(folder)


def run(options, folder):
    people = ["--users", str(options.users), "--activities", str(options.activities)]
    lake, lines, short = folder / "lake", folder / "all.ndjson", folder / "short.ndjson"
    subprocess.run([options.longrun, "--lake", lake, "synth", "landing", *people], check=True)
    subprocess.run([options.longrun, "synth", "ndjson", *people, lines], check=True)
    long_number = re.compile(r"(:\d{15})\d+")
    with open(lines, encoding="utf-8") as source, open(short, "w", encoding="utf-8") as target:
        target.writelines(long_number.sub(r"\1", line) for line in source)

    peers = {"duckdb": DUCKDB, "polars": POLARS, "pyarrow": PYARROW, "duckdb + polyline": DUCKDB_DECODED}
    results = {name: [] for name in ["longrun", *peers]}
    sizes = {}
    for _ in range(options.rounds):
        shutil.rmtree(lake / "activities", ignore_errors=True)
        results["longrun"].append(timed([options.longrun, "--lake", lake, "normalize"]))
        sizes["longrun"] = size_mib(lake / "activities")
        for name, script in peers.items():
            out = folder / f"{name}.parquet"
            results[name].append(timed([sys.executable, "-c", script, short, out]))
            sizes[name] = size_mib(out)

    total = options.users * options.activities
    print(f"\n{total:,} activities, {lines.stat().st_size / 2**20:.0f} MiB of JSON, medians of {options.rounds} rounds\n")
    print("|  | tracks | seconds | times longrun | CPU seconds | peak MiB | Parquet MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, runs in results.items():
        seconds, cpu, peak = (statistics.median(values) for values in zip(*runs))
        # Pair by pair, so that a round in which everything was slow counts like any other.
        ratio = statistics.median(run[0] / own[0] for run, own in zip(runs, results["longrun"]))
        tracks = "decoded" if name in ("longrun", "duckdb + polyline") else "as text"
        print(f"| {name} | {tracks} | {seconds:.2f} | {ratio:.2f} | {cpu:.2f} | {peak:.0f} | {sizes[name]:.1f} |")


if __name__ == "__main__":
    main()
