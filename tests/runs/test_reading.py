"""The order of reading, and what must come of every kind of file: variants of the cases, written here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params
from gemstones.errors import InvalidRequest, InvalidTable, UserError
from gemstones.runs import RunTable, read_runs
from gemstones.runs.dropped import Dropped
from gemstones.shape import Shape
from tests.runs.test_cases import remedies

N = np.repeat([2e7, 5e7, 1.2e8, 3e8, 7e8, 1.5e9], 3)
T = np.tile([4000, 16_000, 64_000], 6) * 524_288.0
LOSS = np.round(1.8 + 406 / N**0.34 + 410 / T**0.28, 4)
RUN = [f"r{i}" for i in range(6) for _ in range(3)]


def frame(**columns: Any) -> pl.DataFrame:
    """Six runs of three checkpoints, with columns added, changed, or left out (None)."""
    usual = {"run": RUN, "params_total": N, "tokens": T, "loss": LOSS}
    return pl.DataFrame({name: column for name, column in (usual | columns).items() if column is not None})


def written(columns: Mapping[str, Sequence[str]], path: Path, separator: str = ",") -> Path:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    path.write_text(text.getvalue())
    return path


def cells(values: Sequence[Any], form: str = "{}") -> list[str]:
    return [form.format(value) for value in values]


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        read_runs(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_right(table: RunTable) -> None:
    assert (table.rows, table.runs) == (18, 6)
    np.testing.assert_allclose(table.numbers("params_total"), N)
    np.testing.assert_allclose(table.numbers("tokens"), T)
    np.testing.assert_allclose(table.numbers("loss"), LOSS)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "names",
    [
        ("N", "D", "L"),
        ("num_params", "tokens_trained", "val_loss"),
        ("n_params", "tokens_seen", "eval/loss"),
        ("Model Size", "Training Tokens", "Validation Loss"),
        ("params", "num_tokens", "eval_loss"),
        ("model_size", "throughput/total_tokens", "validation_loss"),
        ("config/n_params", "train/tokens_seen", "eval/c4/CrossEntropyLoss"),
        ("param_count", "consumed_tokens", "valLoss"),
    ],
)
def test_known_names(names: tuple[str, str, str]) -> None:
    table = read_runs(frame().rename(dict(zip(("params_total", "tokens", "loss"), names, strict=True))))
    assert_right(table)
    assert set(table.mapped) == {"params_total", "tokens", "loss"}
    for name in names:
        assert any(sentence.startswith(f"{name} taken for") for sentence in table.assumptions), name
        assert name in table.frame.columns


@pytest.mark.parametrize("name", ["C", "compute", "total_flops", "Training FLOP", "train_compute"])
def test_flops_by_known_names(name: str) -> None:
    table = read_runs(frame().with_columns((7.0 * pl.col("params_total") * pl.col("tokens")).alias(name)))
    assert table.flops_convention == "given"
    np.testing.assert_allclose(table.numbers("flops_per_token"), 7 * N)


def test_parameters_of_another_convention() -> None:
    table = read_runs(frame(params_total=None, non_embedding_params=N))
    assert table.mapped == {"params_non_embedding": "non_embedding_params"}
    assert table.flops_convention == "6N_non_embedding"
    told = next(
        s for s in read_runs(frame(params_total=None, params=N)).assumptions if s.startswith("params ")
    )
    assert remedies(told) == ["params_non_embedding=params"]
    moved = read_runs(frame(params_total=None, params=N), columns=remedies(told)[0])
    assert moved.frame["params_total"].null_count() == 18


@pytest.mark.parametrize(
    "columns",
    [
        {"val_loss": LOSS, "test_loss": LOSS + 1, "loss": None},
        {"val_loss": LOSS, "test_loss": LOSS + 1},
        {"eval/c4/loss": LOSS, "eval/pile/loss": LOSS + 1, "loss": None},
        {"c4_loss": LOSS, "pile_loss": LOSS + 1, "loss": None},
        {"val_loss": LOSS, "val_bpb": LOSS / 3, "loss": None},
    ],
)
def test_several_losses_are_refused_with_each(columns: dict[str, Any]) -> None:
    source = frame(**columns)
    message = refused(source)
    losses = [name for name in source.columns if "loss" in name or "bpb" in name]
    assert sorted(remedies(message)) == sorted(f"loss={name}" for name in losses)
    for remedy in remedies(message):
        table = read_runs(source, columns=remedy)
        np.testing.assert_allclose(table.numbers("loss"), source[remedy.removeprefix("loss=")].to_numpy())


def test_the_loss_of_an_evaluation_goes_before_one_of_training() -> None:
    table = read_runs(frame(loss=LOSS - 0.1, eval_loss=LOSS))
    assert_right(table)
    assert any("--columns loss=loss takes it" in sentence for sentence in table.assumptions)
    assert (
        read_runs(frame(loss=LOSS - 0.1, eval_loss=LOSS), columns="loss=loss").numbers("loss")[0]
        == LOSS[0] - 0.1
    )
    assert_right(read_runs(frame(**{"train/loss": LOSS - 0.1})))  # the table's own loss stays
    message = refused(frame(loss=None, train_loss=LOSS))
    assert "train_loss is of training" in message
    assert_right(read_runs(frame(loss=None, train_loss=LOSS), columns=remedies(message)[0]))


def test_numbers_about_losses_are_no_losses() -> None:
    others = dict.fromkeys(("val_loss_std", "loss_scale", "aux_loss", "val_loss_stderr", "max_loss"), LOSS)
    assert_right(read_runs(frame(loss=None, val_loss=LOSS, **others)))


@pytest.mark.parametrize(
    ("name", "unit"),
    [("val_bpb", "bits_per_byte"), ("bits_per_byte", "bits_per_byte"), ("eval/bits_per_token", "bits")],
)
def test_units_of_loss_by_name(name: str, unit: str) -> None:
    table = read_runs(frame(loss=None, **{name: LOSS / 3}))
    assert table.loss_unit == unit
    np.testing.assert_array_equal(table.numbers("loss"), LOSS / 3)  # nothing is converted
    told = read_runs(frame(loss=None, **{name: LOSS / 3}), loss_unit="nats")
    assert told.loss_unit == "nats"
    assert told.warnings == (f"loss_unit: {name} says {unit}, and is taken for nats as told",)


def test_low_losses_may_be_bits_per_byte() -> None:
    said = "(--loss-unit bits_per_byte if they are bits per byte)"
    assert any(said in sentence for sentence in read_runs(frame(loss=LOSS / 4)).assumptions)
    assert not any(said in s for s in read_runs(frame(loss=LOSS / 4), loss_unit="bits_per_byte").assumptions)


def test_bits_called_nats_are_told_where_they_can_be() -> None:
    first = np.tile([17.2, 8.0, 5.0], 6)
    message = refused(frame(loss=first))
    assert "--loss-unit bits" in message
    assert read_runs(frame(loss=first), loss_unit="bits").loss_unit == "bits"


@pytest.mark.parametrize(
    ("columns", "remedy"),
    [
        ({"step": T / 524_288, "tokens_per_step": [524_288] * 18}, "tokens=step*tokens_per_step"),
        (
            {"iter": T / 524_288, "batch_size": [256] * 18, "seq_len": [2048] * 18},
            "tokens=iter*batch_size*seq_len",
        ),
        ({"tokens_per_param": T / N}, "tokens=tokens_per_param*params_total"),
        ({"flops": 6 * N * T}, "tokens=flops/(6*params_total)"),
    ],
)
def test_tokens_that_follow_from_others(columns: dict[str, Any], remedy: str) -> None:
    source = frame(tokens=None, **columns)
    assert remedies(refused(source)) == [remedy]
    assert_right(read_runs(source, columns=remedy))


def test_a_column_of_the_users_own() -> None:
    source = frame(step=T / 524_288)
    table = read_runs(source, columns="batch=tokens/step,half=batch/2", where="batch > 1000")
    assert table.numbers("batch").tolist() == [524_288.0] * 18
    assert table.numbers("half").tolist() == [262_144.0] * 18
    with pytest.raises(InvalidRequest, match="are defined by each other"):
        read_runs(source, columns="a=b+1,b=a+1")
    # A name that is guessed for one of the schema's may be made.
    assert_right(read_runs(frame(params_total=None, m=N / 1e6), columns="params=m*1e6"))


def test_a_definition_of_a_name_by_itself() -> None:
    table = read_runs(frame(tokens=T / 1e9), columns="tokens=tokens*1e9")
    assert_right(table)
    np.testing.assert_array_equal(table.numbers("source_tokens"), T / 1e9)
    assert table.mapped == {"tokens": "tokens*1e9"}


# ---------------------------------------------------------------- order


def test_a_condition_rescues_a_file(tmp_path: Path) -> None:
    rows = cells(LOSS)
    rows[4] = "diverged"
    path = written({"run": RUN, "N": cells(N), "tokens": cells(T), "loss": rows}, tmp_path / "r.csv")
    assert "row 5, column loss: 'diverged' is not a number" in refused(path)
    table = read_runs(path, where="loss IS NOT NULL")
    assert table.rows == 17
    assert table.dropped == (Dropped("--where loss IS NOT NULL", 1),)
    assert "1 row left out: --where loss IS NOT NULL" in table.assumptions
    # By the file's own name, and by one that is only known at the end.
    assert read_runs(path, where="loss IS NOT NULL AND N > 100M").rows == 12
    assert read_runs(path, where="loss IS NOT NULL AND params_total > 100M").rows == 12
    assert read_runs(frame(), where="flops > 1e18").rows == int((6 * N * T > 1e18).sum())
    assert "has no row for which 'tokens > 1e15' holds" in refused(frame(), where="tokens > 1e15")


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    """Of what is left, errors name the row of the file."""
    loss, tokens = cells(LOSS), cells(T)
    loss[0], loss[1], tokens[5] = "", "NaN", "many"
    path = written({"run": RUN, "N": cells(N), "tokens": tokens, "loss": loss}, tmp_path / "r.csv")
    assert "row 6, column tokens: 'many' is not a number" in refused(path)
    assert "row 6, column tokens" in refused(path, where="N < 1B")


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "N/A", "NA", "n/a", "-", "null", "None", " "])
def test_rows_without_a_loss(tmp_path: Path, missing: str) -> None:
    loss = [text if i % 3 else missing for i, text in enumerate(cells(LOSS))]
    path = written({"run": RUN, "params": cells(N), "tokens": cells(T), "loss": loss}, tmp_path / "r.csv")
    table = read_runs(path)
    assert table.rows == 12
    assert table.dropped == (Dropped("no loss", 6),)
    np.testing.assert_array_equal(table.numbers("loss"), LOSS.reshape(6, 3)[:, 1:].ravel())


def test_rows_without_a_loss_in_frames() -> None:
    for missing in (None, float("nan")):
        loss = pl.Series([missing if i % 3 == 0 else x for i, x in enumerate(LOSS)], dtype=pl.Float64)
        assert read_runs(frame(loss=loss)).dropped == (Dropped("no loss", 6),)
    infinite = read_runs(frame(loss=np.where(np.arange(18) == 3, np.inf, LOSS)))
    assert infinite.dropped == (Dropped("an infinite loss", 1),)
    assert "is missing in every row" in refused(frame(loss=[None] * 18))


def test_a_value_that_is_missing_is_no_missing_row() -> None:
    tokens = [None if i == 7 else t for i, t in enumerate(T)]
    message = refused(frame(tokens=tokens))
    assert "row 8, column tokens: is missing" in message
    assert "--where 'tokens IS NOT NULL'" in message
    assert read_runs(frame(tokens=tokens), where="tokens IS NOT NULL").rows == 17


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_decimal_commas(tmp_path: Path, separator: str) -> None:
    comma = [text.replace(".", ",") for text in cells(LOSS)]
    columns = {"run": RUN, "params": cells(N, "{:.0f}"), "tokens": cells(T, "{:.0f}"), "loss": comma}
    table = read_runs(written(columns, tmp_path / "r.csv", separator))
    assert_right(table)
    assert "commas read as decimal signs, as of the whole file" in table.assumptions


def test_a_loss_has_no_thousands(tmp_path: Path) -> None:
    """3,406 may be a number of steps; as a loss it is three and a bit, whatever separates the cells."""
    comma = [text.replace(".", ",") for text in cells(LOSS, "{:.3f}")]
    columns = {"run": RUN, "params": cells(N, "{:.0f}"), "tokens": cells(T, "{:.0f}"), "loss": comma}
    for separator in (",", ";"):
        table = read_runs(written(columns, tmp_path / "r.csv", separator))
        np.testing.assert_allclose(table.numbers("loss"), LOSS, atol=6e-4)


def test_dots_between_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    dotted = [text.replace(",", ".") for text in cells(T, "{:,.0f}")]
    comma = [text.replace(".", ",") for text in cells(LOSS)]
    columns = {"run": RUN, "params": cells(N, "{:.0f}"), "tokens": dotted, "loss": comma}
    assert_right(read_runs(written(columns, tmp_path / "r.csv", ";")))


@pytest.mark.parametrize("form", ["{:,.0f}", "{:_.0f}"])
def test_thousands_in_groups_of_three(tmp_path: Path, form: str) -> None:
    columns = {"run": RUN, "params": cells(N, form), "tokens": cells(T, form), "loss": cells(LOSS)}
    assert_right(read_runs(written(columns, tmp_path / "r.csv")))
    spaces = {name: [text.replace(",", " ").replace("_", " ") for text in cs] for name, cs in columns.items()}
    assert_right(read_runs(written(spaces, tmp_path / "r.csv")))


@pytest.mark.parametrize("cell", ["1,5", "12,34,567"])
def test_other_commas_are_refused(tmp_path: Path, cell: str) -> None:
    tokens = cells(T, "{:.0f}")
    tokens[2] = cell
    path = written(
        {"run": RUN, "params": cells(N), "tokens": tokens, "loss": cells(LOSS)}, tmp_path / "r.csv"
    )
    assert "row 3" in refused(path)


def test_suffixes_and_mixed_units(tmp_path: Path) -> None:
    columns = {"run": RUN, "model_size": [f"{n / 1e6:g}M" for n in N], "tokens": [f"{t / 1e9}B" for t in T]}
    assert_right(read_runs(written({**columns, "loss": cells(LOSS)}, tmp_path / "r.csv")))
    columns["tokens"][3] = "2097152000"
    assert "mixed units" in refused(written({**columns, "loss": cells(LOSS)}, tmp_path / "r.csv"))


# ---------------------------------------------------------------- runs

BUDGETS = np.repeat([1e18, 1e19, 1e20], 6)
SIZES = np.tile([2e7, 5e7, 1.2e8, 3e8, 7e8, 1.5e9], 3)


@pytest.mark.parametrize("order", ["budget", "size"])
@pytest.mark.parametrize("column", ["flops_budget", "budget", "flops", "C", None])
def test_an_isoflop_table_has_a_run_a_row(order: str, column: str | None) -> None:
    tokens = BUDGETS / (6 * SIZES)
    loss = 1.8 + 406 / SIZES**0.34 + 410 / tokens**0.28
    source = pl.DataFrame({"N": SIZES, "D": tokens, "loss": loss, **({column: BUDGETS} if column else {})})
    table = read_runs(source if order == "budget" else source.sort("N", maintain_order=True))
    assert table.runs == 18
    assert any("each row assumed to be a run of its own" in sentence for sentence in table.assumptions)
    assert table.flops_convention == ("given" if column else "6N_total")


def test_checkpoints_of_one_size_are_one_run() -> None:
    assert read_runs(frame(run=None)).runs == 6
    assert read_runs(frame(run=None, flops=6 * N * T)).runs == 6
    doubling = np.repeat(2e7 * 2.0 ** np.arange(8), 8), np.tile(1e9 * 2.0 ** np.arange(8), 8)
    table = read_runs(pl.DataFrame({"N": doubling[0], "D": doubling[1], "loss": 2 + doubling[0] ** -0.1}))
    assert table.runs == 8
    # Logged side by side: all sizes after the same tokens, then all after the next.
    assert read_runs(frame(run=None).sort("tokens", maintain_order=True)).runs == 6


def test_seeds_are_runs() -> None:
    twice = pl.concat([frame(run=None, seed=[1] * 18), frame(run=None, seed=[2] * 18, loss=LOSS + 0.01)])
    table = read_runs(twice)
    assert table.runs == 12
    assert any("params_total and seed" in sentence for sentence in table.assumptions)


def test_invented_names_that_clash_are_runs_of_their_own() -> None:
    table = read_runs(pl.concat([frame(run=None), frame(run=None, loss=LOSS + 0.01)]))
    assert (table.rows, table.runs) == (36, 36)
    assert any("two losses at 2,097,152,000 tokens (rows 1 and 19)" in s for s in table.assumptions)


def test_two_runs_of_one_name_are_refused() -> None:
    twice = pl.concat([frame(), frame(loss=LOSS + 0.01)])
    message = refused(twice)
    assert (
        "row 19, column tokens: run 'r0' has 2097152000 tokens in row 1 already, and so 17 more times"
        in message
    )
    for rule, shift in (("last", 0.01), ("first", 0.0)):
        table = read_runs(twice, duplicates=rule)
        np.testing.assert_allclose(table.numbers("loss"), LOSS + shift)
        assert sum(one.rows for one in table.dropped) == 18
    with pytest.raises(InvalidRequest, match="choose from last, first, refuse"):
        read_runs(twice, duplicates="newest")


def test_equal_rows_merge() -> None:
    table = read_runs(pl.concat([frame(), frame()]))
    assert_right(table)
    assert table.dropped == (Dropped("the same as an earlier row", 18),)


def resumed(steps: Sequence[int], losses: Sequence[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "run": ["a"] * len(steps),
            "N": [1e8] * len(steps),
            "tokens": np.array(steps) * 1e9,
            "loss": np.array(losses, float),
        }
    )


@pytest.mark.parametrize(
    ("steps", "losses", "kept"),
    [
        ([1, 2, 3, 4, 3, 4, 5], [5, 4, 3.5, 3.2, 3.51, 3.21, 3.0], [5, 4, 3.51, 3.21, 3.0]),
        ([1, 2, 3, 2, 3, 2, 3, 4], [5, 4, 3.5, 4.1, 3.6, 4.2, 3.7, 3.2], [5, 4.2, 3.7, 3.2]),
    ],
)
def test_traces_of_a_resume(steps: list[int], losses: list[float], kept: list[float]) -> None:
    assert read_runs(resumed(steps, losses)).numbers("loss").tolist() == kept


@pytest.mark.parametrize(
    ("steps", "losses"),
    [
        ([1, 2, 3, 1, 2, 3, 4], [5, 4, 3.5, 5.1, 4.1, 3.6, 3.2]),  # from the start: another run?
        ([1, 2, 3, 4, 2, 3], [5, 4, 3.5, 3.2, 4.1, 3.6]),  # never past where it was
        ([1, 2, 3, 2, 3, 4], [5, 4, 3.5, 2.1, 1.9, 1.7]),  # of other data
    ],
)
def test_what_is_no_resume_is_refused(steps: list[int], losses: list[float]) -> None:
    assert "--duplicates last" in refused(resumed(steps, losses))


def test_control_characters_in_names() -> None:
    names = [f"a\x1b[31m\n\u202e{run}\x00" for run in RUN]
    table = read_runs(frame(run=names).with_columns(pl.lit(1).alias("odd\ncolumn")))
    assert table.frame["run"][0] == "a\\x1b[31m\\n\\u202er0\\x00"
    assert all(name.isprintable() for name in table.frame.columns)
    assert table.runs == 6


def test_runs_that_differ_in_control_characters_stay_two() -> None:
    assert read_runs(frame(run=["a\x00" if i < 3 else f"a{r}" for i, r in enumerate(RUN)])).runs == 6


def test_a_name_that_is_no_name_of_runs_is_left(tmp_path: Path) -> None:
    """One architecture for all sizes: rows of a size are a run."""
    table = read_runs(frame(run=None, model=["gpt"] * 18))
    assert table.runs == 6
    assert "run" not in table.mapped


# ---------------------------------------------------------------- shapes


def test_fields_of_the_shape_by_known_names() -> None:
    widths, depths, heads = (
        np.repeat([512, 768, 1024], 2),
        np.repeat([8, 12, 12], 2),
        np.repeat([8, 12, 16], 2),
    )
    source = pl.DataFrame(
        {
            "run": np.repeat(["a", "b", "c"], 2),
            "d_model": widths,
            "n_layers": depths,
            "n_heads": heads,
            "n_kv_heads": heads // 4,
            "vocab_size": [32_000] * 6,
            "seq_len": [4096] * 6,
            "d_ff": widths * 3,
            "tokens": np.tile([1e9, 2e9], 3),
            "val_loss": [4.0, 3.9, 3.8, 3.7, 3.6, 3.5],
        }
    )
    table = read_runs(source)
    shape = Shape(512, 8, head_size=64, queries_per_kv=4, mlp_expansion=3, vocabulary=32_000, context=4096)
    assert table.numbers("params_total")[0] == params(shape)
    assert table.numbers("flops_per_token")[0] == flops_per_token(shape)
    assert table.architecture.vocabulary == 32_000
    assert table.architecture.head_size == 64
    assert not any("head size" in sentence for sentence in table.assumptions)


def test_shapes_of_another_architecture_are_not_taken() -> None:
    table = read_runs(frame(d_model=np.repeat([512, 768, 1024, 1280, 1536, 2048], 3), n_layers=[12] * 18))
    assert table.frame["width"].null_count() == 18
    assert table.flops_convention == "6N_total"
    told = next(s for s in table.assumptions if "not taken for the shape" in s)
    assert remedies(told) == ["width=d_model,depth=n_layers"]


def test_an_option_goes_before_a_column() -> None:
    source = pl.DataFrame(
        {"width": [512], "depth": [8], "vocabulary": [32_000], "tokens": [1e9], "loss": [3.0]}
    )
    assert read_runs(source).numbers("params_total")[0] == params(Shape(512, 8, vocabulary=32_000))
    assert read_runs(source, vocabulary=50_000).numbers("params_total")[0] == params(
        Shape(512, 8, vocabulary=50_000)
    )
    with pytest.raises(InvalidTable, match="row 1, column vocabulary: 0 must be at least 1"):
        read_runs(source.with_columns(vocabulary=0))


def test_everything_survives_parquet(tmp_path: Path) -> None:
    source = pl.concat([frame(loss=None, val_bpb=LOSS / 3), frame(loss=None, val_bpb=LOSS / 3 + 0.01)])
    table = read_runs(source, where="params_total > 30M", duplicates="last", columns="batch=tokens/1000")
    table.write_parquet(tmp_path / "t.parquet")
    again = read_runs(tmp_path / "t.parquet")
    for name in ("loss_unit", "mapped", "where", "dropped", "warnings", "assumptions", "format"):
        assert getattr(again, name) == getattr(table, name), name
    assert again.loss_unit == "bits_per_byte"
    assert again.select().selection == "all where params_total > 30M"
    declared = pl.read_parquet_metadata(tmp_path / "t.parquet")["units"]
    assert '"loss":"bits/byte"' in declared
