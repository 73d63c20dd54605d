"""Runs the DAG of deploy/airflow with a real Airflow against a running `tickcast serve`.

What it holds: the DAG imports without a fault, has a schedule, and maps over symbols; a run over a symbol that can be
trained succeeds and hands on the verdict, though it is a refusal; the same run again submits no second job; a run with a symbol
that has no prices fails; a run without symbols fails.
    TICKCAST=<binary> python3 airflow_test.py
"""

import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import urllib.request
from datetime import date, timedelta
from pathlib import Path

from prepare import airflow_python

ROOT = Path(__file__).resolve().parents[2]
DAGS = ROOT / "deploy" / "airflow" / "dags"


def walk(path, symbol):
    """Daily closes of a random walk, up to yesterday."""
    dice = random.Random(7)
    price, lines = 100.0, ["symbol,date,open,high,low,close,volume"]
    first = date.today() - timedelta(days=700)
    for day in range(700):
        price *= math.exp(dice.gauss(0, 0.01))
        lines.append(f"{symbol},{first + timedelta(days=day)},{price},{price},{price},{price},1")
    path.write_text("\n".join(lines) + "\n")


class Airflow:
    """An Airflow home of its own, on sqlite."""

    def __init__(self, home):
        self.programs = airflow_python() / "bin"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__PARALLELISM": "2",
            # No compiled copy beside the DAG.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *arguments):
        command = [self.programs / "airflow", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=600)

    def must(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, f"airflow {' '.join(arguments)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def imported(self):
        """What the DAG's file gives: faults, and of each DAG its schedule and tasks."""
        program = (
            "import json; from airflow.dag_processing.dagbag import DagBag; b = DagBag(); "
            "print('\\n' + json.dumps([b.import_errors, {d.dag_id: [str(d.schedule), "
            "sorted(d.task_ids)] for d in b.dags.values()}]))"
        )
        done = subprocess.run(
            [self.programs / "python3", "-c", program], env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    def dag_run(self, when, **conf):
        conf = {"days": "always", "candidates": ["theta"], **conf}
        return self.run("dags", "test", "tickcast_train", when, "--conf", json.dumps(conf))


class Tickcast:
    """A running server with a symbol in it, on a port of its own."""

    def __init__(self, folder):
        binary = os.environ["TICKCAST"]
        data = folder / "data"
        file = folder / "walk.csv"
        walk(file, "WALK")
        done = subprocess.run([binary, "import", str(file), "--data-dir", str(data)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        line = [binary, "serve", "--port", "0", "--source", "none", "--data-dir", str(data)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder)
        self.url = next(word for word in self.process.stdout.readline().split() if word.startswith("http://"))

    def jobs(self):
        with urllib.request.urlopen(f"{self.url}/api/jobs") as answer:
            return json.load(answer)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)


def main():
    with tempfile.TemporaryDirectory(prefix="tickcast-airflow-") as name:
        folder = Path(name)
        tickcast = Tickcast(folder)
        try:
            check(Airflow(folder / "airflow"), tickcast)
        finally:
            tickcast.stop()


def passed(what):
    """A line as cargo's tests end with, which scripts/test adds up."""
    print(f"test result: ok. 1 passed; 0 failed; {what}", flush=True)


def check(airflow, tickcast):
    faults, dags = airflow.imported()
    assert faults == {}, faults
    schedule, tasks = dags["tickcast_train"]
    assert schedule == "@daily", schedule
    assert tasks == ["submit", "summary", "symbols", "verdict"], tasks

    passed("the DAG imports, with its schedule and its tasks")

    airflow.must("db", "migrate")
    host, port = tickcast.url.rsplit(":", 1)
    airflow.must("connections", "add", "tickcast", "--conn-type", "http", "--conn-host", host, "--conn-port", port)

    today = date.today().isoformat()
    done = airflow.dag_run(today, symbols=["WALK"])
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    jobs = tickcast.jobs()
    assert [job["state"] for job in jobs] == ["succeeded"], jobs
    words = jobs[0]["result"]["words"]
    assert jobs[0]["result"]["promoted"] is False, jobs
    assert words[:40] in done.stdout + done.stderr, f"{words} is not in the summary"
    passed("a run ends with the gate's verdict, a refusal, and succeeds")

    again = airflow.dag_run(today, symbols=["WALK"])
    assert again.returncode == 0, again.stdout[-6000:]
    assert len(tickcast.jobs()) == 1, "the same run submitted another job"

    passed("a second run for the same time asks for the same job")

    yesterday = (date.today() - timedelta(days=1)).isoformat()
    network = ["nlinear(window=16,epochs=2)"]
    failed = airflow.dag_run(yesterday, symbols=["WALK", "NOSUCH"], candidates=network)
    assert failed.returncode != 0, "a run whose job failed succeeded"
    states = sorted((job["payload"]["symbol"], job["state"]) for job in tickcast.jobs())
    assert ("NOSUCH", "failed") in states, states

    together = [job["payload"].get("together") for job in tickcast.jobs()]
    # The newest first; the job of the first run has no network to train.
    assert together == [["NOSUCH", "WALK"], ["NOSUCH", "WALK"], None], together

    passed("a job that fails fails its run, and networks are trained on all symbols of a run")

    empty = airflow.dag_run((date.today() - timedelta(days=2)).isoformat(), symbols=[])
    assert empty.returncode != 0, "a run without symbols succeeded"
    passed("a run without symbols fails")


if __name__ == "__main__":
    sys.exit(main())
