"""Every mistake of a user's: one line on standard error, exit status 2, nothing on standard output or disk."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

GOOD = "run,params_total,tokens,loss\na,1e8,1e9,3.5\na,1e8,2e9,3.3\nb,2e8,1e9,3.4\nb,2e8,2e9,3.2\n"


def assert_refused(cli: Cli, *arguments: object, saying: tuple[str, ...], status: int = 2) -> None:
    outcome = cli(*arguments)
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1 and outcome.err.startswith("gemstones: "), outcome.err
    assert "Traceback" not in outcome.err
    for part in saying:
        assert part in outcome.err, (part, outcome.err)


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        (("loss", "val"), ("mine.csv", "loss", "--columns")),
        (("3.3", "none yet"), ("mine.csv", "row 2", "loss", "none yet")),
        (("2e9,3.3", "n/a,3.3"), ("mine.csv", "row 2", "tokens", "--where 'tokens IS NOT NULL'")),
        (("3.4", "0"), ("mine.csv", "row 3", "loss")),
        (("3.4", "-3.4"), ("mine.csv", "row 3", "loss", "-3.4")),
        (("1e9,3.4", "0,3.4"), ("mine.csv", "row 3", "tokens")),
        (("2e9,3.3", "1e9,3.3"), ("mine.csv", "row 2", "tokens", "row 1")),
        (("1e9,3.5", "1,3.5"), ("mine.csv", "row 1", "tokens", "unit")),
        (("1e9,3.5", "1B,3.5"), ("mine.csv", "tokens", "unit")),
    ],
    ids=lambda x: "->".join(x) if len(x) == 2 else None,
)
@pytest.mark.parametrize("command", ["fit", "envelope"])
def test_bad_tables(
    cli: Cli, tmp_path: Path, change: tuple[str, str], saying: tuple[str, ...], command: str
) -> None:
    assert GOOD.count(change[0]) >= 1
    (tmp_path / "mine.csv").write_text(GOOD.replace(*change, 1))
    assert_refused(cli, command, tmp_path / "mine.csv", "--json", saying=saying)


@pytest.mark.parametrize("missing", ["n/a", "nan", ""])
def test_rows_without_a_loss_are_left_out_and_said(cli: Cli, tmp_path: Path, missing: str) -> None:
    (tmp_path / "mine.csv").write_text(GOOD.replace("3.3", missing, 1))
    fitted = cli("fit", tmp_path / "mine.csv", "--force", "--json").json
    assert fitted["rows"] == 3
    assert "1 row left out: no loss" in fitted["assumptions"]


def test_bad_files(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(GOOD)
    assert_refused(cli, "fit", table, "--where", "loss > 100", saying=("mine", "loss > 100"))
    assert_refused(cli, "fit", table, "--where", "loss >", saying=("'loss >'",))
    assert_refused(cli, "fit", table, "--select", "le100B", saying=("le100B", "all"))
    import polars as pl

    pl.read_csv(table).write_parquet(tmp_path / "mine.parquet")
    whole = (tmp_path / "mine.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    assert_refused(cli, "fit", tmp_path / "cut.parquet", saying=("cut.parquet",))
    assert_refused(cli, "fit", tmp_path / "none.csv", saying=("none.csv",))
    assert_refused(cli, "fit", "gemstone", saying=("gemstone", "gemstones, gemstones-fineweb-edu"))
    assert_refused(cli, "fit", table, "--columns", "loss", saying=("loss=",))


def test_a_wrong_hash(cli: Cli, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = next(data_dir.rglob("svg_extracted_data.csv"))
    copy = tmp_path / original.relative_to(data_dir)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(original.read_bytes() + b"\n")
    monkeypatch.setenv("GEMSTONES_DATA_DIR", str(tmp_path))
    assert_refused(cli, "data", "fetch", "chinchilla", saying=("svg_extracted_data.csv", "193478df"))


def test_no_network_and_no_data(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMSTONES_DATA_DIR")
    monkeypatch.setenv("GEMSTONES_OFFLINE", "1")
    monkeypatch.setenv("GEMSTONES_CACHE", str(tmp_path / "cache"))
    study = ("study", "gemstones", "--output", tmp_path / "study")
    assert_refused(cli, *study, saying=("GEMSTONES_DATA_DIR",), status=1)
    assert not (tmp_path / "study").exists()
    assert cli("plan", "1e22").status == 0  # the shipped law needs neither


def test_bad_laws_and_fits(cli: Cli, tmp_path: Path) -> None:
    ladder = tmp_path / "ladder.csv"
    lines = [
        f"{w}-{t},{w},{w // 64},{t},{2 + 3 / w + 9 / t**0.2}"
        for w in (256, 512, 1024, 2048)
        for t in (10**9, 10**10, 10**11)
    ]
    ladder.write_text("run,width,depth,tokens,loss\n" + "\n".join(lines))
    output = tmp_path / "fit.json"
    assert_refused(
        cli,
        "fit",
        ladder,
        "--law",
        "w,d,T",
        "--output",
        output,
        saying=("depth is a function of width", "--force"),
    )
    assert not output.exists()
    forced = cli("fit", ladder, "--law", "w,d,T", "--force", "--json").json
    assert any(flag.startswith("collinear_columns") for flag in forced["flags"])
    assert_refused(cli, "fit", "pebbles", "--law", "N,,T", saying=("N,,T",))
    assert_refused(cli, "fit", "pebbles", "--params", "all", saying=("total, no_embedding, non_embedding",))
    assert_refused(cli, "fit", "pebbles", "--delta", "0", saying=("delta",))
    assert_refused(cli, "fit", "pebbles", "--objective", "l2", saying=("huber, squared, absolute",))
    assert_refused(cli, "fit", "pebbles", "--bootstrap", "40", "--resample", "cell", saying=("run, row",))
    assert_refused(cli, "fit", "pebbles", "--output", "/no/such/folder/fit.json", saying=("/no/such/folder",))
    assert_refused(cli, "envelope", "pebbles", "--resource", "joules", saying=("flops, device_hours",))
    untimed = tmp_path / "untimed.csv"
    untimed.write_text(GOOD)
    assert_refused(cli, "envelope", untimed, "--resource", "device_hours", saying=("device_hours",))


def test_bad_plans(cli: Cli, tmp_path: Path) -> None:
    assert_refused(cli, "plan", "lots", saying=("budget", "lots"))
    assert_refused(cli, "plan", "-1e22", saying=("1e22",))
    assert_refused(cli, "plan", "1e22", "--law", "hoffmann", saying=("hoffmann", "chinchilla"))
    (tmp_path / "fit.json").write_text("{}")
    assert_refused(cli, "plan", "1e22", "--law", tmp_path / "fit.json", saying=("not a fit",))
    assert_refused(cli, "plan", "1e32", saying=("10.3 decades", "--force"))
    assert_refused(cli, "plan", "1e32", "--force", saying=("edge of the search", "--max-width"))
    assert_refused(cli, "plan", "1e22", "--max-depth", "30", saying=("depth 30", "--max-depth"))
    assert_refused(cli, "plan", "1e22", "--min-width", "4096", "--max-width", "256", saying=("width range",))
    assert_refused(cli, "plan", "1e22", "--near", "2", saying=("near",))


def test_bad_words(cli: Cli) -> None:
    assert_refused(cli, "fits", saying=("fit",))
    assert_refused(cli, "count", saying=("SHAPE",))
    assert_refused(cli, "count", "1024by28", saying=("1024by28", "1024x28"))
    assert_refused(cli, "count", "1000x28", saying=("1000", "128"))
    assert_refused(cli, "count", "640x28", saying=("640", "5 query heads"))
    assert_refused(cli, "count", "1024x28", "--vocabulary", "many", saying=("many",))
    assert_refused(cli, "count", "1024x28", "--jason", saying=("--jason",))
    assert_refused(cli, "design", "--sizes", "big", saying=("big",))
    assert_refused(cli, "design", "--sizes", "50M", "--tolerance", "5", saying=("tolerance",))
    assert_refused(cli, "data", "show", "pile", saying=("pile",))
    assert_refused(cli, "data", "fetch", "pile", saying=("pile", "gemstones, gemstones-fineweb-edu"))


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        ("fit pebbles --bootstrap 70 --workers 0", ("workers '0' must be positive",)),
        ("fit pebbles --bootstrap 40 --seed -1", ("seed -1",)),
        ("fit pebbles --bootstrap -1", ("bootstrap -1",)),
        ("fit pebbles --resample foo", ("run, row",)),
        ("fit pebbles --level 2", ("level",)),
        ("fit pebbles --delta 1e308", ("delta",)),
        ("envelope pebbles --bootstrap -3", ("bootstrap -3",)),
        ("envelope pebbles --bins 100000000000", ("bins",)),
        ("plan 1e22 --max-depth 1000000000", ("narrow the ranges",)),
        ("plan 1e22 --law " + 5000 * "x", ("neither a law",)),
        ("count 1024x28 --vocabulary 1" + 40 * "0", ("vocabulary", "at most")),
        ("design --sizes 50M --head-size 0", ("head_size 0",)),
        ("design --sizes ,", ("names nothing",)),
    ],
    ids=lambda x: x[:60] if isinstance(x, str) else "",
)
def test_numbers_without_meaning(cli: Cli, words: str, saying: tuple[str, ...]) -> None:
    assert_refused(cli, *words.split(" "), saying=saying)


def test_columns_that_cannot_be_terms(cli: Cli, tmp_path: Path) -> None:
    rows = GOOD.strip().split("\n")
    values = ["batch", "64", "0", "-1", "2"]
    (tmp_path / "mine.csv").write_text("\n".join(f"{r},{v}" for r, v in zip(rows, values, strict=True)))
    assert_refused(
        cli,
        "fit",
        tmp_path / "mine.csv",
        "--law",
        "N,T,batch",
        saying=("mine.csv", "row 2", "batch", "positive"),
    )


def test_where_output_may_go(cli: Cli, tmp_path: Path) -> None:
    """Refused before the work, and what is no file is written to, not replaced."""
    assert_refused(cli, "fit", "pebbles", "--output", tmp_path, saying=("is a folder",))
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)
    assert cli("fit", "pebbles", "--law", "N,T", "--output", link).status == 0
    assert link.is_symlink() and real.read_text().startswith("{")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    assert cli("fit", "pebbles", "--law", "N,T", "--output", pipe).status == 0
    assert reader.communicate(timeout=60)[0].startswith("{") and pipe.is_fifo()


def test_a_fit_that_was_edited(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "fit.json"
    assert cli("fit", "pebbles", "--law", "N,T", "--bootstrap", "40", "--output", output).status == 0
    whole = json.loads(output.read_text())
    for change in (
        {"level": 2},
        {"law": {**whole["law"], "fitted": {**whole["law"]["fitted"], "flops": [0, 0]}}},
        {"law": {**whole["law"], "log_irreducible": 1000}},
        {"law": {**whole["law"], "models": {**whole["law"]["models"], "head_size": 0}}},
        {"law": {**whole["law"], "terms": ["N", "N"]}},
        {"resampling": None},
    ):
        output.write_text(json.dumps({**whole, **change}))
        assert_refused(cli, "plan", "1e22", "--law", output, saying=("fit.json is not a fit",))


def test_interruption_is_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gemstones",
        "fit",
        "pebbles",
        "--law",
        "w,d,N,T",
        "--bootstrap",
        "50000",
    ]
    running = subprocess.Popen(
        [*command, "--workers", "1", "--output", tmp_path / "fit.json"], stderr=subprocess.PIPE, text=True
    )
    time.sleep(6)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60)[1] == "gemstones: interrupted\n"
    assert running.returncode == 130 and list(tmp_path.iterdir()) == []


def test_a_terminal_that_cannot_show_everything() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gemstones", "plan", "1e22", "--law", "kaplan"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "6?N?T" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("torch", ["train", "somewhere"], "train"),
        ("torch", ["export", "somewhere", "--output", "elsewhere"], "train"),
        ("torch", ["suite", "run", "suite.toml"], "train"),
    ],
)
def test_a_package_that_is_not_installed_is_one_line(package: str, arguments: list[str], extra: str) -> None:
    without = f"import sys; sys.modules[{package!r}] = None"
    code = f"{without}; from gemstones.cli.app import run; sys.exit(run({arguments!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"pip install 'gemstones[{extra}]'" in line
