"""Text → token shards and a manifest → batches, every one a pure function of (seed, step).

    sources → documents → extract → split → tokenizer → encode → shards → manifest → verify → read

`build` writes a corpus, `Corpus.open` opens it, `batch` reads it. tokenizers and polars are imported inside
functions, so that importing this package stays light.
"""

from gemstones.train.corpus.build import build
from gemstones.train.corpus.errors import InvalidCorpus
from gemstones.train.corpus.finish import Built
from gemstones.train.corpus.imported import import_tokens
from gemstones.train.corpus.manifest import Manifest
from gemstones.train.corpus.mixture import Mixture
from gemstones.train.corpus.opened import Corpus
from gemstones.train.corpus.options import Options
from gemstones.train.corpus.order import Order, order
from gemstones.train.corpus.read import (
    batch,
    epochs_needed,
    sequences,
    validation_windows,
    windows,
)

__all__ = [
    "Built",
    "Corpus",
    "InvalidCorpus",
    "Manifest",
    "Mixture",
    "Options",
    "Order",
    "batch",
    "build",
    "epochs_needed",
    "import_tokens",
    "order",
    "sequences",
    "validation_windows",
    "windows",
]
