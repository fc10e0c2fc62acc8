"""What a run past one machine takes: hours, dollars, and what it waits for, by simulation of its tasks (docs/scale.md).

Sizes of buckets are drawn with a skew, shards are dealt as longrun deals them, and each task works on its buckets two at a time.
What is measured, priced or assumed stands below, with its source.

usage: plan.py [--activities N] [--buckets N] [--json]
"""

import argparse
import heapq
import json
import random

# Core-seconds of a million activities, as docs/benchmarks.md has them: two million of the list's lines take two cores 17 s, 58,420 of
# archives 44 s, and a million to dedupe one core 36 s. What the report collects of 134,440 took 3.5 s.
CPU_S = {"normalize the lists": 17, "normalize with samples": 1506, "dedupe": 36, "report": 26}
# Bytes of a million activities, there as well: 679 MiB of landing become 569 MiB for two million, 1.1 GiB of archives 494 MiB for
# 58,420. Dedupe reads activities and writes golden, as in the demo. The report reads 100.2 MiB of 167,955 (docs/scale.md).
READ = {"normalize the lists": 0.36e9, "normalize with samples": 20.2e9, "dedupe": 0.6e9, "report": 0.63e9}
WRITTEN = {"normalize the lists": 0.3e9, "normalize with samples": 8.9e9, "dedupe": 0.45e9, "report": 0.09e9}
# Of one bucket that is pending, of docs/scale.md: the demo has 229 gets, 93 puts and 70 lists to normalize 5 of them, 113 and 15 to dedupe.
GETS = {"normalize the lists": 46, "normalize with samples": 46, "dedupe": 23, "report": 17}
PUTS = {"normalize the lists": 32, "normalize with samples": 32, "dedupe": 3, "report": 2}
# `run report` adds the parts up on one core: of each bucket at most so many workouts, each of so many bytes and seconds, which 102 parts
# with 127,680 of them took. So many workouts has an activity, about, and so much memory took the page.
LISTED, PART_BYTES, PART_CPU_S, WORKOUTS, PAGE_GIB = 100_000, 106, 10.7e-6, 0.6, 0.15
# Landing and archives are read in objects of about this size, and samples written in such.
OBJECT_BYTES = 64e6
# A store answers after so long, and longrun has so many requests under way for a bucket.
LATENCY_S, UNDER_WAY = 0.05, 12
# A container needs this to begin, and a machine reads and writes at this rate for each core; assumed, not measured.
START_S, BYTES_PER_CORE_S = 15, 60e6
# Buckets differ in size by this much (of a lognormal); assumed.
SKEW = 0.25

# US dollars of us-central1, without the free tier. cloud.google.com/run/pricing (jobs): by vCPU-second and GiB-second.
VCPU_S, GIB_S = 0.000018, 0.000002
# cloud.google.com/compute/vm-instance-pricing: n2-standard, by vCPU-hour with 4 GiB each.
MACHINE_VCPU_H = 1.5539 / 32
# cloud.google.com/storage/pricing: puts and lists, gets, and a gigabyte for a month.
PUT, GET, GB_MONTH = 0.005 / 1000, 0.0004 / 1000, 0.02

SHAPES = {"1 machine of 2 cores": (1, 2), "1 machine of 32 cores": (1, 32), "100 tasks of 2 cores": (100, 2)}
# So many buckets a task has open; a machine of more cores runs a task for each two.
AT_ONCE = 2


def drawn(buckets):
    """The shares of the buckets, which sum to 1."""
    rng = random.Random(16)
    sizes = [rng.lognormvariate(0, SKEW) for _ in range(buckets)]
    return [size / sum(sizes) for size in sizes]


def dealt(shares, count):
    """The shards, each with its largest first: each bucket goes to the shard that has the least."""
    loads, shards = [(0.0, index) for index in range(count)], [[] for _ in range(count)]
    for share in sorted(shares, reverse=True):
        load, index = heapq.heappop(loads)
        shards[index].append(share)
        heapq.heappush(loads, (load + share, index))
    return shards


def took(shard, each):
    """Seconds of a task that has two buckets open at a time."""
    ends = [0.0] * AT_ONCE
    for share in shard:
        heapq.heapreplace(ends, ends[0] + each(share))
    return max(ends)


def simulate(step, millions, shares, machines, cores):
    tasks = machines * cores // AT_ONCE
    gets = GETS[step] + READ[step] * millions / len(shares) / OBJECT_BYTES
    puts = PUTS[step] + WRITTEN[step] * millions / len(shares) / OBJECT_BYTES

    def parts(share):
        """Seconds that one bucket, with a core to itself, computes, moves bytes, and waits for answers."""
        cpu = CPU_S[step] * millions * share
        bytes_s = (READ[step] + WRITTEN[step]) * millions * share / BYTES_PER_CORE_S
        return {"cores": cpu, "bytes": bytes_s, "requests": (gets + puts) * LATENCY_S / UNDER_WAY}

    seconds = START_S + max(took(shard, lambda share: sum(parts(share).values())) for shard in dealt(shares, tasks))
    even = {name: sum(parts(share)[name] for share in shares) / (tasks * AT_ONCE) for name in ("cores", "bytes", "requests")}
    bottleneck = max(even, key=even.get)
    if seconds > 1.3 * sum(even.values()) + START_S:
        bottleneck = "the largest bucket"
    # Both open buckets lie in memory, what is read and what is written.
    gib = AT_ONCE * max(shares) * millions * (READ[step] + WRITTEN[step]) / 2**30 + 0.5
    if machines > 1:
        gib = max(2, gib)
        compute = machines * seconds * (cores * VCPU_S + gib * GIB_S)
    else:
        compute = seconds / 3600 * cores * MACHINE_VCPU_H
    requests = len(shares) * (gets * GET + puts * PUT)
    return {"hours": seconds / 3600, "compute_usd": compute, "requests_usd": requests, "bottleneck": bottleneck, "gib_of_a_task": gib}


def summed(millions, shares):
    """The step that is of no tasks: one core of a machine of two adds up the parts, which it fetches while it waits for nothing else."""
    rows = sum(min(LISTED, share * millions * 1e6 * WORKOUTS) for share in shares)
    parts = {"cores": rows * PART_CPU_S, "bytes": rows * PART_BYTES / BYTES_PER_CORE_S,
             "requests": len(shares) * LATENCY_S / UNDER_WAY}
    hours = sum(parts.values()) / 3600
    return {"hours": hours, "compute_usd": hours * 2 * MACHINE_VCPU_H, "requests_usd": len(shares) * GET,
            "bottleneck": max(parts, key=parts.get), "gib_of_a_task": PAGE_GIB}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--activities", type=float, default=1e9)
    parser.add_argument("--buckets", type=int, default=4096)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    millions, shares = args.activities / 1e6, drawn(args.buckets)
    rows = [{"step": step, "shape": shape, **simulate(step, millions, shares, *size)} for step in CPU_S for shape, size in SHAPES.items()]
    rows.append({"step": "run report", "shape": "1 machine of 2 cores", **summed(millions, shares)})
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    stored = (READ["normalize with samples"] + WRITTEN["normalize with samples"]) * millions / 1e9
    print(f"{args.activities:,.0f} activities in {args.buckets:,} buckets; to keep them: {stored / 1000:,.1f} TB, "
          f"{stored * GB_MONTH:,.0f} dollars a month\n")
    print("| step | where | hours | dollars: cores | requests | waits most for | scratch and memory of a task |\n|---|---|---:|---:|---:|---|---:|")
    for row in rows:
        print(f"| {row['step']} | {row['shape']} | {row['hours']:,.2f} | {row['compute_usd']:,.2f} | {row['requests_usd']:,.2f} | "
              f"{row['bottleneck']} | {row['gib_of_a_task']:,.1f} GiB |")


if __name__ == "__main__":
    main()
