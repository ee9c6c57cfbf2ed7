"""Draw the paper's figures from stored runs, or run what is missing.

examples:
  labkit figures                                     the figures, and what is stored of each
  labkit figures 05 06                               draw two of them, in seconds
  labkit figures 05 --run --seeds 100 --cell gp-l    one run of each method from nothing, then the figure
  labkit figures 05 --run --to h800                  send its training runs to a host as a queue; fetch them when done
  labkit figures --keep 20261121-101502-gp-l-sft     put a finished run beside those of the repository

A figure is a plan, configs/figures/NN.yaml; a run belongs to it if it ran what the plan asks for, whatever its id.
Runs are read from results/ and runs/; --run trains into the last of these folders, one run after another. Ctrl-C
stops, and the same command goes on. The figures are written as one interactive page, and as SVG or PNG where kaleido
and a browser are there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.commands import common
from labkit.counting import counted
from labkit.errors import UsageError

if TYPE_CHECKING:
    from labkit.replication.archive import Archive
    from labkit.replication.missing import Job
    from labkit.replication.page import Entry
    from labkit.replication.plan import Figure


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("figures", metavar="NN", nargs="*", help="figures to draw; without any, they are listed")
    parser.add_argument(
        "--from", metavar="RUNS", dest="roots", action="append",
        help="a folder of runs; may be given several times (default: results and runs)",
    )  # fmt: skip
    parser.add_argument("--run", action="store_true", dest="run_them", help="first train and evaluate what is missing")
    common.add_host(parser, "with --run, the host that trains")
    parser.add_argument("--seeds", metavar="S,S", type=_seeds, help="these seeds in place of the plan's")
    parser.add_argument("--cell", metavar="CELL", help="only this cell")
    parser.add_argument("--keep", metavar="RUN", nargs="+", help="copy finished runs, without weights, into results/")
    parser.add_argument(
        "--without-episodes", action="store_true", help="with --keep: of training runs, only what they logged"
    )
    parser.add_argument(
        "--stills", choices=("svg", "png", "none"), default="svg", help="still pictures beside the page (default: svg)"
    )
    parser.add_argument("--out", metavar="DIR", default="runs/figures", help="where to write (default: runs/figures)")
    parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")


def run(args: argparse.Namespace) -> int:
    from labkit.replication.plan import load_plan, plans

    if args.without_episodes and not args.keep:
        raise UsageError("--without-episodes is said of runs that are kept; name them with --keep")
    if args.keep:
        if args.figures or args.run_them:
            raise UsageError("--keep copies runs and does nothing else; draw in a second command")
        return _keep(args)
    if args.to and not args.run_them:
        raise UsageError("--to names the host that --run trains on; give --run too")
    there = plans()
    if not args.figures and not args.run_them:
        return _list(args, there)
    if not args.figures:
        raise UsageError(f"name the figures to run: {', '.join(there)}")
    cells = (common.cell_of(args.cell),) if args.cell else None
    names = list(dict.fromkeys(common.known("figure", _padded(name, there), there) for name in args.figures))
    figures = [load_plan(there[name], seeds=args.seeds, cells=cells) for name in names]
    if args.to:
        return _send(args, figures)
    if args.run_them:
        _run(args, figures)
    return _draw(args, figures)


def _seeds(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(w.isascii() and w.isdigit() for w in words):
        raise argparse.ArgumentTypeError(f"whole numbers with commas between them are needed, not {text!r}")
    return tuple(dict.fromkeys(map(int, words)))


def _padded(name: str, there: dict[str, Path]) -> str:
    """``5`` is figure ``05``."""
    return name.zfill(2) if name.zfill(2) in there else name


def _roots(args: argparse.Namespace) -> list[Path]:
    from labkit.replication.archive import RESULTS
    from labkit.runs.store import ROOT

    if not args.roots:
        return [RESULTS, ROOT]
    for root in map(Path, args.roots):
        if not root.is_dir() and not args.run_them:
            raise UsageError(f"no folder {root}; --from names one that holds runs")
    return [Path(root) for root in args.roots]


def _archive(args: argparse.Namespace) -> Archive:
    from labkit.replication.archive import Archive

    return Archive(_roots(args))


def _keep(args: argparse.Namespace) -> int:
    from labkit.replication.archive import keep
    from labkit.runs import find
    from labkit.runs.store import ROOT

    root = args.roots[-1] if args.roots else ROOT
    kept = [keep(find(name, root), episodes=not args.without_episodes) for name in args.keep]
    sizes = {str(k.path): sum(p.stat().st_size for p in k.path.rglob("*") if p.is_file()) for k in kept}
    if args.json:
        common.emit([{"run": path, "bytes": size} for path, size in sizes.items()])
    else:
        for path, size in sizes.items():
            print(f"{path}  {size / 1024:.0f} KiB")
    return 0


def _list(args: argparse.Namespace, there: dict[str, Path]) -> int:
    from labkit.replication.missing import missing_jobs
    from labkit.replication.plan import load_plan

    archive, rows = _archive(args), []
    cells = (common.cell_of(args.cell),) if args.cell else None
    for name, path in there.items():
        try:
            figure = load_plan(path, seeds=args.seeds, cells=cells)
            jobs = missing_jobs(figure, archive)
            trained = sum(
                archive.trained(archive.asked(c, s)) is not None
                for c in figure.curves if c.trained for s in c.seeds
            )  # fmt: skip
            asked = sum(len(c.seeds) for c in figure.curves if c.trained)
            note = f"{trained} of {counted(asked, 'run')}"
            note += f", {counted(len(jobs), 'command')} missing" if jobs else ", complete"
            rows.append({"figure": name, "title": figure.plan.title, "source": figure.plan.source, "stored": note,
                         "runs": trained, "of": asked, "missing": [j.command for j in jobs]})  # fmt: skip
        except UsageError as error:
            # One plan that is wrong must not hide the others.
            rows.append({"figure": name, "title": "", "source": "", "stored": str(error), "missing": []})
    if args.json:
        common.emit(rows)
    else:
        print(common.table(rows, ("figure", "source", "stored", "title")))
        common.say("`labkit figures NN` draws one; with --run, it is run first")
    return 0


def _run(args: argparse.Namespace, figures: list[Figure]) -> None:
    """Run the missing commands, one after another, each in its own process, until none is missing."""
    from labkit.dispatch.local import foreground

    out, began, done = _roots(args)[-1], time.monotonic(), 0
    given: set[tuple[str, ...]] = set()
    while jobs := _jobs(args, figures, out):
        job = jobs[0]
        if job.words in given:
            raise UsageError(f"`{job.command}` ended, but left nothing that the figure can use; see {out}/")
        given.add(job.words)
        left = f", about {_minutes((time.monotonic() - began) / done * len(jobs))} left" if done else ""
        common.say(f"{done + 1} of {done + len(jobs)}{left}: {job.command}")
        try:
            status = foreground(job.words)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; the same command goes on from here") from None
        if status:
            raise UsageError(f"`{job.command}` failed; put that right and give the same command again")
        done += 1


def _send(args: argparse.Namespace, figures: list[Figure]) -> int:
    """Send the missing training runs that can begin now to a host, which does them one after another."""
    from labkit.dispatch import host as hosts
    from labkit.dispatch import remote

    host, out, ids = hosts.load(args.to), _roots(args)[-1], []
    jobs = _jobs(args, figures, out)
    for job in jobs:
        command, *words = job.words
        if not job.ready or command != "train" or "--resume" in words:
            continue
        # CONFIG --set KEY=VALUE ... [--out DIR]
        end = words.index("--out") if "--out" in words else len(words)
        [sent] = remote.send([words[0]], host, words[2:end], out=out, say=common.say)
        ids.append(sent.run.id)
    if args.json:
        common.emit({"sent": ids, "left": len(jobs) - len(ids)})
        return 0
    for run_id in ids:
        print(run_id)
    left = f"; then give the same command for what is left: {counted(len(jobs) - len(ids), 'command')}"
    common.say(
        f"{counted(len(ids), 'run')} sent; fetch each with `labkit runs fetch ID --to {args.to}`"
        + (left if len(jobs) > len(ids) else "")
    )
    return 0


def _jobs(args: argparse.Namespace, figures: list[Figure], out: Path) -> list[Job]:
    """What all figures are missing, each job once; the first can be given now."""
    from labkit.replication.missing import missing_jobs

    archive = _archive(args)
    found = {job.key: job for figure in reversed(figures) for job in reversed(missing_jobs(figure, archive, out))}
    return list(reversed(found.values()))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _draw(args: argparse.Namespace, figures: list[Figure]) -> int:
    from labkit.replication import page
    from labkit.replication.missing import missing_jobs
    from labkit.replication.stored import collect

    try:
        import plotly  # noqa: F401
    except ImportError:
        raise UsageError("figures need plotly: pip install 'labkit[lab]'") from None
    archive, out = _archive(args), Path(args.out)
    entries = [page.Entry(collect(f, archive), missing_jobs(f, archive, _roots(args)[-1])) for f in figures]
    out.mkdir(parents=True, exist_ok=True)
    written = out / "figures.html"
    written.write_text(page.html(entries), encoding="utf-8")
    stills = _stills(args, entries, out)
    if args.json:
        common.emit({"page": str(written), "pictures": stills, "figures": [_plain(e) for e in entries]})
        return 0
    for entry in entries:
        print(_text(entry))
    print(written)
    for path in stills:
        print(path)
    return 0


def _stills(args: argparse.Namespace, entries: list[Entry], out: Path) -> list[str]:
    from labkit.replication import page

    if args.stills == "none":
        return []
    figures = {n: f for e in entries if e.data for n, f in page.pictures(e.data, args.stills).items()}
    try:
        return [str(path) for path in page.write_stills(figures, out)]
    except UsageError as error:
        common.say(f"only the interactive page was written: {error}")
        return []


def _plain(entry: Entry) -> dict[str, Any]:
    from labkit.replication import tables
    from labkit.replication.findings import findings

    return {
        "figure": entry.data.figure.id,
        "title": entry.data.figure.plan.title,
        "rows": [
            {
                "player": row.curve.name,
                "cell": row.curve.cell,
                "suite": row.suite,
                "value": row.value.value,
                "ci95": row.value.ci95,
                "seeds": {e.seed: {"value": e.value.value, "n": e.value.n, "run": str(e.run.path)} for e in row.ends},
                "flops": row.spent and row.spent.flops,
            }
            for row in tables.rows(entry.data)
        ],
        "findings": [
            {"verdict": f.verdict, "sentence": f.sentence, "change": f.change and f.change.value,
             "ci95": f.change and f.change.ci95, "seeds": f.seeds,
             "beside": {n: e and {"change": e.value, "ci95": e.ci95} for n, e in f.beside.items()}}
            for f in findings(entry.data)
        ],
        "missing": [job.command for job in entry.jobs],
    }  # fmt: skip


def _text(entry: Entry) -> str:
    from labkit.replication import tables
    from labkit.replication.findings import findings

    plan = entry.data.figure.plan
    lines = [f"{plan.source}: {plan.title}"]
    rows = [tables.told(row) for row in tables.rows(entry.data)]
    if rows:
        lines.append(common.table(rows, [n for n in rows[0] if n != "machine"]))
        told = findings(entry.data)
        lines += [f.sentence for f in told]
        for cell in entry.data.cells:
            signs = tables.signs([f for f in told if f.cell == cell and f.beside])
            lines += [common.table(signs, signs[0])] if signs else []
    if entry.jobs:
        lines.append("missing (ID stands for the id of the run that the command above makes):")
        lines += [f"  {job.command}" for job in entry.jobs]
    return "\n".join([*lines, ""])
