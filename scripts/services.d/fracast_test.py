"""Holds `tickcast forecast --model fracast:DIR` to what fracast's own Python says (fracast_expected.json): every decile of
every step to 1e-4 of the range of the series, after putting those in order that cross.
    TICKCAST=<binary> python3 fracast_test.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from fracast_series import series
from prepare import fracast_weights

TOLERANCE = 1e-4
INTERVALS = {20: (3, 5), 40: (2, 6), 60: (1, 7), 80: (0, 8)}


def forecast(directory, values, horizon):
    levels = [flag for level in INTERVALS for flag in ("--level", str(level))]
    command = [os.environ["TICKCAST"], "forecast", "--model", f"fracast:{directory}", "--input", "-", "--column", "y",
               "--horizon", str(horizon), "--calibration", "none", "--format", "json", *levels]
    lines = "t,y\n" + "".join(f"{t},{'' if x is None else repr(x)}\n" for t, x in enumerate(values))
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def main():
    directory = fracast_weights()
    expected = json.loads(Path(__file__).with_name("fracast_expected.json").read_text())
    assert sorted(expected) == sorted(series())
    for name, (values, horizon) in series().items():
        said = forecast(directory, values, horizon)
        known = [x for x in values if x is not None]
        span = max(known) - min(known)
        columns = {4: said["mean"]}
        for level, (low, high) in INTERVALS.items():
            columns[low], columns[high] = said["lower"][str(level)], said["upper"][str(level)]
        worst = max(
            abs(columns[i][step] - right) / span
            for step, deciles in enumerate(expected[name])
            for i, right in enumerate(sorted(deciles))
        )
        assert len(said["mean"]) == len(expected[name]) == horizon
        assert worst < TOLERANCE, f"{name}: off by {worst:e}"
        # A line as cargo's tests end with, which scripts/test adds up.
        print(f"test result: ok. 1 passed; 0 failed; {name}: off by {worst:.1e} at most", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
