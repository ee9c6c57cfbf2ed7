"""The command line: one verb for each thing the lab does, each in a module of ``labkit.commands``.

Results go to standard output, progress and remarks to standard error. Exit status: 0 done, 1 a run failed (or
``solve`` found nothing), 2 a request that cannot be served (one line on standard error), 130 stopped by
Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

from labkit import __version__
from labkit.errors import UsageError

VERBS = tuple(
    "play solve verify eval train plan send figures players runs export import app bench grade".split(),
)
"""In the order in which the help lists them; ``labkit.commands.VERB`` has ``configure`` and ``run``. Where the
verb is a Python keyword, its module's name ends in an underscore."""


class Parser(argparse.ArgumentParser):
    """Reports a wrong use as an exception, so that it is shown like every other error of use."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def parser() -> argparse.ArgumentParser:
    """The whole command line. Verbs import what they need when they run, so this is quick."""
    top = Parser(
        prog="labkit",
        description="A lab for post-training: play, verify, evaluate and train on GeneralPoints and V-IRL.",
        epilog="`labkit VERB --help` explains a verb, with examples.",
    )
    top.add_argument("--version", action="version", version=f"labkit {__version__}")
    top.set_defaults(run=lambda args: top.print_help())
    verbs = top.add_subparsers(metavar="VERB")
    for name in VERBS:
        module = import_module(f"labkit.commands.{name}{'_' if iskeyword(name) else ''}")
        # Without its docstrings (python -OO), a module explains nothing and still runs.
        summary, _, examples = (module.__doc__ or "").partition("\n\n")
        verb = verbs.add_parser(
            name,
            help=summary[:1].lower() + summary[1:].rstrip("."),
            description=summary,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.configure(verb)
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # What a model writes may hold anything, lone surrogates included; a terminal may not be UTF-8.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing may be flushed into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in argv:
            traceback.print_exc()
        message, status = _reported(error)
        print(f"labkit: {' '.join(message.split())}", file=sys.stderr)
        return status


def _run(argv: list[str]) -> int:
    if argv and not argv[0].startswith("-"):
        from labkit.commands.common import known

        known("verb", argv[0], VERBS)
    args = parser().parse_args(argv)
    return args.run(args) or 0


def _reported(error: BaseException) -> tuple[str, int]:
    """The message of an error, and the exit status."""
    if isinstance(error, UsageError):
        return str(error), 2
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "stopped", 130
    return f"{type(error).__name__}: {error} (--debug shows where)", 1


if __name__ == "__main__":
    sys.exit(main())
