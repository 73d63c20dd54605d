"""Side by side: the forecasting core against statsforecast, on the same series, in one run.

    python3 bench/forecast/run.py [--jobs N] [--quick] [--m3-only]

Makes its own environment (bench/forecast/.venv, from requirements.txt), builds the release example
`many` of crates/forecast, writes the series (series.py) and prints seconds, ratios and AICc, then
the M3 competition. Both sides use N cores (default: all). The peers are measured after a warm-up;
our side is measured inside the process, like theirs, without start-up. With a busy machine the
ratio is only as good as the load is even: see the load average that is printed.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HORIZON = {"yearly": 6, "quarterly": 8, "monthly": 18, "other": 8}
CASES = [
    ("prices.txt", "auto-arima", 10, 10.0),
    ("monthly.txt", "auto-arima", 18, 5.0),
    ("prices.txt", "ets", 10, 1.0),
    ("monthly.txt", "ets", 18, 1.0),
    ("prices.txt", "theta", 10, 1.0),
    ("monthly.txt", "theta", 18, 1.0),
]


def environment():
    python = HERE / ".venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", HERE / ".venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
    return python


def build():
    command = ["cargo", "build", "--release", "-q", "-p", "forecast", "--features", "parallel"]
    subprocess.run([*command, "--example", "many", "--example", "speed"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples"


def ours(examples, path, model, horizon, jobs):
    run = subprocess.run(
        [examples / "many", path, model, str(horizon)],
        check=True, capture_output=True, text=True, env={**os.environ, "RAYON_NUM_THREADS": str(jobs)},
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    return json.loads(run.stderr)["seconds"], rows


def peers(python, path, model, horizon, jobs):
    command = [python, HERE / "peers.py", path, model, str(horizon), str(jobs)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("--data", default=str(ROOT.parent / "shared" / "data" / "stocks-daily.csv.gz"))
    options.add_argument("--quick", action="store_true", help="one repetition, no M3")
    options.add_argument("--m3-only", action="store_true")
    options = options.parse_args()
    python, examples = environment(), build()
    work = HERE / ".series"
    subprocess.run([python, HERE / "series.py", options.data, work], check=True)
    print(f"{options.jobs} cores, load average {os.getloadavg()[0]:.1f}")
    if not options.m3_only:
        subprocess.run([examples / "speed"], check=True)
        for name, model, horizon, goal in CASES:
            path = work / name
            theirs = peers(python, path, model, horizon, options.jobs)
            repeats = 1 if options.quick else 3
            runs = [ours(examples, path, model, horizon, options.jobs) for _ in range(repeats)]
            seconds, rows = min(runs, key=lambda run: run[0])
            ratio = theirs["seconds"] / seconds
            print(
                f"{name:12} {model:11} ours {seconds:8.3f} s  statsforecast {theirs['seconds']:8.3f} s  "
                f"ratio {ratio:7.1f} (goal {goal:g}) {'ok' if ratio >= goal else 'MISSED'}"
            )
            if "aicc" in theirs:
                both = [(r["aicc"], theirs["aicc"][r["id"]]) for r in rows if r.get("aicc") is not None]
                mine, other = (sum(side) / len(both) for side in zip(*both))
                print(f"{'':24} mean AICc ours {mine:.3f}  statsforecast {other:.3f}")
    if not options.quick:
        models = ["theta", "ets", "auto-arima", "combo"]
        for model in models:
            for kind, horizon in HORIZON.items():
                _, rows = ours(examples, work / f"m3-{kind}.txt", model, horizon, options.jobs)
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (work / f"{model}-{kind}.jsonl").write_text(text)
        subprocess.run([python, HERE / "m3.py", work, *models], check=True)


if __name__ == "__main__":
    main()
