"""The part of dispatch that runs on the host: it starts jobs, watches over them and says how they stand.

It uses the standard library only and is sent through ssh's standard input with each request
(``python - ACTION FOLDER ...``), so it has not to be installed there, and is never of another version than the
sender's. Nothing of it stays running but one process a job, which starts the job's command, waits for it and ends
with it. A job is a training run with its config, code and data::

    FOLDER/code/HASH/labkit/     the package, by its content
    FOLDER/data/HASH/NAME        checkpoints and files that configs name, by their content
    FOLDER/envs/KEY/             requirements.txt and constraints.txt as sent; venv, made of them, and pip's log
    FOLDER/jobs/KEY/             job.json and config.yaml as sent; start.json, launch.json, end.json and log since
    FOLDER/runs/RUN/             run folders

A job's key is the hash of its config, code and launcher, so sending it again finds it instead of running it twice.
All processes of a job carry :data:`MARK` in their environment. Whether a job is alive is asked of the system, which
knows of crashes, kills and restarts; no process id and no clock is trusted.
"""

import fcntl
import importlib.metadata
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "LABKIT_JOB"
GRACE = 30.0
"""Seconds between the interrupt and the kill."""
POLL = 0.5
"""Seconds between looks at whether a job may begin or has ended."""
FULL = 2**20
"""A disk with fewer free bytes counts as full."""
PACKAGES = ("torch", "transformers", "accelerate", "peft", "safetensors", "numpy", "pydantic", "gymnasium")


def check(folder: Path) -> dict:
    """What the host has: free space, GPUs, versions, programs, and the code and data that are there already."""
    for part in ("code", "data", "envs", "jobs", "runs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    versions = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    codes = sorted((folder / "code").iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)
    return {
        "folder": str(folder.resolve()),
        "system": sys.platform,
        "python": ".".join(map(str, sys.version_info[:3])),
        "packages": versions,
        "missing": [package for package in PACKAGES if package not in versions],
        "free": shutil.disk_usage(folder).free,
        "gpus": _gpus(),
        "programs": [name for name in ("rsync", "sbatch") if shutil.which(name)],
        "code": [p.name for p in codes if "." not in p.name],
        "data": [p.name for p in (folder / "data").iterdir() if "." not in p.name],
        "environments": [p.parent.name for p in (folder / "envs").glob("*/complete")],
    }


def install(folder: Path, key: str, wheelhouse: str = "") -> dict:
    """Make an environment from the requirements that were sent, unless it is complete; two senders make it once.

    With a wheelhouse pip asks no network.
    """
    place = folder / "envs" / key
    with _locked(place):
        if (place / "complete").exists():
            return {}
        offline = ["--no-index", "--find-links", str(Path(wheelhouse).expanduser().absolute())] if wheelhouse else []
        pip = [str(place / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", *offline]
        commands = (
            [sys.executable, "-m", "venv", "--clear", str(place / "venv")],
            [*pip, "-r", str(place / "requirements.txt"), "-c", str(place / "constraints.txt")],
        )
        with (place / "log").open("ab") as log:
            for command in commands:
                if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
                    raise SystemExit(f"{_last(_tail(place / 'log'))} (all of it in {place / 'log'})")
        (place / "complete").touch()
    return {}


def keep(folder: Path, part: str, whole: str) -> dict:
    """Put a folder that has arrived completely in its place; what another sender put there first stays."""
    with _locked(folder):
        if (folder / whole).exists():
            shutil.rmtree(folder / part)
        else:
            (folder / part).rename(folder / whole)
    return {}


def start(folder: Path, *keys: str) -> list:
    """Start jobs, one after another; those that were started before stay as they are."""
    with _locked(folder):
        new = [key for key in dict.fromkeys(keys) if not (folder / "jobs" / key / "start.json").exists()]
        for key in new:
            _begin(folder, key, resume=False)
    return [{**_state(folder, key), "new": key in new} for key in keys]


def resume(folder: Path, run: str) -> dict:
    """Start a job again that has stopped or failed."""
    with _locked(folder):
        key = _find(folder, run)
        standing = _state(folder, key)
        if standing["status"] in ("stopped", "failed"):
            _begin(folder, key, resume=True)
    return _state(folder, key)


def stop(folder: Path, run: str) -> dict:
    """Interrupt a job, as Ctrl-C does, and kill what is left of it after a while."""
    key = _find(folder, run)
    job = folder / "jobs" / key
    begun = _read(job / "start.json")
    if begun.get("slurm"):
        _slurm_stop(job, begun["slurm"])
    else:
        _local_stop(job)
    return _state(folder, key)


def states(folder: Path) -> list:
    """How all jobs stand, the newest first."""
    jobs = folder / "jobs"
    keys = [p.name for p in jobs.iterdir() if (p / "start.json").exists()] if jobs.is_dir() else []
    return sorted((_state(folder, key) for key in keys), key=lambda s: s["run"], reverse=True)


def state(folder: Path, run: str) -> dict:
    """How one job stands."""
    return _state(folder, _find(folder, run))


def run(folder: Path, key: str) -> None:
    """Wait for the job's turn, run its command, and write down how that ended. The process that stays with a job."""
    # An interrupt is for the command; a handler, unlike SIG_IGN, is not inherited.
    signal.signal(signal.SIGINT, lambda *_: _interrupt(job))
    job = folder / "jobs" / key
    begun = _read(job / "start.json")
    while not begun.get("slurm") and _ahead(folder, begun["ticket"]):
        time.sleep(POLL)
    sent = _read(job / "job.json")
    environment = {**os.environ, MARK: str(job), "PYTHONPATH": str(folder / "code" / sent["code"])}
    with (job / "log").open("ab") as log:
        process = subprocess.Popen(
            _command(folder, job, sent, begun),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        _write(job / "launch.json", {"pid": process.pid})
        status = process.wait()
    # A launcher that was killed leaves its workers behind.
    _kill(pid for pid in _alive().get(str(job), ()) if pid != os.getpid())
    with suppress(OSError):
        _write(job / "end.json", {"status": status})


def _interrupt(job: Path) -> None:
    """Interrupt the command of a job and the rest of its process group, as Ctrl-C in a terminal does."""
    with suppress(KeyError, ProcessLookupError):
        os.killpg(_read(job / "launch.json")["pid"], signal.SIGINT)


def _begin(folder: Path, key: str, *, resume: bool) -> None:
    """Start the process that stays with a job, or hand the job to Slurm."""
    job = folder / "jobs" / key
    sent, before = _read(job / "job.json"), _read(job / "start.json")
    name = before.get("run") or _new_run(folder, sent["name"])
    tickets = [_read(p).get("ticket", 0) for p in (folder / "jobs").glob("*/start.json")]
    begun = {"run": name, "ticket": max(tickets, default=0) + 1, "time": time.time()}
    begun["resume"] = resume and (folder / "runs" / name / "config.yaml").exists()
    for old in ("launch.json", "end.json"):
        (job / old).unlink(missing_ok=True)
    agent = folder / "code" / sent["code"] / "labkit" / "dispatch" / "agent.py"
    python = str(folder / sent["python"]) if "python" in sent else sys.executable
    stay = [python, str(agent), "run", str(folder), key]
    if sent["launcher"] == "slurm":
        script = f"#!/bin/bash\n{sent['setup'] or ':'}\nexec {shlex.join(stay)}\n"
        options = ["--parsable", f"--job-name={sent['name']}", f"--chdir={folder}", f"--output={job / 'log'}"]
        options += ["--open-mode=append", "--export=ALL", *sent["slurm"]]
        done = subprocess.run(["sbatch", *options], input=script, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"sbatch: {_last(done.stderr)}")
        begun["slurm"] = done.stdout.strip().partition(";")[0]
        _write(job / "start.json", begun)
        return
    _write(job / "start.json", begun)
    with (job / "log").open("ab") as log:
        subprocess.Popen(
            stay,
            env={**os.environ, MARK: str(job)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _new_run(folder: Path, name: str) -> str:
    """An id for a run that no other job has."""
    taken = {_read(p).get("run") for p in (folder / "jobs").glob("*/start.json")}
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    count, found = 1, stem
    while found in taken or (folder / "runs" / found).exists():
        count += 1
        found = f"{stem}-{count}"
    return found


def _command(folder: Path, job: Path, sent: dict, begun: dict) -> list:
    """The command line of a job."""
    train = ["-m", "labkit", "train", "--out", "runs", "--device", sent["device"]]
    train += ["--resume", begun["run"]] if begun["resume"] else [str(job / "config.yaml"), "--run-id", begun["run"]]
    if sent["machines"] == 1:
        return [sys.executable, *sent["launch"], *train]
    nodes = subprocess.run(
        ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]], capture_output=True, text=True, check=True
    ).stdout.split()
    launch = [sys.executable, *sent["launch"], "--main_process_ip", nodes[0], "--main_process_port", "29500"]
    line = f'exec {shlex.join([*launch, "--machine_rank"])} "$SLURM_NODEID" '
    line += shlex.join(train)
    return ["srun", f"--nodes={len(nodes)}", f"--ntasks={len(nodes)}", "--ntasks-per-node=1", "bash", "-c", line]


def _ahead(folder: Path, ticket: int) -> bool:
    """Whether a job that was started earlier is queued or running: a folder runs one at a time."""
    earlier = [p.parent for p in (folder / "jobs").glob("*/start.json") if _read(p).get("ticket", 0) < ticket]
    alive = _alive()
    return any(str(job) in alive for job in earlier)


def _state(folder: Path, key: str) -> dict:
    """How a job stands, as the system knows it; a run's own status is corrected where the two differ."""
    job = folder / "jobs" / key
    begun, sent = _read(job / "start.json"), _read(job / "job.json")
    found = {"run": begun["run"], "key": key, "name": sent.get("name"), "status": "queued", "reason": None}
    path = folder / "runs" / begun["run"] / "status.json"
    own = _read(path)
    if begun.get("slurm"):
        alive, found["reason"] = _slurm_state(begun["slurm"])
    else:
        alive = str(job) in _alive()
    if alive:
        launched = (job / "launch.json").exists()
        return {**found, "status": "running" if launched else "queued", "step": _step(path.parent)}
    if own.get("status") in ("finished", "stopped", "failed"):
        reason = own.get("reason") or own.get("error") or found["reason"]
        return {**found, "status": own["status"], "reason": reason, "step": _step(path.parent)}
    ended = _read(job / "end.json")
    if shutil.disk_usage(folder).free < FULL:
        reason = "the disk is full; free some space, then resume"
    elif ended.get("status", 0) > 0:
        reason = _last(_tail(job / "log")).removeprefix("labkit: ")
    elif not (job / "launch.json").exists():
        reason = "it had not begun"
    else:
        reason = found["reason"] or "its processes are gone: killed, or the host was restarted"
    status = "stopped" if own else "failed" if ended.get("status") else "stopped"
    if own:
        with suppress(OSError):
            _write(path, {**own, "status": status, "reason": reason})
    return {**found, "status": status, "reason": reason, "step": _step(path.parent)}


def _step(path: Path) -> object:
    """The last step that a run has logged."""
    lines = _tail(path / "metrics.jsonl").splitlines()
    for line in reversed(lines):
        with suppress(ValueError):
            return json.loads(line).get("step")
    return None


def _find(folder: Path, run: str) -> str:
    """The key of a job by its run's id, or by the beginning or end of one."""
    runs: dict[str, str] = {_read(p).get("run", ""): p.parent.name for p in (folder / "jobs").glob("*/start.json")}
    if run in runs:
        return runs[run]
    near = [name for name in runs if name.startswith(run) or name.endswith(f"-{run}")]
    if len(near) != 1:
        raise SystemExit(f"{run} could be any of {', '.join(sorted(near))}" if near else f"no run {run} was sent there")
    return runs[near[0]]


def _alive() -> dict:
    """The processes of each job that has any, by the job's folder."""
    found: dict = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            for entry in path.read_bytes().split(b"\0"):
                if entry.startswith(MARK.encode() + b"="):
                    job = os.fsdecode(entry.partition(b"=")[2])
                    found.setdefault(job, []).append(int(path.parent.name))
    return found


def _local_stop(job: Path) -> None:
    pids = _alive().get(str(job), [])
    launched = _read(job / "launch.json").get("pid")
    if launched in pids:
        _interrupt(job)
    else:
        _kill(pids)
    until = time.monotonic() + GRACE
    while str(job) in _alive() and time.monotonic() < until:
        time.sleep(POLL / 5)
    _kill(_alive().get(str(job), ()))


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _slurm_state(number: str) -> tuple:
    """Whether Slurm still has a job queued or running, and what it says of the job."""
    queue = subprocess.run(["squeue", "-h", "-j", number, "-o", "%T|%r"], capture_output=True, text=True).stdout.strip()
    word, _, why = queue.partition("|")
    if word and word not in _SLURM_ENDED:
        return True, None if why in ("", "None") else f"Slurm: {why}"
    if not word:
        shown = subprocess.run(["scontrol", "-o", "show", "job", number], capture_output=True, text=True).stdout
        word = next((w.partition("=")[2] for w in shown.split() if w.startswith("JobState=")), "")
    if not word and shutil.which("sacct"):
        said = subprocess.run(["sacct", "-n", "-X", "-j", number, "-o", "State"], capture_output=True, text=True)
        word = said.stdout.strip().partition(" ")[0]
    return False, None if word in ("", "COMPLETED") else f"Slurm: {word}"


_SLURM_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


def _slurm_stop(job: Path, number: str) -> None:
    if (job / "launch.json").exists():
        # The batch script is the process that stays with the job; of several machines, the steps are told.
        whom = ["--batch"] if _read(job / "job.json")["machines"] == 1 else []
        subprocess.run(["scancel", *whom, "--signal=INT", number], capture_output=True)
        until = time.monotonic() + GRACE
        while _slurm_state(number)[0] and time.monotonic() < until:
            time.sleep(POLL)
    subprocess.run(["scancel", number], capture_output=True)
    while _slurm_state(number)[0]:
        time.sleep(POLL)


def _gpus() -> list:
    """Name, bytes of memory and bytes in use of each GPU."""
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name,memory.total,memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True)
    rows = [line.split(", ") for line in done.stdout.splitlines() if line.count(", ") == 2]
    return [{"name": name, "memory": int(total) * 2**20, "used": int(used) * 2**20} for name, total, used in rows]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One request at a time changes what is started."""
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write(path: Path, data: dict) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(data), encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _tail(path: Path, size: int = 1 << 14) -> str:
    """The last characters of a text file."""
    try:
        with path.open("rb") as handle:
            handle.seek(max(0, path.stat().st_size - size))
            return handle.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _last(text: str) -> str:
    """The last line that has a word in it."""
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalpha, line))]
    return lines[-1] if lines else "it said nothing"


ACTIONS = {f.__name__: f for f in (check, install, keep, start, resume, stop, states, state, run)}


def main(words: list) -> None:
    """Do what is asked and print the answer as JSON; what went wrong is ``{"error": ...}``."""
    action, folder, *rest = words
    try:
        answer = ACTIONS[action](Path(folder).expanduser().absolute(), *rest)
    except SystemExit as error:
        answer = {"error": str(error.code)}
    except OSError as error:
        answer = {"error": str(error)}
    if answer is not None:
        print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
