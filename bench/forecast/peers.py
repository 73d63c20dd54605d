"""statsforecast's side: `peers.py FILE MODEL HORIZON JOBS` prints, as JSON, the seconds of fitting and
forecasting after a warm-up (wall clock, best of up to three runs, and processor time of that run) and,
for auto-arima, the AICc of every series, from fits outside the measured time."""

import json
import os
import resource
import sys
import time

os.environ.setdefault("NIXTLA_ID_AS_COL", "1")

import numpy as np
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoARIMA, AutoETS, OptimizedTheta

# A run that took this long is not repeated.
LONG_SECONDS = 5.0


def processor_seconds():
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def main(path, model, horizon, jobs):
    rows = [line.rstrip("\n").split(",") for line in open(path)]
    season = int(rows[0][1])
    frames = [
        pd.DataFrame({"unique_id": r[0], "ds": np.arange(1, len(r) - 1), "y": np.array(r[2:], float)})
        for r in rows
    ]
    data = pd.concat(frames)
    make = {
        "auto-arima": lambda: AutoARIMA(season_length=season),
        "ets": lambda: AutoETS(season_length=season),
        "theta": lambda: OptimizedTheta(season_length=season),
    }[model]
    ask = {"h": int(horizon), "level": [95]}
    StatsForecast(models=[make()], freq=1, n_jobs=1).forecast(df=frames[0], **ask)
    runs = []
    while len(runs) < 3 and (not runs or runs[-1][0] < LONG_SECONDS):
        peer = StatsForecast(models=[make()], freq=1, n_jobs=int(jobs))
        start, used = time.monotonic(), processor_seconds()
        peer.forecast(df=data, **ask)
        runs.append((time.monotonic() - start, processor_seconds() - used))
    seconds, processor = min(runs)
    result = {"seconds": seconds, "processor_seconds": processor}
    if model == "auto-arima":
        fitted = StatsForecast(models=[make()], freq=1, n_jobs=int(jobs)).fit(df=data)
        criteria = [float(fit.model_["aicc"]) for fit in fitted.fitted_[:, 0]]
        result["aicc"] = dict(zip((str(name) for name in fitted.uids), criteria))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
