"""How fast `longrun redrive` fills a Pub/Sub topic, beside Google's own Python client with the same messages.

usage: pubsub.py LONGRUN [--users 32] [--activities 250] [--rounds 5]

LONGRUN is built with `--features pubsub`. The topic is Google's own in-memory fake, built from Debian's
golang-google-cloud-dev (`apt-get install golang-go golang-google-cloud-dev`; `pip install google-cloud-pubsub`).
longrun is the whole process: it plans, builds the messages from the lake, keeps the ledger, and publishes with a
key for each user, so that their messages stay in order. The client has the messages ready in a file, and is timed
without its start: one message a request and 16 at a time, and in its own batches. Neither of these keeps an order.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "it"
PROJECT = "projects/longrun-bench"


def build_fake(folder):
    program = folder / "pstest"
    environment = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""}
    subprocess.run(["go", "build", "-o", program, TESTS / "pstest" / "main.go"], env=environment, check=True)
    return program


def redrive(longrun, sink, environment=None):
    """Sends everything that is owed, and says what came of it. Some may be held for review."""
    pace = ["--per-second", "1000000", "--per-user", "0s"]
    command = [*longrun, "redrive", "--apply", "--json", "--sink", sink, *pace]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def lake_of(longrun, folder, users, activities):
    """A lake of people whose pipeline has nothing of theirs, and no end of syncs."""
    subprocess.run(
        [*longrun, "synth", "landing", "--users", str(users), "--activities", str(activities)],
        check=True, capture_output=True,
    )
    for step in ["normalize", "dedupe"]:
        subprocess.run([*longrun, step], check=True, capture_output=True)
    export = folder / "pipeline.jsonl"
    with open(export, "w") as file:
        for number in range(users):
            pipeline = {"id": f"p{number}", "source": "SOURCE_STRAVA", "destinations": ["DESTINATION_SHOWCASE"]}
            user = {"path": f"users/user-{number:04}", "tier": "athlete", "pipelines": [pipeline]}
            run = {"user_id": f"user-{number:04}", "id": "r", "source_activity_id": "1", "status": "synced"}
            print(json.dumps(user), json.dumps(run), sep="\n", file=file)
    subprocess.run([*longrun, "pipeline", "import", export], check=True, capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longrun")
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--activities", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="longrun-pubsub-") as folder:
        folder = pathlib.Path(folder)
        fake = build_fake(folder)
        longrun = [args.longrun, "--lake", folder / "lake"]
        lake_of(longrun, folder, args.users, args.activities)
        file = folder / "messages.jsonl"
        redrive(longrun, f"file:{file}")
        taken = {"longrun": [], "client, one a request": [], "client, its own batches": []}
        for number in range(args.rounds):
            for name, seconds in taken.items():
                server = subprocess.Popen([fake], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                environment = {**os.environ, "PUBSUB_EMULATOR_HOST": server.stdout.readline().strip()}
                topic = f"{PROJECT}/topics/round-{number}"
                client = [sys.executable, TESTS / "pubsub.py"]
                subprocess.run([*client, "make", topic, f"{PROJECT}/subscriptions/s"], env=environment, check=True)
                if name == "longrun":
                    begin = time.perf_counter()
                    messages = redrive(longrun, f"pubsub:{topic}", environment)["delivered"]
                    seconds.append(time.perf_counter() - begin)
                else:
                    most = ["1"] if "one" in name else []
                    publish = [*client, "publish", topic, file, *most]
                    done = subprocess.run(publish, env=environment, check=True, capture_output=True, text=True)
                    messages, took = re.fullmatch(r"(\d+) ([\d.]+)", done.stdout.strip()).groups()
                    seconds.append(float(took))
                assert int(messages) > args.users * args.activities * 0.9, f"{name}: {messages}"
                server.stdin.close()
                server.wait()
        size = file.stat().st_size / 2**20
        print(f"{int(messages):,} messages, {size:.1f} MiB, medians of {args.rounds} rounds\n")
        print("|  | seconds | messages per second | times longrun |")
        print("|---|---:|---:|---:|")
        base = statistics.median(taken["longrun"])
        for name, seconds in taken.items():
            median = statistics.median(seconds)
            print(f"| {name} | {median:.2f} | {int(messages) / median:,.0f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()
