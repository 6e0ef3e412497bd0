"""`gemstones runs collect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from gemstones.cli.options import FLAG, OUTPUT, Json, Replace
from gemstones.cli.output import print_json, print_notes, print_table, say
from gemstones.errors import InvalidRequest
from gemstones.files import check_output
from gemstones.printable import printable
from gemstones.units import format_quantity

app = App(name="runs", help="Tables of runs: collect one from the ledgers of a suite.")


@app.command
def collect(
    folder: Annotated[
        Path, Parameter(help="Folder of `gemstones suite run`, a folder of runs' folders, or a run's.")
    ],
    /,
    *,
    output: Annotated[Path, OUTPUT, Parameter(name=["--output", "-o"], help="Parquet file to write.")],
    finished: Annotated[bool, FLAG, Parameter(help="Leave out runs that are not finished.")] = False,
    force: Replace = False,
    json: Json = False,
) -> None:
    """Ledgers → a run table, one row for each evaluation, that fit, envelope and study take.

    Interruptions leave no trace but in times and provenance, rollbacks none but their number. Runs that are not
    finished are taken as far as they are, and the table says so.

    Example: gemstones runs collect runs --output runs.parquet
    """
    if output.suffix.lower() != ".parquet":
        raise InvalidRequest(f"output {output} must be a Parquet file: give it the suffix .parquet")
    from gemstones.runs.collect import collect as collect_runs
    from gemstones.runs.parquet import is_run_table

    check_output(output, ours=is_run_table, what="a table of runs", force=force)

    collected = collect_runs(folder, finished_only=finished)
    table = collected.table
    table.write_parquet(output)
    summary: dict[str, Any] = {
        "output": str(output),
        "rows": table.rows,
        "runs": table.runs,
        "suite_runs": collected.suite_runs,
        "finished": collected.finished,
        "families": collected.families,
        "tokens": collected.span("tokens"),
        "loss": collected.span("loss"),
        "notes": list(collected.notes),
        "fingerprint": table.fingerprint,
    }
    if json:
        print_json(summary)
        return
    say(
        f"{table.rows:,} rows of {table.runs} runs; {collected.finished} of {collected.suite_runs} runs finished; "
        f"{_span(summary['tokens'], format_quantity)} tokens, "
        f"loss {_span(summary['loss'], '{:.4f}'.format)} nats/token"
    )
    rows = [(family, f"{of['runs']}", f"{of['rows']:,}") for family, of in collected.families.items()]
    print_table("", ("family", "runs", "rows"), rows)
    print_notes(("note", collected.notes))
    say(f"written to {printable(output)}")


def _span(span: tuple[float, float], write: Any) -> str:
    return f"{write(span[0])} to {write(span[1])}"
