"""What has to be there before a service can start: tools of the system, Kafka's jars, SecantusDB in a virtual
environment, FerretDB's binary. Each is made once, in a cache folder, and found there from then on.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("TICKCAST_CACHE") or Path.home() / ".cache" / "tickcast") / "services"
SECANTUSDB = "0.7.0b3"
SCHEMATHESIS = "4.32.5"
AIRFLOW = "3.3.2"
AIRFLOW_HTTP = "6.3.0"
MLFLOW = "3.17.2"
ONNXRUNTIME = "1.32.0"
NUMPY = "2.4.6"
FRACAST = "0.1.0"
FRACAST_WHEEL = "54a2c442ffeb8e1763733d37415326df122e0580640d6c3d02211883429fb892"


class Failure(Exception):
    """Something a person has to mend; its text is all that is printed."""


def say(text):
    print(f"services: {text}", file=sys.stderr, flush=True)


def runs(*arguments):
    quiet = subprocess.DEVNULL
    return subprocess.run(arguments, stdout=quiet, stderr=quiet).returncode == 0


def install(what, packages):
    """Installs Debian's packages where that can be done: as root, or by a sudo that does not ask."""
    if not packages or not shutil.which("apt-get"):
        return
    as_root = []
    if os.geteuid() != 0:
        as_root = ["sudo", "-n"]
        if not shutil.which("sudo") or not runs(*as_root, "true"):
            return
    say(f"{what} is missing: installing {' '.join(packages)}")
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    get = [*apt, "install", "-qq", "-y", "--no-install-recommends", *packages]
    if subprocess.run(get, stdout=sys.stderr).returncode != 0:
        subprocess.run([*apt, "update", "-qq"], stdout=sys.stderr)
        subprocess.run(get, stdout=sys.stderr)


def need(tool, packages, otherwise):
    """Finds a tool, installing Debian's packages for it where that can be done."""
    if not shutil.which(tool):
        install(tool, packages)
    if not shutil.which(tool):
        raise Failure(f"{tool} is missing: {otherwise}")


def built(name, make):
    """The folder `name` of the cache, made by `make(folder)` if it is not there; made aside and
    renamed, so that a run that was cut off leaves nothing half done."""
    target = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            say(f"preparing {name} (once)")
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{name}.") as aside:
                make(Path(aside))
                # A virtual environment's scripts name its folder: it is made where it stays.
                if not target.exists():
                    os.rename(aside, target)
                    os.mkdir(aside)  # so that the clean-up has something to remove
    return target


def command(what, *arguments, **options):
    done = subprocess.run(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode != 0:
        raise Failure(f"{what} failed ({' '.join(map(str, arguments))}):\n{done.stdout[-3000:]}")
    return done.stdout


def fingerprint(*files):
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:8]


def kafka_jars():
    java = "install a Java 17 runtime (Debian: openjdk-17-jre-headless)"
    need("java", ["openjdk-17-jre-headless"], java)
    need("keytool", ["openjdk-17-jre-headless"], java)
    pom = HERE / "pom.xml"

    def make(folder):
        need("mvn", ["maven"], "install Maven, which fetches Kafka's artefacts (Debian: maven)")
        command("fetching Kafka's artefacts", "mvn", "-q", "-B", "-f", pom,
                "dependency:copy-dependencies", f"-DoutputDirectory={folder}")

    return built(f"kafka-4.1.0-{fingerprint(pom)}", make)


def python_with(name, what, *requirements):
    """A virtual environment in the folder `name` of the cache, with packages from PyPI."""
    target = CACHE / name

    def make(_aside):
        has_venv = (sys.executable, "-c", "import ensurepip, venv")
        if not runs(*has_venv):
            install("python3's venv module", ["python3-venv"])
            if not runs(*has_venv):
                raise Failure("python3's venv module is missing: install it (Debian: python3-venv)")
        try:
            command("making a virtual environment", sys.executable, "-m", "venv", target)
            command(f"installing {what}", target / "bin" / "pip", "install", "-q", *requirements)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise

    return built(name, make)


def secantusdb_python():
    return python_with(f"secantusdb-{SECANTUSDB}", "SecantusDB", f"secantusdb=={SECANTUSDB}")


def pinned(name, what, pins, version, *requirements):
    """The same of a `version`, with every package at the version that the file `pins` says."""
    if sys.version_info < (3, 11):
        owns = f"{what}'" if what.endswith("s") else f"{what}'s"
        raise Failure(f"{owns} pinned packages need Python 3.11 or newer, and this is {sys.version.split()[0]}")
    return python_with(f"{name}-{version}-{fingerprint(pins)}", what, *requirements, "-c", pins)


def mlflow_python():
    return pinned("mlflow", "MLflow", HERE / "mlflow-constraints.txt", MLFLOW, f"mlflow=={MLFLOW}")


def airflow_python():
    pins = HERE.parents[1] / "deploy" / "airflow" / "constraints.txt"
    return pinned("airflow", "Airflow", pins, AIRFLOW, f"apache-airflow=={AIRFLOW}",
                  f"apache-airflow-providers-http=={AIRFLOW_HTTP}")


def schemathesis_python():
    return pinned("schemathesis", "schemathesis", HERE / "schemathesis-constraints.txt", SCHEMATHESIS,
                  f"schemathesis=={SCHEMATHESIS}")


def onnx_python():
    return python_with(f"onnxruntime-{ONNXRUNTIME}", "onnxruntime", f"onnxruntime=={ONNXRUNTIME}",
                       f"numpy=={NUMPY}")


def fracast_weights():
    """The folder with Fracast-0's weights and licence, out of its wheel, which is checked by hash."""

    def make(folder):
        with tempfile.TemporaryDirectory() as name:
            command("fetching fracast", sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                    "-d", name, f"fracast=={FRACAST}")
            (wheel,) = Path(name).glob("*.whl")
            got = hashlib.sha256(wheel.read_bytes()).hexdigest()
            if got != FRACAST_WHEEL:
                raise Failure(f"the wheel of fracast {FRACAST} has SHA-256 {got}, expected {FRACAST_WHEEL}")
            with zipfile.ZipFile(wheel) as inside:
                for path in ("fracast/weights/model.safetensors", f"fracast-{FRACAST}.dist-info/licenses/LICENSE"):
                    (folder / Path(path).name).write_bytes(inside.read(path))

    return built(f"fracast-{FRACAST}", make)


def ferretdb_binary():
    sources = [HERE / "ferretdb" / name for name in ("main.go", "go.mod", "go.sum")]

    def make(folder):
        need("go", [], "install Go 1.22 or newer (Debian 12's own is too old), or leave ferretdb out")
        command("building FerretDB", "go", "build", "-o", folder / "ferretdb", ".",
                cwd=HERE / "ferretdb")

    return built(f"ferretdb-{fingerprint(*sources)}", make) / "ferretdb"
