"""Forms of laws from the literature, by name, each with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_EXPERTS = "1/(1/(experts + 1.0881) + 1/290.4521)"
"""Ludziejewski et al. 2025, Equation 4 (after Clark et al. 2022): 1/Ê = 1/(E − 1 + 1/(1/E_start − 1/E_max)) + 1/E_max,
with E_start 2.0732 and E_max 290.4521 of their Table 3."""
_BEST_RATE = "L*(N/1e9)^n*(T/1e11)^t"
_BEST_BATCH = "M*(N/1e9)^u*(T/1e11)^v"
_BOWL = MappingProxyType({"k": (0.0, 20.0), "q": (0.0, 20.0)})


@dataclass(frozen=True)
class NamedForm:
    """A form, its source, and what its constants and columns are."""

    text: str
    """A list of columns or a formula."""
    source: str
    means: str
    """Its columns and constants beside N, T, E, and the coefficients and exponents of N and T."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


NAMED: Mapping[str, NamedForm] = MappingProxyType(
    {
        "hoffmann": NamedForm(
            "E + A/N^a + B/T^b",
            "Hoffmann et al. 2022, Equation 2; McLeish et al. 2025, Equation 1",
            "the sum of a power of parameters, a power of tokens and an irreducible loss",
        ),
        "hoffmann-outer": NamedForm(
            "E + (A/N^a + B/T^b)^p",
            "Hoffmann et al. 2022 with an exponent around the sum",
            "p: the outer exponent",
        ),
        "kaplan": NamedForm(
            "(A/N^a + B/T)^p",
            "Kaplan et al. 2020, Equation 1.5",
            "their α_D is p, α_N is a·p, N_c is A^(1/a), D_c is B; N without embeddings, no irreducible loss",
        ),
        "mcleish-2": NamedForm(
            "w,d,N,T", "McLeish et al. 2025, Equation 2", "width and depth beside parameters and tokens"
        ),
        "mcleish-3": NamedForm(
            "w,d,T", "McLeish et al. 2025, Equation 3", "width and depth in place of parameters"
        ),
        "mcleish-2-outer": NamedForm(
            "(w,d,N,T)^p",
            "McLeish et al. 2025, Equation 2, with an exponent around the sum",
            "p: the outer exponent",
        ),
        "mcleish-3-outer": NamedForm(
            "(w,d,T)^p",
            "McLeish et al. 2025, Equation 3, with an exponent around the sum",
            "p: the outer exponent",
        ),
        "interaction": NamedForm(
            "E + A/N^a + B/T^b + C/(N^c*T^d)",
            "Hoffmann et al. 2022, Equation 2, with a term in both (ours)",
            "C, c, d: what parameters and tokens lack together",
        ),
        "varying": NamedForm(
            "E + A/N^a + B*(N/1e9)^m/T^(b + g*log(N/1e9))",
            "Hoffmann et al. 2022, Equation 2, with coefficient and exponent of tokens that vary with N (ours)",
            "m, g: how they vary; b and B are those of a billion parameters",
        ),
        "muennighoff": NamedForm(
            "E + A/repeated(N, 0.051*unique_tokens, R)^a + B/repeated(T, unique_tokens, S)^b",
            "Muennighoff et al. 2023, Equations 5 and 6, with U_N = 0.051·U_D of their Equation 17",
            "unique_tokens: how many of the tokens differ; S, R: their R*_D and R*_N, how many passes over the data, "
            "and how many times the parameters that it needs, go on paying",
        ),
        "krajewski": NamedForm(
            "E + (G/granularity^g + A)/N^a + B/T^b",
            "Krajewski et al. 2024, Equation 9",
            "granularity: the width of the dense MLP over that of an expert; N counts active parameters without "
            "embeddings; G, g: their g, γ",
        ),
        "ludziejewski": NamedForm(
            f"E + A*({_EXPERTS})^m/N^(a - g*log({_EXPERTS})) + B*({_EXPERTS})^o/T^(b + z*log({_EXPERTS}))",
            "Ludziejewski et al. 2025, Equations 4 and 6, with E_start and E_max of their Table 3",
            "experts: their number (1: dense); N counts active parameters; a, b, m, o, g, z: their −α, −β, δ, ω, γ, −ζ",
        ),
        "gadre": NamedForm(
            "E + (A*(T/N)^h + B*(N/T)^h)/(6*N*T)^h",
            "Gadre et al. 2024, L(C, M) with C = 6·N·T and M = T/N",
            "h: their η, half the exponent of N and of T, which are equal; A, B: their a, b",
        ),
        "critical-batch": NamedForm(
            "E + A/N^a + B*((1 + batch/K)/T)^b",
            "McCandlish et al. 2018 and Kaplan et al. 2020, §5.1, with a critical batch that does not vary",
            "K: the critical batch, in the unit of batch; T/(1 + batch/K) tokens in the smallest batches do as much",
        ),
        "kaplan-steps": NamedForm(
            "A/N^a + B*((1 + K/batch)/step)^b",
            "Kaplan et al. 2020, Equation 1.6, with a critical batch that does not vary",
            "step: optimizer steps; their S_min is step/(1 + K/batch); no irreducible loss",
        ),
        "learning-rate": NamedForm(
            f"E + (A/N^a + B/T^b)*exp(k*log(lr/({_BEST_RATE}))^2)",
            "the question of Li et al. 2025 (Step Law), as a bowl in the log of the learning rate (ours)",
            "lr: peak learning rate; best is L·(N/1e9)^n·(T/1e11)^t, and k says how fast loss rises off it",
            {"k": _BOWL["k"]},
        ),
        "step-law": NamedForm(
            f"E + (A/N^a + B/T^b)*exp(k*log(lr/({_BEST_RATE}))^2 + q*log(batch/({_BEST_BATCH}))^2)",
            "the question of Li et al. 2025 (Step Law), as a bowl in the logs of learning rate and batch (ours)",
            "lr, batch: best are L·(N/1e9)^n·(T/1e11)^t and M·(N/1e9)^u·(T/1e11)^v; k, q: how fast loss rises off them",
            _BOWL,
        ),
    }
)
"""Name → form; `gemstones fit --law NAME`."""
