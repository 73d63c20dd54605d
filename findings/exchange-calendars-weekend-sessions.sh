#!/usr/bin/env bash
# exchange_calendars 4.13.2 loses sessions with pandas 3.1, without a word.
#
# Expected: the calendars say the same whatever pandas stands below them; the package asks for pandas >= 1.5 only.
# What happens: with pandas 3.1.1 the special weekend sessions of XBOM (the Bombay exchange's live tests and the budget
# Saturday) and of XMOS are gone, and nothing warns; ASEX, XBEL and XBSE cannot be made at all
# (NotImplementedError). With pandas 3.0.6 all are there. A schedule "after every session" built on the newer pair
# skips days on which prices were made.
#
# Output seen on 2026-11-27, Python 3.11:
#   pandas 3.0.6: XBOM 2 2024-01-20 2025-02-01; XMOS 21; ASEX ok; XBEL ok; XBSE ok
#   pandas 3.1.1: XBOM 0; XMOS 0; ASEX NotImplementedError; XBEL NotImplementedError; XBSE NotImplementedError
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

cat >"$folder/weekends.py" <<'PYTHON'
import warnings

warnings.simplefilter("ignore")
import exchange_calendars
import pandas

said = []
for name in ("XBOM", "XMOS"):
    sessions = exchange_calendars.get_calendar(name, start="2007-01-01", end="2025-12-31").sessions
    weekend = [day for day in sessions if day.weekday() >= 5]
    days = " " + " ".join(day.strftime("%Y-%m-%d") for day in weekend) if len(weekend) in (1, 2) else ""
    said.append(f"{name} {len(weekend)}{days}")
for name in ("ASEX", "XBEL", "XBSE"):
    try:
        exchange_calendars.get_calendar(name)
        said.append(f"{name} ok")
    except Exception as error:
        said.append(f"{name} {type(error).__name__}")
print(f"pandas {pandas.__version__}: " + "; ".join(said))
PYTHON

for pandas in 3.0.6 3.1.1; do
    python3 -m venv "$folder/$pandas"
    "$folder/$pandas/bin/pip" install --quiet --disable-pip-version-check \
        exchange_calendars==4.13.2 "pandas==$pandas"
    "$folder/$pandas/bin/python" "$folder/weekends.py"
done | tee "$folder/seen"

diff "$folder/seen" - <<'EXPECTED'
pandas 3.0.6: XBOM 2 2024-01-20 2025-02-01; XMOS 21; ASEX ok; XBEL ok; XBSE ok
pandas 3.1.1: XBOM 0; XMOS 0; ASEX NotImplementedError; XBEL NotImplementedError; XBSE NotImplementedError
EXPECTED
