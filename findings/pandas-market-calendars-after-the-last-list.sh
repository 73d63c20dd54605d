#!/usr/bin/env bash
# pandas_market_calendars 5.5.0 goes on without holidays where a calendar's list of them ends.
#
# Expected: an error, or an end, beyond the last year whose holidays are known.
# What happens: Singapore (XSES) and Bombay (BSE) trade on every weekday of 2027, New Year's Day among them; of 2025 the
# same calendars know 252 and 247 sessions. Nothing tells the two kinds of year apart. A schedule that asks for the
# sessions of next year gets every weekday.
#
# Output seen on 2026-11-27, Python 3.11:
#   XSES: 2025 252, 2027 261 of 261 weekdays, 2027-01-01 is a session
#   BSE: 2025 247, 2027 261 of 261 weekdays, 2027-01-01 is a session
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas_market_calendars==5.5.0 pandas==3.0.6
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import warnings

warnings.simplefilter("ignore")
import pandas
import pandas_market_calendars

for name in ("XSES", "BSE"):
    calendar = pandas_market_calendars.get_calendar(name)
    known = len(calendar.valid_days("2025-01-01", "2025-12-31"))
    beyond = calendar.valid_days("2027-01-01", "2027-12-31")
    weekdays = len(pandas.bdate_range("2027-01-01", "2027-12-31"))
    first = "is" if beyond[0].strftime("%Y-%m-%d") == "2027-01-01" else "is not"
    print(f"{name}: 2025 {known}, 2027 {len(beyond)} of {weekdays} weekdays, 2027-01-01 {first} a session")
PYTHON

diff "$folder/seen" - <<'EXPECTED'
XSES: 2025 252, 2027 261 of 261 weekdays, 2027-01-01 is a session
BSE: 2025 247, 2027 261 of 261 weekdays, 2027-01-01 is a session
EXPECTED
