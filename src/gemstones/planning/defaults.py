"""The search, and the throughput model, that a plan takes where none is named."""

from __future__ import annotations

from gemstones.design.feasible import Constraints
from gemstones.laws.fit import Fit
from gemstones.laws.law import Law
from gemstones.laws.published import FrontierLaw
from gemstones.shape import Shape
from gemstones.timing.step_time import StepTime, gemstones_step_time

WIDTH_MULTIPLE, WIDTH_MAX, DEPTH_MAX = 256, 65_536, 1024
"""Default search: multiples of 256 are even numbers of heads of size 128."""


def default_constraints(law: Law | FrontierLaw) -> Constraints:
    """The default search, with the models that the law was fitted to.

    Widths are multiples of 256 for heads of size 128; for other heads, of two of them.
    """
    template = law.models.template() if isinstance(law, Law) else Shape(256, 1)
    multiple = WIDTH_MULTIPLE if template.head_size == 128 else 1
    return Constraints(
        width_max=WIDTH_MAX, depth_min=1, depth_max=DEPTH_MAX, width_multiple=multiple, template=template
    )


def default_throughput(law: Fit | Law | FrontierLaw) -> StepTime | None:
    """The throughput model that ships, for a law whose models are stated to be those that it was measured on."""
    bare = law.law if isinstance(law, Fit) else law
    assumed = isinstance(law, Fit) and law.models_assumed
    shipped = gemstones_step_time()
    return shipped if isinstance(bare, Law) and bare.models == shipped.models and not assumed else None
