"""The same labelled activities to groups: longrun and Splink (on DuckDB) in one run.

usage: splink_compare.py LONGRUN [--users 200] [--activities 160] [--seed 7001] [--folder DIR]

`longrun synth activities` writes invented people's activities as Parquet, and the truth of which are the same
workout. Both read that Parquet, learn without labels and write their groups. longrun is the whole process `longrun
dedupe`, learning and writing of matches and golden rows included. Splink is set up as its documentation advises:
blocking on equality (the user with the day, and with the day half a day later, so that midnight parts nobody),
comparisons of several levels per column with time as one of them, the prior from a deterministic rule, u by random
sampling, m by expectation maximisation in two passes over different blocks; and it is given the best threshold there
is, found with the labels, for its pairs or its clusters, whichever is better. Its seconds are those of load, training,
prediction and clustering at one threshold, without the import of the library.

Matching alone is for Splink predict and cluster; longrun is timed as a whole.
Scores are of pairs of different sources, as in `longrun dedupe evaluate`.
"""

import argparse
import collections
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import duckdb
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

THRESHOLDS = [0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999]


def levels(name, column, *steps):
    """A comparison of a number: null, then each step that is not further apart, then the rest."""
    return cl.CustomComparison(
        output_column_name=name,
        comparison_levels=[cll.NullLevel(column), *[cll.CustomLevel(sql, label) for sql, label in steps], cll.ElseLevel()],
    )


def settings():
    apart = "abs(start_s_l - start_s_r)"
    lasts = "abs(elapsed_s_l - elapsed_s_r) <= greatest(60, 0.05 * greatest(elapsed_s_l, elapsed_s_r))"
    share = lambda part: f"abs(distance_m_l - distance_m_r) <= {part} * greatest(distance_m_l, distance_m_r)"
    return SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="unique_id",
        blocking_rules_to_generate_predictions=[block_on("user_id", "day"), block_on("user_id", "day_half")],
        comparisons=[
            levels(
                "time", "start_s",
                (f"{apart} <= 3 AND {lasts}", "same second and duration"),
                (f"{apart} <= 60 AND {lasts}", "same minute and duration"),
                (f"{apart} <= 300 AND {lasts}", "five minutes, same duration"),
                (f"{apart} > 900 AND least({apart} % 900, 900 - {apart} % 900) <= 60 AND {lasts}", "another zone"),
                (f"{apart} <= 60", "same minute"),
                (f"{apart} <= 300", "five minutes"),
                (f"{apart} <= 3600", "an hour"),
            ),
            levels(
                "distance", "distance_m",
                (share(0.012), "1 %"), (share(0.045), "4 %"), (share(0.12), "12 %"),
                ("abs(greatest(distance_m_l, distance_m_r) / least(distance_m_l, distance_m_r) / 1.609344 - 1) <= 0.035", "miles"),
            ),
            cl.CustomComparison(
                output_column_name="sport",
                comparison_levels=[cll.NullLevel("sport"), cll.ExactMatchLevel("sport"), cll.ExactMatchLevel("family"), cll.ElseLevel()],
            ),
            levels(
                "heart_rate", "avg_heart_rate_bpm",
                ("abs(avg_heart_rate_bpm_l - avg_heart_rate_bpm_r) <= 2.5", "2.5"),
                ("abs(avg_heart_rate_bpm_l - avg_heart_rate_bpm_r) <= 7", "7"),
            ),
            cl.DistanceInKMAtThresholds("lat", "lon", [0.1, 1, 10]),
        ],
    )


def load(lake, families):
    """Every activity as a row of a table; the first point of the track is where it begins."""
    db = duckdb.connect()
    db.execute("CREATE TABLE families (sport VARCHAR, family VARCHAR)")
    db.executemany("INSERT INTO families VALUES (?, ?)", families)
    db.execute(
        f"""
        CREATE TABLE activities AS
        SELECT user_id || ' ' || source || ':' || source_id AS unique_id, user_id, source, epoch(start_time)::BIGINT AS start_s,
               (epoch(start_time)::BIGINT // 86400) AS day, ((epoch(start_time)::BIGINT + 43200) // 86400) AS day_half,
               elapsed_s, nullif(distance_m, 0) AS distance_m, sport, family, avg_heart_rate_bpm,
               track_lat_e5[1] / 1e5 AS lat, track_lon_e5[1] / 1e5 AS lon
        FROM read_parquet('{lake}/activities/**/*.parquet', hive_partitioning = false) LEFT JOIN families USING (sport)
        """
    )
    return db


def run_splink(lake, families):
    begin = time.perf_counter()
    db = load(lake, families)
    api = DuckDBAPI(connection=db)
    linker = Linker(api.register("activities"), settings(), log_level="ERROR")
    linker.training.estimate_probability_two_random_records_match(
        ["l.user_id = r.user_id AND l.day = r.day AND abs(l.start_s - r.start_s) <= 60"], recall=0.7
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=5e6, seed=1)
    for rule in [block_on("user_id", "day"), block_on("user_id", "sport", "day_half")]:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    trained = time.perf_counter()
    predictions = linker.inference.predict(threshold_match_probability=min(THRESHOLDS))
    linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, threshold_match_probability=0.95)
    seconds, alone = time.perf_counter() - begin, time.perf_counter() - trained
    best = None
    for threshold in THRESHOLDS:
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            predictions, threshold_match_probability=threshold
        ).as_duckdbpyrelation()
        groups = collections.defaultdict(list)
        for cluster, name in clusters.select("cluster_id, unique_id").fetchall():
            groups[cluster].append(name)
        linked = predictions.as_duckdbpyrelation().filter(f"match_probability >= {threshold}")
        pairs = {tuple(sorted(pair)) for pair in linked.select("unique_id_l, unique_id_r").fetchall()}
        for kind, found in [("clusters", pairs_of(groups.values())), ("pairs", across(pairs))]:
            best = better(best, (threshold, kind, found))
    return seconds, alone, best


def source(name):
    return name.split(" ", 1)[1].split(":", 1)[0]


def across(pairs):
    return {pair for pair in pairs if source(pair[0]) != source(pair[1])}


def pairs_of(groups):
    return across({tuple(sorted(pair)) for group in groups for pair in itertools.combinations(group, 2)})


TRUE_PAIRS = set()


def scores(found):
    right = len(found & TRUE_PAIRS)
    wrong, missed = len(found) - right, len(TRUE_PAIRS) - right
    return {
        "precision": right / max(len(found), 1), "recall": right / max(len(TRUE_PAIRS), 1),
        "f1": 2 * right / max(2 * right + wrong + missed, 1), "wrong": wrong, "missed": missed,
    }


def better(best, other):
    return other if best is None or scores(other[2])["f1"] > scores(best[2])["f1"] else best


def run_longrun(longrun, lake):
    begin = time.perf_counter()
    subprocess.run([longrun, "--lake", lake, "dedupe"], check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - begin
    groups = duckdb.sql(
        f"""SELECT [user_id || ' ' || m.source || ':' || m.source_id FOR m IN members]
            FROM read_parquet('{lake}/golden/*.parquet')"""
    ).fetchall()
    return seconds, pairs_of(group for (group,) in groups)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("longrun")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--activities", type=int, default=160)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--folder")
    args = parser.parse_args()
    folder = pathlib.Path(args.folder or tempfile.mkdtemp(prefix="longrun-splink-"))
    lake, truth = str(folder / "lake"), folder / "truth.jsonl"
    people = ["--seed", str(args.seed), "--users", str(args.users), "--activities", str(args.activities)]
    subprocess.run([args.longrun, "--lake", lake, "synth", "activities", *people, str(truth)], check=True, stderr=subprocess.DEVNULL)
    table = pathlib.Path(__file__).parents[2] / "data" / "sports.csv"
    families = [tuple(line.split(",")[:2]) for line in table.read_text().splitlines()[1:]]
    workouts = collections.defaultdict(list)
    records = 0
    for line in truth.open():
        told = json.loads(line)
        records += 1
        for workout in told["of"]:
            workouts[(told["user_id"], workout)].append(f"{told['user_id']} {told['source']}:{told['source_id']}")
    TRUE_PAIRS.update(pairs_of(workouts.values()))
    ours, our_pairs = run_longrun(args.longrun, lake)
    theirs, their_alone, (threshold, kind, their_pairs) = run_splink(lake, families)
    print(f"{records:,} records of {args.users} people, {len(TRUE_PAIRS):,} true pairs across sources, seed {args.seed}\n")
    print("|  | precision | recall | F1 | wrong | missed | seconds | records per second |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    rows = [("longrun", ours, our_pairs), (f"Splink, {kind} at {threshold}", theirs, their_pairs)]
    for name, seconds, found in rows:
        s = scores(found)
        print(
            f"| {name} | {s['precision']:.4f} | {s['recall']:.4f} | {s['f1']:.4f} | {s['wrong']:,} | {s['missed']:,}"
            f" | {seconds:.1f} | {records / seconds:,.0f} |"
        )
    print(f"\nlongrun: {theirs / ours:.1f} times the records per second; Splink's predict and cluster alone took {their_alone:.1f} s")
    if not args.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
