#!/usr/bin/env python3
"""What a year of fetching samples every day writes, for each byte of samples that is there at the end.

usage: streams.py LONGRUN [--users 4] [--activities 800] [--every 1]
needs: pip install pyarrow

Everybody's samples are fetched from the emulated Strava, `--depth streams`. What Strava answered then lands in a second
lake as it would have come in the last whole year of them: every day, or once in `--every` days, the answers for what was recorded since,
each time with `longrun normalize`. Files of a dataset are replaced whole under another inode and never changed, so those that were not there
before a run are what it wrote.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pyarrow

DAY_S = 86_400
WIDE = "1000000,1000000,1000000,1000000"


def fetched(longrun, folder, users, activities):
    """The lines of landing of a whole fetch, by bucket."""
    accounts = folder / "accounts.jsonl"
    command = [longrun, "emulate", "strava", "--users", str(users), "--activities", str(activities), "--limits", WIDE]
    with subprocess.Popen([*command, "--accounts-file", accounts], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as emulator:
        try:
            settings = {}
            while "LONGRUN_STRAVA_CLIENT_SECRET" not in settings:
                settings.update(re.findall(r"export (\w+)='?([^'\n]*)", emulator.stdout.readline()))
            env = {**os.environ, **settings, "LONGRUN_LAKE": str(folder / "whole")}
            for args in (["accounts", "add", accounts], ["fetch", "--depth", "streams", "--per-second", "10000"]):
                subprocess.run([longrun, *args], env=env, check=True, capture_output=True)
        finally:
            emulator.terminate()
    lines = collections.defaultdict(list)
    for segment in sorted((folder / "whole/landing/strava").glob("*/*.zst")):
        text = subprocess.run(["zstdcat", segment], check=True, capture_output=True).stdout
        lines[segment.parent.name] += text.splitlines(keepends=True)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("longrun", type=os.path.abspath)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--activities", type=int, default=800)
    parser.add_argument("--every", type=int, default=1, metavar="DAYS")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        days, others = collections.defaultdict(list), []
        for bucket, lines in fetched(args.longrun, folder, args.users, args.activities).items():
            for line in lines:
                header = json.loads(line)
                if header["kind"] == "streams":
                    days[header["start_s"] // DAY_S].append((bucket, line))
                elif header["kind"] == "list":
                    others.append((bucket, line))
        year = int(time.strftime("%Y", time.gmtime(max(days) * DAY_S))) - 1
        runs = collections.defaultdict(list)
        for day in sorted(days):
            date = time.gmtime(day * DAY_S)
            if date.tm_year == year:
                runs[date.tm_yday // args.every] += days[day]
        lake, codec, written, seen = folder / "lake", pyarrow.Codec("zstd", 3), 0, set()
        env = {**os.environ, "LONGRUN_LAKE": str(lake)}
        (lake / "landing/strava").mkdir(parents=True)
        (lake / "lake.toml").write_bytes((folder / "whole/lake.toml").read_bytes())
        batches = 0
        for number, lines in enumerate([others, *runs.values()], 1):
            for bucket, line in lines:
                into = lake / "landing/strava" / bucket
                into.mkdir(exist_ok=True)
                with open(into / f"{number:06}-000.jsonl.zst", "ab") as segment:
                    segment.write(codec.compress(line, asbytes=True))
            subprocess.run([args.longrun, "normalize"], env=env, check=True, capture_output=True)
            batches += len({bucket for bucket, _ in lines}) if number > 1 else 0
            files = {(stat.st_ino, stat.st_mtime_ns): stat.st_size for stat in (path.stat() for path in (lake / "streams").glob("*.parquet"))}
            written += sum(size for file, size in files.items() if file not in seen)
            seen |= files.keys()
        there = sum(files.values())
        answers = sum(map(len, runs.values()))
        print(f"{answers} activities' samples in {len(runs)} runs, {batches} batches of {len({b for r in runs.values() for b, _ in r})} buckets")
        print(f"{written:,} bytes of streams written, {there:,} at the end in {len(files)} files: {written / there:.2f} for each")


main()
