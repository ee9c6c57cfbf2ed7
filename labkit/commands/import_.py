"""Make a checkpoint of a GGUF file, the format of llama.cpp.

examples:
  labkit import SmolLM2-135M-Instruct.Q4_1.gguf smollm2      then: labkit play gp-l --player smollm2
  labkit train configs/experiments/gp-l/init.yaml --set model=smollm2 thought=false lora={}

Weights become fp32 safetensors; the tokenizer and the chat template come along. Needs `pip install gguf`.
"""

from __future__ import annotations

import argparse

from labkit.commands import common


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="GGUF", help="the file")
    parser.add_argument("folder", metavar="DIR", help="the checkpoint's folder, new or empty")
    common.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from labkit.models.gguf import import_gguf

    parameters = import_gguf(args.file, args.folder)
    if args.json:
        common.emit({"folder": args.folder, "parameters": parameters})
    else:
        print(f"{args.folder}: {parameters / 1e6:,.1f} million parameters; labkit play gp-l --player {args.folder}")
    return 0
