"""Files of tools, written here in their shapes: what is told, what the format defines, which rows and runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gemstones.runs.dropped import Dropped
from gemstones.runs.formats import Opened, open_runs
from gemstones.runs.formats.registry import ADDRESSES, FILES, FOLDERS
from tests.runs.formats.written import PLAIN, opened, refusal, written

CHART = """"Step","d-12 - small - eval/loss","d-12 - small - eval/loss__MIN","d-12 - small - eval/loss__MAX",\
"d-16 - eval/loss","d-16 - eval/loss__MIN","d-16 - eval/loss__MAX"
"0","4.5","4.5","4.5","","",""
"100","4.0","3.9","4.1","3.9","3.9","3.9"
"""
HISTORY = (
    "_step,_runtime,_timestamp,train/loss,eval/loss,throughput/total_tokens,throughput/total_gflops\n"
    + "".join(
        f"{step},{step}.5,17e8,3.{step},{'' if step % 2 else 2.5},{step * 1000},{step * 5}\n"
        for step in range(1, 5)
    )
)
RUN_TABLE = """"Name","State","Notes","User","Tags","Created","Runtime","Sweep","n_params","eval/loss"
"d12","finished","","me","","2026-01-01T00:00:00.000Z","100","","1000000","3.5"
"d12","crashed","","me","","2026-01-02T00:00:00.000Z","50","","1000000","3.9"
"d16","finished","","me","","2026-01-03T00:00:00.000Z","200","","4000000","3.1"
"""
LIGHTNING = "epoch,step,train_loss,val_loss\n0,99,3.0,\n0,99,,3.1\n0,199,2.9,\n0,199,,3.0\n"
LITGPT = (
    "epoch,iter,iter_time,learning_rate,loss,remaining_time,step,tokens,total_tokens,val_loss,val_ppl\n"
    "0,1,0.1,1e-3,4.5,9,0,1024,4096,,\n0,2,0.1,1e-3,4.4,9,1,2048,8192,,\n,,,,,,1,,,4.3,73.7\n"
    "0,3,0.1,1e-3,4.2,9,2,3072,12288,,\n,,,,,,2,,,4.1,60.3\n"
)
TRAINER_STATE = {
    "best_metric": None,
    "global_step": 20,
    "num_input_tokens_seen": 20_480,
    "log_history": [
        {"epoch": 0.5, "learning_rate": 1e-3, "loss": 3.2, "step": 10},
        {"epoch": 0.5, "eval_loss": 3.1, "eval_runtime": 1.5, "num_input_tokens_seen": 10_240, "step": 10},
        {"epoch": 1.0, "eval_loss": 3.0, "eval_runtime": 1.5, "num_input_tokens_seen": 20_480, "step": 20},
        {"epoch": 1.0, "step": 20, "total_flos": 1e15, "train_loss": 3.3},
    ],
}
TRAINER_LOG = (
    '{"current_steps": 10, "total_steps": 20, "loss": 3.2, "lr": 0.001, "epoch": 0.5, "total_tokens": 10240}\n'
    '{"current_steps": 10, "total_steps": 20, "eval_loss": 3.1, "epoch": 0.5, "total_tokens": 10240}\n'
)
NANOCHAT = (
    "flops_budget,depth,model_dim,params_wte,params_value_embeds,params_lm_head,params_transformer,params_scalars,"
    "params_total,num_iterations,tokens_trained,val_bpb,core_score,train_time_sec\n"
    "1e18,10,640,20971520,104857600,20971520,49152000,20,195952660,4533,2376597504,0.82,0.1,1000\n"
)
MINISERIES = (
    "depth,model_dim,num_params,num_scaling_params,num_iterations,tokens_trained,param_data_ratio,val_bpb,core_score,"
    "train_time_sec\n12,768,286261272,110101272,2100,1101004800,10.00,0.85,0.15,1200\n"
)
OLMO = (
    "throughput/total_tokens,throughput/total_training_Gflops,eval/c4_en-validation/CrossEntropyLoss,"
    "eval/dolma_books-validation/CrossEntropyLoss,optim/learning_rate_group0,batch_size_in_tokens\n"
    "1048576,1197604,4.79,4.99,1e-3,524288\n2097152,2395209,4.31,4.51,1e-3,524288\n"
)
OLMO_CORE = {
    "throughput/total tokens": 1_048_576,
    "throughput/total petaflops": 1.2,
    "train/CE loss": 4.8,
    "eval/lm/c4_en-validation/CE loss": 4.79,
    "eval/lm/c4_en-validation/PPL": 120.3,
}
MARIN = {
    "config": {"model": {"hidden_dim": 1024, "num_layers": 11}, "trainer": {"train_batch_size": 8}},
    "summary": {
        "throughput/total_tokens": 1e9,
        "throughput/total_gflops": 1e9,
        "eval/loss": 3.1,
        "eval/paloma/c4_en/bpb": 1.25,
        "parameter_count": 4e8,
    },
}
LEVANTER = (
    "".join(
        "I2026-01-01 levanter.json_logger "
        + json.dumps(
            {
                "tracker": "json_logger",
                "event": "log",
                "step": step,
                "metrics": {"eval": {"loss": 3 - step / 9}},
            }
        )
        + "\n"
        for step in (1, 2)
    )
    + '{"tracker": "json_logger", "event": "hparams", "hparams": {"a": 1}}\n{"tracker": "json_logger", "even'
)
MEGATRON = """using world size: 8, data-parallel size: 8
------------------------ arguments ------------------------
  hidden_size ..................................... 768
  kv_channels ..................................... 64
  num_layers ...................................... 12
  padded_vocab_size ............................... 50304
  seq_length ...................................... 2048
-------------------- end of arguments ---------------------
 [2026-01-01 00:00:00] iteration      100/     400 | consumed samples:        25600 | elapsed time per iteration (ms): \
900.1 | learning rate: 3.000000E-04 | global batch size:   256 | lm loss: 6.100000E+00 | loss scale: 1.0 |
-----------------------------------------------------------------------------------------------
 validation loss at iteration 100 on validation set | lm loss value: 6.000000E+00 | lm loss PPL: 4.034288E+02 |
 [2026-01-01 00:01:00] iteration      200/     400 | consumed samples:        51200 | elapsed time per iteration (ms): \
900.1 | learning rate: 3.000000E-04 | global batch size:   256 | lm loss: 5.100000E+00 | loss scale: 1.0 |
 validation loss at iteration 250 on validation set | lm loss value: 5.000000E+00 | lm loss PPL: 1.484132E+02 |
 validation loss at iteration 400 on test set | lm loss value: 4.900000E+00 | lm loss PPL: 1.342898E+02 |
"""
MODDED = """import torch
print0(f"step:{step}/{args.num_iterations} val_loss:{val_loss:.4f} train_time:{training_time_ms:.0f}ms")
====================================================================================================
step:0/1750 val_loss:10.8258 train_time:0ms step_avg:0.10ms
step:1/1750 train_time:150ms step_avg:150.00ms
step:125/1750 val_loss:4.6 train_time:9000ms step_avg:72.00ms
"""
NANOGPT = (
    "number of parameters: 123.59M\nstep 0: train loss 10.9, val loss 10.8\niter 0: loss 10.9\n"
    "step 250: train loss 4.2, val loss 4.1\n"
)
BUILD = "0 val 10.9\n0 hella 0.24\n0 train 10.9\n250 val 4.1\n"
LLMC = "s:0 tel:10.9\ns:1 trl:10.8 lr:0.000001 norm:20\ns:250 hel:0.28\ns:250 tel:4.1\n"
SCALAR = "Wall time,Step,Value\n1700000000.5,100,3.5\n1700000060.5,200,3.25\n"
STEP_LAW = (
    "N,D,h,ffnh,numh,numl,lr,bs,ti,smooth loss\n"
    "214663680,4000000000,960,9368,15,7,0.001,256,7629,2.9\n214663680,4000000000,960,9368,15,7,0.002,256,7629,2.8\n"
)


def state(**changes: Any) -> str:
    return json.dumps({**TRAINER_STATE, **changes}, indent=2)


SAMPLES: dict[str, tuple[str, str]] = {
    "wandb-wide": ("chart.csv", CHART),
    "wandb-history": ("history.csv", HISTORY),
    "wandb-runs": ("wandb_export.csv", RUN_TABLE),
    "tensorboard-csv": ("run-d12-tag-eval_loss.csv", SCALAR),
    "lightning": ("metrics.csv", LIGHTNING),
    "hf-trainer-state": ("trainer_state.json", state()),
    "hf-trainer-log": ("trainer_log.jsonl", TRAINER_LOG),
    "nanochat": ("results.csv", NANOCHAT),
    "olmo-csv": ("190M-1xC.csv", OLMO),
    "olmo-json": ("metrics_step1000.json", json.dumps(OLMO_CORE)),
    "marin": ("tracker_metrics.jsonl", json.dumps(MARIN) + "\n"),
    "megatron-log": ("train.log", MEGATRON),
    "nanogpt-log": ("4a8f.txt", MODDED),
    "step-law": ("dense.csv", STEP_LAW),
    "csv": ("runs.csv", PLAIN),
    "tsv": ("runs.tsv", PLAIN.replace(",", "\t")),
    "csv-semicolon": ("runs.csv", PLAIN.replace(",", ";")),
    "json": ("runs.json", '[{"run": "a", "tokens": 1, "loss": 3}]'),
    "jsonl": ("runs.jsonl", '{"run": "a", "tokens": 1, "loss": 3}\n'),
}


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_file_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    file, text = SAMPLES[name]
    whole = opened(tmp_path / file, text)
    assert whole.format == name
    if name not in ("jsonl", "olmo-json"):  # a single line of JSON, and a step that only the name tells
        nameless = opened(tmp_path / "download", text)
        assert nameless.format == name
        assert nameless.known == whole.known
    named = open_runs(tmp_path / file, format=name)
    assert named.frame.equals(whole.frame)


def test_every_format_has_a_sample() -> None:
    elsewhere = {"parquet", "arrow", "tensorboard", "lm-eval", "lighteval", "lighteval-table"}
    assert {known.name for known in FILES} == set(SAMPLES) | elsewhere, "add one to SAMPLES"
    assert {known.name for known in FOLDERS} == {"ledgers", "tensorboard", "wandb-offline"}
    assert {known.name for known in ADDRESSES} == {"wandb"}


def sample(tmp_path: Path, name: str) -> Opened:
    return opened(tmp_path / "run" / SAMPLES[name][0], SAMPLES[name][1])


def test_charts_of_wandb(tmp_path: Path) -> None:
    found = sample(tmp_path, "wandb-wide")
    assert found.frame.rows(named=True) == [
        {"run": "d-12 - small", "Step": "0", "eval/loss": "4.5"},
        {"run": "d-12 - small", "Step": "100", "eval/loss": "4.0"},
        {"run": "d-16", "Step": "100", "eval/loss": "3.9"},
    ]
    assert found.known == {"loss": "eval/loss"}
    assert found.remedies == {"tokens": "Step*TOKENS_PER_STEP", "params_total": "size(run)"}
    assert found.assumptions == (
        "1 points of the chart stand for several steps or runs (their MIN and MAX differ): the history of the runs "
        "has every step",
    )


def test_charts_without_bounds_and_with_two_metrics(tmp_path: Path) -> None:
    found = opened(tmp_path / "c.csv", "_step,a - loss,b - loss\n1,3.0,2.9\n2,,2.8\n")
    assert (found.format, found.frame.rows()) == (
        "wandb-wide",
        [("a", "1", "3.0"), ("b", "1", "2.9"), ("b", "2", "2.8")],
    )
    two = opened(
        tmp_path / "c.csv", "Step,a - x,a - x__MIN,a - x__MAX,b - y,b - y__MIN,b - y__MAX\n1,3,3,3,2,2,2\n"
    )
    assert two.frame.rows(named=True) == [
        {"run": "a", "Step": "1", "x": "3", "y": None},
        {"run": "b", "Step": "1", "x": None, "y": "2"},
    ]
    assert two.known == {}
    assert opened(tmp_path / "c.csv", "tokens,a - loss,other\n1,3.0,2.9\n").format == "csv"
    names = [
        f"{run} - {metric}{bound}"
        for run in "ab"
        for metric in ("_step", "loss")
        for bound in ("", "__MIN", "__MAX")
    ]
    cells = ["10", "10", "10", "3.5", "3.5", "3.5", "", "", "", "", "", ""]
    text = f"throughput/total_tokens,{','.join(names)}\n5000,{','.join(cells)}\n"
    text += f"6000,{','.join(cells[6:] + cells[:6])}\n"
    by_tokens = opened(tmp_path / "c.csv", text)
    assert by_tokens.known == {"tokens": "throughput/total_tokens", "loss": "loss"}
    assert by_tokens.frame.rows() == [("a", "5000", "10", "3.5"), ("b", "6000", "10", "3.5")]


@pytest.mark.long
def test_charts_of_many_runs(tmp_path: Path) -> None:
    """A header of more characters than a sample has."""
    names = [
        f"a-run-with-a-long-name-{run} - eval/loss{bound}"
        for run in range(2000)
        for bound in ("", "__MIN", "__MAX")
    ]
    found = opened(tmp_path / "c.csv", f"Step,{','.join(names)}\n" + f"1{',3.5' * 6000}\n" * 2)
    assert (found.format, found.frame.height) == ("wandb-wide", 4000)


def test_histories_of_wandb(tmp_path: Path) -> None:
    found = sample(tmp_path, "wandb-history")
    assert found.frame["run"].unique().to_list() == ["run"]  # the folder's, for "history" names no run
    assert found.frame["eval/loss"].to_list() == [None, "2.5", None, "2.5"]
    assert found.known == {"tokens": "throughput/total_tokens", "flops": "throughput/total_gflops*1e9"}
    assert found.remedies == {"tokens": "_step*TOKENS_PER_STEP"}
    named = opened(tmp_path / "history.csv", "run,_step,loss\na,1,3\nb,1,3\n")
    assert (named.format, named.frame["run"].to_list(), named.assumptions) == (
        "wandb-history",
        ["a", "b"],
        (),
    )


def test_tables_of_wandb(tmp_path: Path) -> None:
    found = sample(tmp_path, "wandb-runs")
    assert found.frame["run"].to_list() == ["d12", "d12 #2", "d16"]
    assert found.known == {"run": "run"}
    assert found.assumptions == (
        "runs of the same Name are told apart by a number",
        "1 runs are not finished but crashed, with the last values they logged "
        "(leave them out with --where \"State = 'finished'\")",
    )
    once = opened(tmp_path / "w.csv", "Name,State,Runtime,loss\na,finished,1,3\nb,finished,1,2\n")
    assert (once.known, once.assumptions, once.frame.columns[0]) == ({"run": "Name"}, (), "Name")


def test_lightning_and_litgpt(tmp_path: Path) -> None:
    found = sample(tmp_path, "lightning")
    assert found.known == {"loss": "val_loss"}
    assert found.remedies == {"tokens": "(step+1)*TOKENS_PER_STEP"}
    assert found.frame.select("run", "step", "val_loss").drop_nulls().rows() == [
        ("run", "99", "3.1"),
        ("run", "199", "3.0"),
    ]
    litgpt = opened(tmp_path / "d12" / "metrics.csv", LITGPT)
    assert (litgpt.format, litgpt.known) == ("lightning", {"loss": "val_loss", "tokens": "total_tokens"})
    evaluations = litgpt.frame.filter(pl.col("val_loss").is_not_null()).select(
        "run", "step", "total_tokens", "val_loss"
    )
    assert evaluations.rows() == [("d12", "1", "8192", "4.3"), ("d12", "2", "12288", "4.1")]
    assert litgpt.assumptions[0] == "evaluations have the total_tokens of the training row before them"


def test_a_table_with_epochs_of_several_runs_is_not_one_run(tmp_path: Path) -> None:
    for text in (
        "model,epoch,step,val_loss\na,0,1,3\nb,0,1,3\n",
        "lr,epoch,step,val_loss\n1,0,9,3\n2,0,5,3\n",
    ):
        assert "run" not in opened(tmp_path / "sweep.csv", text).frame.columns


def test_trainer_states(tmp_path: Path) -> None:
    found = opened(tmp_path / "d12" / "checkpoint-20" / "trainer_state.json", state())
    assert found.frame["run"].unique().to_list() == ["d12"]
    assert found.known == {"loss": "eval_loss", "tokens": "num_input_tokens_seen", "step": "step"}
    evaluations = found.frame.filter(pl.col("eval_loss").is_not_null())
    assert evaluations["num_input_tokens_seen"].to_list() == [10_240, 20_480]
    rows = [
        {k: v for k, v in row.items() if k != "num_input_tokens_seen"} for row in TRAINER_STATE["log_history"]
    ]  # type: ignore[union-attr,attr-defined]
    untold = opened(tmp_path / "trainer_state.json", state(log_history=rows))
    assert (untold.known, untold.remedies) == ({"loss": "eval_loss", "step": "step"}, {"tokens": "step*1024"})
    unknown = opened(tmp_path / "trainer_state.json", state(log_history=rows, num_input_tokens_seen=0))
    assert unknown.remedies == {"tokens": "step*TOKENS_PER_STEP"}
    training = opened(tmp_path / "trainer_state.json", state(log_history=rows[:1]))
    assert training.known == {"step": "step"}
    assert training.assumptions[0] == "losses are of training batches: no evaluation was logged"
    several = opened(
        tmp_path / "trainer_state.json", state(log_history=[{"eval_a_loss": 3, "eval_b_loss": 2, "step": 1}])
    )
    assert several.known == {"step": "step"}
    assert refusal(lambda: opened(tmp_path / "trainer_state.json", state(log_history=[]))).endswith(
        "has nothing in its log_history: nothing was logged yet"
    )


def test_trainer_logs(tmp_path: Path) -> None:
    found = sample(tmp_path, "hf-trainer-log")
    assert found.known == {"loss": "eval_loss", "tokens": "total_tokens", "step": "current_steps"}
    assert found.frame.filter(pl.col("eval_loss").is_not_null())["total_tokens"].to_list() == [10_240]


def test_nanochat(tmp_path: Path) -> None:
    found = sample(tmp_path, "nanochat")
    assert found.loss_unit == "bits_per_byte"
    assert "run" not in found.frame.columns
    assert found.known == {
        "loss": "val_bpb",
        "tokens": "tokens_trained",
        "step": "num_iterations",
        "width": "model_dim",
        "flops": "flops_budget",
        "params_total": "params_total",
        "params_no_embedding": "params_lm_head+params_transformer+params_scalars",
        "params_non_embedding": "params_transformer+params_scalars",
        "vocabulary": "params_wte/model_dim",
        "head_size": "128",
        "queries_per_kv": "1",
    }
    series = opened(tmp_path / "results.csv", MINISERIES)
    assert (series.format, series.loss_unit, series.known["params_total"]) == (
        "nanochat",
        "bits_per_byte",
        "num_params",
    )
    assert "flops" not in series.known


def test_olmo(tmp_path: Path) -> None:
    found = sample(tmp_path, "olmo-csv")
    assert found.known == {
        "tokens": "throughput/total_tokens",
        "flops": "throughput/total_training_Gflops*1e9",
    }
    assert found.frame["run"].to_list() == ["190M-1xC"] * 2
    one = OLMO.replace("eval/dolma_books-validation/CrossEntropyLoss", "train/CrossEntropyLoss")
    assert opened(tmp_path / "o.csv", one).known["loss"] == "eval/c4_en-validation/CrossEntropyLoss"


def test_olmo_core_writes_a_file_a_step(tmp_path: Path) -> None:
    for run in ("190M", "370M"):
        for step in (9, 10):
            metrics = OLMO_CORE | {"throughput/total tokens": step * 1000}
            written(tmp_path / run / f"metrics_step{step}.json", json.dumps(metrics))
    found = open_runs(f"{tmp_path}/*/metrics_step*.json")
    assert found.known == {
        "tokens": "throughput/total tokens",
        "flops": "throughput/total petaflops*1e15",
        "loss": "eval/lm/c4_en-validation/CE loss",
    }
    assert sorted(found.frame.select("run", "step", "throughput/total tokens").rows()) == [
        ("190M", 9, 9000),
        ("190M", 10, 10_000),
        ("370M", 9, 9000),
        ("370M", 10, 10_000),
    ]


def test_marin(tmp_path: Path) -> None:
    found = sample(tmp_path, "marin")
    assert found.known == {
        "tokens": "throughput/total_tokens",
        "flops": "throughput/total_gflops*1e9",
        "params_total": "parameter_count",
        "width": "config.model.hidden_dim",
        "depth": "config.model.num_layers",
    }
    assert found.frame["run"].to_list() == ["run"]
    records = [{"run_path": f"gs://marin/checkpoints/d{n}/", **MARIN} for n in (1, 2)]
    several = opened(tmp_path / "all.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    assert (several.format, several.frame["run"].to_list()) == ("marin", ["d1", "d2"])


def test_levanter_logs_behind_a_prefix(tmp_path: Path) -> None:
    found = opened(tmp_path / "d12" / "out.log", LEVANTER)
    assert (found.format, found.frame.columns) == ("marin", ["run", "step", "eval/loss"])
    assert found.frame["step"].to_list() == [1, 2]


def test_megatron(tmp_path: Path) -> None:
    found = sample(tmp_path, "megatron-log")
    assert found.known == {
        "step": "iteration",
        "loss": "lm loss value",
        "tokens": "consumed samples*seq_length",
        "width": "hidden_size",
        "depth": "num_layers",
        "vocabulary": "padded_vocab_size",
        "context": "seq_length",
        "head_size": "kv_channels",
    }
    # An evaluation between two printed iterations follows whole batches.
    assert found.frame.select("iteration", "consumed samples", "lm loss value", "seq_length").rows() == [
        (100, 25_600, 6.0, 2048),
        (250, 51_200 + 50 * 256, 5.0, 2048),
    ]
    assert found.dropped == (Dropped("evaluations on the test set", 1),)
    bare = opened(tmp_path / "train.log", MEGATRON.partition("end of arguments")[2])
    assert "tokens" not in bare.known
    assert bare.remedies["tokens"] == "consumed samples*CONTEXT"
    several = MEGATRON.replace("validation set |", "validation set [wiki] |", 1)
    assert "lm loss value [wiki]" in opened(tmp_path / "train.log", several).frame.columns
    training = "\n".join(line for line in MEGATRON.split("\n") if "validation" not in line)
    assert "is a log of Megatron-LM without a validation loss" in refusal(
        lambda: opened(tmp_path / "train.log", training)
    )


@pytest.mark.parametrize(
    ("text", "steps"), [(MODDED, [0, 125]), (NANOGPT, [0, 250]), (LLMC, [0, 250]), (BUILD, [0, 250])]
)
def test_logs_of_nanogpt(tmp_path: Path, text: str, steps: list[int]) -> None:
    for ends in (text, text.replace("\n", "\r\n")):
        found = opened(tmp_path / "d12.txt", ends)
        assert (found.format, found.known) == ("nanogpt-log", {"loss": "val_loss", "step": "step"})
        assert found.frame["run"].to_list() == ["d12", "d12"]
        assert found.frame["step"].to_list() == steps
        assert found.frame["val_loss"][-1] == (4.6 if text == MODDED else 4.1)
    assert "has no line like" in refusal(lambda: opened(tmp_path / "d12.txt", PLAIN, format="nanogpt-log"))


def test_logs_of_megatrons_descendants(tmp_path: Path) -> None:
    deepspeed = (
        " iteration      100/     400 | consumed samples:        25600 | consumed tokens:     13107200 | "
        "global batch size:   256 | lm loss: 6.1E+00 |\n"
        " validation loss at iteration 100 | lm loss value: 6.0E+00 | lm loss PPL: 4.0E+02 |\n"
    )
    found = opened(tmp_path / "train.log", deepspeed)
    assert found.known == {"step": "iteration", "loss": "lm loss value", "tokens": "consumed tokens"}
    assert found.frame["consumed tokens"].to_list() == [13_107_200]
    neox = opened(tmp_path / "train.log", deepspeed.replace("lm loss value", "lm_loss value"))
    assert neox.known["loss"] == "lm_loss value"


def test_scalars_of_tensorboards_page(tmp_path: Path) -> None:
    found = sample(tmp_path, "tensorboard-csv")
    assert found.frame["run"].to_list() == ["d12", "d12"]
    assert found.known == {"loss": "Value", "step": "Step"}
    assert "gives a sample of the steps" in found.assumptions[0]
    several = [written(tmp_path / f"{name}.csv", SCALAR) for name in ("a", "b")]
    assert open_runs(several).frame["run"].unique(maintain_order=True).to_list() == ["a", "b"]


def test_step_law(tmp_path: Path) -> None:
    found = sample(tmp_path, "step-law")
    assert found.known == {"params_non_embedding": "N", "tokens": "D", "loss": "smooth loss"}
    assert found.frame["run"].to_list() == ["row/1", "row/2"]  # equal sizes are runs at other rates
    assert found.assumptions == ("losses are smoothed losses of training batches", "each row is a run")


@pytest.mark.parametrize("name", list(SAMPLES))
def test_a_format_that_is_not_the_files_is_one_line(tmp_path: Path, name: str) -> None:
    """Named by mistake: rows, or a refusal, of every format for the file of every other."""
    for file, text in SAMPLES.values():
        path = written(tmp_path / file, text)
        try:
            assert open_runs(path, format=name).frame.width
        except ValueError as error:
            assert str(error).isprintable(), (file, error)


@pytest.fixture
def scalars(tmp_path: Path) -> Callable[[str, dict[int, dict[str, float]]], Path]:
    """Event files as torch writes them."""

    def write(name: str, steps: dict[int, dict[str, float]]) -> Path:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(tmp_path / name)) as writer:
            for step, values in steps.items():
                for tag, value in values.items():
                    writer.add_scalar(tag, value, step)
        return tmp_path / name

    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    return write


def test_tensorboard_keeps_every_event(scalars: Callable[..., Path]) -> None:
    folder = scalars("d12", {step: {"train/loss": step / 4} for step in range(20_000)})
    found = open_runs(folder)
    assert (found.format, found.frame.shape) == ("tensorboard", (20_000, 3))
    assert found.frame["train/loss"][-1] == 19_999 / 4
    assert found.frame["run"].unique().to_list() == ["d12"]
    assert found.remedies["tokens"] == "step*TOKENS_PER_STEP"
    assert len(found.sources[0].sha256) == 64


def test_tensorboard_folders_are_runs(scalars: Callable[..., Path], tmp_path: Path) -> None:
    scalars("runs/a", {1: {"train/loss": 3.5, "eval/loss": 3.25}, 2: {"train/loss": 3.0}})
    scalars("runs/b/x", {1: {"eval/loss": 2.5}})
    found = open_runs(tmp_path / "runs")
    assert found.frame.sort("run", "step").rows(named=True) == [
        {"run": "a", "step": 1, "train/loss": 3.5, "eval/loss": 3.25},
        {"run": "a", "step": 2, "train/loss": 3.0, "eval/loss": None},
        {"run": "b/x", "step": 1, "train/loss": None, "eval/loss": 2.5},
    ]
    (file,) = (tmp_path / "runs" / "a").iterdir()
    alone = open_runs(file)
    assert (alone.format, alone.frame["run"].to_list()[0]) == ("tensorboard", file.stem)
    several = open_runs([tmp_path / "runs" / "a", tmp_path / "runs" / "b" / "x"])
    assert several.frame["run"].unique(maintain_order=True).to_list() == ["a", "x"]


def test_tensorboard_steps_that_were_logged_again_are_kept(scalars: Callable[..., Path]) -> None:
    """What a resumed run did twice is for the rule of duplicates, not for the reader, to decide."""
    folder = scalars("d12", {1: {"eval/loss": 3.0}, 2: {"eval/loss": 2.5}})
    scalars("d12", {2: {"eval/loss": 2.75}, 3: {"eval/loss": 2.0}})
    found = open_runs(folder).frame
    assert found.select("step", "eval/loss").rows() == [(1, 3.0), (2, 2.5), (2, 2.75), (3, 2.0)]


def test_tensorboard_summaries_of_the_second_kind(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "d12"))
    for step in (1, 2):
        writer.add_event(Event(step=step, wall_time=0.0, summary=scalar_pb("eval/loss", step / 2)))
    writer.close()
    assert open_runs(tmp_path / "d12").frame.select("step", "eval/loss").rows() == [(1, 0.5), (2, 1.0)]


def test_damaged_event_files_are_one_line(scalars: Callable[..., Path], tmp_path: Path) -> None:
    folder = scalars("d12", {step: {"eval/loss": 3.0} for step in range(50)})
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    assert open_runs(folder).assumptions[:-1] == ()
    path.write_bytes(whole[:-5])
    cut = open_runs(folder)
    assert cut.frame.height == 49
    assert cut.assumptions[0].endswith("after 50 events, are damaged or still being written, and left out")
    for data in (whole[:-5], whole[:40], b"", b"\xff" * 100, whole[:300] + b"\0" * 50 + whole[350:]):
        path.write_bytes(data)
        try:
            assert open_runs(folder).frame.width
        except ValueError as error:
            assert str(error).isprintable()
