"""Holds a running `tickcast serve` to its own description, /openapi.json.

What it holds: for every operation schemathesis makes requests, right and wrong ones, from the description; no answer is a
fault of the server, and each has a status, a content type and a body as described. Wrong requests are refused.
    TICKCAST=<binary> python3 api_test.py
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from prepare import schemathesis_python

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
]


def prices(path):
    lines = ["symbol,date,open,high,low,close,volume"]
    for day in range(300):
        close = 100 + day % 17
        lines.append(f"AAPL,{date.today() - timedelta(days=300 - day)},{close},{close},{close},{close},1")
    path.write_text("\n".join(lines) + "\n")


def main():
    binary = os.environ["TICKCAST"]
    with tempfile.TemporaryDirectory(prefix="tickcast-api-") as name:
        folder = Path(name)
        data, file, report = folder / "data", folder / "prices.csv", folder / "report.json"
        prices(file)
        subprocess.run([binary, "import", str(file), "--data-dir", str(data)], check=True, capture_output=True)
        line = [binary, "serve", "--port", "0", "--source", "none", "--data-dir", str(data)]
        server = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder)
        try:
            url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
            done = run(url, folder)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    print(done.stdout[-20_000:], done.stderr[-4_000:], flush=True)
    result, failed = ("ok", 0) if done.returncode == 0 else ("FAILED", 1)
    print(f"test result: {result}. {1 - failed} passed; {failed} failed; the server answers as /openapi.json says")
    return failed


def run(url, folder):
    """Every operation, with the same requests each time."""
    programs = schemathesis_python() / "bin"
    command = [
        programs / "schemathesis", "run", f"{url}/openapi.json",
        "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing",
        "--max-examples", "20",
        "--seed", "1",
        "--workers", "1",
        "--request-timeout", "60",
        "--suppress-health-check", "all",
        "--continue-on-failure",
        # As many as a client is allowed: what is refused for coming too often shows nothing.
        "--rate-limit", "auto",
        "--no-color",
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=1_200)


if __name__ == "__main__":
    sys.exit(main())
