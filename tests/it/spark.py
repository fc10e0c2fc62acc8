"""Spark Connect end to end: a standalone cluster of two workers and a Connect server, all on loopback; one worker is killed with its
executor as soon as the first bucket is done.

usage: spark.py --lake LAKE --state LAKE --longrun PROGRAM        as cluster/spark.py, which it calls
"""

import glob
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyspark

HOME = Path(pyspark.__file__).parent
SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "spark.py"


def port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait(what, is_there, process, seconds=120):
    until = time.monotonic() + seconds
    while not is_there():
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < until, f"{what} does not come"
        time.sleep(0.05)


def listens(at):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", at)) == 0


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp()
    environment = {**os.environ, "SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
                   "SPARK_WORKER_DIR": f"{folder}/work", "SPARK_LOCAL_DIRS": f"{folder}/local"}
    begun = []

    def begin(*args):
        log = open(f"{folder}/{len(begun)}.log", "w")
        process = subprocess.Popen([str(HOME / "bin" / "spark-class"), *args], env=environment, stdout=log, stderr=log, cwd=folder,
                                   start_new_session=True)
        begun.append(process)
        return process

    try:
        at, connect = port(), port()
        deploy, master = "org.apache.spark.deploy", f"spark://127.0.0.1:{at}"
        process = begin(f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(at), "--webui-port", "0")
        wait("the master", lambda: listens(at), process)
        workers = [begin(f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g", master)
                   for _ in range(2)]
        process = begin(f"{deploy}.SparkSubmit", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", master,
                        "--conf", f"spark.connect.grpc.binding.port={connect}", "--conf", "spark.connect.grpc.binding.address=127.0.0.1",
                        "--conf", "spark.executor.memory=512m", "--conf", "spark.driver.memory=1g", "--conf", "spark.ui.enabled=false",
                        "--conf", "spark.task.maxFailures=8", "spark-internal")
        wait("the Connect server", lambda: listens(connect), process)
        begin_s = time.monotonic()
        job = subprocess.Popen([sys.executable, str(SCRIPT), *sys.argv[1:], "--remote", f"sc://127.0.0.1:{connect}"], env=environment)
        lake = sys.argv[sys.argv.index("--lake") + 1].removeprefix("file://")
        wait("the first bucket", lambda: glob.glob(f"{lake}/runs/*/normalize/*.json"), job)
        # Its executor is in its session.
        os.killpg(workers[0].pid, signal.SIGKILL)
        assert job.wait(timeout=600) == 0, f"the job ended with {job.returncode}"
        print(f"{time.monotonic() - begin_s:.0f} s, with one of two workers killed", file=sys.stderr)
    finally:
        for process in begun:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


if __name__ == "__main__":
    main()
