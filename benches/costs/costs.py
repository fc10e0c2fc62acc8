"""What stages cost, by counts that no other work on a machine changes. Fails where one has grown, and says how much.

usage: costs.py LONGRUN [--renew]

Counts are per activity, on one thread: instructions (valgrind), page faults, syncs (strace) and bytes written. What is
allowed stands in costs.json beside this, and --renew writes it anew: look at the difference before you keep it. A count
that has shrunk by much is named, so that what was won is kept. Calls for memory are counted by tests/allocations.rs.

Instructions of `parse` and `decode` are those of two functions of `normalize`, with all that they call.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from invented import pipeline

ALLOWED = pathlib.Path(__file__).with_name("costs.json")
# Compilers and kernels differ (the figures are of a release build), and what depends on hashes and on the clock varies from
# run to run: what was sent is synced every so often, so that a slow machine syncs more often.
SLACK = {"instructions": 0.10, "page_faults": 0.35, "syncs": 1.0, "bytes": 0.02}
# Parts of a stage, by the functions that do them.
PARTS = {"parse": "longrun::normalize::frames::parse", "decode": "longrun::model::polyline::decode_into"}
USERS, EACH = 2, 1000
SYNTH = ["synth", "landing", "--users", str(USERS), "--activities", str(EACH)]
RECORDS = ["synth", "activities", "--seed", "7001", "--users", "10", "--activities", "160"]

# A stage: what makes the lake that it works on, the command, and what that makes.
STAGES = {
    "normalize": (lambda lake: [SYNTH], ["normalize"], ["activities"]),
    "match": (lambda lake: [[*RECORDS, lake / "truth.jsonl"]], ["dedupe"], ["golden", "matches", "weights.toml"]),
    "message": (
        lambda lake: [SYNTH, ["normalize"], ["dedupe"], ["pipeline", "import", *pipeline(lake.parent, USERS)]],
        ["redrive", "--sink", "file:{lake}/messages.jsonl", "--apply", "--per-second", "100000", "--per-user", "0s"],
        ["redrive", "messages.jsonl"],
    ),
}


def main():
    longrun, renew = pathlib.Path(sys.argv[1]).resolve(), "--renew" in sys.argv
    missing = [tool for tool in ("valgrind", "strace", "setarch") if not shutil.which(tool)]
    if missing:
        print(f"costs were not counted: {', '.join(missing)} cannot be run here")
        return
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, command, made) in STAGES.items():
            found.update(Stage(longrun, pathlib.Path(folder) / name, name, make, command, made).counts())
    if renew:
        ALLOWED.write_text(json.dumps(found, indent=2) + "\n")
    allowed = json.loads(ALLOWED.read_text())
    bad = 0
    for stage, costs in found.items():
        for what, count in costs.items():
            before = allowed[stage][what]
            change = count / before - 1 if before else float(count != 0)
            word = "FAIL" if change > SLACK[what] else "less" if change < -SLACK[what] else "ok"
            bad += word == "FAIL"
            print(f"{word:5} {stage:10} {what:13} {count:>12,} ({change:+.1%} of {before:,})")
    if bad:
        sys.exit(f"{bad} counts have grown; where that is meant: {sys.argv[0]} LONGRUN --renew")


class Stage:
    def __init__(self, longrun, lake, name, make, command, made):
        self.longrun, self.lake, self.name, self.made = longrun, lake, name, made
        self.command = [part.replace("{lake}", str(lake)) for part in command]
        lake.mkdir()
        said = [self.said(subprocess.run([longrun, "--lake", lake, *step], stderr=subprocess.PIPE, text=True)) for step in make(lake)]
        self.activities = int(re.search(r"wrote ([\d,]+) activities", said[0])[1].replace(",", ""))
        # What a command changes, it finds again as it was.
        self.before = lake.with_name(f"{name}-before")
        shutil.copytree(lake, self.before)

    def said(self, process):
        assert process.returncode in (0, 3), process.stderr
        return process.stderr

    def run(self, *tool):
        shutil.rmtree(self.lake)
        shutil.copytree(self.before, self.lake)
        # Memory lies elsewhere in each run unless that is fixed.
        whole = ["setarch", "-R", *tool, self.longrun, "--lake", self.lake, *self.command]
        environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
        process = subprocess.Popen(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 3), said
        return said, usage.ru_minflt

    def counts(self):
        each = lambda count, digits=None: round(count / self.activities, digits)
        _, faults = self.run()
        files = [file for one in self.made for file in [self.lake / one, *(self.lake / one).rglob("*")]]
        written = sum(file.stat().st_size for file in files if file.is_file())
        syncs, _ = self.run("strace", "-f", "-c", "-e", "trace=fsync,fdatasync")
        # Share of time, seconds, microseconds each, calls.
        calls = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*f(?:data)?sync$", syncs, re.M)
        profile = self.lake.with_name(f"{self.name}.callgrind")
        said, _ = self.run("valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}")
        found = {
            self.name: {
                "instructions": each(int(re.search(r"Collected : (\d+)", said)[1])),
                "page_faults": each(faults, 3),
                "syncs": each(sum(map(int, calls)), 4),
                "bytes": each(written, 1),
            }
        }
        if self.name == "normalize":
            listed = subprocess.run(
                ["callgrind_annotate", "--inclusive=yes", "--threshold=100", profile], check=True, capture_output=True, text=True
            ).stdout
            for part, function in PARTS.items():
                # `1,234 (5.6%)  file:function [binary]`; a function whose lines are of several files stands there once for each.
                lines = re.findall(rf"^ *([\d,]+) .*:{re.escape(function)} \[", listed, re.M)
                assert lines, f"{function} is not in the profile: has it another name now, or was it inlined?"
                found[part] = {"instructions": each(max(int(line.replace(",", "")) for line in lines))}
        return found


if __name__ == "__main__":
    main()
