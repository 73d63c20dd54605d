"""Side by side in one run: the forecasting core against statsforecast on the same series, both on all
cores; then single fits and updates; the M3 competition; and the worker in a real browser.

Called by `run`, which makes the environment and builds. Prints one line per figure with its goal, as
scripts/bench does, and beneath it what it is made of. statsforecast is measured after a warm-up, and
both sides inside their process, without start-up and without reading the series. Ratios are of
wall-clock time; those of processor time, which hardly feel what else the machine does, stand beside.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import m3
import series

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = HERE / ".series"
EXAMPLES = Path(os.environ["BENCH_EXAMPLES"])
# Series, model, steps, and how many times statsforecast's speed is the goal.
CASES = [
    ("prices", "auto-arima", 10, 10),
    ("monthly", "auto-arima", 18, 5),
    ("prices", "ets", 10, 1),
    ("monthly", "ets", 18, 1),
    ("prices", "theta", 10, 1),
    ("monthly", "theta", 18, 1),
]
M3_MODELS = ("auto-arima", "ets", "theta", "combo")


def figure(name, value, unit, goal):
    print(f"{name:<58} {value:>12} {unit:<10} goal: {goal}", flush=True)


def detail(text):
    print(f"    {text}", flush=True)


def children_seconds():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def ours(path, model, horizon, jobs):
    """Seconds by the clock and (reading included) of the processors, and the rows, of one run of `many`."""
    command = [EXAMPLES / "many", path, model, str(horizon)]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(jobs)}
    used = children_seconds()
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    used = children_seconds() - used
    return json.loads(run.stderr)["seconds"], used, [json.loads(line) for line in run.stdout.splitlines()]


def peers(path, model, horizon, jobs):
    command = [sys.executable, HERE / "peers.py", path, model, str(horizon), str(jobs)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def side_by_side(jobs):
    for name, model, horizon, goal in CASES:
        path = WORK / f"{name}.txt"
        count = sum(1 for _ in open(path))
        theirs = peers(path, model, horizon, jobs)
        seconds, processor, rows = min(
            (ours(path, model, horizon, jobs) for _ in range(3)), key=lambda run: run[0]
        )
        ratio = theirs["seconds"] / seconds
        figure(f"{model}, {count} {name} series, beside statsforecast", f"{ratio:.1f}", "times", f">= {goal}")
        by_processor = theirs["processor_seconds"] / processor
        detail(
            f"ours {seconds:.3f} s, statsforecast {theirs['seconds']:.3f} s; by processor time "
            f"{by_processor:.1f} times; load average {os.getloadavg()[0]:.1f}"
        )
        failed = [row["id"] for row in rows if "error" in row]
        if failed:
            detail(f"ours FAILED on {', '.join(failed)}")
        if "aicc" in theirs:
            both = [(row["aicc"], theirs["aicc"][row["id"]]) for row in rows if "error" not in row]
            mine, other = (sum(side) / len(both) for side in zip(*both))
            figure("its mean AICc less statsforecast's, the same series", f"{mine - other:.3f}", "", "<= 0")
            detail(f"ours {mine:.3f}, statsforecast {other:.3f}, over {len(both)} series")


def competition(jobs):
    before = time.monotonic()
    for model in M3_MODELS:
        for kind, horizon in series.HORIZON.items():
            _, _, rows = ours(WORK / f"m3-{kind}.txt", model, horizon, jobs)
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (WORK / f"{model}-{kind}.jsonl").write_text(text)
    seconds = time.monotonic() - before
    table, count, failures = m3.score(WORK, "combo")
    figure(f"combo, sMAPE over the {count} series of M3", f"{table['all'][0]:.2f}", "", "<= 12.6")
    detail(f"{failures} failed; all four models on all series in {seconds:.0f} s")
    m3.main(WORK, *M3_MODELS)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--data", default=str(ROOT / "data" / "stocks-daily.csv.gz"))
    for part in ("peers", "m3", "browser"):
        options.add_argument(f"--no-{part}", action="store_true")
    options = options.parse_args()
    series.main(options.data, WORK)
    print(f"# {options.jobs} cores, load average {os.getloadavg()[0]:.1f}", flush=True)
    if not options.no_peers:
        side_by_side(options.jobs)
        subprocess.run([EXAMPLES / "speed"], check=True)
    if not options.no_browser:
        subprocess.run(["node", HERE / "browser.mjs", WORK / "prices.txt"], check=True)
    if not options.no_m3:
        competition(options.jobs)


if __name__ == "__main__":
    main()
