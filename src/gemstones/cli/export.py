"""`gemstones export RUN --output DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gemstones.cli.options import FLAG, OUTPUT, Json
from gemstones.cli.output import print_json, say
from gemstones.printable import printable
from gemstones.units import format_quantity


def export(
    run: Annotated[Path, Parameter(help="Folder of a run, in that of its suite.")],
    /,
    *,
    output: Annotated[Path, OUTPUT, Parameter(help="Folder to make, for `from_pretrained`.")],
    step: Annotated[
        int | None, Parameter(help="Export the checkpoint of that step (default: the newest).")
    ] = None,
    corpus: Annotated[
        Path | None, Parameter(help="Where the run's corpus is (default: where it was trained).")
    ] = None,
    force: Annotated[bool, FLAG, Parameter(help="Replace another export in the folder.")] = False,
    json: Json = False,
) -> None:
    """A trained run as a Hugging Face folder.

    Weights (safetensors), configuration, tokenizer and model card, which `transformers` loads as
    `GemmaForCausalLM` without a network. The folder is loaded back and its logits are compared with those of
    the run before it gets its name; a difference beyond 1e-5 is refused.

    Example: gemstones export runs/main-96x3-6a2004ac --output hf
    """
    from gemstones.train.export import export_run

    exported = export_run(run, output, step=step, corpus=corpus, force=force)
    if json:
        print_json({"folder": str(output), **exported.summary()})
        return
    provenance = exported.provenance
    loss = "not evaluated" if provenance.loss is None else f"{provenance.loss:.4f} nats/token"
    say(
        f"{printable(output)}: {exported.run} after step {provenance.step:,}, "
        f"{format_quantity(exported.tokens)} tokens; "
        f"{format_quantity(exported.params_total)} parameters; held-out loss {loss}"
    )
    say(
        f"largest difference of a logit from the run's, over {exported.compared_tokens:,} tokens in float32: "
        f"{exported.max_logit_difference:g}"
    )
