"""How much faster stages are on more cores: whole processes, pinned to 1, 2, 4, 8 and 16 of them, in turns.

usage: threads.py LONGRUN [--users 50] [--activities 2000] [--rounds 5] [--folder DIR]

Where a machine has fewer cores, the figure is Amdahl's, from what the most cores that it has are faster than one, and in
brackets. It says nothing of what cores share: a disk, a memory bus.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from invented import pipeline

CORES = [1, 2, 4, 8, 16]
# Of each stage, the command and what it makes, which is removed before every run.
STAGES = {
    "normalize": (["normalize"], ["activities", "rejects", "streams"]),
    "dedupe": (["dedupe"], ["golden", "matches", "weights.toml"]),
    "verify": (["verify"], []),
    "report": (["report", "--out", "{lake}/report.html"], ["report.html"]),
    "redrive": (
        ["redrive", "--sink", "file:{lake}/messages.jsonl", "--apply", "--per-second", "1000000", "--per-user", "0s"],
        ["messages.jsonl"],
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longrun")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--activities", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder")
    args = parser.parse_args()
    folder = pathlib.Path(args.folder or tempfile.mkdtemp(prefix="longrun-threads-"))
    lake = folder / "lake"
    longrun = [args.longrun, "--lake", str(lake)]
    run([*longrun, "synth", "landing", "--users", str(args.users), "--activities", str(args.activities)])
    run([*longrun, "normalize"])
    run([*longrun, "dedupe"])
    run([*longrun, "pipeline", "import", *pipeline(folder, args.users)])
    # What was sent is written down there, and is not sent again.
    shutil.copy(lake / "state.db", folder / "state.db")
    cpus = sorted(os.sched_getaffinity(0))
    measured = [cores for cores in CORES if cores <= len(cpus)]
    print("| stage | seconds on one | " + " | ".join(f"on {cores}" for cores in CORES[1:]) + " |")
    print("|---|---:|" + "---:|" * (len(CORES) - 1))
    for name, (command, made) in STAGES.items():
        command = [part.replace("{lake}", str(lake)) for part in command]
        seconds = {cores: [] for cores in measured}
        for _ in range(args.rounds):
            for cores in measured:
                for one in [*made, "state.db", "state.db-wal", "state.db-shm"]:
                    remove(lake / one)
                shutil.copy(folder / "state.db", lake / "state.db")
                seconds[cores].append(run([*longrun, *command], cpus[:cores]))
        medians = {cores: statistics.median(all) for cores, all in seconds.items()}
        faster = {cores: medians[1] / median for cores, median in medians.items()}
        most = measured[-1]
        serial = max(0, (most / faster[most] - 1) / (most - 1)) if most > 1 else 1
        amdahl = lambda cores: 1 / (serial + (1 - serial) / cores)
        cells = [f"{faster[cores]:.2f}" if cores in faster else f"({amdahl(cores):.1f})" for cores in CORES[1:]]
        print(f"| {name} | {medians[1]:.2f} | " + " | ".join(cells) + " |", flush=True)
    if not args.folder:
        shutil.rmtree(folder)


def run(command, cpus=None):
    """Seconds of a whole process on these processors."""
    pin = ["taskset", "--cpu-list", ",".join(map(str, cpus))] if cpus else []
    begin = time.perf_counter()
    process = subprocess.run(pin + command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    # 3: something is left to look at, which there is among so many.
    if process.returncode not in (0, 3):
        sys.exit(process.stderr)
    return time.perf_counter() - begin


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
