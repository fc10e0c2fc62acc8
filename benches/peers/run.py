"""The same activities to Parquet: longrun, DuckDB, Polars and pyarrow in one run.

usage: run.py LONGRUN [--users 100] [--activities 2000] [--rounds 5] [--folder DIR] [--results DIR] [--docs FILE]

longrun reads its landing (JSON pages in zstd frames), types every column, decodes the tracks
and merges into bucketed files. The others read the same list entries as plain JSON lines, infer
the columns and write one file of the same codec and level; they lay nothing out and need no
decompression, but for the rows of `.zst`. None of them can decode a track: their rows leave the polylines as
text, and the last one is what the fastest of them takes with the tracks decoded in Python. Numbers longer than 64 bits
are shortened for them, since not all of them can read those. Every round runs all of them, one after the other, so that
a machine whose speed drifts slows all alike; the table shows medians of whole processes, and the spread.

What longrun wrote in each round is hashed and checked against the same hash of the JSON lines as Python's own `json` and
`polyline` read them, one after the other. `longrun bench` runs this in an environment of its own.
"""

import argparse
import array
import datetime
import hashlib
import json
import multiprocessing
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
import pyarrow as pa, pyarrow.json as pj, pyarrow.parquet as pq, sys
pq.write_table(pj.read_json(pa.input_stream(sys.argv[1])), sys.argv[2], compression="zstd", compression_level=3)
"""

MARKS = ("<!-- longrun bench -->\n", "<!-- end of longrun bench -->\n")


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


class Hash:
    """Of rows in the order of their ids: texts, times, numbers and tracks."""

    def __init__(self):
        self.ids, self.titles, self.starts, self.seconds = [], [], array.array("q"), array.array("d")
        self.lengths, self.lats, self.lons = array.array("q"), array.array("i"), array.array("i")

    def add(self, id, title, start_us, elapsed_s, lats, lons):
        self.ids.append(str(id))
        self.titles.append(title or "")
        self.starts.append(start_us)
        self.seconds.append(elapsed_s)
        self.lengths.append(len(lats))
        self.lats.extend(lats)
        self.lons.extend(lons)

    def digest(self):
        hash = hashlib.sha256()
        for part in ("\n".join(self.ids), "\n".join(self.titles)):
            hash.update(part.encode())
        for part in (self.starts, self.seconds, self.lengths, self.lats, self.lons):
            hash.update(part.tobytes())
        return hash.hexdigest()[:16]


def of_lines(path):
    """The hash of the JSON lines, as the slowest and plainest reader has them."""
    import polyline

    with open(path, encoding="utf-8") as lines:
        activities = sorted(map(json.loads, lines), key=lambda activity: str(activity["id"]))
    hash = Hash()
    for activity in activities:
        line = (activity.get("map") or {}).get("summary_polyline")
        points = polyline.decode(line) if line else []
        start = datetime.datetime.fromisoformat(activity["start_date"].replace("Z", "+00:00"))
        lats, lons = [round(lat * 100_000) for lat, _ in points], [round(lon * 100_000) for _, lon in points]
        hash.add(activity["id"], activity["name"], round(start.timestamp() * 1e6), activity["elapsed_time"], lats, lons)
    return hash.digest()


def of_lake(lake):
    """The same of what longrun wrote."""
    import pyarrow.parquet as pq

    columns = ["source_id", "title", "start_time", "elapsed_s", "track_lat_e5", "track_lon_e5"]
    table = pq.read_table(lake / "activities", columns=columns).sort_by("source_id")
    starts = table["start_time"].cast("int64").to_pylist()
    rest = [table[name].to_pylist() for name in columns if name != "start_time"]
    hash = Hash()
    for start, id, title, elapsed, lats, lons in zip(starts, *rest):
        hash.add(id, title, start, elapsed, lats or [], lons or [])
    return hash.digest()


def pack(plain, packed):
    import pyarrow

    with open(plain, "rb") as source, pyarrow.output_stream(packed) as target:
        shutil.copyfileobj(source, target)


def apart(work, *arguments):
    """In a process of its own: the peak of a child counts from what its parent has."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(work, arguments)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("longrun")
    arguments.add_argument("--users", type=int, default=100)
    arguments.add_argument("--activities", type=int, default=2000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--folder", default=tempfile.gettempdir())
    arguments.add_argument("--results", type=pathlib.Path, help="a folder for bench.json and bench.svg")
    arguments.add_argument("--docs", type=pathlib.Path, help="a page whose marked table is written anew")
    options = arguments.parse_args()

    folder = pathlib.Path(tempfile.mkdtemp(dir=options.folder))
    try:
        results = run(options, folder)
    finally:
        shutil.rmtree(folder)
    title, rows = results["title"], results["rows"]
    text = table(title, rows)
    print(text)
    if options.results:
        (options.results / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.results / "bench.svg").write_text(plot(title, rows))
    if options.docs:
        page = options.docs.read_text()
        before, rest = page.split(MARKS[0], 1)
        options.docs.write_text(before + MARKS[0] + text + "\n" + MARKS[1] + rest.split(MARKS[1], 1)[1])


def run(options, folder):
    people = ["--users", str(options.users), "--activities", str(options.activities)]
    lake, lines, short = folder / "lake", folder / "all.ndjson", folder / "short.ndjson"
    subprocess.run([options.longrun, "--lake", lake, "synth", "landing", *people], check=True)
    subprocess.run([options.longrun, "synth", "ndjson", *people, lines], check=True)
    long_number = re.compile(r"(:\d{15})\d+")
    with open(lines, encoding="utf-8") as source, open(short, "w", encoding="utf-8") as target:
        target.writelines(long_number.sub(r"\1", line) for line in source)
    packed = folder / "short.ndjson.zst"
    apart(pack, short, packed)
    slow = apart(of_lines, lines)

    peers = {
        "DuckDB": (DUCKDB, short),
        "Polars": (POLARS, short),
        "pyarrow": (PYARROW, short),
        "DuckDB, from .zst": (DUCKDB, packed),
        "pyarrow, from .zst": (PYARROW, packed),
        "DuckDB + polyline": (DUCKDB_DECODED, short),
    }
    results = {name: [] for name in ["longrun", *peers]}
    sizes = {}
    for _ in range(options.rounds):
        shutil.rmtree(lake / "activities", ignore_errors=True)
        results["longrun"].append(timed([options.longrun, "--lake", lake, "normalize"]))
        sizes["longrun"] = size_mib(lake / "activities")
        own = apart(of_lake, lake)
        print(f"longrun wrote {own}, the slow path {slow}", file=sys.stderr)
        if own != slow:
            raise SystemExit("longrun wrote other values than the slow path reads")
        for name, (script, source) in peers.items():
            out = folder / f"{name}.parquet"
            results[name].append(timed([sys.executable, "-c", script, source, out]))
            sizes[name] = size_mib(out)

    rows = []
    for name, runs in results.items():
        seconds, cpu, peak = zip(*runs)
        # Pair by pair, so that a round in which everything was slow counts like any other.
        ratio = statistics.median(run[1] / own[1] for run, own in zip(runs, results["longrun"]))
        rows.append({
            "name": name,
            "tracks": "decoded" if name in ("longrun", "DuckDB + polyline") else "as text",
            "seconds": statistics.median(seconds),
            "cpu_seconds": statistics.median(cpu),
            "cpu_least": min(cpu),
            "cpu_most": max(cpu),
            "cpu_times_longrun": ratio,
            "peak_mib": statistics.median(peak),
            "parquet_mib": sizes[name],
        })
    total = options.users * options.activities
    mib = lines.stat().st_size / 2**20
    rounds = "one round" if options.rounds == 1 else f"medians of {options.rounds} rounds"
    title = f"{total:,} activities, {mib:.0f} MiB of JSON, {rounds}; hash {slow}"
    return {"title": title, "activities": total, "json_mib": mib, "rows": rows}


def table(title, rows):
    lines = [
        f"{title}\n",
        "|  | tracks | seconds | CPU seconds | least to most | times longrun's | peak MiB | Parquet MiB |",
        "|---|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            "| {name} | {tracks} | {seconds:.2f} | {cpu_seconds:.2f} | {cpu_least:.2f} to {cpu_most:.2f} |"
            " {cpu_times_longrun:.2f} | {peak_mib:.0f} | {parquet_mib:.1f} |".format(**row)
        )
    return "\n".join(lines)


def plot(title, rows):
    """CPU seconds as bars, with a line from the least to the most. The slowest one, which decodes in Python, is cut."""
    longest = sorted(row["cpu_most"] for row in rows)[-2]
    x = lambda seconds: 170 + 420 * min(seconds, longest) / longest
    parts = [f'<text x="10" y="20">{title}</text>']
    for at, row in enumerate(rows):
        y = 40 + 26 * at
        colour = "#d1495b" if row["name"] == "longrun" else "#8d99ae"
        parts += [
            f'<text x="160" y="{y + 14}" text-anchor="end">{row["name"]}</text>',
            f'<rect x="170" y="{y}" width="{x(row["cpu_seconds"]) - 170:.0f}" height="18" fill="{colour}"/>',
            f'<path d="M{x(row["cpu_least"]):.0f} {y + 9}H{x(row["cpu_most"]):.0f}" stroke="#222"/>',
            f'<text x="{x(row["cpu_most"]) + 6:.0f}" y="{y + 14}">{row["cpu_seconds"]:.2f} s</text>',
        ]
    size = f'width="680" height="{50 + 26 * len(rows)}" font-family="sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>\n'


if __name__ == "__main__":
    main()
