"""Train with TRL's GRPOTrainer what `labkit train` trains with a `grpo` config, as a baseline.

    pip install trl
    python scripts/trl_grpo.py configs/experiments/gp-l/rl.yaml --out trl-grpo \
        --set credit.kind=grpo critic=none group=8 updates=10

Same checkpoint, deals, rewards, episodes an update, group, learning rate, clip and KL. TRL has no attempts of its own:
an episode of revision is one completion, with the feedback masked. The trained model is saved to --out, so
`labkit eval gp-l --player trl-grpo` measures it beside ours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from labkit.config import read
from labkit.errors import UsageError
from labkit.models.loader import load
from labkit.players.registry import resolve_checkpoint
from labkit.training.rl.config import RLConfig


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", dest="overrides", metavar="KEY=VALUE", nargs="+", default=[])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        config = RLConfig.parse(read(args.config, args.overrides), args.config)
        from labkit.interop.trl_grpo import trainer

        loaded = load(resolve_checkpoint(config.model))
        training = trainer(loaded, config, args.out)
    except UsageError as error:
        print(f"trl_grpo: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"trl_grpo: {error}; pip install trl", file=sys.stderr)
        return 2
    training.train()
    loaded.model.save_pretrained(args.out)
    loaded.tokenizer.save_pretrained(args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
