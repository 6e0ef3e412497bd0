"""Tables keep every digit in Parquet and stay readable in Markdown; text says conventions and intervals."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from gemstones.errors import UserError
from gemstones.report import tables
from gemstones.report.save import markdown, write_table
from gemstones.report.study import Study
from gemstones.report.summary import plan_sentence, summary_text
from gemstones.report.words import flops_text, flops_words, interval_text, number_text


def parse(text: str) -> list[dict[str, str]]:
    """Rows of a Markdown table."""
    rows = [
        [cell.strip().replace("\0", "|") for cell in line.replace("\\|", "\0")[1:-1].split("|")]
        for line in text.splitlines()
    ]
    header, rule, *body = rows
    assert all(set(cell) <= set("-:") and len(cell) >= 3 for cell in rule)
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in body]


@pytest.mark.parametrize("name", ["fits", "envelopes", "plans"])
def test_markdown_has_the_rows_of_parquet(gemstones_study: Study, name: str) -> None:
    folder = gemstones_study.output / "tables"
    frame = pl.read_parquet(folder / f"{name}.parquet")
    assert len(parse((folder / f"{name}.md").read_text())) == frame.height > 0


def test_numbers_and_units(gemstones_study: Study) -> None:
    folder = gemstones_study.output / "tables"
    frame, plans = pl.read_parquet(folder / "plans.parquet"), gemstones_study.plans
    assert frame["tokens"].to_list() == [plan.tokens for plan in plans]
    assert frame["tokens_low"].to_list() == [p.intervals["tokens"][0] if p.intervals else None for p in plans]
    units = json.loads(pl.read_parquet_metadata(folder / "plans.parquet")["units"])
    assert units["loss"] == "nats/token" and units["budget"] == "FLOPs"
    first = parse((folder / "plans.md").read_text())[1]
    assert first["budget (FLOPs)"] == "1e+22" and first["params convention"] == "total"
    assert first["shape"] == "4864x63" and first["tokens (tokens)"].startswith("70.3B (")
    assert "no interval" in (folder / "plans.md").read_text()


def test_fits_have_intervals_and_flags(gemstones_study: Study) -> None:
    frame = tables.fits_table(gemstones_study.fits)
    for term in ("w", "d", "N", "T"):
        inside = frame.drop_nulls(f"exponent_{term}")
        assert inside.height >= 4
        assert (inside[f"exponent_{term}_low"] <= inside[f"exponent_{term}"]).all()
        assert (inside[f"exponent_{term}"] <= inside[f"exponent_{term}_high"]).all()
    assert frame.filter(pl.col("law") == "w,d,T")["params_convention"].null_count() == 2
    assert frame.filter(pl.col("law") == "w,d,T")["flags"].str.contains("term_at_zero").all()


def test_the_same_columns_without_intervals(gemstones_study: Study) -> None:
    plans = [p for p in gemstones_study.plans if p.intervals is None]
    assert tables.plans_table(plans).schema == tables.plans_table(gemstones_study.plans).schema


def test_markdown_escapes_and_brackets(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"name": ["a|b\nc", None], "x": [1234567.0, None], "x_low": [1e6, None], "x_high": [2e6, None]}
    )
    assert parse(markdown(frame, {"x": "tokens"})) == [
        {"name": "a|b c", "x (tokens)": "1.23M (1M to 2M)"},
        {"name": "", "x (tokens)": ""},
    ]
    paths = write_table(frame, tmp_path / "delta-0.001", {"x": "tokens"})
    assert [p.name for p in paths] == ["delta-0.001.parquet", "delta-0.001.md"]
    assert pl.read_parquet(paths[0]).equals(frame)
    with pytest.raises(UserError):
        write_table(frame, tmp_path / "nowhere" / "x")


def test_summary_says_what_and_how_surely(gemstones_study: Study, chinchilla_study: Study) -> None:
    text = summary_text(gemstones_study)
    assert "For 1e22 FLOPs (Appendix G): 4864x63, 22.8B parameters (total), 70.3B tokens" in text
    assert "95% intervals from 32 resamples by run: width " in text
    assert "1,096 shapes lie within 0.5% of its loss" in text
    assert "0.3 decades of FLOPs beyond the fitted runs" in text
    assert "caution: term_at_zero" in text
    assert "parameters (non-embedding)" in text
    assert "Left out" not in text
    text = summary_text(chinchilla_study)
    assert "assumed: tokens taken as FLOPs" in text
    assert "Left out" in text and "column width" in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_no_prescription_without_an_interval_or_word_of_it(gemstones_study: Study) -> None:
    for plan in gemstones_study.plans:
        sentence = plan_sentence(plan)
        assert ("95% intervals" in sentence) != ("no interval" in sentence)
        assert flops_words(plan.flops_convention) in sentence


def test_words() -> None:
    assert [number_text(x) for x in (0, 0.59, 22.0, 999.7, 1536, 46_080, 3.95e-15)] == [
        "0", "0.590", "22.0", "1000", "1536", "46.1K", "3.95e-15",
    ]  # fmt: skip
    assert interval_text((-0.1, 0.2)) == "-0.100 to 0.200" and interval_text((1.0, 2.0)) == "1.00–2.00"
    assert flops_text(1e22) == "1e22"
    assert flops_words("6N_non_embedding+given") == "6·N·T, non-embedding N or as given"
