#!/usr/bin/env python3
"""Reads the same files with longrun and with what people use today, and prints ratios.

usage: sources.py LONGRUN [--users N] [--rounds N]
needs: pip install fitdecode fitparse gpxpy python-tcxparser pandas

Each reader is a whole process. longrun is `import --dry-run`: everything is read, decoded, checked, and summed; nothing
is written. The others are asked for the same values: every record of a FIT file, every point of a GPX or TCX file, every
column of a table with its times and units converted. longrun is timed on one thread and on all.
"""

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

READERS = {
    "fitdecode": """
import fitdecode
for path in paths:
    with fitdecode.FitReader(path) as fit:
        for frame in fit:
            if frame.frame_type == fitdecode.FIT_FRAME_DATA and frame.name == 'record':
                {field.name: field.value for field in frame.fields}
""",
    "fitparse": """
import fitparse
for path in paths:
    for message in fitparse.FitFile(path).get_messages('record'):
        {field.name: field.value for field in message}
""",
    "gpxpy": """
import gpxpy
for path in paths:
    with open(path) as file:
        gpx = gpxpy.parse(file)
    for track in gpx.tracks:
        for segment in track.segments:
            for p in segment.points:
                (p.latitude, p.longitude, p.elevation, p.time, p.extensions)
""",
    "python-tcxparser": """
import tcxparser
for path in paths:
    tcx = tcxparser.TCXParser(path)
    (tcx.position_values(), tcx.altitude_points(), tcx.hr_values(), tcx.time_values(), tcx.distance_values())
""",
    "pandas, activities.csv": """
import pandas as pd
for path in paths:
    table = pd.read_csv(path)
    table['Activity Date'] = pd.to_datetime(table['Activity Date'], format='%b %d, %Y, %I:%M:%S %p', utc=True)
""",
    "pandas, summarizedActivities": """
import json, pandas as pd
for path in paths:
    with open(path) as file:
        table = pd.json_normalize(json.load(file)[0]['summarizedActivitiesExport'])
    table['startTimeGmt'] = pd.to_datetime(table['startTimeGmt'], unit='ms', utc=True)
    for column, scale in {'duration': 1e-3, 'elapsedDuration': 1e-3, 'distance': 1e-2, 'avgSpeed': 10, 'calories': 1 / 4.184}.items():
        table[column] *= scale
""",
}


def timed(command, environment=None, rounds=3):
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, env={**os.environ, **(environment or {})})
        seconds.append(time.perf_counter() - begin)
        if done.returncode not in (0, 3):
            sys.exit(done.stderr.decode())
    return statistics.median(seconds)


def synth(longrun, folder, *arguments):
    subprocess.run([longrun, "synth", "exports", *arguments, folder], check=True, capture_output=True)


def unpack(data, folder, ends):
    """Writes what a zip, and the zips within it, hold of files with such an end."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith(".zip"):
                unpack(archive.read(name), folder, ends)
            elif name.endswith(ends):
                path = folder / f"{len(list(folder.iterdir()))}{Path(name).suffix}"
                path.write_bytes(archive.read(name))


def inputs(longrun, work, users):
    garmin, files = work / "garmin", work / "files"
    synth(longrun, garmin, "--users", str(users), "--activities", "60", "--only", "garmin")
    synth(longrun, files, "--users", str(8 * users), "--activities", "120", "--only", "files")
    folders = {}
    for kind in ("fit", "gpx", "tcx"):
        folders[kind] = work / kind
        folders[kind].mkdir()
    for export in garmin.glob("*/garmin.zip"):
        unpack(export.read_bytes(), folders["fit"], (".fit",))
    for export in files.glob("*/files.zip"):
        unpack(export.read_bytes(), folders["gpx"], (".gpx",))
        unpack(export.read_bytes(), folders["tcx"], (".tcx",))
    # A point without a position, as apps write them indoors, ends gpxpy.
    for path in folders["gpx"].iterdir():
        if "<trkpt>" in path.read_text():
            path.unlink()
    # Settings are no activities, and no work.
    for path in folders["fit"].iterdir():
        if path.stat().st_size < 1000:
            path.unlink()
    tables, summaries = work / "tables", work / "summaries"
    # The first of New York: a table in English.
    synth(longrun, tables, "--users", "1", "--activities", "3000", "--only", "strava")
    with zipfile.ZipFile(tables / "user-0000/strava.zip") as archive:
        name = next(name for name in archive.namelist() if name.endswith("activities.csv"))
        rows = list(csv.reader(io.StringIO(archive.read(name).decode())))
    folders["csv"] = work / "csv"
    folders["csv"].mkdir()
    filename = rows[0].index("Filename")
    with open(folders["csv"] / "activities.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        for copy in range(30):
            for row in rows[1:]:
                row = [str(int(row[0]) + copy * 10**12), *row[1:]]
                row[filename] = ""
                writer.writerow(row)
    synth(longrun, summaries, "--users", "1", "--activities", "3000", "--only", "garmin")
    folders["json"] = work / "json"
    folders["json"].mkdir()
    with zipfile.ZipFile(summaries / "user-0000/garmin.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith("summarizedActivities.json")]
        for name in names:
            body = json.loads(archive.read(name))[0]["summarizedActivitiesExport"]
            for copy in range(10):
                more = [{**record, "activityId": record["activityId"] + copy * 10**11} for record in body]
                path = folders["json"] / f"{copy}_{Path(name).name}"
                path.write_text(json.dumps([{"summarizedActivitiesExport": more}]))
    return folders


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("longrun")
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    longrun = os.path.abspath(arguments.longrun)
    with tempfile.TemporaryDirectory() as work:
        folders = inputs(longrun, Path(work), arguments.users)
        print("| input | files | MiB | reader | seconds | times longrun, one thread | all |")
        print("|---|---:|---:|---|---:|---:|---:|")
        for kind, source, readers in [
            ("fit", "files", ["fitdecode", "fitparse"]),
            ("gpx", "files", ["gpxpy"]),
            ("tcx", "files", ["python-tcxparser"]),
            ("csv", "strava", ["pandas, activities.csv"]),
            ("json", "garmin", ["pandas, summarizedActivities"]),
        ]:
            paths = sorted(str(path) for path in folders[kind].iterdir())
            mebibytes = sum(os.path.getsize(path) for path in paths) / 2**20
            command = [longrun, "--lake", f"{work}/none", "import", source, str(folders[kind]), "--dry-run"]
            one = timed(command, {"RAYON_NUM_THREADS": "1"}, arguments.rounds)
            every = timed(command, None, arguments.rounds)
            head = f"| {kind} | {len(paths)} | {mebibytes:.1f} |"
            print(f"{head} longrun | {one:.3f}, {every:.3f} | | |")
            for reader in readers:
                program = f"import sys\npaths = {paths!r}\n{READERS[reader]}"
                script = Path(work) / "reader.py"
                script.write_text(program)
                seconds = timed([sys.executable, str(script)], None, arguments.rounds)
                print(f"{head} {reader} | {seconds:.2f} | {seconds / one:.1f} | {seconds / every:.1f} |", flush=True)


if __name__ == "__main__":
    main()
