"""Plan a run before it starts: memory by part, FLOPs, hours, and what would make it fit.

examples:
  labkit plan configs/experiments/gp-l/rl.yaml
  labkit plan configs/experiments/gp-l/authors-rl.yaml --to h800
  labkit plan configs/experiments/gp-l/authors-sft.yaml --to h800 --set micro_batch_tokens=32768 --json

Without --to, the plan is for one process on this machine's CPU. Nothing is loaded or fetched: models of hub ids are
counted from their shape. Memory is the most that a process needs in each phase of a run; RL's dialogues are counted
with every attempt used and, for memory, with answers as long as allowed. Hours are at named rates, so they are rough.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.counting import counted

if TYPE_CHECKING:
    from labkit.dispatch.plan import Plan

GIB = 2**30


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="YAML of a stage: sft or rl")
    common.add_overrides(parser)
    common.add_host(parser, "the host that it would run on (default: this machine's CPU)")
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.config import read
    from labkit.dispatch import host as hosts
    from labkit.dispatch import plan as plans
    from labkit.training import stages

    host = hosts.load(args.to) if args.to else None
    config = stages.parse(read(args.config, args.overrides), args.config)
    found = plans.plan(config, host, runs=args.out)
    better = plans.remedy(found, host, runs=args.out) if host and found.fits is False else None
    if args.json:
        common.emit(_document(found, better))
    else:
        print(_text(found, better))
    return 0


def _document(found: Plan, better: tuple[str, Plan] | None) -> dict[str, Any]:
    return {
        "processes": found.launch.processes,
        "device": found.device,
        "parameters": found.counted.parameters,
        "trained_parameters": found.counted.trained,
        "memory": {"parts": found.parts, "phases": found.phases, "peak": found.peak, "limit": found.limit},
        "fits": found.fits,
        "change": better and {"change": better[0], "peak": better[1].peak, "hours": better[1].hours},
        "disk": found.disk,
        "tokens": {**found.lengths._asdict(), **found.work._asdict()},
        "flops": found.flops,
        "seconds": found.seconds,
        "hours": found.hours,
    }


def _text(found: Plan, better: tuple[str, Plan] | None) -> str:
    from labkit.dispatch.plan import PHASES

    many = found.launch.processes > 1
    where = f"each of {found.launch.processes} processes" if many else "one process"
    rows = [{"GiB": part, **{p: _gib(sizes.get(p)) for p in PHASES}} for part, sizes in found.parts.items()]
    rows.append({"GiB": "all", **{p: _gib(size) for p, size in found.phases.items()}})
    lengths, todo = found.lengths, found.work
    counting = "the model's tokenizer" if lengths.exact else "estimated from characters"
    lines = [
        f"{found.counted.parameters / 1e6:,.1f} million parameters, {found.counted.trained / 1e6:,.1f} million of them "
        f"trained; {where} on {found.device}",
        common.table(rows, ("GiB", *PHASES)),
        _verdict(found, better),
        f"disk: {_gib(found.disk)} GiB of checkpoints and state",
        f"a dialogue: {lengths.tokens:.0f} tokens, a prompt of {lengths.prompt:.0f} and {lengths.turns:.1f} answers of "
        f"{lengths.answer:.0f} ({counting})",
        f"{counted(todo.steps, 'step')} of {counted(todo.rows, 'dialogue')}: {todo.trained / 1e6:,.1f} million tokens "
        f"trained on, {todo.scored / 1e6:,.1f} scored, {todo.read / 1e6:,.1f} read, {todo.sampled / 1e6:,.1f} sampled",
        "FLOPs: " + ", ".join(f"{part} {value:.2e}" for part, value in found.flops.items()),
    ]
    if found.seconds is None:
        lines.append("hours: not known; there is no rate for a CPU")
    else:
        parts = ", ".join(f"{part} {seconds / 3600:.2f}" for part, seconds in found.seconds.items())
        lines.append(f"hours: {found.hours:.2f} ({parts}), at the rates named in labkit/dispatch/plan.py")
    return "\n".join(lines)


def _verdict(found: Plan, better: tuple[str, Plan] | None) -> str:
    if found.limit is None:
        return f"peak: {_gib(found.peak)} GiB; how much the host has is not known"
    if found.fits:
        return f"fits: {_gib(found.peak)} of {_gib(found.limit)} GiB that a process may use"
    said = f"does not fit: {_gib(found.peak)} GiB, and a process may use {_gib(found.limit)}; "
    if better is None:
        return said + "no single change makes it fit: use a host with more or larger GPUs"
    return said + f"it fits with {better[0]} ({_gib(better[1].peak)} GiB)"


def _gib(size: float | None) -> str:
    return "" if size is None else f"{size / GIB:.2f}" if size >= GIB / 10 else f"{size / GIB:.5f}"
