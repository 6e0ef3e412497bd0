"""The optimisation problem of a law, in coordinates that make it well behaved.

A law of k terms is L̂ = Σ_i exp(c_i)·x_i^(−e_i) + exp(E). Its parameters are a vector θ of m = 2k + 1:
exponents e, then log coefficients c, then E. The solver works with centred columns u_i = log x_i − mean:
c'_i = c_i − e_i·mean_i is then the log of the term at a typical row, nearly uncorrelated with e_i, and no
exponential can overflow on the way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gemstones.shape import FloatArray


@dataclass(frozen=True, eq=False)
class Problem:
    """Centred log columns and log losses of n rows."""

    u: FloatArray
    """(k, n): log of each column, its mean subtracted."""
    mean: FloatArray
    """(k,): the means."""
    log_loss: FloatArray
    """(n,)"""

    @classmethod
    def of(cls, columns: FloatArray, loss: FloatArray) -> Problem:
        """From positive `columns` (n, k) and `loss` (n,)."""
        logs = np.log(columns)
        mean = logs.mean(0)
        return cls(np.ascontiguousarray((logs - mean).T), mean, np.log(loss))

    @property
    def terms(self) -> int:
        """k, the number of power-law terms."""
        return len(self.u)

    @property
    def rows(self) -> int:
        """n, the number of observations."""
        return int(self.u.shape[1])

    def centred(self, theta: FloatArray) -> FloatArray:
        """θ (…, m) of the law → θ of this problem."""
        out = np.array(theta, np.float64)
        k = self.terms
        out[..., k : 2 * k] -= out[..., :k] * self.mean
        return out

    def physical(self, theta: FloatArray) -> FloatArray:
        """θ (…, m) of this problem → θ of the law."""
        out = np.array(theta, np.float64)
        k = self.terms
        out[..., k : 2 * k] += out[..., :k] * self.mean
        return out

    def parts(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Terms (B, k, n) and constants (B,) of the predicted loss, for centred θ (B, m)."""
        k = self.terms
        terms = theta[:, :k, None] * -self.u
        terms += theta[:, k : 2 * k, None]
        np.exp(terms, out=terms)
        return terms, np.exp(theta[:, 2 * k])

    def residuals(self, theta: FloatArray) -> FloatArray:
        """log L − log L̂, (B, n), for centred θ (B, m)."""
        terms, constant = self.parts(theta)
        return np.asarray(self.log_loss - np.log(terms.sum(1) + constant[:, None]))
