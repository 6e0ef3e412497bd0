"""`gemstones suite plan`: the contract, costs that add up, memory of layouts and ranks, mistakes."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params, params_by_group
from gemstones.design.layout import Layout, device_bytes
from gemstones.shape import Shape
from tests.cli.conftest import Cli
from tests.cli.test_errors import assert_refused

pytest.importorskip("tokenizers")

TINY = Path(__file__).resolve().parents[2] / "studies" / "tiny.toml"
CONTRACT = {"id", "family", "shape", "parent", "tokens", "learning_rate", "flops", "device_hours"}
BIG = """
[models]
vocabulary = 50304
[shapes]
explicit = ["1024x28", "2048x27"]
[training]
tokens = "10B"
batch_sequences = 2048
warmup_tokens = "80M"
evaluate_every = "2B"
"""
LARGE = Shape(2048, 27)
STATED = ("--throughput", "40G")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 512 ids."""
    from gemstones.train.corpus import Options, build

    folder = tmp_path_factory.mktemp("texts")
    generator = random.Random(0)
    for i in range(40):
        words = ("".join(generator.choices("abcdefgh", k=5)) for _ in range(200))
        (folder / f"{i}.txt").write_text(" ".join(words))
    made = build([folder], folder / "corpus", Options(vocabulary=512, validation=0.2)).corpus
    assert made.vocabulary == 512
    return made.folder


@pytest.fixture
def big(tmp_path: Path) -> Path:
    file = tmp_path / "big.toml"
    file.write_text(BIG)
    return file


def tiny_with(folder: Path, old: str, new: str) -> Path:
    text = TINY.read_text()
    assert text.count(old) == 1
    (folder / "mine.toml").write_text(text.replace(old, new))
    return folder / "mine.toml"


def test_the_contract(cli: Cli, corpus: Path) -> None:
    plan = cli("suite", "plan", TINY, "--corpus", corpus, *STATED, "--json").json
    runs = plan["runs"]
    assert all(run.keys() >= CONTRACT for run in runs)
    assert [run["family"] for run in runs] == ["main"] * 4 + ["cooldown"]
    assert len({run["id"] for run in runs}) == 5
    assert [run["parent"] for run in runs] == [None] * 4 + [runs[2]["id"]]
    assert runs[2]["shape"] == runs[4]["shape"]
    assert {run["tokens"] for run in runs} == {512_000}
    assert plan["ids_final"] is True
    assert plan["corpus"]["vocabulary"] == 512


def test_costs_are_those_of_the_shapes_and_add_up(cli: Cli, corpus: Path) -> None:
    plan = cli("suite", "plan", TINY, "--corpus", corpus, *STATED, "--json").json
    for run in plan["runs"]:
        shape = Shape.parse(run["shape"], head_size=16, vocabulary=512, context=128)
        assert run["params_total"] == params(shape)
        assert run["flops"] == flops_per_token(shape) * run["own_tokens"]
        assert run["device_hours"] == pytest.approx(run["flops_matmul"] / 40e9 / 3600)
        assert run["memory_bytes"] == 16 * params(shape)
    totals = plan["totals"]
    assert totals["runs"] == 5
    for name in ("own_tokens", "flops", "flops_matmul", "device_hours", "checkpoints", "bytes_kept"):
        assert totals[name] == pytest.approx(sum(run[name] for run in plan["runs"]))


def test_tiny_is_tiny_and_spans_sizes(cli: Cli, corpus: Path) -> None:
    plan = cli("suite", "plan", TINY, "--corpus", corpus, *STATED, "--json").json
    # Two slots on cores of 20 GFLOP/s, a fifth of the matmul peak of the machine it was made on.
    assert plan["totals"]["flops_matmul"] / 20e9 / 2 < 100
    sizes = sorted(run["params_non_embedding"] for run in plan["runs"])
    assert sizes[-1] > 8 * sizes[0]
    assert [f for f in plan["findings"] if f["level"] == "warning"] == []


def test_every_run_and_convention_is_said_when_asked(cli: Cli, corpus: Path) -> None:
    outcome = cli("suite", "plan", TINY, "--corpus", corpus, *STATED, "--verbose")
    assert (outcome.status, outcome.err) == (0, "")
    for part in (
        *("main-96x3-", "cooldown-64x2-", "0.00301", "Appendix G", "multiplications alone"),
        *("stated 40 GFLOP/s per device", "16 bytes per parameter", "activations are not included"),
        *("12 bytes per parameter", "note: tensor parallelism splits 96x3"),
    ):
        assert part in outcome.out, part


def test_the_answer_is_totals_and_families_and_what_is_alike_once(
    cli: Cli, corpus: Path, tmp_path: Path
) -> None:
    file = tiny_with(tmp_path, '"64x2", "96x3"]', '"64x2", "96x3", "160x2"]')
    plan = ("suite", "plan", file, "--corpus", corpus, *STATED)
    short, whole, totals = cli(*plan).out, cli(*plan, "--verbose").out, cli(*plan, "--json").json["totals"]
    first, *rest = short.splitlines()
    assert first.startswith(f"{file}: {totals['runs']} runs, ") and "tokens trained on" in first
    assert rest[0].startswith("FLOPs: ") and "(Appendix G)" in rest[0]
    assert rest[1].startswith("device hours: ") and "stated 40 GFLOP/s per device" in rest[1]
    families = [line.split()[:2] for line in rest if line.startswith((" main", " cooldown"))]
    assert sum(int(count) for _, count in families) == totals["runs"] and len(families) == 2
    assert (
        short.count("note: tensor parallelism splits") == 1 < whole.count("note: tensor parallelism splits")
    )
    assert " more like it" in short and " more like it" not in whole
    assert "main-96x3-" in whole and " main-96x3-" not in short


def test_a_measured_throughput(cli: Cli, corpus: Path) -> None:
    plan = cli("suite", "plan", TINY, "--corpus", corpus, "--utilisation", "0.25", "--json").json
    rate = plan["throughput"]
    assert rate["flops_per_second_per_device"] == rate["peak_flops_per_second"] / 4
    hours = plan["totals"]["flops_matmul"] / rate["flops_per_second_per_device"] / 3600
    assert plan["totals"]["device_hours"] == pytest.approx(hours)
    assert "25% (assumed)" in plan["conventions"]["device_hours"]


def test_without_a_corpus_ids_are_not_final(cli: Cli, tmp_path: Path, corpus: Path) -> None:
    file = tiny_with(tmp_path, "head_size = 16", "head_size = 16\nvocabulary = 512")
    without = cli("suite", "plan", file, *STATED, "--json").json
    on_corpus = cli("suite", "plan", file, *STATED, "--corpus", corpus, "--json").json
    assert (without["ids_final"], on_corpus["ids_final"]) == (False, True)
    assert without["corpus"] is None
    [finding] = [f for f in without["findings"] if "ids are not final" in f["message"]]
    assert finding["runs"] == [run["id"] for run in without["runs"]]
    assert {run["id"] for run in without["runs"]} & {run["id"] for run in on_corpus["runs"]} == set()


def test_memory_of_a_layout(cli: Cli, big: Path) -> None:
    plan = cli("suite", "plan", big, *STATED, "--layout", "64x4", "--json").json
    held = device_bytes(LARGE, Layout(64, 4))
    assert plan["memory"]["layout"] == {"data": 64, "tensor": 4, "devices": 256}
    largest = plan["memory"]["shapes"][0]
    assert (largest["shape"], largest["states_bytes"]) == ("2048x27", 16 * params(LARGE))
    assert largest["tensor_parallel_degrees"] == [1, 2, 4, 8]
    assert largest["per_device"]["states_bytes"] == held.states
    assert largest["per_device"]["gathered_bytes"] == held.gathered
    assert plan["runs"][1]["memory_per_device_bytes"] == held.total
    table = cli("suite", "plan", big, *STATED, "--layout", "64x4").out
    assert "memory per device as 64x4 on 256 devices" in table
    assert "720MB" in table


@pytest.mark.long
def test_the_largest_model_on_256_ranks(cli: Cli, big: Path) -> None:
    ranks = cli("suite", "plan", big, *STATED, "--ranks", 256, "--json").json["ranks"]
    assert (ranks["ranks"], ranks["data"], ranks["tensor"]) == (256, 256, 1)
    assert (ranks["shape"], ranks["params_total"]) == ("2048x27", params(LARGE))
    assert len(ranks["bytes_per_rank"]) == 256
    assert sum(ranks["bytes_per_rank"]) == ranks["bytes_total"] == 16 * params(LARGE)
    # 50,304 rows over 256 ranks: 197 on each, and 69 on the last.
    assert ranks["bytes_max"] - ranks["bytes_min"] == 16 * 2 * (197 - 69) * 2048
    for played in ranks["sharded_by_torch"]:
        assert ranks["bytes_per_rank"][played["rank"]] == played["states_bytes"]


def test_ranks_beyond_the_batch_are_sharded_with_a_warning(cli: Cli, big: Path) -> None:
    big.write_text(BIG.replace("batch_sequences = 2048", "batch_sequences = 128"))
    document = cli("suite", "plan", big, *STATED, "--ranks", 256, "--json").json
    assert document["ranks"]["bytes_total"] == 16 * params(LARGE)
    assert document["findings"][0]["level"] == "warning"
    assert "degree 256 does not divide the batch of 128 sequences" in document["findings"][0]["message"]


@pytest.mark.long
def test_ranks_with_tensor_parallelism(cli: Cli, big: Path) -> None:
    outcome = cli("suite", "plan", big, *STATED, "--ranks", 256, "--tensor", 4, "--json")
    ranks = outcome.json["ranks"]
    assert (ranks["data"], ranks["tensor"]) == (64, 4)
    assert ranks["bytes_replicated"] == 16 * 3 * params_by_group(LARGE)["norm"]
    assert ranks["bytes_total"] == 16 * params(LARGE) + ranks["bytes_replicated"]


@pytest.mark.parametrize(
    ("options", "saying"),
    [
        (("--layout", "64"), ("'64'", "DATAxTENSOR")),
        (("--layout", "3x1"), ("degree 3", "2048 sequences", "2 or 4")),
        (("--layout", "4x8"), ("degree 8", "1024x28", "1, 2, 4")),
        (("--ranks", "256", "--tensor", "3"), ("degree 3", "256 ranks", "2 or 4")),
        (("--layout", "4096x1"), ("degree 4096", "2048 sequences", "choose 2048")),
        (("--ranks", "256", "--tensor", "16"), ("degree 16", "2048x27", "1, 2, 4, 8")),
        (("--ranks", "0"), ("ranks 0",)),
        (("--ranks", "1000000"), ("1000000", "4,096")),
        (("--tensor", "2"), ("tensor 2", "--ranks")),
        (("--utilisation", "0.5"), ("utilisation 0.5", "--throughput 40G")),
        (("--corpus", "nowhere"), ("nowhere",)),
    ],
    ids=" ".join,
)
def test_options_that_mean_nothing(
    cli: Cli, big: Path, options: tuple[str, ...], saying: tuple[str, ...]
) -> None:
    assert_refused(cli, "suite", "plan", big, *STATED, *options, "--json", saying=saying)


@pytest.mark.parametrize(
    ("old", "new", "saying"),
    [
        ('"64x2", "96x3"]', '"64x2", "90x3"]', ("shapes.explicit[3]", "width 90", "head size 16")),
        ('tokens = "512K"', 'tokens = "512Q"', ("training.tokens", "512Q")),
        ("length = 0.25", "lenght = 0.25", ("families[0].lenght", "unknown field")),
        ('forks = ["409.6K"]', 'forks = ["1M"]', ("families[0].forks[0]", "beyond the end")),
        ("batch_sequences = 8", "", ("training.batch_sequences", "is required")),
    ],
)
def test_mistakes_in_the_file_name_the_field(
    cli: Cli, tmp_path: Path, corpus: Path, old: str, new: str, saying: tuple[str, ...]
) -> None:
    file = tiny_with(tmp_path, old, new)
    assert_refused(cli, "suite", "plan", file, "--corpus", corpus, *STATED, saying=("mine.toml", *saying))


def test_a_vocabulary_is_needed_from_somewhere(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(TINY.read_text())
    assert_refused(
        cli, "suite", "plan", file, *STATED, saying=("mine.toml", "corpus", "is not built", "--corpus")
    )


def test_a_corpus_shorter_than_a_window(cli: Cli, tmp_path: Path, corpus: Path) -> None:
    file = tiny_with(tmp_path, "context = 128", "context = 1048576")
    assert_refused(
        cli, "suite", "plan", file, "--corpus", corpus, *STATED, saying=("1048577", "shorter context")
    )


def test_planning_needs_torch_only_to_measure_and_to_shard(
    cli: Cli, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("throughput", "peak", "dry_run", "layout", "model", "step"):
        monkeypatch.delitem(sys.modules, f"gemstones.train.{module}", raising=False)
    assert cli("suite", "plan", big, *STATED, "--layout", "64x4").status == 0
    extra = "pip install 'gemstones[train]'"
    assert_refused(cli, "suite", "plan", big, status=1, saying=("--throughput", extra))
    assert_refused(cli, "suite", "plan", big, *STATED, "--ranks", 2, status=1, saying=("--ranks", extra))


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        (
            "--held-out",
            "prose",
            "held-out 'prose' must be a name and a folder: write it like prose=corpora/prose",
        ),
        ("--held-out", "other=x", "held-out set 'other' is not in "),
        ("--held-out", "prose=nowhere", "held_out.prose: nowhere: does not exist"),
        ("--source", "=x", "source '=x' must be a name and a folder"),
        ("--source", "code=x", "source 'code' is not in "),
    ],
)
def test_folders_by_name_are_refused_in_one_line(
    option: str, value: str, rule: str, corpus: Path, tmp_path: Path, cli: Cli
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(TINY.read_text() + '[held_out]\nprose = "prose"\n')
    refused = cli("suite", "plan", file, "--corpus", corpus, *STATED, option, value)
    assert (refused.status, len(refused.err.splitlines())) == (2, 1)
    assert rule in refused.err
