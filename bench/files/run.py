"""Times the reading of one table of trades as CSV and as Parquet, each reader in a process of its own.

Prints rows a second, the most memory the process had, and the ratio to Tickcast's reading, which also checks
every row and makes a trade of it; polars and pandas read the columns into memory. The readers take turns, and
the processor seconds of each process are printed too: on a machine that does something else besides, their ratio
is the one to look at (of readers with one thread; the imports of Python's are among theirs).
"""

import argparse
import os
import resource
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


class Measured:
    """The runs of one reader."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.seconds: list[float] = []
        self.processor: list[float] = []
        self.memory = 0.0
        self.rows = 0

    def run(self) -> None:
        """Reads once more."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(self.command, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        fields = ran.stdout.strip().split("\t")
        self.seconds.append(float(fields[-2]))
        self.processor.append(
            after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        )
        self.memory = max(self.memory, float(fields[-1]))
        self.rows = int(fields[-5])


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
            measured = {name: Measured(command) for name, command in commands.items()}
            for _ in range(args.runs):
                for reader in measured.values():
                    reader.run()
            ours = measured["tickcast"]
            our_seconds = statistics.median(ours.seconds)
            our_processor = statistics.median(ours.processor)
            for name, reader in measured.items():
                if reader.rows != args.rows:
                    raise SystemExit(f"{name} read {reader.rows} rows of {args.rows}")
                seconds = statistics.median(reader.seconds)
                processor = statistics.median(reader.processor)
                goal = {"125b29b": {"csv": 1.5, "parquet": 3.0}[kind]}.get(name)
                told = f"goal {goal:.1f}" if goal else ""
                print(
                    f"{f'{kind} of {args.rows} trades, {name}':<40} {args.rows / seconds:>11.0f} rows/s "
                    f"{processor:>6.2f} processor s {reader.memory:>6.0f} MB   tickcast: "
                    f"{seconds / our_seconds:.2f} times as fast, {processor / our_processor:.2f} in "
                    f"processor time {told}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
