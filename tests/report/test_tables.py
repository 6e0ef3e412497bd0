"""Tables keep every digit in Parquet and stay readable in Markdown; text says conventions and intervals."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from gemstones.display import caution
from gemstones.errors import UserError
from gemstones.figures.save import markdown, write_table
from gemstones.figures.table import TITLES, Table
from gemstones.laws.law import Law, Models
from gemstones.numbers import counted, estimate_text, flops_text, interval_text, number_text
from gemstones.planning.prescriptions import prescriptions
from gemstones.planning.shown import budget_text
from gemstones.report import tables
from gemstones.report.result import Study
from gemstones.report.summary import closing_text, summary_text
from gemstones.words import flops_words, models_words


def parse(text: str) -> list[dict[str, str]]:
    """Rows of a Markdown table."""
    rows = [
        [cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0")[1:-1].split("|")]
        for line in text.partition("\n\n")[0].splitlines()
    ]
    header, rule, *body = rows
    assert all(set(cell) <= set("-:") and len(cell) >= 3 for cell in rule)
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in body]


@pytest.mark.parametrize("name", ["fits", "envelopes", "plans", "near_optimal"])
def test_markdown_has_the_rows_of_parquet(stones_study: Study, name: str) -> None:
    folder = stones_study.output / "tables"
    frame = pl.read_parquet(folder / f"{name}.parquet")
    assert len(parse((folder / f"{name}.md").read_text())) == frame.height > 0


def test_numbers_and_units(gemstones_study: Study) -> None:
    folder = gemstones_study.output / "tables"
    frame, plans = pl.read_parquet(folder / "plans.parquet"), gemstones_study.plans
    assert frame["tokens"].to_list() == [plan.tokens for plan in plans]
    assert frame["tokens_low"].to_list() == [p.intervals["tokens"][0] if p.intervals else None for p in plans]
    units = json.loads(pl.read_parquet_metadata(folder / "plans.parquet")["units"])
    assert units["loss"] == "nats/token" and units["budget"] == "FLOPs"
    rows = parse((folder / "plans.md").read_text())
    first = next(
        row for row in rows if row["law"] == "w,d,N,T fitted to all" and row["budget (FLOPs)"] == "1e22"
    )
    assert first["budget (FLOPs)"] == "1e22" and first["N counts"] == "total"
    assert first["shape"] == "4864x63" and first["T (tokens)"].startswith("70.3B [")
    assert first["loss (nats/token)"].startswith("2.3374 [2.")
    assert first["width (channels)"].startswith("4864 [") and "K" not in first["width (channels)"]
    assert "no interval" in (folder / "plans.md").read_text()


def test_fits_have_intervals_and_flags(stones_study: Study) -> None:
    frame = tables.fits_table(stones_study.fits).frame
    for term in ("w", "d", "N", "T"):
        inside = frame.drop_nulls(f"exponent_{term}")
        assert inside.height >= 2
        assert (inside[f"exponent_{term}_low"] <= inside[f"exponent_{term}"]).all()
        assert (inside[f"exponent_{term}"] <= inside[f"exponent_{term}_high"]).all()
    assert frame.filter(pl.col("law") == "w,d,T")["params_convention"].null_count() == 1
    assert frame.filter(pl.col("law") == "w,d,T")["flags"].str.contains("term_at_zero").all()


def test_the_same_columns_without_intervals(stones_study: Study) -> None:
    plans = [p for p in stones_study.plans if p.intervals is None]
    some, every = tables.plans_table(plans).frame, tables.plans_table(stones_study.plans).frame
    assert some.schema == every.schema


def test_markdown_escapes_and_brackets(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"name": ["a|b\nc", None], "x": [1234567.0, None], "x_low": [1e6, None], "x_high": [2e6, None]}
    )
    assert parse(markdown(Table(frame), {"x": "tokens"})) == [
        {"name": "a|b c", "x (tokens)": "1.23M [1M, 2M]"},
        {"name": "", "x (tokens)": ""},
    ]
    paths = write_table(Table(frame), tmp_path / "delta-0.001", {"x": "tokens"})
    assert [p.name for p in paths] == ["delta-0.001.parquet", "delta-0.001.md"]
    assert pl.read_parquet(paths[0]).equals(frame)
    with pytest.raises(UserError):
        write_table(Table(frame), tmp_path / "nowhere" / "x")


def test_hidden_columns_and_notes() -> None:
    frame = pl.DataFrame({"name": ["a"], "x": [1.0], "x_low": [0.5], "x_high": [2.0], "flags": ["f"]})
    text = markdown(Table(frame, frozenset({"flags"}), ("a: caution", "two\nlines")), {})
    assert parse(text) == [{"name": "a", "x": "1.00 [0.500, 2.00]"}]
    assert text.endswith("|\n\n- a: caution\n- two lines\n")


def test_a_law_is_rebuilt_from_its_row(stones_study: Study) -> None:
    frame = pl.read_parquet(stones_study.output / "tables" / "fits.parquet")
    printed = parse((stones_study.output / "tables" / "fits.md").read_text())
    for made, row, text in zip(stones_study.fits, frame.iter_rows(named=True), printed, strict=True):
        terms = row["law"].split(",")
        names = [f"{what}_{t}" for what in ("exponent", "log_coefficient") for t in terms] + [
            "log_irreducible"
        ]
        assert [row[n] for n in names] == made.law.theta.tolist()
        assert all(row[f"{n}_low"] <= row[n] <= row[f"{n}_high"] for n in names)
        titles = [TITLES.get(n, n.replace("_", " ")) for n in names]
        from_text = np.array([float(text[title].partition(" [")[0]) for title in titles])
        columns = np.array([{"w": 1024.0, "d": 24.0, "N": 5e8, "T": 1e10}[t] for t in terms])
        printed_law = Law.of_theta(tuple(terms), from_text)
        assert printed_law.loss(columns) == pytest.approx(made.law.loss(columns), rel=2e-3)


def test_terms_at_zero_are_zero(stones_study: Study) -> None:
    printed = parse((stones_study.output / "tables" / "fits.md").read_text())
    losses = [row["irreducible loss (nats/token)"] for row in printed if row["law"] == "w,d,T"]
    assert len(losses) == 1 and all(text.startswith("0 [0, ") for text in losses)
    assert "irreducible loss 0 [0, " in summary_text(stones_study)


@pytest.mark.parametrize(
    "name", ["stones_study", pytest.param("chinchilla_study", marks=pytest.mark.published_data)]
)
def test_intervals_are_written_in_one_way(name: str, request: pytest.FixtureRequest) -> None:
    made: Study = request.getfixturevalue(name)
    texts = [path.read_text() for path in made.files if path.suffix == ".md"]
    for line in "\n".join([*texts, summary_text(made)]).splitlines():
        assert not re.search(r"\d\S* ?–|\([-\de.A-Z]+ to [-\de.A-Z]+\)|\de\+\d", line), line
        for low, high in re.findall(r"loss (?:\S+ )?\[([\d.]+), ([\d.]+)\]", line):
            assert low != high


def test_flags_are_said_once_a_law(stones_study: Study) -> None:
    flagged = msgspec.structs.replace(stones_study.fits[2], flags=("rough: be careful",))
    plans, _ = prescriptions({flagged.law.name: flagged}, [1e20, 1e21, 1e22])
    text = markdown(tables.plans_table(plans), {})
    assert text.count("be careful [rough]") == 1 and "\n- w,d,N,T fitted to all: caution: be careful" in text
    said = summary_text(replace(stones_study, plans=plans, fits=(), envelopes=()))
    assert said.count("be careful [rough]") == 1
    assert said.index("be careful [rough]") < said.index("1e20 FLOPs")


def test_near_optimal_sets_have_a_table(stones_study: Study) -> None:
    table = tables.near_optimal_table(stones_study.plans)
    near = [p.near_optimal for p in stones_study.plans if p.near_optimal is not None]
    assert table.frame["shapes"].to_list() == [n.count for n in near]
    assert table.frame["width_most"].to_list() == [n.width[1] for n in near]
    assert not any("near" in column for column in tables.plans_table(stones_study.plans).frame.columns)


def test_the_models_are_said_once(stones_study: Study) -> None:
    counting = "shapes counted with vocabulary 50,304, head size 128, context 2,048, 2 queries per kv head"
    folder = stones_study.output / "tables"
    for text in (
        summary_text(stones_study),
        (folder / "plans.md").read_text(),
        (folder / "near_optimal.md").read_text(),
    ):
        assert text.count(counting) == 1 and text.count("vocabulary") == 1
    other = replace(
        stones_study.plans[0], law_name="mine", models=Models(vocabulary=32_000, queries_per_kv=1)
    )
    both = models_words([*stones_study.plans, other])
    assert len(both) == 2 and both[1].startswith("shapes of mine counted with vocabulary 32,000")
    assert "1 query per kv head" in both[1]


def test_one_is_singular(stones_study: Study) -> None:
    plan = next(p for p in stones_study.plans if p.near_optimal is not None and p.intervals is not None)
    assert plan.near_optimal is not None
    one, several = (
        summary_text(
            replace(
                stones_study,
                plans=[
                    replace(
                        plan,
                        near_optimal=replace(plan.near_optimal, count=count),
                        intervals_note=f"95% intervals from 32 resamples by run; the relaxed optimum has none; {said}",
                    )
                ],
            )
        )
        for count, said in (
            (1, "1 of the resamples has its optimum"),
            (11, "11 of the resamples have their optimum"),
        )
    )
    assert "1 shape lies within" in one and "(1 of the resamples has its optimum)" in one
    assert "11 shapes lie within" in several and "(11 of the resamples have their optimum)" in several
    assert counted(1, "run") == "1 run" and counted(1000, "run") == "1,000 runs"


def test_nothing_is_left_out_of_a_whole_study(stones_study: Study) -> None:
    assert "Left out" not in summary_text(stones_study)


def test_summary_says_what_and_how_surely(gemstones_study: Study, chinchilla_study: Study) -> None:
    text = summary_text(gemstones_study)
    assert "1e22 FLOPs (Appendix G) by w,d,N,T fitted to all [w,d,N,T]: 4864x63, 22.8B [" in text
    assert "95% intervals from 40 resamples by run; width [" in text
    assert "1,096 shapes lie within 0.50% of the best loss" in text
    assert "0.3 decades of FLOPs beyond the fitted runs" in text
    assert "[term_at_zero]" in text
    assert "N 4,020x the largest fitted" in text
    for selection in ("all", "le100B"):
        assert f"\n  N,T fitted to {selection}:\n" in text and f"\n  w,d,N,T fitted to {selection}:\n" in text
    assert "non_embedding parameters" in text
    text = summary_text(chinchilla_study)
    assert "assumed: tokens taken as FLOPs" in text
    assert "Left out" in text and "column width" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_no_prescription_without_an_interval_or_word_of_it(stones_study: Study) -> None:
    for plan in stones_study.plans:
        sentence = summary_text(replace(stones_study, plans=[plan], fits=(), envelopes=()))
        assert ("95% intervals" in sentence) != ("no interval" in sentence)
        assert budget_text(plan) in sentence


def test_words() -> None:
    assert [number_text(x) for x in (0, 0.59, 22.0, 999.7, 1536, 46_080, 3.95e-15)] == [
        "0", "0.590", "22.0", "1000", "1536", "46.1K", "3.95e-15",
    ]  # fmt: skip
    assert interval_text((-0.1, 0.2)) == "[-0.100, 0.200]" and interval_text((1.0, 2.0)) == "[1.00, 2.00]"
    assert interval_text((2.5491, 2.5523)) == "[2.549, 2.552]"
    assert interval_text((2.0, 2.0)) == "[2.00, 2.00]"
    assert estimate_text("loss", 2.551, (2.5491, 2.5523)) == "2.5510 [2.5491, 2.5523]"
    assert estimate_text("irreducible_loss", 1.25e-12, (5e-15, 1.0)) == "0 [0, 1.0000]"
    assert interval_text((2.6, 3.6e12), "loss") == "[2.6000, 3.6T]"
    assert estimate_text("width", 20992.0, (4218.4, 45_580.9)) == "20992 [4218, 45581]"
    assert estimate_text("params", 9.0515e9, (9.0512e9, 9.0518e9)) == "9.052B [9.051B, 9.052B]"
    assert flops_text(1e22) == "1e22"
    assert flops_words("6N_non_embedding+given") == "6·N·T, non-embedding N or as given"


def test_a_study_ends_with_ten_lines(stones_study: Study) -> None:
    lines = closing_text(stones_study).splitlines()
    assert len(lines) <= 10 and "report.html" in lines[-2] and str(stones_study.output) in lines[-1]
    assert any("parameters" in line and "FLOPs" in line and "[" in line for line in lines[1:5])
    flags = stones_study.plans[0].flags
    assert not flags or any(line.startswith(f"  caution: {caution(flags[0])}") for line in lines)
    none = closing_text(replace(stones_study, plans=()))
    assert "nothing is prescribed: " in none and len(none.splitlines()) <= 10
