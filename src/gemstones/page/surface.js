// What every feasible shape costs, and the loss predicted for it: gemstones.planning.cost, .surface and .extrapolation.
//
// For a shape the tokens of a budget are closed form, T = (budget − inference) / cost per token, so the loss is a function
// of the shape alone and the optimum is a minimum over an array.

{
  const { FEATURES, STEEPEST, column, eta, flopsOfShape, general } = globalThis.gemstones;
  const { Mistake, lossOfSum, sumOfTerms, termWithoutTokens } = globalThis.gemstones;

  const COARSE_RATIO = 1.08; // gemstones.planning.surface
  const REACH = 4;

  // ---- Costs and losses of shapes (gemstones.planning.cost and .surface)

  /** Device hours to train one token: a throughput model's sum over features. */
  function deviceHoursPerToken(models, coefficients, features, width, depth) {
    let seconds = 0;
    features.forEach((name, i) => (seconds += coefficients[i] * FEATURES[name](models, width, depth)));
    return seconds / 3600;
  }

  /**
   * Logs of the law's columns and costs over widths (rows) and depths (columns). `cost` is { stepTime,
   * inferenceTokens }: without a throughput model the budget is of FLOPs.
   */
  function surfaceOf(law, widths, depths, cost) {
    const { models } = law;
    const grid = (value) => {
      const values = new Float64Array(widths.length * depths.length);
      let k = 0;
      for (const width of widths) for (const depth of depths) values[k++] = value(models, width, depth);
      return values;
    };
    const columns = law.symbols.map((symbol, i) => {
      if (symbol === "T") return null;
      const value = column(law.columns[i]);
      return grid((...shape) => Math.log(value(...shape)));
    });
    const surface = { widths, depths, columns, inferenceTokens: cost.inferenceTokens };
    // Inference takes the forward pass; in device hours at the rate of training, as nothing here measures another.
    const forward = ([training, inference]) => (cost.stepTime ? inference / training : inference);
    surface.forward = cost.inferenceTokens ? grid((_, ...shape) => forward(flopsOfShape(law, ...shape))) : null;
    if (!cost.stepTime) {
      return { ...surface, perToken: grid((_, ...shape) => flopsOfShape(law, ...shape)[0]), features: null };
    }
    const features = cost.stepTime.features.map((name) => grid(FEATURES[name]));
    return priced({ ...surface, features }, cost.stepTime.coefficients);
  }

  /** The surface under other coefficients of the throughput model. */
  function priced(surface, coefficients) {
    const perToken = new Float64Array(surface.features[0].length);
    surface.features.forEach((values, i) => {
      for (let k = 0; k < perToken.length; k += 1) perToken[k] += coefficients[i] * values[k];
    });
    return { ...surface, perToken: perToken.map((seconds) => seconds / 3600) };
  }

  /** Tokens that a budget buys each shape; 0 where inference takes all of it. */
  function tokensOf({ perToken, forward, features, inferenceTokens }, budget) {
    return perToken.map((cost, k) => {
      if (!forward) return budget / cost;
      const inference = inferenceTokens * (features ? cost : 1) * forward[k];
      return Math.max(budget - inference, 0) / cost;
    });
  }

  /** Sums of some of the law's terms for every shape on its tokens (null: terms without tokens). */
  function sumsOf(law, terms, theta, surface, tokens) {
    const count = surface.perToken.length;
    const total = new Float64Array(count);
    const logs = new Array(law.symbols.length);
    for (const term of terms) {
      for (let k = 0; k < count; k += 1) {
        if (tokens && !(tokens[k] > 0)) continue;
        for (let s = 0; s < logs.length; s += 1) {
          const values = surface.columns[s];
          logs[s] = values ? values[k] : tokens ? Math.log(tokens[k]) : NaN;
        }
        total[k] += Math.exp(Math.min(eta(term, theta, logs), STEEPEST));
      }
    }
    return total;
  }

  /** Predicted loss of every shape on its tokens; infinite where there are none. */
  function losses(law, theta, surface, tokens, shapeSums = withoutTokens(law, theta, surface)) {
    const total = sumsOf(law, law.terms.filter((term) => !termWithoutTokens(law, term)), theta, surface, tokens);
    for (let k = 0; k < total.length; k += 1) {
      total[k] = tokens[k] > 0 ? lossOfSum(law, theta, shapeSums[k] + total[k]) : Infinity;
    }
    return total;
  }

  /** The sums of the terms that a shape alone determines. */
  const withoutTokens = (law, theta, surface) =>
    sumsOf(law, law.terms.filter((term) => termWithoutTokens(law, term)), theta, surface, null);

  /** Loss of one shape on `tokens`; no term above exp(steepest). */
  function lossAt(law, theta, { width, depth }, tokens, steepest = STEEPEST) {
    const logs = law.symbols.map((symbol, i) =>
      Math.log(symbol === "T" ? tokens : column(law.columns[i])(law.models, width, depth)),
    );
    return lossOfSum(law, theta, sumOfTerms(law, theta, logs, steepest));
  }

  function argmin(values) {
    let best = 0;
    for (let k = 1; k < values.length; k += 1) if (values[k] < values[best]) best = k;
    return best;
  }

  /** Indices of values about COARSE_RATIO apart, the ends included. */
  function coarse(values) {
    const first = values[0];
    const last = values[values.length - 1];
    const count = Math.trunc(Math.log(last / first) / Math.log(COARSE_RATIO)) + 2;
    const low = Math.log10(first);
    const step = (Math.log10(last) - low) / (count - 1);
    const indices = new Set();
    for (let n = 0, at = 0; n < count; n += 1) {
      let wanted = 10 ** (n * step + low);
      if (n === 0) wanted = first;
      if (n === count - 1 || wanted > last) wanted = last;
      while (values[at] < wanted) at += 1;
      indices.add(at);
    }
    return [...indices].sort((a, b) => a - b);
  }

  const from = (first, last) => Array.from({ length: last - first + 1 }, (_, k) => first + k);
  const around = (indices, at) =>
    from(indices[Math.max(at - REACH, 0)], indices[Math.min(at + REACH, indices.length - 1)]);

  // ---- Extrapolation (gemstones.planning.extrapolation)

  function beyond(value, span) {
    if (value == null || !span) return null;
    return value > span[1] ? value / span[1] : value < span[0] ? value / span[0] : 1;
  }

  /** How far quantities lie beyond the fitted runs: ratios to the nearest end, and a sentence. */
  function extrapolation(fitted, { flops, ...rest }) {
    const decades = beyond(flops, fitted.flops);
    const found = { flops_decades: decades === null ? null : Math.log10(decades) };
    for (const name of ["params", "tokens", "width", "depth"]) {
      found[`${name}_ratio`] = beyond(rest[name], fitted[name]);
    }
    return { ...found, sentence: extrapolationSentence(found) };
  }

  const MOST_DECADES = 4; // gemstones.planning.extrapolation

  /** Refuse a plan that lies farther from the fitted runs than any law has been tested. */
  function checkReach(found) {
    if (found.flops_decades !== null && Math.abs(found.flops_decades) > MOST_DECADES) {
      throw new Mistake(
        `this is ${found.sentence}: beyond ${MOST_DECADES} decades no law has been tested; choose a budget nearer to ` +
          "the runs",
        "budget",
      );
    }
  }

  function extrapolationSentence(found) {
    const decades = found.flops_decades;
    if (decades === null && found.params_ratio === null) {
      return "how far this lies beyond the fitted runs is not known";
    }
    const parts = [];
    if (decades !== null) {
      const where = decades > 0 ? "beyond" : "below";
      const far = `${Math.abs(decades).toFixed(1)} decades of FLOPs ${where} the fitted runs`;
      parts.push(decades ? far : "within the FLOPs of the fitted runs");
    }
    for (const [name, word] of [
      ["params", "N"],
      ["tokens", "T"],
      ["width", "width"],
      ["depth", "depth"],
    ]) {
      const ratio = found[`${name}_ratio`];
      if (ratio !== null && ratio !== 1) {
        const times = general(ratio, 3);
        const plain = ratio < 1000 ? times : Number(times).toLocaleString("en");
        parts.push(`${word} ${plain}× ${ratio > 1 ? "the largest" : "the smallest"} fitted`);
      }
    }
    return parts.join(", ") || "within the fitted runs, as far as these are known";
  }

  Object.assign(globalThis.gemstones, {
    COARSE_RATIO,
    REACH,
    deviceHoursPerToken,
    surfaceOf,
    priced,
    tokensOf,
    losses,
    lossAt,
    argmin,
    coarse,
    around,
    checkReach,
    extrapolation,
  });
}
