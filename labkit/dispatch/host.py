"""Hosts: the machines that runs are sent to, as YAML files in ``configs/hosts``."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import Field, ValidationInfo, field_validator

from labkit.config import Config, read
from labkit.errors import UsageError

HOSTS = Path("configs/hosts")


class GPU(NamedTuple):
    """A GPU, by its vendor's data sheet."""

    memory: float
    """Bytes."""
    flops: float
    """Dense bf16 operations a second."""
    bandwidth: float
    """Bytes a second from its memory."""


GPUS = {
    "a100-80gb": GPU(80 * 2**30, 312e12, 2.04e12),
    "h100-80gb": GPU(80 * 2**30, 989e12, 3.35e12),
    "h800-80gb": GPU(80 * 2**30, 989e12, 3.35e12),
    "h200-141gb": GPU(139 * 2**30, 989e12, 4.8e12),
    "l40s-48gb": GPU(45 * 2**30, 362e12, 0.86e12),
    "rtx4090-24gb": GPU(24 * 2**30, 165e12, 1.01e12),
}
"""Rates are those of NVIDIA's data sheets (the SXM board of the first four), memory what the driver reports."""


class Host(Config):
    """A machine that runs are sent to."""

    name: str
    """The YAML file's name, without its ending."""
    ssh: str | None = None
    """``user@machine``, or an alias of the user's ssh config; left out for this machine."""
    ssh_options: tuple[str, ...] = ()
    """Options of ``ssh``, such as ``[-p, "2222", -i, KEY]``."""
    folder: str = "labkit"
    """Where code, data and runs lie on the host; relative to the home folder."""
    python: str = "python3"
    """The interpreter that has torch and the other packages; ``~`` is the home folder."""
    install: bool | str = False
    """Make an environment on the host with ``python -m venv`` and pip: with labkit's own requirements, or with those of
    a requirements file here."""
    wheelhouse: str | None = None
    """A folder on the host that ``install`` takes all packages from, without network; ``~`` is the home folder."""
    setup: str | None = None
    """A shell command in front of every other, such as ``conda activate labkit``."""
    launcher: Literal["ssh", "slurm"] = "ssh"
    """What starts a run: the ssh connection itself, or ``sbatch``."""
    slurm: dict[str, str | int] = {}
    """Options of ``sbatch``: ``{partition: gpu, time: "12:00:00", gres: "gpu:8"}``."""
    accelerate: str | None = None
    """A config file of ``accelerate launch``; it starts the run's processes on GPUs."""
    processes: int | None = Field(None, ge=1)
    """Number of processes on CPUs, started by torchrun."""
    gpu: str | None = None
    """What a GPU there can do, for ``labkit plan``: a name in :data:`GPUS`."""

    @field_validator("gpu")
    @classmethod
    def _known(cls, gpu: str | None) -> str | None:
        if gpu is not None and gpu not in GPUS:
            raise ValueError(f"the GPUs that are known are {', '.join(GPUS)}")
        return gpu

    @field_validator("wheelhouse")
    @classmethod
    def _for_install(cls, wheelhouse: str | None, info: ValidationInfo) -> str | None:
        if wheelhouse is not None and not info.data.get("install"):
            raise ValueError("packages are taken from it by install: true; set that too")
        return wheelhouse

    @field_validator("processes")
    @classmethod
    def _one_launcher(cls, processes: int | None, info: ValidationInfo) -> int | None:
        if processes is not None and info.data.get("accelerate"):
            raise ValueError("accelerate's config says how many processes there are; leave this out")
        return processes

    @field_validator("slurm")
    @classmethod
    def _for_slurm(cls, slurm: dict[str, str | int], info: ValidationInfo) -> dict[str, str | int]:
        if slurm and info.data.get("launcher") != "slurm":
            raise ValueError("these are options of sbatch; set launcher: slurm")
        return slurm

    def launch(self) -> Launch:
        """How many processes are started, and whether they share out the model.

        Raises:
            UsageError: the config of accelerate cannot be read, or asks for what this launcher cannot start.
        """
        if self.accelerate is None:
            return Launch(self.processes or 1)
        data = read(self.accelerate)
        fsdp = data.get("fsdp_config") or {}
        launch = Launch(
            int(data.get("num_processes", 1)),
            int(data.get("num_machines", 1)),
            cuda=not data.get("use_cpu", False),
            sharded=data.get("distributed_type") == "FSDP",
            resharded=bool(fsdp and fsdp.get("fsdp_reshard_after_forward", True)),
        )
        if launch.machines > 1 and self.launcher != "slurm":
            raise UsageError(f"{self.accelerate} is for {launch.machines} machines, which only launcher: slurm starts")
        return launch


class Launch(NamedTuple):
    """The processes of a run."""

    processes: int
    """On all machines together."""
    machines: int = 1
    cuda: bool = False
    """Whether they train on GPUs, one each."""
    sharded: bool = False
    """Whether they share out weights, gradients and optimizer moments (FSDP)."""
    resharded: bool = False
    """Whether gathered weights are given up between forward and backward pass."""


def load(name: str) -> Host:
    """The host of a name in ``configs/hosts``, or of a YAML file.

    Raises:
        UsageError: there is none, or its file is wrong.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else HOSTS / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in HOSTS.glob("*.yaml"))
        near = difflib.get_close_matches(name, known, 1)
        hint = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}; a YAML file will do too"
        )
        raise UsageError(f"no host {name!r} in {HOSTS}/; {hint}")
    data: dict[str, Any] = {"name": path.stem, **_mapping(path)}
    return Host.parse(data, str(path))


def _mapping(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the host {path}: {' '.join(str(error).split())}") from None
    if data is not None and not isinstance(data, dict):
        raise UsageError(f"{path} is not a host: write one `key: value` a line")
    return data or {}
