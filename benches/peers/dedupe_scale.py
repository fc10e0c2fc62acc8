"""How `longrun dedupe` grows: whole processes on lakes of three sizes, each ten times the one before.

usage: dedupe_scale.py LONGRUN [--largest 2450] [--activities 160] [--folder DIR]

Every run learns its weights, compares, and writes matches and golden rows; the second run finds nothing to do.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time


def run(command, cores=None):
    """Seconds, the peak of memory in MiB, and what was said."""
    pin = ["taskset", "--cpu-list", "0"] if cores == 1 else []
    begin = time.perf_counter()
    process = subprocess.Popen(pin + command, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(said)
    return time.perf_counter() - begin, usage.ru_maxrss / 1024, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longrun")
    parser.add_argument("--largest", type=int, default=2450, help="people of the largest lake")
    parser.add_argument("--activities", type=int, default=160)
    parser.add_argument("--folder")
    args = parser.parse_args()
    folder = pathlib.Path(args.folder or tempfile.mkdtemp(prefix="longrun-scale-"))
    print("| activities | cores | seconds | activities per second | peak MiB | again, seconds |")
    print("|---:|---|---:|---:|---:|---:|")
    for users in [args.largest // 100, args.largest // 10, args.largest]:
        lake = str(folder / f"lake-{users}")
        longrun = [args.longrun, "--lake", lake]
        people = ["--seed", "7001", "--users", str(users), "--activities", str(args.activities)]
        _, _, said = run([*longrun, "synth", "activities", *people, str(folder / "truth.jsonl")])
        records = int(said.split("wrote ")[1].split(" ")[0].replace(",", ""))
        for cores in [1, None]:
            for store in ["golden", "matches"]:
                shutil.rmtree(f"{lake}/{store}", ignore_errors=True)
            pathlib.Path(f"{lake}/weights.toml").unlink(missing_ok=True)
            seconds, peak, _ = run([*longrun, "dedupe"], cores)
            again, _, _ = run([*longrun, "dedupe"], cores)
            print(f"| {records:,} | {cores or 'all'} | {seconds:.1f} | {records / seconds:,.0f} | {peak:,.0f} | {again:.2f} |", flush=True)
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
