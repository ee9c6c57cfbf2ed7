"""A real Slurm of one node: munged, slurmctld and slurmd with a configuration, a key and ports of their own."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.dispatch.loopback import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")


def program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin")


def lacking() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "slurmd runs on Linux, as root"
    missing = [name for name in PROGRAMS if program(name) is None]
    return f"no {', '.join(missing)}; on Debian: apt-get install slurm-wlm munge" if missing else ""


class Slurm:
    """One node with two CPUs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Daemons refuse keys and sockets in folders that others can write to.
        folder.chmod(0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        self.config = folder / "slurm.conf"
        node = socket.gethostname().partition(".")[0]
        self.config.write_text(
            f"""
ClusterName=test
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
KillWait=2
NodeName={node} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
        )
        munge = [f"--{name}={folder}/munge.{end}" for name, end in (("key-file", "key"), ("socket", "socket"))]
        munge += [f"--{name}={folder}/munge.{end}" for name, end in (("pid-file", "pid"), ("seed-file", "seed"))]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start("munged", "--force", "--foreground", *munge, f"--log-file={folder}/munge.log")
        self._wait(lambda: (folder / "munge.socket").exists())
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D")
        self._wait(lambda: "idle" in self.says("sinfo", "-h", "-o", "%T"))

    def says(self, *words: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.config)}

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait()

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("w") as out:
            self._processes.append(
                subprocess.Popen([program(name), *words], env=self.environment, stdout=out, stderr=out)
            )

    def _wait(self, ready) -> None:
        while not ready():
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError("\n".join(p.read_text() for p in self.folder.glob("*.out")))
            time.sleep(0.05)
