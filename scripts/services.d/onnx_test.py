"""Trains a small model of each kind, exports it as ONNX, and holds what onnxruntime makes of it against
`tickcast forecast`: every quantile of every step to 1e-5 of the width of the outermost interval.
    TICKCAST=<binary> python3 onnx_test.py
"""

import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from prepare import onnx_python

TOLERANCE = 1e-5
HORIZON = 5
# Pairs of the levels that a model is trained for, as prediction intervals.
INTERVALS = {20: (0.4, 0.6), 40: (0.3, 0.7), 60: (0.2, 0.8), 80: (0.1, 0.9), 95: (0.025, 0.975)}

# Kind, arguments of its training, and what else its graph reads.
MODELS = [
    ("lstm", ["--ensemble", "2"]),
    ("patchtst", []),
    ("nlinear", ["--no-log"]),
    ("lstm", ["--covariate", "calendar", "--covariate", "volatility"]),
]


def walks(path):
    """Three random walks of 500 days in a long table; returns the closes by name."""
    dice = random.Random(11)
    series, lines = {}, ["symbol,date,close"]
    for name, price in [("LOW", 0.7), ("MIDDLE", 83.0), ("HIGH", 41_000.0)]:
        values = series.setdefault(name, [])
        for day in range(500):
            price *= math.exp(dice.gauss(0, 0.02))
            values.append(price)
            month, of_month = divmod(day, 28)
            lines.append(f"{name},{2001 + month // 12}-{month % 12 + 1:02}-{of_month + 1:02},{price!r}")
    path.write_text("\n".join(lines) + "\n")
    return series


def tickcast(*arguments):
    done = subprocess.run([os.environ["TICKCAST"], *arguments], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"tickcast {' '.join(map(str, arguments))}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def calendar(days, window):
    """What a graph with the calendar reads of the newest days of a series."""
    import datetime

    rows = []
    for day in range(days - window, days):
        month, of_month = divmod(day, 28)
        date = datetime.date(2001 + month // 12, month % 12 + 1, of_month + 1)
        angle = math.tau * date.weekday() / 7
        rows.append([math.sin(angle), math.cos(angle), 0.0, 1.0])
    return rows


def check(folder, series, table, kind, arguments):
    import numpy
    import onnxruntime

    name = "-".join([kind, *(a.strip("-") for a in arguments)])
    directory, file = folder / name, folder / f"{name}.onnx"
    tickcast("train", "--model", kind, "--size", "small", "--epochs", "2", "--input", table, "--id", "symbol",
             "--horizon", str(HORIZON), "--out", directory, *arguments)
    tickcast("export-model", "--model", f"{kind}:{directory}", "--onnx", file)
    levels = [flag for level in INTERVALS for flag in ("--level", str(level))]
    said = json.loads(tickcast("forecast", "--model", f"{kind}:{directory}", "--input", table, "--id", "symbol",
                               "--horizon", str(HORIZON), "--calibration", "none", "--format", "json", *levels))

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    probabilities = [float(level) for level in meta["levels"].split(",")]
    window = int(meta["window"])
    names = [answer["id"] for answer in said]
    assert sorted(names) == sorted(series), names
    fed = {"values": numpy.array([series[name][-window - 1:] for name in names], dtype=numpy.float64)}
    if any(i.name == "calendar" for i in session.get_inputs()):
        one = calendar(len(series[names[0]]), window)
        fed["calendar"] = numpy.array([one] * len(names), dtype=numpy.float32)
    (quantiles,) = session.run(["quantiles"], fed)
    assert quantiles.shape == (len(names), HORIZON, len(probabilities)), quantiles.shape

    worst = compared = 0
    at = {round(p, 6): i for i, p in enumerate(probabilities)}
    for row, answer in zip(quantiles, said):
        columns = {0.5: answer["mean"]}
        for interval, (low, high) in INTERVALS.items():
            columns[low], columns[high] = answer["lower"][str(interval)], answer["upper"][str(interval)]
        assert sorted(columns) == sorted(at), (sorted(columns), sorted(at))
        for level, path in columns.items():
            for step, right in enumerate(path):
                width = columns[0.975][step] - columns[0.025][step]
                worst = max(worst, abs(row[step][at[level]] - right) / width)
                compared += 1
    assert worst < TOLERANCE, f"{name}: off by {worst:e}"
    assert compared == len(names) * HORIZON * len(probabilities), compared
    # A line as cargo's tests end with, which scripts/test adds up.
    print(f"test result: ok. 1 passed; 0 failed; {name}: {compared} quantiles, off by {worst:.1e} at most", flush=True)


def main():
    python = onnx_python() / "bin" / "python3"
    if Path(sys.prefix) != python.parent.parent:
        # Again, with onnxruntime.
        return subprocess.run([python, "-B", __file__]).returncode
    with tempfile.TemporaryDirectory(prefix="tickcast-onnx-") as name:
        folder = Path(name)
        table = folder / "walks.csv"
        series = walks(table)
        for kind, arguments in MODELS:
            check(folder, series, table, kind, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
