#!/usr/bin/env python3
"""Reads the same real files with longrun and with what people use today, and prints where the values differ.

usage: readers.py LONGRUN FIXTURES
needs: pip install fitdecode gpxpy python-tcxparser pandas pyarrow

FIXTURES is a folder with `fit`, `gpx`, `tcx` and `strava_export`. longrun imports and normalizes each into a lake of its
own, whose rows are read with pyarrow. The peers are asked for the same values the way their documentation shows.
docs/sources.md explains each kind of difference.
"""

import argparse
import datetime
import os
import subprocess
import tempfile
import warnings
from pathlib import Path

import fitdecode
import gpxpy
import pandas
import pyarrow.dataset
import tcxparser

warnings.filterwarnings("ignore")

VALUES = ["start", "elapsed_s", "moving_s", "distance_m", "climb_m", "avg_speed_mps", "avg_heart_rate_bpm", "avg_power_w"]
# longrun's columns of the same values.
COLUMNS = {"start": "start_time", "climb_m": "elevation_gain_m"}
# Two readers agree within a second, a metre, or half of a percent.
RELATIVE, ABSOLUTE = 0.005, 1.0


def utc(time):
    if time is None or not isinstance(time, datetime.datetime):
        return None
    time = time if time.tzinfo else time.replace(tzinfo=datetime.timezone.utc)
    return time.timestamp()


def number(value):
    """A number, also where a reader has a type of its own for it."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        return None
    return value if value == value else None


def fit(path):
    """The sessions of a file; of a file without one, what its records tell."""
    sessions, records = [], []
    with fitdecode.FitReader(path, check_crc=fitdecode.CrcCheck.DISABLED) as reader:
        for frame in reader:
            if frame.frame_type != fitdecode.FIT_FRAME_DATA:
                continue
            get = lambda name, frame=frame: frame.get_value(name, fallback=None)
            if frame.name == "session":
                sessions.append({
                    "start": utc(get("start_time")),
                    "elapsed_s": number(get("total_elapsed_time")),
                    "moving_s": number(get("total_timer_time")),
                    "distance_m": number(get("total_distance")),
                    "climb_m": number(get("total_ascent")),
                    "avg_speed_mps": number(get("enhanced_avg_speed")) or number(get("avg_speed")),
                    "avg_heart_rate_bpm": number(get("avg_heart_rate")),
                    "avg_power_w": number(get("avg_power")),
                })
            elif frame.name == "record" and utc(get("timestamp")) is not None:
                records.append((utc(get("timestamp")), number(get("distance"))))
    if sessions or not records:
        return sessions
    distances = [distance for _, distance in records if distance is not None]
    return [{
        "start": records[0][0],
        "elapsed_s": records[-1][0] - records[0][0],
        "distance_m": distances[-1] if distances else None,
    }]


def gpx(path):
    with open(path, encoding="utf-8-sig") as file:
        read = gpxpy.parse(file)
    tracks = []
    for track in read.tracks:
        begin, end = track.get_time_bounds()
        if begin is None:
            continue
        moving = track.get_moving_data()
        seconds = moving.moving_time
        tracks.append({
            "start": utc(begin),
            "elapsed_s": (end - begin).total_seconds(),
            "moving_s": seconds or None,
            "distance_m": track.length_2d(),
            "climb_m": track.get_uphill_downhill().uphill,
            "avg_speed_mps": moving.moving_distance / seconds if seconds else None,
        })
    return tracks


def tcx(path):
    text = Path(path).read_bytes().lstrip()
    with tempfile.NamedTemporaryFile(suffix=".tcx") as stripped:
        # It reads no file that begins with spaces, as Strava's do.
        stripped.write(text)
        stripped.flush()
        read = tcxparser.TCXParser(stripped.name)
        begin = pandas.to_datetime(read.started_at, utc=True)
        end = pandas.to_datetime(read.completed_at, utc=True)
        ask = lambda name: number(getattr(read, name, None))
        try:
            heart_rate = ask("hr_avg")
        except ZeroDivisionError:
            heart_rate = None
        return [{
            "start": begin.timestamp(),
            "elapsed_s": (end - begin).total_seconds(),
            "moving_s": ask("duration"),
            "distance_m": ask("distance"),
            "climb_m": ask("ascent"),
            "avg_heart_rate_bpm": heart_rate,
        }]


def strava(folder):
    table = pandas.read_csv(Path(folder) / "activities.csv")
    dates = pandas.to_datetime(table["Activity Date"], utc=True)
    rows = {}
    for at, row in table.iterrows():
        ask = lambda name, row=row: number(row.get(name))
        rows[str(row["Activity ID"])] = [{
            "start": dates[at].timestamp(),
            "elapsed_s": ask("Elapsed Time.1"),
            "moving_s": ask("Moving Time"),
            "distance_m": ask("Distance.1"),
            "climb_m": ask("Elevation Gain"),
            "avg_speed_mps": ask("Average Speed"),
            "avg_heart_rate_bpm": ask("Average Heart Rate"),
            "avg_power_w": ask("Average Watts"),
        }]
    return rows


def longrun(binary, source, path, key):
    """The rows of a lake made of one import, by a column."""
    with tempfile.TemporaryDirectory() as folder:
        lake = os.path.join(folder, "lake")
        for command in (["import", source, str(path), "--user", "u"], ["normalize"]):
            done = subprocess.run([binary, "--lake", lake, *command], capture_output=True, text=True)
            if done.returncode not in (0, 3):
                raise SystemExit(f"longrun {' '.join(command)} failed: {done.stderr}")
        rows = pyarrow.dataset.dataset(os.path.join(lake, "activities")).to_table().to_pylist()
    found = {}
    for row in sorted(rows, key=lambda row: row["raw_ref"]):
        values = {value: row[COLUMNS.get(value, value)] for value in VALUES}
        values["start"] = utc(values["start"])
        values["doubts"] = [doubt["field"] for doubt in row["doubts"] or []]
        values["computed"] = [COLUMNS.get(value, value) for value in row["computed"] or []]
        found.setdefault(row[key], []).append(values)
    return found


def agree(value, ours, theirs):
    if ours is None or theirs is None:
        return ours is theirs
    slack = ABSOLUTE if value == "start" else max(ABSOLUTE, RELATIVE * abs(theirs))
    return abs(ours - theirs) <= (0.05 if value == "avg_speed_mps" else slack)


def kind(value, ours, theirs, row):
    column = COLUMNS.get(value, value)
    if theirs is None or theirs == 0:
        return "only longrun" + (", computed" if column in row["computed"] else "")
    if ours is None:
        return "only the peer" + (", doubted" if column in row["doubts"] else "")
    if column in row["doubts"]:
        return "doubted"
    return "computed" if column in row["computed"] else "differs"


def show(value, number):
    if number is None:
        return "-"
    if value == "start":
        return datetime.datetime.fromtimestamp(number, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{number:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longrun")
    parser.add_argument("fixtures", type=Path)
    args = parser.parse_args()
    print("peer | file | value | peer | longrun | kind")
    print("---|---|---|---|---|---")
    same, counts = {}, {}
    readers = [("fitdecode", fit, "fit", (".fit",)), ("gpxpy", gpx, "gpx", (".gpx",)), ("tcxparser", tcx, "tcx", (".tcx",))]
    for peer, read, folder, ends in readers:
        ours = longrun(args.longrun, "files", args.fixtures / folder, "external_id")
        for path in sorted((args.fixtures / folder).rglob("*")):
            if path.suffix.lower() not in ends:
                continue
            try:
                theirs = read(str(path))
            except Exception as error:  # a peer that gives up is a difference, too
                rows = len(ours.get(path.name, []))
                print(f"{peer} | {path.name} | - | {type(error).__name__} | {rows} read | only longrun" if rows else
                      f"{peer} | {path.name} | - | {type(error).__name__} | refused | neither")
                continue
            compare(peer, path.name, theirs, ours.get(path.name, []), same, counts)
    theirs = strava(args.fixtures / "strava_export")
    ours = longrun(args.longrun, "strava", args.fixtures / "strava_export", "source_id")
    for name, rows in theirs.items():
        compare("pandas", name, rows, ours.get(name, []), same, counts)
    print()
    for (peer, value), number in sorted(same.items()):
        print(f"{peer}: {value} agrees {number} times")
    for (peer, reason), number in sorted(counts.items()):
        print(f"{peer}: {reason}: {number}")


def compare(peer, name, theirs, ours, same, counts):
    if len(theirs) != len(ours):
        print(f"{peer} | {name} | records | {len(theirs)} | {len(ours)} | -")
    for mine, other in zip(ours, theirs):
        for value in VALUES:
            left, right = mine[value], other.get(value)
            if right is None and left is None:
                continue
            if agree(value, left, right):
                same[peer, value] = same.get((peer, value), 0) + 1
                continue
            reason = kind(value, left, right, mine)
            counts[peer, reason] = counts.get((peer, reason), 0) + 1
            print(f"{peer} | {name} | {value} | {show(value, right)} | {show(value, left)} | {reason}")


if __name__ == "__main__":
    main()
