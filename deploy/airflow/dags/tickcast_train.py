"""Trains the models of Tickcast once a day, a job for each symbol.

Every symbol is submitted to a running Tickcast as a training job, waited for without holding a worker, and ends with
the gate's verdict. A training that cannot be (bad data, an unknown model, a lost worker) fails the task; a candidate that
the gate does not promote does not: that is a result. The last task lists the verdicts.

Needs a connection `tickcast` (HTTP: host, port, and the token in the extra field as {"Authorization": "Bearer ..."})
and, where the list is not given with the run, the symbols in the variable `tickcast_symbols` (a JSON list). See docs/airflow.md.
"""

import json
from datetime import datetime, timedelta, timezone

from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk import Param, PokeReturnValue, Variable, dag, get_current_context, task

CONNECTION = "tickcast"
NETWORKS = ("lstm", "patchtst", "nlinear")
# As many symbols as Tickcast trains a network on.
MOST_TOGETHER = 256


def ask(method, path, body=None, key=None):
    """Asks Tickcast; its refusals (4xx) fail the task at once, everything else is tried again."""
    headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
    data = None if body is None else json.dumps(body)
    answer = HttpHook(method, http_conn_id=CONNECTION).run(
        path, data=data, headers=headers, extra_options={"check_response": False, "timeout": 30}
    )
    if answer.ok:
        return answer.json()
    try:
        said = answer.json().get("detail", answer.text)
    except ValueError:
        said = answer.text
    message = f"{method} {path}: {answer.status_code}: {said[:500]}"
    if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429):
        raise AirflowFailException(message)
    raise AirflowException(message)


@dag(
    dag_id="tickcast_train",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 4, "retry_delay": timedelta(seconds=30), "retry_exponential_backoff": True},
    params={
        "symbols": Param(
            [], type="array", items={"type": "string"}, description="Empty: those of the variable tickcast_symbols"
        ),
        "interval": Param("1d", enum=["1m", "5m", "15m", "1h", "1d"]),
        "days": Param("weekdays", type="string", description="When the market trades: always, weekdays, or XNYS"),
        "horizon": Param(1, type="integer", minimum=1, maximum=250),
        "candidates": Param([], type="array", items={"type": "string"}, description="Empty: Tickcast's usual ones"),
    },
    doc_md=__doc__,
    tags=["tickcast"],
)
def tickcast_train():
    @task(retries=0)
    def symbols():
        """The symbols of this run. None at all is a fault: a mapped task over nothing would be a success."""
        found = get_current_context()["params"]["symbols"] or Variable.get(
            "tickcast_symbols", default=[], deserialize_json=True
        )
        if not found:
            raise AirflowFailException("no symbols: name them in the variable tickcast_symbols or with the run")
        return sorted(set(found))

    @task
    def submit(symbol, together):
        """Submits the job; sent again under the same key it is the same job."""
        context = get_current_context()
        run, params = context["dag_run"], context["params"]
        # A run that was started over REST has no logical date.
        as_of = (run.logical_date or run.run_after).astimezone(timezone.utc)
        payload = {
            "symbol": symbol,
            "interval": params["interval"],
            "days": params["days"],
            "horizon": params["horizon"],
            "as_of_us": int(as_of.timestamp()) * 1_000_000,
        }
        if params["candidates"]:
            payload["candidates"] = params["candidates"]
            # A network is trained once, on the closes of all symbols of the run.
            if any(candidate.split("(")[0] in NETWORKS for candidate in params["candidates"]):
                payload["together"] = together[:MOST_TOGETHER]
        job = {"kind": "train", "payload": payload}
        # A run that is tried again, or started twice for the same time, asks for the same job.
        return ask("POST", "/api/jobs", job, key=f"{run.dag_id}/{as_of.isoformat()}/{symbol}")["id"]

    @task.sensor(poke_interval=15, timeout=6 * 3600, mode="reschedule")
    def verdict(job):
        """Waits for the job's end between two looks without a worker; hands the verdict on."""
        found = ask("GET", f"/api/jobs/{job}")
        if found["state"] in ("queued", "running"):
            return PokeReturnValue(is_done=False)
        if found["state"] != "succeeded":
            raise AirflowFailException(f"job {job} {found['state']}: {found.get('error') or 'no reason given'}")
        return PokeReturnValue(is_done=True, xcom_value=found["result"])

    @task(trigger_rule="none_failed")
    def summary(verdicts):
        """Lists what became of each symbol."""
        lines = [one["words"] for one in verdicts]
        for line in lines:
            print(line)
        return lines

    found = symbols()
    summary(verdict.expand(job=submit.partial(together=found).expand(symbol=found)))


tickcast_train()
