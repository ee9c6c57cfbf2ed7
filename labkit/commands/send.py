"""Send training runs to a host, where they go on without this machine.

examples:
  labkit send configs/experiments/gp-l/rl.yaml --to h800
  labkit send configs/experiments/gp-l/rl.yaml --to local --set seed=1
  labkit send init.yaml sft.yaml rl.yaml --to h800       a queue: one after another
  labkit runs follow gp-l-rl --to h800                   see `labkit runs --help` for what comes after

The host is checked first: connection, free space, GPUs, packages. Code, checkpoints and data files are sent by their
content, only what is not there yet. What was sent before, with the same code, data and settings, is not run twice: its
id is printed again. A config's model may be run:ID of a run that the host does earlier in the queue.
"""

from __future__ import annotations

import argparse

from labkit.commands import common


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", metavar="CONFIG", nargs="+", help="YAML of a stage")
    common.add_host(parser, "the host", required=True)
    common.add_overrides(parser)
    common.add_out(parser)
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.dispatch import host as hosts
    from labkit.dispatch import remote

    host = hosts.load(args.to)
    sent = remote.send(args.configs, host, args.overrides, out=args.out, say=common.say)
    if args.json:
        runs = [{"run": one.run.id, **one.status} for one in sent]
        common.emit(runs[0] if len(runs) == 1 else {"runs": runs})
        return 0
    for one in sent:
        print(one.run.id)
    common.say(f"follow with `labkit runs follow {sent[0].run.id} --to {args.to}`")
    return 0
