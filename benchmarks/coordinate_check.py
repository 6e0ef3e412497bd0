"""Write `coordinate_check.md`: how much a few steps change activations, by width, in every recipe.

python benchmarks/coordinate_check.py
"""

from __future__ import annotations

from pathlib import Path

import torch

from gemstones.design.recipes import RECIPES
from gemstones.files import write_text
from gemstones.train.coordinates import coordinate_check

RATES = {"gemstones": 0.1, "mup": 0.1, "muon": 0.005}
WHAT = {"embedding": "embedding · √width", "block": "output of the last block", "logits": "logits"}


def page() -> str:
    """The page."""
    rows = []
    for name in RECIPES:
        found = coordinate_check(name, lr_base=RATES[name])  # type: ignore[arg-type]
        for of, words in WHAT.items():
            changes = " | ".join(f"{change:.3g}" for change in getattr(found, of))
            rows.append(f"| {name} | {words} | {changes} | {found.slope(of):+.2f} |")
    return f"""# Coordinate check of the recipes

Written by `benchmarks/coordinate_check.py`. How much four steps on the same random tokens change activations (root
mean square), in models of depth 2 at lr_base 0.1 (Muon: {RATES["muon"]}); and the power of the width that it goes with.

| recipe | change of | width 64 | 128 | 256 | 512 | power |
|---|---|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

In `mup` embedding and blocks change alike at every width; logits a little less in wide models, as what their first
head adds (σ of 1/width) fades. In `gemstones`, one rate for all tensors, the embedding of a wide model hardly moves,
and its logits move more: a rate tuned at one width is not the best at another. `muon` has the same embedding and head.
torch {torch.__version__.split("+")[0]}, float32, CPU.
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_text(Path(__file__).with_suffix(".md"), page())
