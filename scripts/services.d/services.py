"""Starts and stops the real services that tests and benchmarks run against, as plain processes on
free loopback ports, each with its data in a folder of its own.

A service is stopped by its process id, and only if that id is still the process that was started.
Its ports are kept in the folder, so `kill` and `start` with the same --dir bring the same service
back with its data at the same address: that is how the fault tests restart a broker.

What it does not do: anything with Docker, more than one node of a service, TLS of MongoDB's protocol.
"""

import argparse
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from prepare import (Failure, command, ferretdb_binary, kafka_jars, mlflow_python, say,
                     secantusdb_python)

READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 20
HELP = """\
services: kafka (Apache Kafka 4.1.0, KRaft), mongo (SecantusDB 0.7.0b3), ferretdb (FerretDB 1.24.2),
mlflow (MLflow 3.17.2 on SQLite, artefacts through its proxy), all (the four).

  scripts/services run [SERVICE...] [--dir D] -- COMMAND   starts them (kafka and mongo when none is
                                      named), sets the variables, runs COMMAND, stops them whatever
                                      happens, and exits as COMMAND did
  scripts/services start SERVICE... [--dir D]   starts them and prints the variables and process ids
  scripts/services kill SERVICE... --dir D      SIGKILL; a later start with the same D brings the
                                      service back on the same port with the same data
  scripts/services stop [SERVICE...] --dir D    SIGTERM, then SIGKILL after 20 s
  scripts/services setup [SERVICE...]           only fetches and builds what they need

Variables: KAFKA_BROKERS, KAFKA_SASL_BROKERS (SASL_PLAINTEXT, PLAIN, user tickcast, password
correct), KAFKA_TLS_BROKERS (SASL_SSL, SCRAM-SHA-256, the same user; a certificate that is its own authority, in
KAFKA_TLS_CA), KAFKA_FRONT and KAFKA_BEHIND (the broker listens on the second and tells its clients to come to
the first, where a test puts a proxy), MONGODB_URI, FERRETDB_URI, MLFLOW_TRACKING_URI and MLFLOW_PYTHON (a Python that has MLflow's own
client). One that is set already is kept, and its
service is not started.
With ferretdb and without mongo, MONGODB_URI is FerretDB's.
Jars, virtual environments and binaries are kept in ${TICKCAST_CACHE:-~/.cache/tickcast}/services.
"""


# --- the services ---


class Kafka:
    ports = ("plain", "sasl", "tls", "controller", "front", "behind")
    variable = "KAFKA_BROKERS"
    setup = staticmethod(kafka_jars)

    @staticmethod
    def env(folder, ports):
        return {"KAFKA_BROKERS": f"127.0.0.1:{ports['plain']}",
                "KAFKA_SASL_BROKERS": f"127.0.0.1:{ports['sasl']}",
                "KAFKA_TLS_BROKERS": f"127.0.0.1:{ports['tls']}",
                "KAFKA_TLS_CA": str(folder / "tls.pem"),
                "KAFKA_FRONT": f"127.0.0.1:{ports['front']}",
                "KAFKA_BEHIND": f"127.0.0.1:{ports['behind']}"}

    @staticmethod
    def arguments(folder, ports):
        jars = f"{kafka_jars()}/*"
        properties = folder / "server.properties"
        plain, sasl, tls, front, behind = (f"127.0.0.1:{ports[p]}"
                                           for p in ("plain", "sasl", "tls", "front", "behind"))
        controller = f"127.0.0.1:{ports['controller']}"
        # The short session lets a broker that was killed back in after 4 s instead of 9.
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        properties.write_text(f"""\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={controller}
listeners=PLAINTEXT://{plain},SASL://{sasl},TLS://{tls},BEHIND://{behind},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{plain},SASL://{sasl},TLS://{tls},BEHIND://{front},CONTROLLER://{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl.plain.sasl.jaas.config={login} user_tickcast="correct";
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.tls.scram-sha-256.sasl.jaas.config={scram};
listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-256
listener.name.tls.ssl.keystore.type=PKCS12
listener.name.tls.ssl.keystore.location={folder}/tls.p12
listener.name.tls.ssl.keystore.password=tickcast
log.dirs={folder}/log
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
""")
        if not (folder / "log" / "meta.properties").exists():
            key = ["-keystore", folder / "tls.p12", "-storepass", "tickcast", "-alias", "broker"]
            command("making Kafka's certificate", "keytool", "-genkeypair", *key, "-keyalg", "EC",
                    "-dname", "CN=tickcast-test", "-ext", "san=ip:127.0.0.1", "-validity", "30")
            command("writing Kafka's certificate", "keytool", "-exportcert", *key, "-rfc",
                    "-file", folder / "tls.pem")
            command("formatting Kafka's log folder", "java", "-Xmx128m", "-cp", jars,
                    "kafka.tools.StorageTool", "format", "--standalone",
                    "--add-scram", "SCRAM-SHA-256=[name=tickcast,password=correct]",
                    "-t", "dGlja2Nhc3QtdGVzdC0wMQ", "-c", properties)
        return ["java", "-Xmx512m",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp", jars, "kafka.Kafka", str(properties)]

    @staticmethod
    def ready(ports):
        # ApiVersions, version 0: answered once the broker serves requests.
        return answers(ports["plain"], struct.pack(">ihhih", 10, 18, 0, 1, -1))


class Mongo:
    ports = ("wire",)
    variable = "MONGODB_URI"
    setup = staticmethod(secantusdb_python)

    @staticmethod
    def env(_folder, ports):
        return {"MONGODB_URI": f"mongodb://127.0.0.1:{ports['wire']}/?directConnection=true"}

    @staticmethod
    def arguments(folder, ports):
        config = folder / "secantusd.toml"  # given, so that none of the user's own is found
        config.touch()
        return [str(secantusdb_python() / "bin" / "secantusd-py"), "--config", str(config),
                "--host", "127.0.0.1", "--port", str(ports["wire"]), "--log-level", "WARNING",
                "--storage-path", str(folder / "data"), "--sync-on-commit",
                # A test has it answer as a full or a read-only server does.
                "--enable-test-commands"]

    @staticmethod
    def ready(ports):
        return answers(ports["wire"], hello())


class FerretDb:
    ports = ("wire",)
    variable = "FERRETDB_URI"
    setup = staticmethod(ferretdb_binary)

    @staticmethod
    def env(_folder, ports):
        return {"FERRETDB_URI": f"mongodb://127.0.0.1:{ports['wire']}/?retryWrites=false"}

    @staticmethod
    def arguments(folder, ports):
        (folder / "data").mkdir(exist_ok=True)
        return [str(ferretdb_binary()), "-listen", f"127.0.0.1:{ports['wire']}",
                "-dir", str(folder / "data")]

    @staticmethod
    def ready(ports):
        return answers(ports["wire"], hello())


class Mlflow:
    ports = ("http",)
    variable = "MLFLOW_TRACKING_URI"
    setup = staticmethod(mlflow_python)
    # It serves from a child that it ends when it is asked to end, and leaves behind when it is killed.
    parent_death_signal = signal.SIGTERM
    environment = {
        # Its worker processes for judges and scorers, which nothing here asks for, are half a gigabyte.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Set for its clients; the server would take it for its own store.
        "MLFLOW_TRACKING_URI": None,
    }

    @staticmethod
    def env(_folder, ports):
        return {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports['http']}",
                "MLFLOW_PYTHON": str(mlflow_python() / "bin" / "python")}

    @staticmethod
    def arguments(folder, ports):
        return [str(mlflow_python() / "bin" / "mlflow"), "server", "--host", "127.0.0.1",
                "--port", str(ports["http"]), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination", str(folder / "artifacts")]

    @staticmethod
    def ready(ports):
        # Not /health, which answers before the store does, and to hosts that the API refuses.
        url = f"http://127.0.0.1:{ports['http']}/api/2.0/mlflow/experiments/get?experiment_id=0"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


SERVICES = {"kafka": Kafka, "mongo": Mongo, "ferretdb": FerretDb, "mlflow": Mlflow}


def hello():
    """MongoDB's OP_MSG with {hello: 1, $db: "admin"}."""
    body = b"\x10hello\0" + struct.pack("<i", 1) + b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    document = struct.pack("<i", len(body) + 5) + body + b"\0"
    message = struct.pack("<I", 0) + b"\0" + document
    return struct.pack("<iiii", 16 + len(message), 1, 0, 2013) + message


def answers(port, request):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


# --- processes ---


def started_at(pid):
    """The process's start time in clock ticks, or None when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


class Folder:
    """The folder of a set of services, with what is running from it."""

    def __init__(self, path):
        self.path = Path(path).resolve()
        self.path.mkdir(parents=True, exist_ok=True)
        self.file = self.path / "services.json"

    def read(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def write(self, name, entry):
        state = self.read()
        state[name] = entry
        aside = self.file.with_suffix(".tmp")
        aside.write_text(json.dumps(state, indent=1))
        aside.replace(self.file)

    def alive(self, name):
        entry = self.read().get(name)
        if entry and entry["pid"] and started_at(entry["pid"]) == entry["started_at"]:
            return entry["pid"]
        return None


def free_ports(names):
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in names:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports[name] = listener.getsockname()[1]
        return ports


def die_with_parent(service):
    # PR_SET_PDEATHSIG: a `run` that is killed itself leaves no service behind.
    number = getattr(service, "parent_death_signal", signal.SIGKILL)
    return lambda: ctypes.CDLL(None).prctl(1, number)


def environment(service):
    own = {**os.environ, **getattr(service, "environment", {})}
    return {key: value for key, value in own.items() if value is not None}


def send(pid, number):
    """Signals a service. It leads a process group of its own: killed, it takes its children along."""
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)


def start(folder, names, tied):
    """Starts services and waits until each answers; all are started before the first is waited for."""
    children = {}
    for name in names:
        if folder.alive(name):
            continue
        service = SERVICES[name]
        own = folder.path / name
        own.mkdir(exist_ok=True)
        ports = folder.read().get(name, {}).get("ports") or free_ports(service.ports)
        arguments = service.arguments(own, ports)
        with open(own / "output.log", "ab") as log:
            child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     cwd=own, start_new_session=True, env=environment(service),
                                     preexec_fn=die_with_parent(service) if tied else None)
        folder.write(name, {"pid": child.pid, "started_at": started_at(child.pid), "ports": ports})
        children[name] = child
    deadline = time.monotonic() + READY_TIMEOUT_S
    for name, child in children.items():
        ports = folder.read()[name]["ports"]
        while not SERVICES[name].ready(ports):
            if child.poll() is not None:
                raise Failure(came_to_nothing(folder, name, f"exited with {child.returncode}"))
            if time.monotonic() > deadline:
                raise Failure(came_to_nothing(folder, name,
                                              f"did not answer within {READY_TIMEOUT_S} s"))
            time.sleep(0.05)


def came_to_nothing(folder, name, what):
    log = folder.path / name / "output.log"
    tail = log.read_text(errors="replace")[-3000:]
    return f"{name} {what}; the end of {log}:\n{tail}"


def stop(folder, names, hard=False):
    pids = {name: pid for name in names if (pid := folder.alive(name))}
    for pid in pids.values():
        send(pid, signal.SIGKILL if hard else signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for name, pid in pids.items():
        while folder.alive(name):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                send(pid, signal.SIGKILL)
                deadline = time.monotonic() + STOP_TIMEOUT_S
            time.sleep(0.02)
        folder.write(name, {**folder.read()[name], "pid": None, "started_at": None})


def variables(folder, names):
    """What COMMAND and the caller's shell need to know."""
    env = {}
    for name in names:
        entry = folder.read()[name]
        own = SERVICES[name].env(folder.path / name, entry["ports"])
        if os.environ.get(SERVICES[name].variable):
            del own[SERVICES[name].variable]
        env.update(own)
        env[f"{name.upper()}_PID"] = str(entry["pid"])
    if "ferretdb" in names and "mongo" not in names and "MONGODB_URI" not in os.environ:
        env["MONGODB_URI"] = env["FERRETDB_URI"]
    env["TICKCAST_SERVICES_DIR"] = str(folder.path)
    return env


# --- the command line ---


def run(names, given, program):
    path = given or tempfile.mkdtemp(prefix="tickcast-services-")
    folder = Folder(path)
    child = None

    def interrupted(number, _frame):
        if child and child.poll() is None:
            child.send_signal(number)
        else:
            raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        start(folder, names, tied=True)
        env = variables(folder, names)
        child = subprocess.Popen(program, env={**os.environ, **env})
        code = child.wait()
        return 128 - code if code < 0 else code
    except FileNotFoundError as missing:
        raise Failure(f"cannot run {program[0]}: {missing}") from missing
    finally:
        stop(folder, names, hard=given is None)
        if given is None:
            shutil.rmtree(path, ignore_errors=True)


def main():
    if sys.platform != "linux":
        raise Failure("the services run on Linux only: /proc says whether a process is still the one started")
    arguments = sys.argv[1:]
    program = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, program = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(prog="scripts/services", usage=HELP, add_help=True)
    parser.add_argument("verb", choices=["run", "start", "kill", "stop", "setup"])
    parser.add_argument("services", nargs="*", choices=[*SERVICES, "all", []])
    parser.add_argument("--dir")
    options = parser.parse_args(arguments)

    names = list(dict.fromkeys(options.services)) or {
        "run": ["kafka", "mongo"], "setup": ["kafka", "mongo", "mlflow"], "stop": ["all"],
    }.get(options.verb, [])
    if "all" in names:
        names = list(SERVICES)
    if not names:
        raise Failure(f"{options.verb} which? one of {', '.join(SERVICES)} or all")
    if options.verb in ("kill", "stop") and not options.dir:
        raise Failure(f"{options.verb} needs --dir, the folder that start printed")
    if (options.verb == "run") != bool(program):
        raise Failure("run takes -- COMMAND, and nothing else does")

    if options.verb == "setup":
        for name in names:
            SERVICES[name].setup()
    elif options.verb in ("kill", "stop"):
        folder = Folder(options.dir)
        stop(folder, names, hard=options.verb == "kill")
    else:
        for name in list(names):
            if name == "kafka" and os.environ.get("KAFKA_BROKERS") \
                    and not os.environ.get("KAFKA_SASL_BROKERS"):
                say("KAFKA_BROKERS is set: using it; a broker is started for KAFKA_SASL_BROKERS alone")
            elif os.environ.get(SERVICES[name].variable):
                say(f"{SERVICES[name].variable} is set: using it, {name} is not started")
                names.remove(name)
        if options.verb == "run":
            return run(names, options.dir, program)
        folder = Folder(options.dir or tempfile.mkdtemp(prefix="tickcast-services-"))
        try:
            start(folder, names, tied=False)
        except BaseException:
            stop(folder, names, hard=True)
            raise
        for key, value in variables(folder, names).items():
            print(f"{key}={value}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        say(str(failure))
        sys.exit(2)
