"""Scores forecasts of the M3 competition: `m3.py DIRECTORY MODEL` reads m3-KIND.json (outcomes) and
MODEL-KIND.jsonl (forecasts, one line per series) and prints sMAPE and MASE by category."""

import json
import sys
from pathlib import Path

# Makridakis & Hibon (2000), Int. J. Forecasting 16(4), table 6: symmetric MAPE, average over the
# forecasting horizons of each category and over all.
PUBLISHED = {
    "Naive2": {"yearly": 17.88, "quarterly": 9.95, "monthly": 16.91, "other": 6.30, "all": 15.47},
    "Theta": {"yearly": 16.90, "quarterly": 8.96, "monthly": 13.85, "other": 4.41, "all": 13.01},
    "ForecastPro": {"yearly": 17.14, "quarterly": 9.77, "monthly": 13.86, "other": 4.60, "all": 13.19},
}
# Hyndman, Mcomp package, vignette "Comparisons" (2023): mean MASE over all series, from the competition's
# own forecasts and R's; by category nobody has published it.
PUBLISHED_MASE = {"Theta": 1.39, "ForecastPro": 1.47}
KINDS = ("yearly", "quarterly", "monthly", "other")


def score(directory, model):
    directory = Path(directory)
    total, steps, scaled, count, failures, table = 0.0, 0, 0.0, 0, 0, {}
    for kind in KINDS:
        actual = json.loads((directory / f"m3-{kind}.json").read_text())
        past = {}
        for line in open(directory / f"m3-{kind}.txt"):
            name, season, *values = line.rstrip("\n").split(",")
            past[name] = (int(season), [float(v) for v in values])
        smape_sum = smape_steps = mase_sum = mase_count = 0
        for line in open(directory / f"{model}-{kind}.jsonl"):
            row = json.loads(line)
            if "error" in row:
                failures += 1
                continue
            truth = actual[row["id"]]
            season, values = past[row["id"]]
            for a, f in zip(truth, row["mean"]):
                smape_sum += 200.0 * abs(a - f) / (abs(a) + abs(f))
                smape_steps += 1
            scale = [abs(b - a) for a, b in zip(values, values[season:])]
            mase_sum += sum(abs(a - f) for a, f in zip(truth, row["mean"])) / len(truth) / (sum(scale) / len(scale))
            mase_count += 1
        table[kind] = (smape_sum / smape_steps, mase_sum / mase_count)
        total, steps = total + smape_sum, steps + smape_steps
        scaled, count = scaled + mase_sum, count + mase_count
    table["all"] = (total / steps, scaled / count)
    return table, count, failures


def main(directory, *models):
    print(f"{'sMAPE (MASE)':14}" + "".join(f"{k:>18}" for k in (*KINDS, "all")))
    for name, row in PUBLISHED.items():
        cells = "".join(f"{row[k]:10.2f}{'':8}" for k in KINDS)
        scaled = f" ({PUBLISHED_MASE[name]:5.2f})" if name in PUBLISHED_MASE else ""
        print(f"{name + ' *':14}{cells}{row['all']:10.2f}{scaled}")
    for model in models:
        table, count, failures = score(directory, model)
        cells = "".join(f"{table[k][0]:10.2f} ({table[k][1]:5.3f})" for k in (*KINDS, "all"))
        print(f"{model:14}{cells}  {count} series, {failures} failed")
    print("* as published: sMAPE by Makridakis & Hibon (2000), MASE by Hyndman (2023)")


if __name__ == "__main__":
    main(*sys.argv[1:])
