"""`Suite` → its shapes: as the file names them, or chosen size by size."""

from __future__ import annotations

from gemstones.design.choose import choose_shapes
from gemstones.design.feasible import Constraints
from gemstones.design.field_errors import at, under
from gemstones.design.suite_file import Suite
from gemstones.shape import Shape


def suite_shapes(suite: Suite, vocabulary: int | None = None) -> tuple[Shape, ...]:
    """The shapes of `suite`, as named, or chosen size by size."""
    with under(str(suite.file)):
        return shapes_of(suite, vocabulary)


def shapes_of(suite: Suite, vocabulary: int | None) -> tuple[Shape, ...]:
    """As `suite_shapes`; mistakes name the field alone."""
    models, table = suite.models, suite.shapes
    architecture = {
        "head_size": models.head_size,
        "queries_per_kv": models.queries_per_kv,
        "mlp_expansion": models.mlp_expansion,
        "vocabulary": _vocabulary(suite, vocabulary),
        "context": models.context,
    }
    by_path: list[tuple[str, tuple[Shape, ...]]] = []
    if isinstance(table.explicit, tuple):
        for i, text in enumerate(table.explicit):
            with under(path := f"shapes.explicit[{i}]"):
                by_path.append((path, (Shape.parse(text, **architecture),)))
    elif isinstance(table.sizes, tuple):
        with under("shapes"):
            constraints = Constraints(
                width_min=table.width_min,
                width_max=table.width_max,
                depth_min=table.depth_min,
                depth_max=table.depth_max,
                even_heads=table.even_heads,
                width_multiple=table.width_multiple,
                template=Shape(2 * models.head_size * models.queries_per_kv, 1, **architecture),
            )
        for i, size in enumerate(table.sizes):
            with under(path := f"shapes.sizes[{i}]"):
                by_path.append((path, choose_shapes(size, table.tolerance, table.per_size, constraints)))
    shapes: list[Shape] = []
    for path, group in by_path:
        for shape in group:
            if shape in shapes:
                raise at(path, f"{shape} is in the suite already: leave one out")
            shapes.append(shape)
    return tuple(shapes)


def _vocabulary(suite: Suite, corpus: int | None) -> int:
    stated = suite.models.vocabulary
    if not isinstance(stated, int):
        if corpus is None:
            raise at("models.vocabulary", "is required as long as no corpus gives it")
        return corpus
    if corpus is not None and stated < corpus:
        raise at("models.vocabulary", f"{stated} is smaller than the corpus's {corpus}: leave it out, or pad")
    return stated
