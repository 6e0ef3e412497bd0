"""`gemstones data list | fetch | show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import unquote

from cyclopts import App, Parameter

from gemstones.cli.options import Json, Reading, Runs, Verbose
from gemstones.cli.output import print_json, print_notes, say
from gemstones.errors import InvalidRequest
from gemstones.printable import printable
from gemstones.runs import DATASETS, Dataset, selections_of
from gemstones.runs.families import RELEASED
from gemstones.runs.fetch import fetch as fetch_entry
from gemstones.runs.loss_units import WORDS
from gemstones.runs.table import RunTable
from gemstones.words import flops_words

app = App(name="data", help="Known data sets: list, fetch, show.")

MOST_COLUMNS = 20
"""By name in a short answer."""

Name = Annotated[str, Parameter(help="A known data set.")]


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """The known data sets and their selections, and released models to evaluate.

    Example: gemstones data list
    """
    summaries = [
        {
            "name": d.name,
            "description": d.description,
            "licence": d.licence,
            "default_selection": d.default_selection,
            "selections": list(selections_of(d.name)),
        }
        for d in DATASETS.values()
    ]
    models = [
        {
            "name": one.name,
            "description": one.description,
            "hub": one.hub,
            "variants": dict(one.variants),
            "shapes": list(one.shapes),
            "licence": one.licence,
        }
        for one in RELEASED.values()
    ]
    if json:
        print_json({"datasets": summaries, "models": models})
        return
    for summary in summaries:
        say(f"{summary['name']}: {summary['description']} (licence: {summary['licence']})")
        say(f"  selections: {', '.join(summary['selections'])}; default {summary['default_selection']}")
    for one in RELEASED.values():
        say(f"models {one.name}: {one.description} (licence: {one.licence})")
        say(
            f"  {one.hub}, variants {', '.join(one.variants)}; gemstones evaluate {one.name} --corpus NAME=TEXT"
        )


@app.command
def fetch(name: Name, /, *, json: Json = False) -> None:
    """Where a data set is: in the package, under GEMSTONES_DATA_DIR, in the cache, or downloaded into it.

    The hashes of published files are checked.

    Example: gemstones data fetch gemstones
    """
    files = [{**_entry(entry), "path": str(fetch_entry(entry))} for entry in _known(name).entries]
    if json:
        print_json({"name": name, "files": files})
        return
    for file in files:
        say(f"{file['path']}  sha256 {file['sha256']}")


@app.command
def show(
    runs: Runs, /, *, reading: Reading = Reading(), verbose: Verbose = False, json: Json = False
) -> None:
    """What a data set or files of runs hold, and everything that was guessed, dropped and assumed about them.

    Every line about a guess says what to write to change it.

    Example: gemstones data show 'runs/*.csv' --columns 'tokens=_step*524288,params_total=size(run)'
    """
    table = reading.load(runs)
    selections = [
        {"name": s.name, "rule": s.rule, "rows": s.rows(table.frame).height}
        for s in selections_of(table.dataset).values()
    ]
    if reading.select or reading.where:
        table = table.select(reading.select, reading.where)
    summary: dict[str, Any] = {
        "name": table.dataset,
        "selection": table.selection,
        "rows": table.rows,
        "runs": table.runs,
        "columns": [c for c in table.frame.columns if table.frame[c].null_count() < table.rows],
        "format": table.format,
        "loss_unit": table.loss_unit,
        "mapped": dict(table.mapped),
        "where": table.where,
        "dropped": [{"reason": one.reason, "rows": one.rows} for one in table.dropped],
        "flops_convention": table.flops_convention,
        "selections": selections,
        "sources": [
            {"name": s.name, "location": s.location, "sha256": s.sha256, "licence": s.licence}
            for s in table.sources
        ],
        "source": ", ".join(s.location or s.name for s in table.sources),
        "licence": ", ".join(dict.fromkeys(s.licence for s in table.sources if s.licence)),
        "hash": table.fingerprint,
        "assumptions": list(table.assumptions),
        "warnings": list(table.warnings),
    }
    if json:
        print_json(summary)
        return
    _print(table, summary, verbose)


def _print(table: RunTable, summary: Mapping[str, Any], verbose: bool) -> None:
    selected = f", selection {table.selection}" if table.selection else ""
    say(
        f"{table.dataset}{selected}: {table.rows:,} rows of {table.runs:,} runs; format {table.format}; "
        f"loss in {WORDS[table.loss_unit]}; FLOPs: {flops_words(table.flops_convention)}"
    )
    shown = summary["columns"] if verbose else summary["columns"][:MOST_COLUMNS]
    hidden = len(summary["columns"]) - len(shown)
    say(f"columns: {printable(', '.join(shown))}{f' and {hidden} more' if hidden else ''}")
    print_notes(
        ("mapped", [f"{name} = {text}" for name, text in table.mapped.items()]),
        ("warning", table.warnings),
    )
    names, counts = (
        [one["name"] for one in summary["selections"]],
        [f"{one['rows']:,}" for one in summary["selections"]],
    )
    for one, name, rows in zip(summary["selections"], names, counts, strict=True):
        say(f"  {name:<{max(map(len, names))}}  {rows:>{max(map(len, counts))}} rows: {one['rule']}")
    if verbose:
        for source in summary["sources"]:
            say(f"source: {printable(source['location'] or source['name'])}")
            say(f"  sha256 {source['sha256'] or '-'}, licence: {source['licence'] or 'not stated'}")
    print_notes(("assumed", table.assumptions))
    if not verbose and summary["sources"]:
        first, *others = [
            unquote((s["location"] or s["name"]).rpartition("/")[2]) for s in summary["sources"]
        ]
        more = f" and {len(others)} more" if others else ""
        say(printable(f"source: {first}{more}, licence: {summary['licence'] or 'not stated'}"))
        say("where each is from, its SHA-256 and every column: --verbose")


def _known(name: str) -> Dataset:
    if name not in DATASETS:
        raise InvalidRequest(f"data set {name!r} is unknown: choose from {', '.join(DATASETS)}")
    return DATASETS[name]


def _entry(entry: Any) -> dict[str, Any]:
    return {"name": entry.name, "url": entry.url or None, "sha256": entry.sha256, "licence": entry.licence}
