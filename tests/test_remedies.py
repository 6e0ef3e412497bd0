"""What to write, in the words of who is told: options on the command line, arguments in Python."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import gemstones as gs
from gemstones.errors import InvalidRequest, InvalidTable, UserError
from gemstones.remedies import of_arguments, of_options
from tests.cli.conftest import Cli, cli  # noqa: F401


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("add runs that differ, or --force", "add runs that differ, or force=True"),
        ("(--force takes it as it is)", "(force=True takes it as it is)"),
        ("map it with --columns loss=ITS_NAME", "map it with columns={'loss': 'ITS_NAME'}"),
        (
            "--columns 'tokens=tokens_B*1e9,loss=ln(ppl)', or",
            "columns={'tokens': 'tokens_B*1e9', 'loss': 'ln(ppl)'}, or",
        ),
        ("--columns 'loss=max(a,b)'", "columns={'loss': 'max(a,b)'}"),
        ("(--columns run=… to change)", "(columns={'run': '…'} to change)"),
        ("out: --where 'loss > 0'.", "out: where='loss > 0'."),
        (
            "(leave them out with --where \"State = 'finished'\")",
            "(leave them out with where=\"State = 'finished'\")",
        ),
        ("give a condition with --where", "give a condition with where=…"),
        ("keep with --duplicates last, or", "keep with duplicates='last', or"),
        ("--loss-unit bits takes it", "loss_unit='bits' takes it"),
        ("read it as --format csv", "read it as format='csv'"),
        ("choose one with --format, of csv", "choose one with format=…, of csv"),
        ("(--run-from '(.+)' to say how)", "(run_from='(.+)' to say how)"),
        ("with --of NAME=VALUE", "with of={'NAME': 'VALUE'}"),
        ("set it with --vocabulary)", "set it with vocabulary=…)"),
        ("--head-size or --queries-per-kv", "head_size=… or queries_per_kv=…"),
        ("wider (--max-width)", "wider (constraints=Constraints(width_max=…))"),
        ("not written by `gemstones fit --output`: x", "not written by `gemstones fit --output`: x"),
        ("hold out with --validation 0", "hold out with validation=0"),
        ("call again with fewer --workers to go on", "call again with fewer workers=… to go on"),
        ("a -- b --- c --1 a--b", "a -- b --- c --1 a--b"),
    ],
)
def test_arguments_for_options(options: str, arguments: str) -> None:
    assert of_arguments(options) == arguments
    assert of_arguments(arguments) == arguments  # nothing is worded twice
    for kind in (InvalidRequest, InvalidTable):
        error = kind(options)
        assert (str(error), error.said) == (arguments, options)
        assert str(pickle.loads(pickle.dumps(error))) == arguments
        with of_options():
            assert str(error) == options
    assert (
        str(InvalidTable("is needed: --force", file="a.csv", row=2)) == "a.csv, row 2: is needed: force=True"
    )


def ladder(**columns: Any) -> list[dict[str, Any]]:
    return [
        {"run": f"r{n}", "params_total": n, "tokens": t, "loss": 2 + 400 / n**0.34 + 900 / t**0.33, **columns}
        for n in (1e8, 2e8, 4e8)
        for t in (1e9, 2e9)
    ]


OPTION = re.compile(r"(?<![\w-])--[a-z]")


def test_errors_of_python_name_arguments(tmp_path: Path) -> None:
    (tmp_path / "no.json").write_text("{}")
    law = gs.published("gemstones-refit")
    asks: list[tuple[Any, str]] = [
        (lambda: gs.fit([{"run": "a", "tokens": 1e9}]), "columns={'loss': 'ITS_NAME'}"),
        (lambda: gs.fit([row for row in ladder() if row["tokens"] == 1e9]), "force=True"),
        (lambda: gs.fit([{**row, "loss": -row["loss"]} for row in ladder()]), ""),
        (lambda: gs.fit([{**row, "params_total": None} for row in ladder()]), "columns={'params_total': 'ITS_NAME'}"),
        (lambda: gs.load("pebbles").select("none"), "where=…"),
        (lambda: gs.plan(1e32, law), "force=True"),
        (lambda: gs.plan(1e22, law, constraints=gs.Constraints(width_max=1024)), "Constraints(width_max=…)"),
        (lambda: gs.plan(1e16, law, cost=gs.Cost(inference_tokens=1e20), force=True), "Cost(inference_tokens=…)"),
        (lambda: gs.fit([*ladder(), *({**row, "loss": row["loss"] + 0.5} for row in ladder())]), "duplicates='last'"),
        (lambda: gs.fit([{**row, "loss": 2.0**row["loss"] * 9} for row in ladder()]), ""),
        (lambda: gs.plan(1e20, tmp_path / "no.json"), "`gemstones fit --output`"),
    ]  # fmt: skip
    for ask, said in asks:
        with pytest.raises(UserError) as raised:
            ask()
        text = str(raised.value)
        assert said in text and "\n" not in text, text
        assert not OPTION.search(re.sub("`[^`]*`", "", text)), text


def test_displays_of_python_name_arguments() -> None:
    shapes = [
        {
            "run": f"{w}x{d}",
            "width": w,
            "depth": d,
            "tokens": t,
            "loss": 2 + 3 / w**0.3 + 1 / d + 9e2 / t**0.33,
        }
        for w, d in ((256, 4), (512, 6), (768, 12), (512, 12), (1024, 8), (1024, 16))
        for t in (1e9, 2e9, 4e9)
    ]
    fitted = gs.fit(shapes, "N,T")
    assert any("--vocabulary" in assumed for assumed in fitted.assumptions)
    assert "vocabulary=…" in fitted._repr_html_()
    assert not OPTION.search(fitted._repr_html_() + repr(fitted))


def test_the_command_line_names_options(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    for words, said in (
        ("plan 1e32", "or ask for it all the same with --force"),
        ("plan 1e22 --max-width 1024", "allow wider models (--max-width)"),
        ("fit pebbles --select none", "give a condition with --where"),
    ):
        outcome = cli(*words.split())
        assert outcome.status == 2 and said in outcome.err
    with pytest.raises(UserError, match="force=True"):  # and Python arguments, after a command has run
        gs.plan(1e32, "gemstones-refit")
