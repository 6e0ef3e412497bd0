"""Names that known tools and people give to the columns of a run table, and what may be taken for what.

A name is guessed only where nothing better is known (`--columns`, the format, a column of the schema's own name), every
guess is said, and no unit is ever guessed: `tokens_B` is proposed as `tokens_B*1e9`, and not taken.

Sources of the names: W&B and TensorBoard as `lightning`, `transformers`, nanoGPT, nanochat, OLMo, Marin, Megatron and
litgpt write them; `N`, `D` and `C` as Kaplan et al. (2020) and Hoffmann et al. (2022) do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


KNOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "run": _names(
            "run run_name runname run_id wandb_name name experiment experiment_name exp exp_name config_name "
            "model_name model model_id trial job job_id"
        ),
        "width": _names(
            "width d_model dmodel hidden_size hidden_dim model_dim n_embd n_embed embed_dim embedding_dim emb_dim dim"
        ),
        "depth": _names(
            "depth n_layers num_layers n_layer nlayers num_hidden_layers layers n_blocks num_blocks"
        ),
        "params_total": _names(
            "N params_total total_params params num_params n_params nparams model_size parameters num_parameters "
            "n_parameters param_count params_count parameter_count total_parameters model_params model_parameters "
            "num_params_total total_num_params params_active_precise size"
        ),
        "params_no_embedding": _names("params_no_embedding params_without_embedding"),
        "params_non_embedding": _names(
            "params_non_embedding non_embedding_params non_emb_params params_non_emb nonembedding_params "
            "params_nonembedding n_non_embedding num_non_embedding_params num_params_non_embedding "
            "non_embedding_parameters non_embed_params n_params_non_embedding N_non_embedding"
        ),
        "tokens": _names(
            "T D tokens tokens_trained trained_tokens tokens_seen seen_tokens num_tokens n_tokens ntokens total_tokens "
            "tokens_total train_tokens training_tokens consumed_tokens tokens_consumed tokens_processed "
            "processed_tokens num_input_tokens_seen num_tokens_seen total_tokens_seen token_count num_train_tokens "
            "n_train_tokens num_training_tokens"
        ),
        "step": _names(
            "step steps global_step iteration iterations iter num_steps train_step training_step num_iterations "
            "opt_step optimizer_step update num_updates"
        ),
        "flops_per_token": _names("flops_per_token flop_per_token num_flops_per_token"),
        "flops": _names(
            "C flops flop compute total_flops flops_total train_flops training_flops training_flop total_flop "
            "train_flop num_flops n_flops total_training_flops total_train_flops train_compute training_compute "
            "compute_flops total_compute total_flos flos"
        ),
        "seconds_per_step": _names("seconds_per_step sec_per_step secs_per_step"),
        "devices": _names("devices num_devices n_devices gpus num_gpus n_gpus world_size"),
        "device_hours": _names("device_hours gpu_hours accelerator_hours"),
    }
)
"""Names of columns, words joined by `_` in small letters; single capitals are meant as such."""

SHAPE_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "vocabulary": _names("vocabulary vocab_size vocab n_vocab padded_vocab_size vocabulary_size"),
        "head_size": _names("head_size head_dim d_head"),
        "context": _names(
            "context context_length context_size seq_len sequence_length seq_length block_size max_seq_len "
            "max_sequence_length n_ctx ctx_len"
        ),
        "queries_per_kv": _names("queries_per_kv kv_ratio gqa_ratio"),
        "mlp_expansion": _names("mlp_expansion mlp_ratio ffn_expansion"),
        "heads": _names("heads n_heads num_heads n_head num_attention_heads"),
        "kv_heads": _names("kv_heads n_kv_heads num_kv_heads num_key_value_heads n_kv_head"),
        "mlp_width": _names(
            "mlp_width d_ff ffn_dim ffw_size ff_dim intermediate_size mlp_dim d_mlp ffn_hidden_size"
        ),
    }
)
"""Of the shape beside width and depth; the last three give `head_size`, `queries_per_kv` and `mlp_expansion`."""

BUDGET = _names(
    "flops_budget flop_budget budget compute_budget isoflop isoflops isoflop_budget iso_flops budget_flops target_flops"
)
"""Columns of an isoFLOP table: its rows are runs of one budget each."""
ACTIVE = _names(
    "active_params params_active n_active num_active_params activated_params active_parameters num_active_parameters"
)
"""Parameters that a token of a mixture of experts uses."""

BATCH_TOKENS = _names(
    "batch_size_in_tokens tokens_per_step batch_tokens tokens_per_batch tokens_per_iter tokens_per_iteration "
    "global_batch_tokens global_batch_size_in_tokens total_batch_size_tokens"
)
BATCH_SEQUENCES = _names("batch_size global_batch_size train_batch_size total_batch_size sequences_per_step")
TOKENS_PER_PARAM = _names(
    "tokens_per_param tokens_per_parameter tokens_params_ratio chinchilla_ratio d_n t_n"
)

_PREFIXES = _names(
    "train trainer training throughput data perf progress stats metrics summary model config optim counters"
)
_SMALL_UNITS: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys(("k", "thousand", "thousands"), 1e3),
        **dict.fromkeys(("m", "mn", "mio", "million", "millions", "mtok"), 1e6),
        **dict.fromkeys(("b", "bn", "g", "billion", "billions", "btok"), 1e9),
        **dict.fromkeys(("t", "tn", "trillion", "trillions", "ttok"), 1e12),
    }
)
_SI: Mapping[str, float] = MappingProxyType(
    {
        **{letter: 10.0**power for letter, power in zip("kmgtpezy", range(3, 27, 3), strict=True)},
        **{
            prefix: 10.0**power
            for prefix, power in zip(
                ("kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta"),
                range(3, 27, 3),
                strict=True,
            )
        },
    }
)
_FLOPS_DAYS = re.compile(r"(p|peta)_?fl?op?s?(?:_?s)?_?days?|pf_?days?")
_PREFIXED_FLOPS = re.compile(rf"({'|'.join(sorted(_SI, key=len, reverse=True))})_?flops?")
_POWER = re.compile(r"1?e_?([0-9]{1,2})|10_?\^?([0-9]{1,2})")


def plain(name: str) -> str:
    """A column's name as `KNOWN` has it: words joined by `_` in small letters; a single capital as it is.

    >>> plain("Model Size"), plain("_step"), plain("N"), plain("throughput/total_tokens"), plain("numParams")
    ('model_size', 'step', 'N', 'throughput_total_tokens', 'num_params')
    """
    if name.strip() in {"N", "D", "C", "T", "L", "N_non_embedding"}:
        return name.strip()
    return "_".join(words(name))


def words(name: str) -> list[str]:
    """The words of a name, in small letters.

    >>> words("eval/c4_en-validation/CrossEntropyLoss")
    ['eval', 'c4', 'en', 'validation', 'cross', 'entropy', 'loss']
    """
    parts = re.findall(r"[A-Za-z0-9^]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", name))
    return [part.lower() for part in parts]


def names_of(columns: list[str], known: frozenset[str]) -> list[str]:
    """Those of `columns` that are called by one of the `known` names, also behind a tool's prefix like `train/`."""
    found = [name for name in columns if plain(name) in known]
    for name in columns:
        prefix, separator, rest = name.partition("/") if "/" in name else name.partition(".")
        if separator and name not in found and plain(prefix) in _PREFIXES:
            last = re.split(r"[/.]", rest)[-1]
            if plain(last) in known and len(plain(last)) > 1:
                found.append(name)
    return found


def unit_in_name(name: str, known: frozenset[str]) -> float | None:
    """How many base units the unit in a name is, where the rest of it is a `known` name; None for no unit.

    >>> unit_in_name("tokens_B", KNOWN["tokens"]), unit_in_name("total_training_Gflops", KNOWN["flops"])
    (1000000000.0, 1000000000.0)
    >>> unit_in_name("Params (M)", KNOWN["params_total"]), unit_in_name("tokens", KNOWN["tokens"]) is None
    (1000000.0, True)
    """
    last = re.split(r"/", name)[-1]
    parts = words(re.sub(r"(?<=[a-z])(?=[A-Z]{1,2}$)", " ", last))
    parts = [part for part in parts if part not in ("in", "of")]
    joined = "_".join(parts)
    if known is KNOWN["flops"]:
        if _FLOPS_DAYS.search(joined):
            return 8.64e19
        match = _PREFIXED_FLOPS.search(joined)
        if match and plain(joined.replace(match[0], "flops")) in known:
            return _SI[match[1]]
    for at in {0, len(parts) - 1} if len(parts) > 1 else ():
        rest = "_".join(parts[:at] + parts[at + 1 :])
        if rest not in known and rest.upper() not in known & {"N", "D", "C", "T"}:
            continue
        if (power := _POWER.fullmatch(parts[at])) is not None:
            return float(f"1e{power[1] or power[2]}")
        if parts[at] in _SMALL_UNITS:
            return _SMALL_UNITS[parts[at]]
    return None
