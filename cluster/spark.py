"""One run past one machine on Spark (docs/scale.md): Dataproc, EMR, Databricks or a cluster of your own, classic or Connect.

Spark has a row for each bucket and one task for each row, so scheduling, retries and speculation are its own; a task calls longrun
for its bucket. plan, learn, finish and run report run here, on the driver. Then Spark answers the questions of report.sql.

usage: spark-submit --conf spark.speculation=true spark.py --lake s3://people/lake --state lake
"""

import argparse
import json
import os
import socket
import subprocess
import sys

COLUMNS = {"seconds": float, "cpu_seconds": float, "most_memory_bytes": int, "buckets": int, "done_before": int, "gets": int,
           "puts": int, "lists": int, "read_bytes": int, "written_bytes": int}
SCHEMA = "host string, " + ", ".join(f"{name} {'double' if kind is float else 'long'}" for name, kind in COLUMNS.items())


def longrun(program, lake, *args, good=(0,)):
    """What a command prints as JSON."""
    ended = subprocess.run([program, "--lake", lake, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ended.returncode not in good:
        raise RuntimeError(f"longrun {' '.join(args)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return json.loads(ended.stdout)


def stage(spark, step, run, args):
    """Runs a step over all buckets; what its tasks used, summed."""
    import pyarrow as pa

    buckets = longrun(args.longrun, args.lake, "run", "progress", run)["buckets"]
    program, lake, is_shipped = args.longrun, args.lake, args.ship
    call, columns = longrun, COLUMNS

    def work(batches):
        from pyspark import SparkFiles

        found = SparkFiles.get(os.path.basename(program)) if is_shipped else program
        if is_shipped and not os.access(found, os.X_OK):
            os.chmod(found, 0o755)
        for batch in batches:
            for index in batch.column(0).to_pylist():
                # Of as many shards as buckets, each has one; the first has the largest, which Spark begins with.
                worked = call(found, lake, step, "--run", run, "--shard", f"{index}/{buckets}")
                row = {"host": socket.gethostname(), **{name: kind(worked[name]) for name, kind in columns.items()}}
                yield pa.RecordBatch.from_pylist([row])

    sums = ", ".join(f"{'max' if name.startswith('most') else 'sum'}({name}) AS {name}" for name in COLUMNS)
    tasks = spark.range(0, buckets, 1, max(buckets, 1)).mapInArrow(work, SCHEMA)
    used = tasks.selectExpr(*sums.split(", "), "count(DISTINCT host) AS hosts").collect()[0].asDict()
    print(json.dumps({"step": step, **used}), file=sys.stderr)


def answers(spark, done, place):
    """The answers to report.sql, over the files that the finished run lists."""
    for dataset in ("golden", "activities", "matches"):
        files = [f"{place}/{file['key']}" for file in done["files"] if file["key"].startswith(f"{dataset}/")]
        spark.read.parquet(*files).createOrReplaceTempView(dataset)
    # It lies beside this file, or where the engine puts what is sent along.
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "report.sql")
    with open(beside if os.path.exists(beside) else "report.sql") as text:
        questions = text.read().split("-- name: ")[1:]
    answered = {}
    for question in questions:
        name, query = question.split("\n", 1)
        answered[name.strip()] = [row.asDict() for row in spark.sql(query.strip().rstrip(";")).collect()]
    return answered


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--lake", required=True, help="the lake in the store, as longrun says it: gs://…, s3://…")
    parser.add_argument("--state", help="the lake on this machine whose answers, uploads and accounts count")
    parser.add_argument("--run", help="carry on a run that was cut off, or read a finished one")
    parser.add_argument("--longrun", default="longrun", help="the program, here and on the workers")
    parser.add_argument("--ship", action="store_true", help="send the program to the workers, which do not have it")
    parser.add_argument("--spark-lake", help="the same lake as Spark says it, such as s3a://people/lake")
    parser.add_argument("--remote", help="a Spark Connect server, sc://host:port; also SPARK_REMOTE")
    args = parser.parse_args()

    from pyspark.sql import SparkSession
    from pyspark.sql.utils import is_remote

    builder = SparkSession.builder.appName("longrun")
    spark = (builder.remote(args.remote) if args.remote else builder).getOrCreate()
    if args.ship and is_remote():
        spark.addArtifacts(args.longrun, file=True)
    elif args.ship:
        spark.sparkContext.addFile(args.longrun)

    state = ["--state", args.state] if args.state else []
    run = args.run or longrun(args.longrun, args.lake, "run", "plan", *state)["run"]
    print(f"run {run}", file=sys.stderr)
    stage(spark, "normalize", run, args)
    longrun(args.longrun, args.lake, "run", "learn", run)
    stage(spark, "dedupe", run, args)
    # 3 is done, with rejects.
    done = longrun(args.longrun, args.lake, "run", "finish", run, good=(0, 3))
    stage(spark, "report", run, args)
    longrun(args.longrun, args.lake, "run", "report", run)
    print(json.dumps(answers(spark, done, (args.spark_lake or args.lake).rstrip("/")), default=str, indent=1))
    spark.stop()


if __name__ == "__main__":
    main()
