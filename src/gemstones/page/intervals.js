// Intervals of a plan: the same plan under every draw of the law, as gemstones.planning makes them.

{
  const { allowedTokens, bySearch, closest, enough, errorAt, flopsOfShape, general } = globalThis.gemstones;
  const { interval, widened } = globalThis.gemstones;
  const { lossAt, params, percentileInterval, predict, priced, search, sizeOptimum } =
    globalThis.gemstones;

  /** A generator that does some draws at every step and returns the intervals, or null for a law without draws. */
  function* intervals(request, made) {
    const { law, factor } = request;
    if (!law.draws.length) return null;
    const found = bySearch(request) ? yield* searched(request, made) : yield* solved(request, made);
    const held = !found.ends || factor === 1 ? found : { ...found, ...ofOvertrained(law, made) };
    return held.ends ? { ...held, ends: ofNewRun(law, made, held.ends) } : held;
  }

  /** Ends with those of a new run's loss, which have the error of the form, and the fit's own under another name. */
  function ofNewRun(law, made, { loss: lossOfFit, ...ends }) {
    if (!lossOfFit) return ends;
    if (!law.newRun.length) return { ...ends, lossOfFit };
    const error = errorAt(law.newRun, made.extrapolation.flops_decades);
    return { ...ends, loss: widened(lossOfFit, made.loss, error), lossOfFit };
  }

  /** gemstones.laws.new_run.new_run_note. */
  function newRunNote(law, decades) {
    if (!law.newRun.length) {
      return (
        "the interval of the loss is of the fit, if its form is right; there is none of a new run: this fit has no " +
        "backtests of its own, or too few runs for them"
      );
    }
    const [farthest] = law.newRun.at(-1);
    const far = decades === null ? 0 : Math.abs(decades);
    const reach = farthest === 0 ? "within the fitted FLOPs" : `up to ${general(farthest, 6)} decades beyond`;
    return (
      `the ${general(100 * law.level, 12)}% interval of the loss is of a new run: it includes the error of the form, ` +
      `${(100 * errorAt(law.newRun, decades)).toFixed(2)}% by backtests inside the fitted runs, ${reach}` +
      (far > farthest ? `; ${far.toFixed(1)} decades beyond, as here, nothing was tested` : "")
    );
  }

  /** Of an overtrained design, shape and tokens held: its loss, and what it loses to the optimum (plan.overtrain). */
  function ofOvertrained(law, made) {
    const predicted = (theta, { shape, params: counted, tokens }) =>
      shape ? lossAt(law, theta, shape, tokens, Infinity) : predict(law, theta, counted, tokens);
    const pairs = law.draws
      .map((theta) => [predicted(theta, made), predicted(theta, made.optimum)])
      .filter((pair) => pair.every(Number.isFinite));
    const without = 100 * (1 - pairs.length / law.draws.length);
    const note = without
      ? `; ${without.toFixed(1)}% of the resamples predict no finite loss here and are left out`
      : "";
    if (!enough(pairs.length, law.level)) return { ends: null, note: `no interval${note.replace(";", ":")}` };
    const loss = pairs.map(([here]) => here);
    const increases = pairs.map(([here, optimal]) => here / optimal - 1);
    return {
      ends: {
        loss: interval(loss, made.loss, law.level),
        lossIncrease: interval(increases, made.loss / made.optimum.loss - 1, law.level),
      },
      note: law.interval_note + note,
    };
  }

  /** The optimum over shapes of every draw; a draw of the law goes with the throughput model's of the same number. */
  function* searched(request, made) {
    const { law, budget, resource, stepTime } = request;
    const found = search(request);
    const resampled = resource === "device_hours" && stepTime.draws.length > 0;
    const shared = new Map(); // tokens of surfaces that several draws look at
    const optima = [];
    for (const [r, theta] of law.draws.entries()) {
      const tokensIn = (surface) => {
        if (resampled) return allowedTokens(law, priced(surface, stepTime.draws[r % stepTime.draws.length]), budget);
        if (!shared.has(surface)) shared.set(surface, allowedTokens(law, surface, budget));
        return shared.get(surface);
      };
      const { i, j, tokens } = closest(request, found, theta, tokensIn);
      optima.push({ i, j, width: found.widths[i], depth: found.depths[j], tokens });
      yield optima.length;
    }
    const usable = optima.filter((o) => o.tokens > 0);
    if (!enough(usable.length, law.level)) {
      const left = 100 * (1 - usable.length / optima.length);
      return {
        ends: null,
        note: `no interval: ${left.toFixed(1)}% of ${optima.length} resamples cannot pay for the inference`,
        optima: [],
      };
    }
    const best = made.optimum;
    const counted = (convention) => (o) => params(law.models, o.width, o.depth, convention);
    const quantities = {
      width: [(o) => o.width, best.shape.width],
      depth: [(o) => o.depth, best.shape.depth],
      params: [counted(law.convention), best.params],
      paramsTotal: [counted("total"), best.paramsTotal],
      tokens: [(o) => o.tokens, best.tokens],
      tokensPerParam: [(o) => o.tokens / counted(law.convention)(o), best.tokensPerParam],
    };
    if (resource !== "flops" || request.inferenceTokens) {
      quantities.flops = [(o) => o.tokens * flopsOfShape(law, o.width, o.depth)[0], best.flops];
    }
    const ends = {};
    for (const [name, [value, estimate]] of Object.entries(quantities)) {
      ends[name] = percentileInterval(usable.map(value), estimate, law.level);
    }
    const loss = law.draws.map((theta) => lossAt(law, theta, best.shape, best.tokens));
    ends.loss = interval(loss, best.loss, law.level);
    return { ends, note: searchedNote(law, found, optima, usable.length, resource, resampled), optima: usable };
  }

  function searchedNote(law, { widths, depths }, optima, usable, resource, resampled) {
    let note = law.interval_note;
    if (resource !== "flops") {
      note += resampled
        ? ", each with a resample of the step times"
        : ", under one throughput model: it has no resamples";
    }
    const without = 100 * (1 - usable / optima.length);
    if (without) note += `; ${without.toFixed(1)}% of the resamples cannot pay for the inference and are left out`;
    const [right, bottom] = [widths.length - 1, depths.length - 1];
    const onEdge = (at, last) => last > 0 && (at === 0 || at === last); // an axis of one value has no edge
    const atEdge = optima.filter((o) => onEdge(o.i, right) || onEdge(o.j, bottom)).length;
    if (atEdge) {
      const have = atEdge === 1 ? "has its" : "have their";
      note += `; ${atEdge} of the resamples ${have} optimum on the edge of the search, so the ends may be too narrow`;
    }
    return note;
  }

  function* solved(request, made) {
    const { law, budget, inferenceTokens } = request;
    const best = made.optimum;
    const quantities = { params: [], tokens: [], tokensPerParam: [], loss: [] };
    for (const draw of law.draws) {
      const [counted, tokens] = sizeOptimum(law, draw, budget, inferenceTokens);
      if ([counted, tokens].every((x) => Number.isFinite(x) && x > 0)) {
        quantities.params.push(counted);
        quantities.tokens.push(tokens);
        quantities.tokensPerParam.push(tokens / counted);
        quantities.loss.push(predict(law, draw, best.params, best.tokens));
      }
    }
    yield law.draws.length;
    const usable = quantities.params.length;
    const without = 100 * (1 - usable / law.draws.length);
    if (!enough(usable, law.level)) {
      const note = `no interval: ${without.toFixed(1)}% of ${law.draws.length} resamples have no optimum`;
      return { ends: null, note, optima: [] };
    }
    const ends = {};
    for (const [name, draws] of Object.entries(quantities)) ends[name] = interval(draws, best[name], law.level);
    if (law.convention === "total") ends.paramsTotal = ends.params;
    const note = without
      ? `; ${without.toFixed(1)}% of the resamples have no optimum and are left out, so the ends may be too narrow`
      : "";
    return { ends, note: law.interval_note + note, optima: [] };
  }

  Object.assign(globalThis.gemstones, { intervals, newRunNote });
}
