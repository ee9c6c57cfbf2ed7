"""What the verbs share: options, output, and the way errors of use are worded."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.envs.games import row_of, rows
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.play import Played
    from labkit.players import Player
    from labkit.runs import Run

SPLIT_HELP = "part of the suite: all (default), train, dev, test or unseen"
ATTEMPTS_HELP = "answers allowed at a position (default: the game's own number; 5 in GeneralPoints, 2 in V-IRL)"


def known(what: str, word: str, words: Iterable[str]) -> str:
    """The word, if it is one of those known.

    Raises:
        UsageError: it is not; the message names the nearest one, or all.
    """
    words = list(words)
    if word in words:
        return word
    near = difflib.get_close_matches(word, words, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(words)}"
    raise UsageError(f"no {what} {word!r}; {hint}")


def cell_of(name: str) -> str:
    """Check the name of a cell."""
    row_of(name)
    return name


def suite_of(cell: str, name: str) -> str:
    """Check the name of a suite."""
    from labkit.envs import ladder

    return known(f"suite of {cell}", name, ladder.suites(cell))


def split_of(cell: str, name: str) -> str:
    """Check the name of a split."""
    from labkit.envs import game

    return known("split", name, ("all", *game(cell).splits))


def count(text: str) -> int:
    """A whole number from 1, as an option's type."""
    if not (text.isascii() and text.isdigit() and int(text[:19]) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text[:19])


def add_cell(parser: argparse.ArgumentParser, *, without: str | None = None) -> None:
    """Add CELL; it may be left out where the option ``without`` is given."""
    known_cells = "; ".join(", ".join(f"{cell} ({title})" for cell, title in row.cells.items()) for row in rows())
    if without:
        parser.add_argument("cell", metavar="CELL", nargs="?", help=f"{known_cells}; left out with {without}")
    else:
        parser.add_argument("cell", metavar="CELL", help=known_cells)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def add_tokens(parser: argparse.ArgumentParser) -> None:
    """Add ``--tokens``."""
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="also store the answers' token ids and log-probabilities, for heat maps (about 8 bytes a token)",
    )


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add ``--out``."""
    parser.add_argument("--out", metavar="DIR", default="runs", help="folder of the runs (default: runs)")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add ``--set``."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="overrides",
        action="extend",
        nargs="+",
        default=[],
        help="replace a setting of the config; dots reach into sections",
    )


def add_host(parser: argparse.ArgumentParser, help: str, *, required: bool = False) -> None:
    """Add ``--to``."""
    help = f"{help}: a name in configs/hosts, or a YAML file"
    parser.add_argument("--to", metavar="HOST", required=required, help=help)


def add_player_options(
    parser: argparse.ArgumentParser,
    *,
    temperature: Callable[[str], Any] = float,
    temperature_help: str = "of sampling; 0, the default, is greedy",
) -> None:
    """Add how a model is loaded and how it samples."""
    group = parser.add_argument_group("a model's options")
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or mps (default: the best there is)")
    group.add_argument("--dtype", default="auto", help="float32, bfloat16 or float16 (default: the checkpoint's)")
    group.add_argument("--temperature", metavar="T", type=temperature, default=0.0, help=temperature_help)
    group.add_argument("--max-new-tokens", type=count, metavar="N", help="longest answer, in tokens")
    group.add_argument("--base", metavar="MODEL", help="the model under an adapter, if it has moved")
    group.add_argument("--trust-remote-code", action="store_true", help="run code that comes with a checkpoint")


def load_player(args: argparse.Namespace) -> Player:
    """The player that the arguments name.

    Raises:
        UsageError: there is no such player, or it cannot be loaded.
    """
    from labkit.players import registry

    names = ("device", "dtype", "temperature", "max_new_tokens", "base", "trust_remote_code", "batch")
    given = {name: getattr(args, name) for name in names if name in args}
    return registry.load(args.player, runs=args.out, **given)


def picture_for(player: Player, cell: str) -> dict[str, Any]:
    """The setting by which a cell's pictures are drawn as large as a player reads them; none where any size will do."""
    from labkit.envs import game

    size = getattr(player, "picture", {}) if game(cell).pictured else {}
    return {"picture": dict(size)} if size else {}


@contextmanager
def stored(args: argparse.Namespace, name: str, *, run: Run | None = None, **settings: Any) -> Iterator[Run]:
    """A run's folder for what goes on inside, a new one or ``run``; its status says how that ended.

    Args:
        settings: written to a new run's config beside the arguments, or in their place.

    Raises:
        UsageError: the folder cannot be made.
    """
    import yaml

    from labkit.runs import Run

    given = {k: v for k, v in vars(args).items() if k not in ("run", "debug", "json", "out", "resume")}
    config = {"stage": name.partition("-")[0], **given, **settings}
    try:
        if run is None:
            run = Run.create(args.out, name, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        else:
            run.set_status("running")
    except OSError as error:
        raise UsageError(f"cannot make a run in {args.out}: {error.strerror}; name another folder with --out") from None
    try:
        yield run
    except KeyboardInterrupt:
        run.set_status("stopped")
        raise
    except Exception as error:
        run.set_status("failed", error=str(error))
        raise
    run.set_status("finished")


@contextmanager
def tokens_of(run: Run, name: str, *, wanted: bool) -> Iterator[Callable[[Played], None] | None]:
    """A function that stores the tokens of a played episode; None if they are not wanted."""
    if not wanted:
        yield None
        return
    from labkit.runs.tokens import TokenWriter

    with TokenWriter(run, name) as writer:

        def keep(played: Played) -> None:
            writer.add(played.episode, [a.tokens.arrays() if a.tokens else {} for a in played.answers])

        yield keep


def read_prompts(path: str | None, cell: str) -> dict[str, str] | None:
    """The prompt templates of a YAML or JSON file, for a cell.

    Raises:
        UsageError: the file cannot be read, or holds anything but templates.
    """
    if path is None:
        return None
    import yaml

    from labkit.envs import game
    from labkit.envs.settings import check_templates

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the prompts {path}: {error.strerror}; check the path") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{path} is neither YAML nor JSON: {error}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} holds no templates; write one `name: text` for each")
    try:
        check_templates(game(cell).templates, game(cell).placeholders, data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    return data


def say(text: str) -> None:
    """A remark, on standard error."""
    print(text, file=sys.stderr, flush=True)


def say_notes(player: Player) -> None:
    """Say what a reader of the player's results has to know, on standard error."""
    for note in getattr(player, "notes", ()):
        say(f"labkit: note: {note}")


def emit(document: Any) -> None:
    """The one JSON document of ``--json``."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """Text for a terminal: control characters, which could steer it, are shown as escapes."""
    return re.sub(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]", lambda m: m[0].encode("unicode_escape").decode(), text)


def table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> str:
    """Columns padded to their widest entry, numbers to the right."""
    columns = list(columns)
    cells = [columns] + [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [all(re.fullmatch(r"[-+\d.,%x]*", line[i]) for line in cells[1:]) for i in range(len(columns))]
    lines = []
    for line in cells:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return printable(f"{value:.3f}" if isinstance(value, float) else str(value)).replace("\n", " ")
