"""Times the reading of one table of trades as CSV and as Parquet, each reader in a process of its own.

Prints rows a second, the most memory the process had, and the ratio to Tickcast's reading, which also checks
every row and makes a trade of it; polars and pandas read the columns into memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEERS = {
    ("polars", "csv"): "import polars; f = polars.read_csv(PATH, try_parse_dates=True); n = len(f)",
    ("polars", "parquet"): "import polars; f = polars.read_parquet(PATH); n = len(f)",
    ("pandas", "csv"): "import pandas; f = pandas.read_csv(PATH, parse_dates=['time'], date_format='ISO8601'); n = len(f)",
    ("pandas", "parquet"): "import pandas; f = pandas.read_parquet(PATH); n = len(f)",
}
FRAME = """
import time
PATH = {path!r}
begin = time.perf_counter()
{read}
took = time.perf_counter() - begin
peak = [l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')][0]
print(n, 0, 0, took, int(peak) / 1000, sep='\\t')
"""


def write(folder: Path, rows: int) -> dict[str, Path]:
    """One table of trades of twelve symbols, some of one instant, as CSV and as Parquet."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(1)
    steps = random.choice([0, 1_000, 5_000, 250_000], size=rows, p=[0.3, 0.3, 0.3, 0.1])
    time = 1_780_000_000_000_000 + np.cumsum(steps)
    symbols = np.array([f"S{n}" for n in range(12)])
    frame = pl.DataFrame(
        {
            "time": pl.Series(time).cast(pl.Datetime("us", "UTC")),
            "symbol": symbols[random.integers(0, 12, size=rows)],
            "price": (100 + random.integers(-500, 500, size=rows) / 100).round(2),
            "size": random.integers(1, 1_000, size=rows).astype(float),
        }
    )
    paths = {kind: folder / f"trades.{kind}" for kind in ("csv", "parquet")}
    frame.write_csv(paths["csv"], datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    frame.write_parquet(paths["parquet"], compression="snappy", row_group_size=500_000)
    return paths


def time_of(command: list[str], runs: int) -> tuple[float, float, int]:
    """Seconds (the median) and megabytes (the most) of so many runs, and the rows read."""
    seconds, memory, rows = [], [], 0
    for _ in range(runs):
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        fields = said.strip().split("\t")
        seconds.append(float(fields[-2]))
        memory.append(float(fields[-1]))
        rows = int(fields[-5])
    return statistics.median(seconds), max(memory), rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    here, before = os.environ["FILE_RATE"], os.environ.get("FILE_RATE_BEFORE")
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in write(Path(folder), args.rows).items():
            commands = {"tickcast": [here, str(path)]}
            if before:
                commands["125b29b"] = [before, str(path)]
            for peer in ("polars", "pandas"):
                read = PEERS[peer, kind]
                code = FRAME.format(path=str(path), read=read)
                commands[peer] = [sys.executable, "-c", code]
            measured = {name: time_of(command, args.runs) for name, command in commands.items()}
            ours = measured["tickcast"][0]
            for name, (seconds, memory, rows) in measured.items():
                if rows != args.rows:
                    raise SystemExit(f"{name} read {rows} rows of {args.rows}")
                goal = {"125b29b": {"csv": 1.5, "parquet": 3.0}[kind]}.get(name)
                told = f"goal {goal:.1f}" if goal else ""
                print(
                    f"{f'{kind} of {args.rows} trades, {name}':<52} {rows / seconds:>12.0f} rows/s "
                    f"{memory:>7.0f} MB   tickcast is {seconds / ours:.2f} times as fast {told}"
                )


if __name__ == "__main__":
    main()
