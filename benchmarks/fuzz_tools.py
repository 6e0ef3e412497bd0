"""A planted table as tools of training log it, in the shapes that `gemstones.runs.formats` names with their sources."""

from __future__ import annotations

import json
import math
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz_tables import BATCH, Cells, Files, Shape, csv_of, lines_of, one_file, rows_of


def _wide(cells: Cells) -> bytes:
    """A chart exported from W&B: a column a run, with those of its band."""
    runs = list(dict.fromkeys(cells["run"]))
    loss = {(r["run"], r["step"]): r["loss"] for r in rows_of(cells)}
    steps = sorted({s for s in cells["step"] if s is not None})
    wide: Cells = {"Step": steps}
    for run in runs:
        for suffix in ("", "__MIN", "__MAX"):
            wide[f"{run} - eval/loss{suffix}"] = [loss.get((run, step)) for step in steps]
    return csv_of(wide)


def _history(cells: Cells) -> bytes:
    """A history of W&B: rows of training without a loss of evaluation."""
    rows = []
    for row in rows_of(cells):
        here = {
            "run": row["run"],
            "_step": row["step"],
            "tokens": row["tokens"],
            "params_total": row["params_total"],
        }
        rows.append({**here, "train/loss": row["loss"], "eval/loss": "NaN"})
        rows.append({**here, "train/loss": "", "eval/loss": row["loss"]})
    return csv_of({name: [row[name] for row in rows] for name in rows[0]})


def _lightning(cells: Cells) -> bytes:
    rows = []
    for row in rows_of(cells)[:8]:
        rows.append({"epoch": 0, "step": row["step"], "train_loss": row["loss"], "val_loss": None})
        rows.append({"epoch": 0, "step": row["step"], "train_loss": None, "val_loss": row["loss"]})
    return csv_of({name: [row[name] for row in rows] for name in rows[0]})


def _trainer_state(cells: Cells) -> bytes:
    rows = rows_of(cells)[:8]
    history: list[dict[str, Any]] = []
    for row in rows:
        history.append({"epoch": 0.1, "learning_rate": 3e-4, "loss": row["loss"], "step": row["step"]})
        history.append(
            {
                "epoch": 0.1,
                "eval_loss": row["loss"],
                "step": row["step"],
                "num_input_tokens_seen": row["tokens"],
            }
        )
    state = {
        "best_metric": None,
        "epoch": 1.0,
        "global_step": 8000,
        "log_history": history,
        "is_world_process_zero": True,
    }
    return json.dumps(state, indent=2).encode()


def _trainer_log(cells: Cells) -> bytes:
    return lines_of(
        [
            {
                "current_steps": r["step"],
                "total_steps": 8000,
                "loss": r["loss"],
                "eval_loss": r["loss"],
                "percentage": 1.0,
            }
            for r in rows_of(cells)[:8]
        ]
    )


def _nanochat(cells: Cells) -> bytes:
    rows = [row for row in rows_of(cells) if row["step"] in (4000, 8000)]
    made = [
        {
            "flops_budget": 1e18 if row["step"] == 4000 else 2e18,
            "depth": 10 + 2 * i,
            "model_dim": 640 + 128 * i,
            "params_wte": 32768 * (640 + 128 * i),
            "params_value_embeds": 5000,
            "params_lm_head": 32768 * (640 + 128 * i),
            "params_transformer": row["params_total"],
            "params_scalars": 20,
            "params_total": (row["params_total"] or 0) + 7020,
            "num_iterations": row["step"],
            "tokens_trained": row["tokens"],
            "val_bpb": row["loss"],
            "core_score": 0.1,
            "train_time_sec": 1000,
        }
        for i, row in enumerate(rows)
    ]
    return csv_of({name: [row[name] for row in made] for name in made[0]} if made else {"val_bpb": []})


def _olmo(cells: Cells) -> Files:
    """A file a run, without its size."""
    files = {}
    for name in ("90M", "180M"):
        rows = [row for row in rows_of(cells) if row["run"] == f"ladder-{name}"]
        files[f"olmo_{name}-1xC.csv"] = csv_of(
            {
                "throughput/total_tokens": [row["tokens"] for row in rows],
                "throughput/total_training_Gflops": [
                    None if row["flops"] is None else row["flops"] / 1e9 for row in rows
                ],
                "eval/c4_en-validation/CrossEntropyLoss": [row["loss"] for row in rows],
                "batch_size_in_tokens": [BATCH] * len(rows),
            }
        )
    return files


def _wandb_runs(cells: Cells) -> bytes:
    rows = [row for row in rows_of(cells) if row["step"] == 8000]
    made = [
        {
            "Name": row["run"],
            "State": "finished" if i else "crashed",
            "Notes": "-",
            "User": "me",
            "Tags": "",
            "Created": "2024-05-01T00:00:00.000Z",
            "Runtime": 1000,
            "Sweep": "",
            "n_params": row["params_total"],
            "eval/loss": row["loss"],
            "total_tokens": row["tokens"],
        }
        for i, row in enumerate(rows)
    ]
    return csv_of(
        {name: [row[name] for row in made] for name in made[0]} if made else {"Name": [], "State": []}
    )


def _step_law(cells: Cells) -> bytes:
    rows = [row for row in rows_of(cells) if row["step"] == 8000]
    made = [
        {"h": 1024, "ffnh": 4096, "numh": 8, "numl": 10 + i, "lr": 1e-3, "bs": 256, "N": r["params_total"]}
        | {"D": r["tokens"], "smooth loss": r["loss"]}
        for i, r in enumerate(rows)
    ]
    return csv_of({name: [row[name] for row in made] for name in made[0]} if made else {"N": [], "D": []})


def _metrics_step(cells: Cells) -> Files:
    """OLMo-core: a folder a run, a file a step."""
    return {
        f"{row['run']}/metrics_step{row['step']}.json": json.dumps(
            {
                "throughput/total tokens": row["tokens"],
                "throughput/total petaflops": None if row["flops"] is None else row["flops"] / 1e15,
                "eval/lm/c4_en-validation/CE loss": row["loss"],
                "train/CE loss": row["loss"],
            }
        ).encode()
        for row in rows_of(cells)[:16]
    }


def _marin_runs(cells: Cells) -> bytes:
    return lines_of(
        [
            {
                "config": {"model": {"hidden_dim": 128, "num_layers": 8}, "trainer": {"seed": 0}},
                "summary": {
                    "eval": {"paloma": {"c4_en": {"bpb": row["loss"]}}},
                    "throughput": {"total_tokens": row["tokens"], "total_gflops": row["flops"]},
                    "parameter_count": row["params_total"],
                },
                "run_path": f"me/project/{row['run']}",
            }
            for row in rows_of(cells)
            if row["step"] == 8000
        ]
    )


def _marin_events(cells: Cells) -> bytes:
    events = [
        {
            "tracker": "json_logger",
            "event": "log",
            "step": row["step"],
            "metrics": {
                "eval/loss": row["loss"],
                "throughput/total_tokens": row["tokens"],
                "parameter_count": row["params_total"],
            },
        }
        for row in rows_of(cells)[:8]
    ]
    return "".join(f"I 2024-05-01 {json.dumps(event)}\n" for event in events).encode()


def _megatron(cells: Cells) -> bytes:
    lines = [
        "------------------------ arguments ------------------------",
        "  hidden_size ..................................... 128",
        "  num_layers ...................................... 8",
        "  seq_length ...................................... 2048",
    ]
    for row in rows_of(cells)[:8]:
        samples = row["tokens"] // 2048 if isinstance(row["tokens"], int) else 0
        lines.append(
            f" [2024-05-01 00:00:00] iteration {row['step']:>8}/    8000 | consumed samples: {samples:>12} | "
            f"elapsed time per iteration (ms): 512.1 | learning rate: 3.0E-04 | global batch size:   256 | "
            f"lm loss: {row['loss']:.6E} | loss scale: 1.0 |"
        )
        lines.append("-" * 80)
        lines.append(
            f" validation loss at iteration {row['step']} on validation set | lm loss value: {row['loss']!r} | "
            f"lm loss PPL: {math.exp(row['loss']):.6E} | "
        )
    return "\n".join(lines).encode()


def _modded(cells: Cells) -> bytes:
    program = "import torch\n\nprint('step:0/0')\n" + "=" * 100 + "\n"
    return (
        program
        + "".join(
            f"step:{r['step']}/8000 train_time:1000ms step_avg:10ms\n"
            f"step:{r['step']}/8000 val_loss:{r['loss']:.5f} train_time:1000ms step_avg:10.00ms\n"
            for r in rows_of(cells)[:8]
        )
    ).encode()


def _nanogpt(cells: Cells) -> bytes:
    return "".join(
        f"iter {r['step']}: loss {r['loss']:.4f}, time 100.00ms, mfu 30.00%\n"
        f"step {r['step']}: train loss {r['loss']:.5f}, val loss {r['loss']:.5f}\n"
        for r in rows_of(cells)[:8]
    ).encode()


def _llm_c(cells: Cells) -> bytes:
    return "".join(
        f"s:{r['step']} trl:{r['loss']:.4f} lr:0.0003 norm:0.5\ns:{r['step']} tel:{r['loss']:.5f}\n"
        for r in rows_of(cells)[:8]
    ).encode()


def _ledgers(cells: Cells) -> Files:
    """A suite of this program's, trained by the trainer of the tests; the table is not the planted one."""
    del cells
    from tests.runs.made_up import Trainer, put_suite, spec_of

    with tempfile.TemporaryDirectory() as folder:
        trainers = [Trainer(spec_of(shape)) for shape in ("128x1", "32x4")]
        for trainer in trainers:
            trainer.train()
        put_suite(Path(folder), trainers)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in Path(folder).rglob("*")
            if path.is_file()
        }


def _events(cells: Cells) -> Files:
    """TensorBoard: a folder a run."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    files = {}
    for run in dict.fromkeys(cells["run"]):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "events"
            with path.open("wb") as file:
                writer = RecordWriter(file)
                writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
                for row in rows_of(cells):
                    if row["run"] == run:
                        values = [
                            Summary.Value(tag="eval/loss", simple_value=float(row["loss"])),
                            Summary.Value(tag="lr", simple_value=3e-4),
                        ]
                        event = Event(wall_time=1.7e9, step=row["step"], summary=Summary(value=values))
                        writer.write(event.SerializeToString())
            files[f"{run}/events.out.tfevents.1700000000.host.1.0"] = path.read_bytes()
    return files


def _offline(cells: Cells) -> Files:
    """Offline runs of W&B: LevelDB's log of the SDK's records."""
    from wandb.proto import wandb_internal_pb2 as messages

    files = {}
    for number, run in enumerate(dict.fromkeys(cells["run"])):
        records = [messages.Record(run=messages.RunRecord(run_id=f"id{number}", display_name=run))]
        for row in rows_of(cells):
            if row["run"] == run:
                items = {"_step": row["step"], "eval/loss": row["loss"], "tokens": row["tokens"]}
                items["n_params"] = row["params_total"]
                history = messages.HistoryRecord(
                    item=[
                        messages.HistoryItem(key=key, value_json=json.dumps(value))
                        for key, value in items.items()
                    ]
                )
                records.append(messages.Record(history=history))
        log = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
        for record in records:
            body = record.SerializeToString()
            log += struct.pack("<IHB", zlib.crc32(b"\x01" + body), len(body), 1) + body
        files[f"wandb/offline-run-20240501_00000{number}-id{number}/run-id{number}.wandb"] = log
    return files


def _installed(name: str, shape: Shape) -> dict[str, Shape]:
    """The shape, if what writes it is there."""
    try:
        shape.write({key: [] for key in ("run", "step", "tokens", "params_total", "flops", "loss")})
    except ImportError:
        return {}
    return {name: shape}


def _log(name: str, write: Callable[[Cells], bytes], columns: str) -> Shape:
    return Shape(one_file(name, write), {"columns": columns})


TOOLS: dict[str, Shape] = {
    "wandb chart": _log("chart.csv", _wide, "tokens=Step*524288,params_total=size(run)"),
    "wandb history": Shape(one_file("history.csv", _history), {"columns": "loss=eval/loss"}),
    "wandb runs": _log(
        "wandb_export.csv", _wandb_runs, "loss=eval/loss,tokens=total_tokens,params_total=n_params"
    ),
    "lightning": _log("metrics.csv", _lightning, "tokens=step*524288,params_total=20M"),
    "trainer_state": _log("trainer_state.json", _trainer_state, "params_total=20M"),
    "trainer_log": _log("trainer_log.jsonl", _trainer_log, "params_total=20M,tokens=current_steps*524288"),
    "nanochat": Shape(one_file("results.csv", _nanochat), {"columns": "params_total=params_transformer"}),
    "olmo csv": Shape(_olmo, {"columns": "params_total=size(run)"}, "*.csv"),
    "olmo json": Shape(_metrics_step, {"columns": "params_total=size(run)"}, "*/metrics_step*.json"),
    "marin runs": Shape(
        one_file("tracker_metrics.jsonl", _marin_runs),
        {"columns": "loss=eval/paloma/c4_en/bpb,flops=throughput/total_gflops", "loss_unit": "bits_per_byte"},
    ),
    "marin events": _log("job.log", _marin_events, "loss=eval/loss"),
    "megatron": _log("train.log", _megatron, "params_total=20M"),
    "modded-nanogpt": _log("log.txt", _modded, "params_total=20M,tokens=step*524288"),
    "nanogpt": _log("log.txt", _nanogpt, "params_total=20M,tokens=step*524288"),
    "llm.c": _log("main.log", _llm_c, "params_total=20M,tokens=step*524288"),
    "step law": _log("step_law.csv", _step_law, "params_total=N"),
    "ledgers": Shape(_ledgers, {}, "."),
    **_installed(
        "tensorboard", Shape(_events, {"columns": "tokens=step*524288,params_total=size(run)"}, ".")
    ),
    **_installed("wandb offline", Shape(_offline, {"columns": "params_total=n_params,loss=eval/loss"}, ".")),
}
