"""Train a model: pre-training, SFT or reinforcement learning, as the config says.

examples:
  labkit train configs/models/tiny.yaml
  labkit train configs/experiments/gp-l/init.yaml --set seed=1 --set lr=1e-4
  labkit train --resume 20261129-101502-gp-l-sft
  torchrun --nproc_per_node 2 -m labkit train configs/experiments/gp-l/rl.yaml

The run's folder holds the resolved config, metrics, checkpoints and the state for --resume. A resumed run keeps its own
settings; to train on with others, start a new run from its checkpoint with --set model=run:ID.
"""

from __future__ import annotations

import argparse
import os

from labkit.commands import common
from labkit.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="YAML of a stage; may be left out with --resume")
    common.add_overrides(parser)
    parser.add_argument("--resume", metavar="RUN", help="continue a run that was interrupted, with its own settings")
    parser.add_argument(
        "--run-id", metavar="ID", help="name the run's folder (default: the time and the config's name)"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: cpu)")
    parser.add_argument(
        "--tokens",
        action="store_const",
        const="tokens=true",
        help="RL: also store token ids, log-probabilities, values and advantages (about 30 bytes a sampled token)",
    )
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.config is None and args.resume is None:
        raise UsageError("name a config, or a run to --resume; configs/experiments holds some")
    from labkit.runs import CannotWrite, listing
    from labkit.training import train
    from labkit.training.common.distributed import is_main

    where = {"device": args.device} if args.device else {}
    try:
        done = train(
            args.config,
            args.overrides + [args.tokens] * bool(args.tokens),
            resume=args.resume,
            out=args.out,
            run_id=args.run_id,
            **where,
        )
    except KeyboardInterrupt:
        mine = [r for r in listing(args.out) if r.status.get("pid") == os.getpid()]
        hint = f"; go on with `labkit train --resume {mine[0].id}`" if mine else ""
        raise KeyboardInterrupt(f"stopped{hint}") from None
    except CannotWrite as error:
        raise UsageError(f"{error}. Free some space, then go on with `labkit train --resume RUN`") from error
    if not is_main():
        return 0
    if args.json:
        last = done.metrics()[-1:]
        common.emit({"run": str(done.path), **done.status, "metrics": last[0] if last else None})
    else:
        print(done.path)
    return 0
