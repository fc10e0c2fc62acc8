"""Checks the files of cluster/ against their engines' schemas, and runs cluster/run with doubles of the engines.

usage: cluster.py schemas
       cluster.py run cloud-run|kubernetes|batch|slurm TASKS      with the environment of cluster/run, and longrun on the path

A double takes the file as it was filled in, checks it, and runs its command once for each task, with the variables that the engine
sets; two of them at a time. Every third task is run twice, the first time killed at once.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
WORDS = {"IMAGE": "registry.invalid/longrun", "LAKE": "gs://people/lake", "RUN": "r1", "STEP": "normalize", "TASKS": "4", "NAME": "longrun-1"}
OPTIONS = {"job-name", "cpus-per-task", "mem", "time", "requeue", "output"}


def filled(name):
    text = (CLUSTER / name).read_text()
    for word, value in WORDS.items():
        text = text.replace(f"@{word}@", value)
    return text


def discovered(api):
    """The schemas of a Google API, as its client brings them along."""
    import googleapiclient

    path = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / f"{api}.json"
    return json.loads(path.read_text())["schemas"]


def conforms(value, schema, schemas, at="$"):
    """Fails where a value is not what the schema of a Google API says: unknown fields, other types, other words."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kind, form = schema["type"], schema.get("format")
    if kind == "object" and "properties" in schema:
        assert isinstance(value, dict), f"{at} is {value!r}"
        unknown = value.keys() - schema["properties"].keys()
        assert not unknown, f"{at} has {unknown}"
        for name, inner in value.items():
            conforms(inner, schema["properties"][name], schemas, f"{at}.{name}")
    elif kind == "object":
        for name, inner in value.items():
            conforms(inner, schema["additionalProperties"], schemas, f"{at}.{name}")
    elif kind == "array":
        assert isinstance(value, list), f"{at} is {value!r}"
        for index, inner in enumerate(value):
            conforms(inner, schema["items"], schemas, f"{at}[{index}]")
    elif form == "int64":
        # Written as text, as JavaScript has no such numbers; numbers are read as well.
        assert re.fullmatch(r"\d+", str(value)), f"{at} is {value!r}"
    elif kind == "string":
        assert isinstance(value, str), f"{at} is {value!r}"
        assert form != "google-duration" or re.fullmatch(r"\d+s", value), f"{at} is {value!r}"
        assert value in schema.get("enum", [value]), f"{at} is {value!r}"
    else:
        types = {"integer": int, "boolean": bool, "number": (int, float)}
        assert isinstance(value, types[kind]) and (kind == "boolean" or not isinstance(value, bool)), f"{at} is {value!r}"


def check_cloud_run(text):
    import yaml

    job, schemas = yaml.safe_load(text), discovered("run.v1")
    conforms(job, schemas["Job"], schemas)
    return job


def check_batch(text):
    job, schemas = json.loads(text), discovered("batch.v1")
    conforms(job, schemas["Job"], schemas)
    return job


def check_kubernetes(text):
    import kubernetes_validate
    import yaml

    job = yaml.safe_load(text)
    kubernetes_validate.validate(job, "1.33", strict=True)
    return job


def check_slurm(text):
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", text, re.M))
    assert len(options) == text.count("#SBATCH") and options.keys() <= OPTIONS, options
    assert re.fullmatch(r"\d+G", options["mem"]) and re.fullmatch(r"\d+:\d\d:\d\d", options["time"]), options
    return options


def schemas():
    checks = {"cloud-run.yaml": check_cloud_run, "batch.json": check_batch, "kubernetes.yaml": check_kubernetes, "slurm.sh": check_slurm}
    for name, check in checks.items():
        check(filled(name))
    wrong = {
        "cloud-run.yaml": ("maxRetries: 3", "maxRetry: 3"),
        "batch.json": ("FAIL_TASK", "FAIL_TASKS"),
        "kubernetes.yaml": ("completions: 4", "completions: four"),
        "slurm.sh": ("--mem=", "--memory="),
    }
    for name, (right, other) in wrong.items():
        text = filled(name)
        assert right in text, f"{name} has no {right}"
        try:
            checks[name](text.replace(right, other))
        except Exception:
            continue
        raise AssertionError(f"{name} with {other} passes")
    for script in ("run", "slurm.sh"):
        subprocess.run(["bash", "-n", CLUSTER / script], check=True)
    for script in ("spark.py", "plan.py"):
        compile((CLUSTER / script).read_text(), script, "exec")
    print(json.dumps(sorted(checks)))


def tasks(command, count, variables):
    """Runs all tasks; whether one has failed."""

    def task(index):
        environment = {**os.environ, **variables(index)}
        if index % 3 == 0:
            first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                first.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                first.kill()
                first.wait()
        return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode

    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(task, range(count)))
    sys.exit(1 if any(codes) else 0)


def named(variables):
    """The variables of a container, with a scratch that is there on this machine."""
    return {**{variable["name"]: variable["value"] for variable in variables}, "LONGRUN_SCRATCH": os.environ["LONGRUN_SCRATCH"]}


def gcloud(words):
    kept = Path(os.environ["CLUSTER_DOUBLE"]) / "cloud-run.yaml"
    if words[:3] == ["run", "jobs", "replace"]:
        kept.write_text(sys.stdin.read())
    elif words[:3] == ["run", "jobs", "execute"]:
        spec = check_cloud_run(kept.read_text())["spec"]["template"]["spec"]
        container, count = spec["template"]["spec"]["containers"][0], spec["taskCount"]
        fixed = named(container["env"])
        tasks(["longrun", *container["args"]], count,
              lambda index: {**fixed, "CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": str(count)})
    elif words[:3] == ["batch", "jobs", "submit"]:
        group = check_batch(sys.stdin.read())["taskGroups"][0]
        runnable, count = group["taskSpec"]["runnables"][0], int(group["taskCount"])
        fixed = runnable["environment"]["variables"]
        tasks(["longrun", *runnable["container"]["commands"]], count,
              lambda index: {**fixed, "BATCH_TASK_INDEX": str(index), "BATCH_TASK_COUNT": str(count)})
    else:
        assert words[:3] == ["batch", "jobs", "describe"], words
        print("SUCCEEDED")


def kubectl(words):
    if words[0] == "create":
        spec = check_kubernetes(sys.stdin.read())["spec"]
        container = spec["template"]["spec"]["containers"][0]
        fixed = named(container["env"])
        tasks(["longrun", *container["args"]], spec["completions"],
              lambda index: {**fixed, "JOB_COMPLETION_INDEX": str(index)})
    assert words[:2] == ["get", "job"], words
    # As a control plane of today says it.
    print("SuccessCriteriaMet Complete")


def sbatch(words):
    assert words[:2] == ["--wait", "--array"], words
    last = int(words[2].split("-")[1])
    tasks(["bash", *words[3:]], last + 1,
          lambda index: {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_TASK_COUNT": str(last + 1), "SLURM_ARRAY_TASK_MIN": "0"})


def run(engine, count):
    with tempfile.TemporaryDirectory() as folder:
        for double in ("gcloud", "kubectl", "sbatch"):
            path = Path(folder) / double
            path.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(__file__)} {double} \"$@\"\n")
            path.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "CLUSTER_DOUBLE": folder}
        sys.exit(subprocess.run([CLUSTER / "run", engine, count], env=environment).returncode)


if __name__ == "__main__":
    word, *words = sys.argv[1:]
    if word == "schemas":
        schemas()
    elif word == "run":
        run(*words)
    else:
        {"gcloud": gcloud, "kubectl": kubectl, "sbatch": sbatch}[word](words)
