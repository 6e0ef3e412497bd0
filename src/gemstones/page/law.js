// What a law predicts: gemstones.laws.form and gemstones.planning.sight.
//
// A law is what explorer.py embeds: { symbols, terms, outer, irreducible, sees, convention, … }. A term is exp(η) with η a
// sum of parts, each a polynomial in the logs of the law's symbols times a number of θ (or 1: index null); a polynomial
// is a list of [factor, [positions of symbols]]. At a budget the best shape minimises the sum of terms: the exponent
// around it and the irreducible loss come last.

{
  const STEEPEST = 600; // gemstones.planning.sight

  const withoutTokens = (law, term) =>
    term.every(([, polynomial]) =>
      polynomial.every(([, monomial]) => monomial.every((s) => law.symbols[s] !== "T")),
    );

  /** η of a term for logs of the symbols. */
  function eta(term, theta, logs) {
    let total = 0;
    for (const [index, polynomial] of term) {
      let value = 0;
      for (const [factor, monomial] of polynomial) {
        let product = factor;
        for (const s of monomial) product *= logs[s];
        value += product;
      }
      total += index === null ? value : theta[index] * value;
    }
    return total;
  }

  /** dη/dx where `slopes` are the derivatives of the logs of the symbols in x. */
  function etaSlope(term, theta, logs, slopes) {
    let total = 0;
    for (const [index, polynomial] of term) {
      let value = 0;
      for (const [factor, monomial] of polynomial) {
        monomial.forEach((s, at) => {
          let product = factor * slopes[s];
          monomial.forEach((other, position) => {
            if (position !== at) product *= logs[other];
          });
          value += product;
        });
      }
      total += index === null ? value : theta[index] * value;
    }
    return total;
  }

  const sumOfTerms = (law, theta, logs, steepest = STEEPEST) =>
    law.terms.reduce((sum, term) => sum + Math.exp(Math.min(eta(term, theta, logs), steepest)), 0);

  /** Predicted loss from the sum of terms. */
  function lossOfSum(law, theta, sum) {
    const { outer, irreducible } = law;
    const power = outer === null ? 1 : Array.isArray(outer) ? Math.exp(theta[outer[0]]) : outer;
    const raised = power === 1 ? sum : sum ** power;
    if (irreducible === null) return raised;
    return raised + (Array.isArray(irreducible) ? Math.exp(theta[irreducible[0]]) : irreducible);
  }

  /** Whether a law is a sum of two powers, of N and of T, and then [α, β, log A, log B] of θ. */
  function powers(law, theta) {
    if (!law.powers) return null;
    return law.powers.map((at) => (Array.isArray(at) ? theta[at[0]] : at));
  }

  Object.assign(globalThis.gemstones, { STEEPEST, eta, etaSlope, lossOfSum, powers, sumOfTerms, termWithoutTokens: withoutTokens });
}
