// What to train for a budget: the one question that the explorer asks, as gemstones.planning answers it.
//
// A request is { law, budget, resource, stepTime, inferenceTokens, factor, near, ranges }: `resource` is `flops` or
// `device_hours` (then with a throughput model), `factor` is of overtraining, `ranges` are those of `feasible`.

{
  const { Mistake, checkReach, extrapolation, planOverParams, planOverShapes } = globalThis.gemstones;

  /** Laws in N and T have their optimum on a line under 6·N·T, or k·N^b·T; everything else is a search over shapes. */
  const bySearch = ({ law, resource }) => law.kind === "shape" || resource === "device_hours";

  /** What to train; throws a `Mistake` where there is no answer. */
  function plan(request) {
    const { law, resource, inferenceTokens, factor } = request;
    if (law.kind === "frontier") {
      if (resource !== "flops")
        throw new Mistake(`law ${law.label} is of FLOPs alone: it cannot spend device hours`);
      if (inferenceTokens)
        throw new Mistake(`law ${law.label} predicts no loss: it cannot weigh inference`, "inference");
      if (factor !== 1) {
        throw new Mistake(`law ${law.label} predicts no loss, so not what overtraining costs`, "overtraining");
      }
    }
    if (resource === "device_hours" && !request.stepTime) {
      throw new Mistake("device hours need measured step times, which these runs do not have: give FLOPs");
    }
    if (!(factor > 0)) throw new Mistake(`overtraining ${factor} must be a positive factor`, "overtraining");
    if (resource === "flops") checkReach(extrapolation(law.fitted, { flops: request.budget }));
    const found = bySearch(request) ? planOverShapes(request) : planOverParams(request);
    checkReach(found.optimum.extrapolation);
    return found;
  }

  Object.assign(globalThis.gemstones, { bySearch, plan });
}
