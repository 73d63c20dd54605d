"""statsforecast's side: `peers.py FILE MODEL HORIZON JOBS` prints seconds after a warm-up and, for
auto-arima, the mean AICc (fitted outside the measured time)."""

import json
import os
import sys
import time

os.environ.setdefault("NIXTLA_ID_AS_COL", "1")

import numpy as np
import pandas as pd
from statsforecast import StatsForecast
from statsforecast.models import AutoARIMA, AutoETS, OptimizedTheta


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
    StatsForecast(models=[make()], freq=1, n_jobs=1).forecast(df=frames[0], h=int(horizon), level=[95])
    start = time.monotonic()
    StatsForecast(models=[make()], freq=1, n_jobs=int(jobs)).forecast(df=data, h=int(horizon), level=[95])
    result = {"seconds": time.monotonic() - start}
    if model == "auto-arima":
        criteria = {}
        for name, frame in zip((r[0] for r in rows), frames):
            fitted = make().fit(frame["y"].to_numpy())
            criteria[name] = float(fitted.model_["aicc"])
        result["aicc"] = criteria
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
