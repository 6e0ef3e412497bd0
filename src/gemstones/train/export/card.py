"""The model card: what the model is, how it was trained, how good it is, how to load it.

No path of the machine that trained it goes into it: a card is made to be published.
"""

from __future__ import annotations

import json
import math
from string import Template

from gemstones.accounting.flops import flops_per_token
from gemstones.accounting.parameters import params, params_by_group
from gemstones.design.recipe import TRUNCATION, effective_depth
from gemstones.design.recipes import ADAMW_OVER_MUON, MUP_BASE_WIDTH
from gemstones.design.spec import RunSpec
from gemstones.train.export.values import Exported
from gemstones.units import format_quantity

_CARD = Template("""\
---
library_name: transformers
pipeline_tag: text-generation
tags: [gemstones, scaling-laws]
model_name: $quoted_run
---

# $run

A decoder-only language model of shape $shape (width x depth), trained by `gemstones` $version as one run of a
suite for scaling laws. Such a model is made to be measured: it continues text in the manner of its corpus, and
was not taught anything else.

## Loading

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
text = tokenizer("Once", return_tensors="pt")
print(tokenizer.decode(model.generate(**text, max_new_tokens=40)[0]))
```

It is a stock `GemmaForCausalLM`. There is no padding token, so generate from one text at a time, or set one.

## Loss

$loss

## Architecture

| | |
|---|---|
| width x depth | $shape |
| query heads, kv heads, head size | $query_heads, $kv_heads, $head_size |
| MLP width (gated, tanh-approximated GELU) | $mlp_width |
| vocabulary (padding included), context | $vocabulary, $context |
| parameters, total | $params_total |
| parameters without the input embedding (`no_embedding`) | $params_no_embedding |
| parameters without embedding and head (`non_embedding`) | $params_non_embedding |
| parameters by group | $groups |
| training FLOPs per token, Appendix G of the Gemstones paper | $flops |

RMSNorm before attention and MLP and at the end, rotary positions, no biases, embedding and head untied.

## Recipe

| | |
|---|---|
| run, family | `$run`, $family |
| parent | $parent |
| tokens | $tokens |
| batch | $batch |
| learning rate | $rate |
| schedule | $schedule |
| recipe | $recipe |
| optimizer | $optimizer, β $beta1 and $beta2, weight decay $decay on matrices only, gradients clipped at norm $clip |
| initialisation | $initialisation |
| precision | $precision |
| attention | $attention |
| corpus | $corpus |
| sessions, rollbacks | $sessions, $rollbacks |

## Exactness

The folder was loaded back with `transformers` $transformers and compared with the trained model in float32, on
$compared tokens: the largest difference of a logit is **$difference**.
$gains

The licence follows from that of the text it was trained on; none is stated here. `gemstones.json` has all of
this for programs, with the full specification of the run.
""")


RECIPE_WORDS = {
    "gemstones": "gemstones: one rate for all tensors",
    "mup": f"mup: the rate of the embedding times √(width/{MUP_BASE_WIDTH}), of norms times width/{MUP_BASE_WIDTH}",
    "muon": f"muon: AdamW's rate is {ADAMW_OVER_MUON:g}/width times Muon's",
}


def model_card(exported: Exported) -> str:
    """Markdown with YAML front matter, as the Hugging Face Hub reads it."""
    spec, shape = exported.spec, exported.spec.shape
    provenance = exported.provenance
    return _CARD.substitute(
        quoted_run=json.dumps(exported.run),
        run=exported.run,
        shape=shape,
        version=exported.versions["gemstones"],
        transformers=exported.versions["transformers"],
        loss=_loss(exported),
        query_heads=shape.query_heads,
        kv_heads=shape.kv_heads,
        head_size=shape.head_size,
        mlp_width=shape.mlp_width,
        vocabulary=f"{shape.vocabulary:,}",
        context=f"{shape.context:,}",
        params_total=f"{params(shape):,}",
        params_no_embedding=f"{params(shape, 'no_embedding'):,}",
        params_non_embedding=f"{params(shape, 'non_embedding'):,}",
        groups=", ".join(f"{name} {count:,}" for name, count in params_by_group(shape).items()),
        flops=f"{flops_per_token(shape, 'gemstones'):,.0f}",
        family=spec.family,
        parent=_parent(spec),
        tokens=_tokens(exported),
        batch=f"{spec.batch_sequences:,} sequences of {spec.context:,} tokens: {spec.batch_tokens:,} tokens a step",
        rate=f"{spec.learning_rate:.6g} = {spec.lr_base:g} / {_scale(spec)}",
        recipe=RECIPE_WORDS[spec.recipe],
        optimizer="Muon for the matrices of the blocks, AdamW for the rest"
        if spec.rules.optimizer == "muon"
        else "AdamW",
        schedule=_schedule(spec),
        beta1=spec.betas[0],
        beta2=spec.betas[1],
        decay=spec.weight_decay,
        clip=spec.clip_norm,
        initialisation=_initialisation(spec),
        precision="bfloat16 products, float32 weights" if spec.precision == "bfloat16" else "float32",
        attention="within documents only: give the model one document at a time"
        if spec.document_mask
        else "to everything before in the window, other documents included",
        corpus=_corpus(exported),
        sessions=provenance.sessions,
        rollbacks=provenance.rollbacks,
        compared=f"{exported.compared_tokens:,}",
        difference=f"{exported.max_logit_difference:g}",
        gains=_gains(exported),
    )


def _loss(exported: Exported) -> str:
    loss, windows = exported.provenance.loss, exported.provenance.evaluation_windows
    if loss is None or windows is None:
        return f"The run was not evaluated at step {exported.provenance.step:,}."
    held_out = windows * exported.spec.context
    return (
        f"**{loss:.4f} nats per token** (perplexity {math.exp(loss):.2f}): mean negative log likelihood over "
        f"{windows:,} held-out windows\nof {exported.spec.context:,} tokens ({held_out:,} in all) of the corpus "
        "below, in the precision of training. It depends on the\ntokenizer, and compares only with losses on the "
        "same corpus."
    )


def _parent(spec: RunSpec) -> str:
    return f"`{spec.parent}`, from {spec.fork_tokens:,} tokens on" if spec.parent else "none"


def _tokens(exported: Exported) -> str:
    spec, step = exported.spec, exported.provenance.step
    text = f"{exported.tokens:,} ({format_quantity(exported.tokens)}), {step:,} steps"
    if step < spec.steps:
        text += f", of {spec.trained_tokens:,} that the run is meant to have"
    return text


def _schedule(spec: RunSpec) -> str:
    warmup = f"linear warm-up over {spec.warmup_tokens:,} tokens, then constant"
    if not spec.falls:
        return warmup
    how = {"linear": "linearly", "1-sqrt": "as 1 − √x", "cosine": "as a cosine"}[spec.decay]
    to = f"{spec.floor:g} of it" if spec.floor else "0"
    return f"{warmup}; {how} to {to} from {spec.decay_start:,} to {spec.trained_tokens:,} tokens"


def _scale(spec: RunSpec) -> str:
    """What the recipe's rule divides by."""
    depth = effective_depth(spec.shape, spec.patch)
    scale = f"√{depth}" if spec.recipe == "muon" else f"(width · √{depth})"
    return scale if spec.rate_power == 1 else f"{scale}^{spec.rate_power:g}"


def _initialisation(spec: RunSpec) -> str:
    text = (
        f"normal truncated at ±{TRUNCATION:g}σ, σ = 1/√width; attention output 1/√(2·width·(l+1)), MLP output "
        f"1/√(2·MLP width·(l+1)), layers l from 0; norm gains {spec.norm_gain:g}; seed {spec.seed}"
    )
    if spec.recipe == "mup":
        text += f"; head {math.sqrt(MUP_BASE_WIDTH):g}/width"
    if spec.patch.applies(spec.shape):
        depth = effective_depth(spec.shape, spec.patch)
        text += f"; layers and rate as if the depth were {depth} (Appendix F.2)"
    return text


def _corpus(exported: Exported) -> str:
    provenance = exported.provenance
    text = f"fingerprint `{provenance.corpus_fingerprint or 'unknown'}`"
    if mixture := exported.spec.mixture:
        parts = ", ".join(f"{s.weight:g} of {s.name} (`{s.fingerprint or 'unknown'}`)" for s in mixture)
        text += f" for tokenizer and loss; trained on a mixture of {parts}"
        if provenance.epochs is not None:
            text += f"; the whole run reads one of them {provenance.epochs:.3g} times, the others less often"
        return text
    if provenance.corpus_tokens is not None:
        text += f", {provenance.corpus_tokens:,} training tokens"
    if provenance.epochs is not None:
        text += f"; the whole run reads them {provenance.epochs:.3g} times"
    return text


def _gains(exported: Exported) -> str:
    if not exported.moved_channels and not exported.rounded_channels:
        return "Gemma's form of the norms' gains, 1 + w, is exact in all of them; the other tensors are as trained."
    text = ""
    if exported.moved_channels:
        text += (
            f"Gemma's form of the norms' gains, 1 + w, has no float32 for {exported.moved_channels:,} of them: their "
            "signs and powers of two were\nmoved into the matrices that read them, which changes no product. "
        )
    if exported.rounded_channels:
        text += f"In {exported.rounded_channels:,} channels the gain is rounded, in the last place of 1 + w."
    return text.rstrip()
