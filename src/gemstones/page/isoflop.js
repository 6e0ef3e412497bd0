// The isoFLOP curve: the least predicted loss of every size at the budget, its interval, and what was measured near it.

{
  const { axes, drawn, element, evenValues, inside, linearScale, logScale, roundValues } = globalThis.gemstones;
  const { bySearch, enough, flopsOfParams, flopsOfShape, interval, lossOfSum, numberText, params } =
    globalThis.gemstones;
  const { column, deviceHoursPerToken, feasible, lossAt, ordinary, predict, sumOfTerms, tokensFor } =
    globalThis.gemstones;

  const MARGIN = { left: 52, right: 14, top: 12, bottom: 44 };
  const [SPAN, POINTS, HIGHEST] = [40, 61, 1.12]; // of N to either side, of the curve, of the least loss
  const WIDTHS = 160; // from the narrowest to the widest, of which the best is taken at every size
  const NEAR_BUDGET = 1.25; // a measured point's FLOPs are within this factor of the budget's

  /** Points { params, tokens, loss, shape } of the curve by size; none of a law that predicts no loss. */
  function isoflopCurve({ wanted, made, law }) {
    if (law.kind === "frontier") return [];
    const best = made.optimum;
    if (!bySearch(wanted)) {
      const points = Array.from({ length: POINTS }, (_, k) => {
        const counted = best.params * SPAN ** ((2 * k) / (POINTS - 1) - 1);
        const tokens = tokensFor(law, wanted.budget, counted, wanted.inferenceTokens);
        return { params: counted, tokens, loss: tokens > 0 ? predict(law, law.theta, counted, tokens) : Infinity, shape: null };
      });
      return points.filter(({ loss }) => loss <= best.loss * HIGHEST);
    }
    return relaxedCurve(wanted, law, best).filter(({ loss }) => loss <= best.loss * HIGHEST);
  }

  /** The best of real-valued shapes of every size: those that can be built are few where models are small. */
  function relaxedCurve({ budget, inferenceTokens, resource, stepTime, ranges }, law, best) {
    const { widths } = feasible(law.models, ranges);
    const [first, last] = [widths[0], widths[widths.length - 1]];
    const across = first === last ? [first] : Array.from({ length: WIDTHS }, (_, i) => first * (last / first) ** (i / (WIDTHS - 1)));
    const counts = across.map((width) => [1, 2].map((depth) => params(law.models, width, depth, law.convention)));
    return Array.from({ length: POINTS }, (_, k) => {
      const counted = best.params * SPAN ** ((2 * k) / (POINTS - 1) - 1);
      let least = { params: counted, tokens: 0, loss: Infinity, shape: null };
      across.forEach((width, i) => {
        const [one, two] = counts[i];
        const depth = 1 + (counted - one) / (two - one);
        if (depth < ranges.depthMin || depth > ranges.depthMax) return;
        if (law.sees !== "shape" && !ordinary(width, depth)) return;
        const [training, inference] = flopsOfShape(law, width, depth);
        const hours = resource === "flops" ? 0 : deviceHoursPerToken(law.models, stepTime.coefficients, stepTime.features, width, depth);
        const [perToken, perInferred] = hours ? [hours, (hours * inference) / training] : [training, inference];
        const tokens = (budget - inferenceTokens * perInferred) / perToken;
        if (!(tokens > 0)) return;
        const loss = lossAt(law, law.theta, { width, depth }, tokens, Infinity);
        if (loss < least.loss) least = { params: counted, tokens, loss, shape: { width, depth } };
      });
      return least;
    });
  }

  /** A generator of the interval of the loss at every point of the curve, [low, high] or null. */
  function* curveIntervals({ law }, curve) {
    const found = [];
    for (const { params: counted, tokens, shape } of curve) {
      const logs = law.symbols.map((symbol, i) => {
        if (symbol === "T") return Math.log(tokens);
        return Math.log(shape ? column(law.columns[i])(law.models, shape.width, shape.depth) : counted);
      });
      const of = (theta) => lossOfSum(law, theta, sumOfTerms(law, theta, logs, Infinity));
      const losses = law.draws.map(of).filter(Number.isFinite);
      found.push(enough(losses.length, law.level) ? interval(losses, of(law.theta), law.level) : null);
      yield;
    }
    return found;
  }

  /** Of every measured run the checkpoint nearest to the budget, as this law counts N and FLOPs; none that is far. */
  function measuredNear({ wanted, law }, measured) {
    if (wanted.resource !== "flops" || !law.own) return [];
    const found = [];
    for (const run of measured) {
      const counted = run.params[law.convention] ?? null;
      const seesShape = bySearch(wanted);
      if (counted === null || (seesShape && !run.width)) continue;
      const perToken = seesShape ? flopsOfShape(law, run.width, run.depth)[0] : flopsOfParams(law, counted);
      const far = ([tokens]) => Math.abs(Math.log((perToken * tokens) / wanted.budget));
      const nearest = run.points.reduce((a, b) => (far(b) < far(a) ? b : a));
      if (far(nearest) <= Math.log(NEAR_BUDGET))
        found.push({ ...run, params: counted, tokens: nearest[0], loss: nearest[1], flops: perToken * nearest[0] });
    }
    return found;
  }

  /** `chose` is told which point of the curve is pointed at, and null. */
  function createIsoflop(plot, measured, chose) {
    const svg = plot.querySelector("svg");
    let view = null;

    /** `shown` as the map's, with what was `wanted`; `bands` are the curve's intervals, if they are there yet. */
    function draw(shown, bands = null) {
      const box = plot.getBoundingClientRect();
      if (!box.width) return;
      const curve = isoflopCurve(shown);
      const points = measuredNear(shown, measured);
      const pointed = view?.shown.made === shown.made ? view.pointed : null;
      view = { shown, bands, curve, points };
      if (!curve.length) {
        drawn(plot, svg, box, [
          element("text", { x: box.width / 2, y: box.height / 2, "text-anchor": "middle" }, "This law predicts no loss."),
        ]);
        return;
      }
      const best = shown.made.optimum.loss;
      const sizes = [...curve, ...points].map((point) => point.params);
      const losses = [...curve, ...points].map((point) => point.loss);
      const ends = (bands ?? []).filter(Boolean).map(([low]) => low);
      const least = Math.max(Math.min(...losses, ...ends), best * 0.85);
      const most = Math.max(best * HIGHEST, ...points.map(({ loss }) => Math.min(loss, best * 1.3)));
      const room = (most - least) * 0.05;
      const x = logScale([Math.min(...sizes) / 1.15, Math.max(...sizes) * 1.15], [MARGIN.left, box.width - MARGIN.right]);
      const y = linearScale([least - room, most + room], [box.height - MARGIN.bottom, MARGIN.top]);
      Object.assign(view, { x, y });
      const ticks = [
        roundValues(x.domain, (x.range[1] - x.range[0]) / 60).map((tick) => [tick, numberText(tick, 2)]),
        evenValues(y.domain, (y.range[0] - y.range[1]) / 34).map((tick) => [tick, String(Number(tick.toPrecision(6)))]),
      ];
      const frame = axes(x, y, ticks, [`N, parameters (${shown.paramsWords})`, `Loss, ${shown.law.lossUnit}`]);
      drawn(plot, svg, box, [...frame, ...marks()]);
      point(pointed);
    }

    function marks() {
      const { shown, bands, curve, points, x, y } = view;
      const color = `var(--${shown.law.color})`;
      const [bottom, top] = y.range;
      const within = (loss) => Math.min(Math.max(y(loss), top), bottom);
      const path = (list, value) => list.map((p, i) => `${i ? "L" : "M"}${x(p.params).toFixed(1)},${within(value(p, i)).toFixed(1)}`).join("");
      const list = [];
      if (bands?.every(Boolean)) {
        const back = [...curve].reverse();
        const low = path(back, (p) => bands[curve.indexOf(p)][0]).replace("M", "L");
        list.push(element("path", { d: `${path(curve, (_, i) => bands[i][1])}${low}Z`, fill: color, "fill-opacity": 0.16 }));
      }
      list.push(element("path", { class: "curve", d: path(curve, (p) => p.loss), stroke: color }));
      for (const { name, params: counted, loss, flops, tokens } of points) {
        if (!inside(loss, y)) continue;
        const said = `${name}: ${loss.toFixed(4)} after ${numberText(tokens)} tokens, ${numberText(flops / shown.wanted.budget)} times the budget`;
        list.push(element("circle", { class: "run", cx: x(counted), cy: y(loss), r: 3.5 }, "", said));
      }
      const { made, found } = shown;
      const ends = found?.ends?.params;
      if (ends) {
        const [from, to] = ends.map((end) => Math.min(Math.max(x(end), x.range[0]), x.range[1]));
        list.push(element("line", { class: "ends", x1: from, x2: to, y1: bottom - 5, y2: bottom - 5, stroke: color }, "", "interval of N*"));
      }
      list.push(element("line", { class: "down", x1: x(made.optimum.params), x2: x(made.optimum.params), y1: y(made.optimum.loss), y2: bottom }));
      list.push(element("circle", { class: "best", cx: x(made.optimum.params), cy: y(made.optimum.loss), r: 6 }, "", "optimum"));
      if (made.optimum.params !== made.params && inside(made.params, x))
        list.push(element("circle", { class: "moved", cx: x(made.params), cy: within(made.loss), r: 6 }, "", "at these tokens"));
      list.push(element("circle", { class: "cursor", r: 5, hidden: "" }));
      return list;
    }

    /** Mark a shape's size and loss, or none. */
    function point(shape) {
      const cursor = svg.querySelector(".cursor");
      if (!cursor || !view.x) return;
      cursor.setAttribute("hidden", "");
      view.pointed = shape;
      if (!shape) return;
      const { law } = view.shown;
      const counted = shape.params ?? params(law.models, shape.width, shape.depth, law.convention);
      if (!inside(counted, view.x) || !inside(shape.loss, view.y)) return;
      cursor.setAttribute("cx", view.x(counted));
      cursor.setAttribute("cy", view.y(shape.loss));
      cursor.removeAttribute("hidden");
    }

    plot.addEventListener("pointermove", (event) => {
      if (!view?.x || !view.curve.length) return;
      const at = view.x.invert(event.clientX - plot.getBoundingClientRect().left);
      const far = (p) => Math.abs(Math.log(p.params / at));
      const nearest = view.curve.reduce((a, b) => (far(b) < far(a) ? b : a));
      point(nearest);
      chose(nearest);
    });
    plot.addEventListener("pointerleave", () => {
      point(null);
      chose(null);
    });

    /** The curve with its interval, and what was measured near it, as a table. */
    function table() {
      const { curve, bands, points } = view;
      const columns = ["name", "params", "tokens", "loss", "low", "high"];
      const row = (name, { params: counted, tokens, loss }, ends) => [name, counted, tokens, loss, ...(ends ?? [null, null])];
      return {
        columns,
        rows: [...curve.map((p, i) => row("curve", p, bands?.[i])), ...points.map((p) => row(p.name, p, null))],
      };
    }

    new ResizeObserver(() => view && draw(view.shown, view.bands)).observe(plot);
    return { draw, point, table };
  }

  Object.assign(globalThis.gemstones, { NEAR_BUDGET, createIsoflop, curveIntervals, isoflopCurve, measuredNear });
}
