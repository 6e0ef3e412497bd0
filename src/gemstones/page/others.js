// What every law says for one budget of FLOPs, and what following it would cost if the chosen law is right.
//
// A plan of another law is its optimum alone, as `plan` finds it: the explorer asks for all of them at every change. What
// another costs is gemstones.planning.compared.

{
  const { Mistake, bySearch, checkReach, errorAt, extrapolation, feasible, flopsOfShape, lossAt, optimumOf, ordinary } =
    globalThis.gemstones;
  const { params, predict, search, sizeOptimum, tokensFor } = globalThis.gemstones;

  const SAME_SIZE = 0.05; // gemstones.planning.compared

  /** { params, tokens, shape } of a law's optimum; throws a `Mistake` where there is none. */
  function briefPlan(law, budget) {
    checkReach(extrapolation(law.fitted, { flops: budget }));
    if (law.kind === "frontier") {
      const counted = law.n0 * (budget / law.c0) ** law.exponent;
      return { params: counted, tokens: budget / (6 * counted), shape: null };
    }
    if (!bySearch({ law, resource: "flops" })) {
      const [counted, tokens] = sizeOptimum(law, law.theta, budget, 0);
      if (![counted, tokens].every((x) => Number.isFinite(x) && x > 0)) throw new Mistake("it has no optimum", "law");
      return { params: counted, tokens, shape: null };
    }
    const request = { law, budget, resource: "flops", inferenceTokens: 0, ranges: law.ranges };
    const { widths, depths } = search(request);
    const { i, j, tokens } = optimumOf(request);
    const onEdge = (at, values) => values.length > 1 && (at === 0 || at === values.length - 1);
    if (onEdge(i, widths) || onEdge(j, depths)) throw new Mistake("its optimum lies on the edge of the search", "law");
    const shape = { width: widths[i], depth: depths[j] };
    return { params: params(law.models, shape.width, shape.depth, law.convention), tokens, shape };
  }

  /** Shapes of a law's search whose N is within SAME_SIZE of a target, by calling `see`; N grows alike for every block. */
  function eachOfSize({ models, ranges, sees }, target, convention, see) {
    const { widths, depths } = feasible(models, ranges);
    for (const width of widths) {
      const [one, two] = [1, 2].map((depth) => params(models, width, depth, convention));
      const depthOf = (counted) => 1 + (counted - one) / (two - one);
      const first = Math.max(Math.ceil(depthOf(target / (1 + SAME_SIZE))), depths[0]);
      const last = Math.min(Math.floor(depthOf(target * (1 + SAME_SIZE))), depths[depths.length - 1]);
      for (let depth = first; depth <= last; depth += 1) {
        if (sees === "shape" || ordinary(width, depth)) see({ width, depth });
      }
    }
  }

  /**
   * Least loss that `law` predicts for models of another law's size (counted as that counts), on the tokens that the budget
   * buys: gemstones.planning.compared. Null where no shape of the search is of that size.
   */
  function lossOfSize(law, budget, target, convention) {
    if (law.kind === "frontier") return null;
    if (law.kind === "params" && convention === law.convention)
      return predict(law, law.theta, target, tokensFor(law, budget, target, 0));
    let least = Infinity;
    eachOfSize(law, target, convention, (shape) => {
      const { width, depth } = shape;
      if (law.kind === "shape") {
        least = Math.min(least, lossAt(law, law.theta, shape, budget / flopsOfShape(law, width, depth)[0]));
      } else {
        const counted = params(law.models, width, depth, law.convention);
        least = Math.min(least, predict(law, law.theta, counted, tokensFor(law, budget, counted, 0)));
      }
    });
    return Number.isFinite(least) ? least : null;
  }

  function leastLoss(law, { params: counted, tokens, shape }) {
    if (law.kind === "frontier") return null;
    return shape ? lossAt(law, law.theta, shape, tokens) : predict(law, law.theta, counted, tokens);
  }

  /** What the law was off by for runs that it was not fitted to, at this reach (`gemstones.laws.new_run`); null if untested. */
  const offBy = (law, budget) =>
    law.newRun.length ? errorAt(law.newRun, extrapolation(law.fitted, { flops: budget }).flops_decades) : null;

  /** A generator of { law, made, cost, off, mistake }, a law at every step: cost is the loss over the least, less 1. */
  function* allLaws(laws, law, budget) {
    let least = null;
    try {
      least = leastLoss(law, briefPlan(law, budget));
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
    }
    for (const other of laws) {
      try {
        const made = briefPlan(other, budget);
        const loss = least === null || other === law ? least : lossOfSize(law, budget, made.params, other.convention);
        yield { law: other, made, cost: loss === null ? null : loss / least - 1, off: offBy(other, budget) };
      } catch (error) {
        if (!(error instanceof Mistake)) throw error;
        yield { law: other, made: null, cost: null, off: null, mistake: error.message };
      }
    }
  }

  const NEAR_SPENT = 2; // an industry model's FLOPs are within this factor of the budget's
  const MOST = 4;

  /**
   * A generator of { model, cost }, a model at every step, of the few that spent nearest to the budget: what their N costs on the
   * tokens that the budget buys, by the chosen law. The number of tokens that they had is another question: they were to be
   * used a lot.
   */
  function* modelsNear(models, law, budget) {
    let least = null;
    try {
      least = leastLoss(law, briefPlan(law, budget));
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
    }
    const far = ({ flops }) => Math.abs(Math.log(flops / budget));
    const near = models.filter((model) => far(model) <= Math.log(NEAR_SPENT)).sort((a, b) => far(a) - far(b));
    for (const model of near.slice(0, MOST)) {
      const loss = least === null ? null : lossOfSize(law, budget, model.params, "total");
      yield { model, cost: loss === null ? null : loss / least - 1 };
    }
  }

  Object.assign(globalThis.gemstones, { allLaws, briefPlan, modelsNear });
}
