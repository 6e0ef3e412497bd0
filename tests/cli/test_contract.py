"""What `--json` promises: keys, units, and nothing else on standard output."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_count(cli: Cli) -> None:
    counted = cli("count", "1024x28", "--json").json
    assert counted["params"] == {
        "embedding": 51_511_296, "head": 51_511_296, "attention": 88_080_384, "mlp": 352_321_536, "norm": 58_368,
        "total": 543_482_880, "no_embedding": 491_971_584, "non_embedding": 440_460_288,
    }  # fmt: skip
    assert counted["flops_per_token"] == {
        "gemstones": 3_578_148_864, "matmul": 3_656_122_368, "6N_total": 6 * 543_482_880,
        "6N_no_embedding": 6 * 491_971_584, "6N_non_embedding": 6 * 440_460_288,
    }  # fmt: skip
    memory = counted["memory_bytes"]
    assert (
        memory["total"] == memory["weights"] + memory["gradients"] + memory["optimizer"] == 16 * 543_482_880
    )


def test_design(cli: Cli) -> None:
    shapes = cli("design", "--sizes", "50M,100M,500M,1B,2B", "--tolerance", "0.05", "--json").json["shapes"]
    sizes = [s["size"] for s in shapes]
    assert [sizes.count(x) for x in (50e6, 100e6, 500e6, 1e9, 2e9)] == [5, 13, 28, 62, 74]
    assert shapes[0].keys() == {"shape", "width", "depth", "size", "params_total", "aspect_ratio"}


def test_data(cli: Cli, data_dir: Path) -> None:
    names = [d["name"] for d in cli("data", "list", "--json").json["datasets"]]
    assert names == [
        "gemstones", "gemstones-fineweb-edu", "gemstones-dclm", "gemstones-benchmarks", "chinchilla", "pebbles",
        "pebbles-2",
    ]  # fmt: skip
    shown = cli("data", "show", "gemstones", "--json").json
    assert (shown["rows"], shown["runs"]) == (5049, 62)
    assert shown["licence"] == "MIT" and "mcleish7" in shown["source"] and len(shown["hash"]) == 64
    assert {s["name"]: s["rows"] for s in shown["selections"]}["le100B-2B"] == 1100
    assert {s["licence"] for s in shown["sources"]} == {"MIT"} and all(
        len(s["sha256"]) == 64 for s in shown["sources"]
    )
    files = cli("data", "fetch", "chinchilla", "--json").json["files"]
    assert Path(files[0]["path"]).is_relative_to(data_dir)


def test_fit(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "fit.json"
    fitted = cli(
        "fit", "pebbles", "--select", "lr-ablation", "--law", "N,T", "--delta", "1e-4", "--params", "no_embedding",
        "--bootstrap", "40", "--seed", "3", "--output", output, "--json",
    ).json  # fmt: skip
    assert fitted.keys() >= {
        "law", "selection", "rows", "runs", "delta", "objective", "exponents", "log_coefficients",
        "log_irreducible", "irreducible_loss", "optimal_exponents", "intervals", "status", "flags",
    }  # fmt: skip
    assert (fitted["law"], fitted["selection"], fitted["params_convention"]) == (
        "N,T",
        "lr-ablation",
        "no_embedding",
    )
    assert fitted["intervals"].keys() == {
        "exponents", "log_coefficients", "log_irreducible", "irreducible_loss", "optimal_exponents",
    }  # fmt: skip
    assert fitted["intervals"]["exponents"].keys() == {"N", "T"}
    planned = cli("plan", "1e14", "--law", output, "--json").json
    assert planned["params_convention"] == "no_embedding" and planned["shape"] is None
    assert planned["intervals"]["tokens"][0] < planned["tokens"] < planned["intervals"]["tokens"][1]


@pytest.mark.published_data
def test_envelope(cli: Cli) -> None:
    found = cli(
        "envelope", "gemstones", "--select", "all-2B", "--resource", "flops", "--method", "hull", "--json"
    ).json
    assert found["points"] == len(found["frontier"]) == 28
    assert found["frontier"][0].keys() >= {"run", "tokens", "loss", "resource"}
    assert found["fits"]["params"]["slope"] == pytest.approx(0.457903080, abs=1e-6)
    assert (found["params_convention"], found["resource_convention"]) == ("total", "gemstones")
    bins = cli(
        "envelope", "gemstones", "--select", "cooldown", "--method", "bins", "--bins", "750", "--json"
    ).json
    assert bins["points"] == 172 and bins["bins"] == 750


def test_plan(cli: Cli) -> None:
    made = cli("plan", "1e22", "--json").json
    assert made.keys() >= {
        "budget_flops", "shape", "width", "depth", "params_total", "tokens", "tokens_per_param", "loss",
        "intervals", "flops_convention", "near_optimal", "relaxed", "extrapolation", "params_convention",
    }  # fmt: skip
    near = made["near_optimal"]
    assert near.keys() >= {"count", "width", "depth", "members"} and len(near["members"]) == 50
    assert near["members"][0].keys() == {"shape", "tokens", "loss", "loss_increase", "share"}
    everything = cli("plan", "1e22", "--near-all", "--json").json["near_optimal"]
    assert len(everything["members"]) == everything["count"] == near["count"]
    published = cli(
        "plan", "1e22", "--law", "gemstones-width-depth", "--width-multiple", "256", "--json"
    ).json
    assert published["shape"] == "4864x66" and published["intervals"] is None
    kaplan = cli("plan", "1e22", "--law", "kaplan", "--json").json
    assert kaplan["loss"] is None and kaplan["near_optimal"] is None
    assert kaplan["params_convention"] == "non_embedding"


def test_plan_for_device_hours(cli: Cli) -> None:
    made = cli("plan", "--device-hours", "1e5", "--json").json
    assert (made["budget"], made["resource"]) == (1e5, "device_hours")
    assert made["device_hours"] == pytest.approx(1e5) and made["flops"] == made["budget_flops"]
    assert made.keys() >= {
        "shape", "tokens", "loss", "intervals", "near_optimal", "relaxed", "inference_tokens", "notes",
        "device_hours_interval", "throughput", "flop_optimal",
    }  # fmt: skip
    time, beside = made["throughput"], made["flop_optimal"]
    assert time.keys() >= {
        "features", "coefficients", "held_out_error", "held_out_largest", "peak_flops_per_second", "source", "runs",
        "devices", "widths", "depths", "compared", "flags", "assumptions",
    }  # fmt: skip
    assert time["features"] == ["flops_matmul", "width_depth"] and time["source"] == "gemstones (all)"
    assert time["held_out_error"] == pytest.approx(0.1036, abs=1e-4) and time["devices"] == [64, 512]
    assert beside["budget_flops"] == pytest.approx(made["flops"]) and beside["device_hours"] > 1e5
    assert beside["loss"] < made["loss"] and beside["device_hours_ratio"] > 1
    assert beside.keys() >= {"shape", "tokens", "params_total", "loss_change", "device_hours_interval"}
    # A plan for FLOPs has the same keys; its hours, where its models were timed.
    of_flops = cli("plan", "1e22", "--json").json
    assert of_flops.keys() == made.keys() and of_flops["flop_optimal"] is None
    assert (
        of_flops["device_hours_interval"][0] < of_flops["device_hours"] < of_flops["device_hours_interval"][1]
    )
    for law in ("chinchilla", "kaplan"):
        blind = cli("plan", "1e22", "--law", law, "--json").json
        assert blind["device_hours"] is None and blind["throughput"] is None


def test_plan_with_inference(cli: Cli) -> None:
    made = cli("plan", "1e22", "--inference-tokens", "1T", "--json").json
    assert made["inference_tokens"] == 1e12
    assert made["flops"] + made["inference_flops"] == pytest.approx(1e22) == made["budget_flops"]
    assert made["params_total"] < cli("plan", "1e22", "--json").json["params_total"]
    assert cli("plan", "1e22", "--inference-tokens", "0").out == cli("plan", "1e22").out
    blind = cli("plan", "1e22", "--inference-tokens", "1T", "--law", "chinchilla", "--json").json
    assert 6 * blind["params"] * blind["tokens"] + 2 * blind["params"] * 1e12 == pytest.approx(1e22)


@pytest.mark.published_data
def test_throughput(cli: Cli, tmp_path: Path) -> None:
    output = tmp_path / "step-time.json"
    fitted = cli("throughput", "gemstones", "--bootstrap", "40", "--output", output, "--json").json
    assert fitted["held_out_error"] == pytest.approx(0.1036, abs=1e-4)
    assert len(fitted["compared"]) == 8 and len(fitted["observations"]) == 22
    assert fitted["observations"][0].keys() == {
        "run", "width", "depth", "devices", "seconds_per_token", "left_out", "error",
    }  # fmt: skip
    shipped = cli("plan", "--device-hours", "1e4", "--json").json
    for throughput in (output, "gemstones"):
        made = cli("plan", "--device-hours", "1e4", "--throughput", throughput, "--json").json
        assert made["shape"] == shipped["shape"] and made["loss"] == pytest.approx(shipped["loss"], rel=1e-12)
    # Other devices: as many FLOPs take longer.
    quick = cli("plan", "1e21", "--json").json
    slow = cli("plan", "1e21", "--throughput", "pebbles", "--json").json
    assert slow["throughput"]["source"] == "pebbles (all)" and slow["shape"] == quick["shape"]
    assert slow["device_hours"] > 50 * quick["device_hours"]
    alone = cli("throughput", "gemstones", "--features", "flops_matmul", "--json").json
    assert alone["held_out_error"] == pytest.approx(0.373, abs=1e-3)


def test_assumptions_are_said_by_every_command(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    rows = [
        f"{w}x{d},{w},{d},{t},{2 + 1 / w**0.1 + 5 / t**0.1}"
        for w, d in ((256, 6), (256, 12), (512, 6), (512, 24), (1024, 12), (1024, 24))
        for t in (1e9, 2e9, 4e9)
    ]
    table.write_text("run,width,depth,tokens,val_loss\n" + "\n".join(rows))
    columns = ("--columns", "loss=val_loss")
    for command in (
        ("data", "show", table, *columns),
        ("fit", table, *columns, "--output", tmp_path / "fit.json"),
        ("envelope", table, *columns),
        ("plan", "1e20", "--law", tmp_path / "fit.json"),
    ):
        assert any("vocabulary 50,304 assumed" in a for a in cli(*command, "--json").json["assumptions"]), (
            command
        )
        assert "vocabulary 50,304 assumed" in cli(*command).out, command
    for command in (
        ("overspend", table, *columns, "--tokens", "2e9"),
        (
            "backtest",
            table,
            *columns,
            "--law",
            "N,T",
            "--split",
            "leave-one-run-out",
            "--draws",
            40,
            "--workers",
            1,
        ),
        ("overtrain", "1e20", "--law", tmp_path / "fit.json", "--factors", "1,2"),
        ("predict", tmp_path / "fit.json", "--at", "N=1e8,T=1e9"),
        ("compare", table, table, *columns, "--law", "N,T", "--bootstrap", 40, "--workers", 1),
    ):
        assert "assumed: " in cli(*command).out and "vocabulary 50,304 assumed" in cli(*command).out, command
    said = ("--vocabulary", 32000, "--head-size", 128, "--context", 2048, "--queries-per-kv", 2)
    assert not any(
        "vocabulary" in a for a in cli("fit", table, *columns, *said, "--json").json["assumptions"]
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("count 1024x28", ("FLOPs per token, forward and backward", "non_embedding", "bytes in training")),
        ("design --sizes 50M", ("total parameters", "±5.0%")),
        ("data list", ("default all", "licence: MIT")),
        ("fit pebbles", ("total parameters", "no intervals: ask", "delta 0.0001")),
        ("envelope pebbles", ("FLOPs (Appendix G)", "total parameters", "natural logs")),
        ("plan 1e22", ("FLOPs (Appendix G)", "total parameters", "95% intervals from 400 resamples by run")),
        (
            "plan --device-hours 1e5 --verbose",
            ("10% off (rms of log error)", "caution about the step times: ", "[devices_vary]"),
        ),
        (
            "plan --device-hours 1e5",
            (
                "device hours by gemstones-refit",
                "by the step times of gemstones",
                "each with a resample of the step times",
                "best for as many FLOPs",
                "4 cautions and the rest: --verbose",
            ),
        ),
        (
            "plan 1e22 --inference-tokens 1e12 --law chinchilla",
            ("(6·N·T, N_total), inference on 1T tokens included", "inference FLOPs (2·N a token, N_total)"),
        ),
        (
            "throughput gemstones",
            ("shapes left out of the fit", "99.4T", "400 resamples by run", "one kind of device"),
        ),
        ("plan 1e22 --law kaplan", ("6·N·T", "non_embedding", "no interval", "predicts no loss")),
    ],
)
def test_people_are_told_the_conventions(cli: Cli, words: str, said: tuple[str, ...]) -> None:
    outcome = cli(*words.split())
    assert (outcome.status, outcome.err) == (0, "")
    for part in said:
        assert part in outcome.out


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gemstones", "count", "768x3", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"total": 103814400' in done.stdout and done.stderr == ""
    closed = subprocess.run(
        f"{sys.executable} -m gemstones plan 1e22 --near-all | head -1", shell=True, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert closed.stderr == "" and closed.stdout.startswith("For 1e22 FLOPs (Appendix G)")
