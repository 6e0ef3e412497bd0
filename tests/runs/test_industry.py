"""The published losses of industry models: read, checked, and refused when they are not what they say."""

from __future__ import annotations

import json

import pytest

from gemstones.errors import InvalidTable
from gemstones.runs.fetch import ENTRIES, fetch
from gemstones.runs.industry import load_industry, parse_industry

ENTRY = ENTRIES["industry-losses"]


@pytest.mark.published_data
def test_the_published_models() -> None:
    models = load_industry()
    assert len(models) == len({model.name for model in models}) == 21
    llama = next(model for model in models if model.name == "meta-llama/Llama-2-7b-hf")
    assert (llama.width, llama.depth, llama.vocabulary) == (4096, 32, 32_000)
    assert (llama.params_total, llama.params_no_embedding) == (6_738_415_616, 6_607_343_616)
    assert llama.loss == pytest.approx(2.0553744789986013)
    assert (llama.short_name, llama.aspect_ratio) == ("Llama-2-7b", 128.0)
    # 70 billion parameters are at the low end, half a billion at the high one.
    assert [m.short_name for m in sorted(models, key=lambda m: m.loss)][:: len(models) - 1] == [
        "Llama-2-70b",
        "Qwen2.5-0.5B",
    ]


@pytest.mark.parametrize(
    ("column", "first", "message"),
    [
        (
            "width",
            3073,
            "row 1: google/Gemma-7b: 786,432,000 parameters of embedding are not vocabulary x width",
        ),
        ("loss", -1.0, "row 1: google/Gemma-7b: .* must be positive"),
        ("loss", "2.0", "Expected `float`"),
    ],
)
@pytest.mark.published_data
def test_another_value_is_refused(column: str, first: object, message: str) -> None:
    columns = json.loads(fetch(ENTRY).read_bytes())
    columns[column][0] = first
    with pytest.raises(InvalidTable, match=f"industry-losses.*{message}"):
        parse_industry(json.dumps(columns).encode(), ENTRY)


@pytest.mark.published_data
def test_another_file_is_refused() -> None:
    columns = json.loads(fetch(ENTRY).read_bytes())
    for text, message in (
        (json.dumps(columns | {"loss": [2.0]}), "columns of 1, 21 values, expected 21"),
        (json.dumps(columns | {"tokens": []}), "unknown field `tokens`"),
        ("no JSON", "malformed"),
    ):
        with pytest.raises(InvalidTable, match=f"industry-losses.*{message}"):
            parse_industry(text.encode(), ENTRY)
