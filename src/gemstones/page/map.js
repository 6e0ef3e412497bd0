// The map of shapes: width across, depth up, both logarithmic; colour is how much is lost to the best shape.
//
// Losses are painted on a canvas, a block a shape; axes and marks are SVG above it. Pointer, touch and arrow keys
// choose a shape, which a tip describes.

{
  const { axes, drawn, element, formatQuantity, inside, logScale, powersOfTwo } = globalThis.gemstones;

  const MARGIN = { left: 46, right: 14, top: 12, bottom: 44 };
  const BANDS = [
    [1, 0.8],
    [2, 0.42],
    [4, 0.24],
    [10, 0.12],
  ]; // times the tolerance, and how much of the accent
  /** The domain to show: everything of interest, and some space, out to powers of two. */
  function domain(values, least, most) {
    const known = values.filter((value) => value > 0);
    const low = Math.max(Math.min(...known) / 1.4, least);
    const high = Math.min(Math.max(...known) * 1.4, most);
    const first = Math.max(2 ** Math.floor(Math.log2(low)), least);
    const last = Math.min(2 ** Math.ceil(Math.log2(high)), most);
    return last > first ? [first, last] : [first / 2, first * 2];
  }

  /** Index of the value nearest in the logarithm. */
  function nearest(values, wanted) {
    let [low, high] = [0, values.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (values[middle] <= wanted) low = middle;
      else high = middle;
    }
    return wanted * wanted > values[low] * values[high] ? high : low;
  }

  /** `measured` are the runs of the page's own laws; `chose` is told which shape is pointed at, and null. */
  function createMap(plot, measured, industry, chose) {
    const canvas = plot.querySelector("canvas");
    const svg = plot.querySelector("svg");
    const tip = plot.querySelector(".tip");
    let view = null;

    /** `shown` is { made, law, found, near }: the plan, its law, its intervals if they are there yet. */
    function draw(shown) {
      const box = plot.getBoundingClientRect();
      if (!box.width) return;
      const { law, made, found } = shown;
      const { ranges } = shown.wanted;
      const { fitted } = law;
      const places = [made.optimum.shape, made.shape, ...made.nearest.filter(({ distance }) => distance <= Math.log(1.2))].filter(Boolean);
      const near = law.kind === "shape" ? made.near : null;
      const widths = [...places.map((p) => p.width), ...(near?.width ?? []), ...(fitted.width ?? [])];
      const depths = [...places.map((p) => p.depth), ...(near?.depth ?? []), ...(fitted.depth ?? [])];
      const every = ({ widthMin, widthMax, depthMin, depthMax }) => [[widthMin, widthMax], [depthMin, depthMax]];
      const [across, down] = every(ranges);
      const x = logScale(
        domain(widths.length ? widths : across, across[0] / 1.5, across[1] * 1.5),
        [MARGIN.left, box.width - MARGIN.right],
      );
      const y = logScale(
        domain(depths.length ? depths : down, down[0] / 1.5, down[1] * 1.5),
        [box.height - MARGIN.bottom, MARGIN.top],
      );
      const pointed = view?.cursor && view.made === made ? view.cursor : null;
      view = { ...shown, x, y, box, cursor: null };
      paint();
      const frame = axes(x, y, [ticks(x, 52), ticks(y, 26)], ["Width (channels)", "Depth (blocks)"]);
      drawn(plot, svg, box, [...frame, ...marks(law, made, found, x, y)]);
      // What was pointed at stays so, of the same plan: its intervals come later, and windows change.
      if (pointed) choose(...pointed);
      else tip.hidden = true;
    }

    function paint() {
      const { made, law, x, y, box, near } = view;
      const ratio = Math.min(devicePixelRatio || 1, 2);
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
      const context = canvas.getContext("2d");
      if (law.kind === "frontier") return;
      const [red, green, blue] = getComputedStyle(canvas)
        .color.match(/[\d.]+/g)
        .map(Number);
      const image = context.createImageData(canvas.width, canvas.height);
      const columns = pixels(x, canvas.width, ratio, made.surface.widths);
      const rows = pixels(y, canvas.height, ratio, made.surface.depths);
      const best = made.optimum.loss;
      const limits = BANDS.map(([times, alpha]) => [best * (1 + times * near), 255 * alpha]);
      rows.forEach((j, py) => {
        if (j < 0) return;
        columns.forEach((i, px) => {
          if (i < 0) return;
          const loss = made.losses[i * made.surface.depths.length + j];
          const band = limits.find(([most]) => loss <= most);
          if (band) image.data.set([red, green, blue, band[1]], 4 * (py * canvas.width + px));
        });
      });
      context.putImageData(image, 0, 0);
    }

    /** For every pixel along an axis the index of the shape there, -1 outside of the frame or of the search. */
    function pixels(at, count, ratio, values) {
      const [from, to] = at.range[0] < at.range[1] ? at.range : [at.range[1], at.range[0]];
      const [low, high] = [values[0], values[values.length - 1]];
      const below = values.length > 1 ? Math.sqrt(low / values[1]) : 0.9;
      const above = values.length > 1 ? Math.sqrt(high / values[values.length - 2]) : 1.1;
      return Array.from({ length: count }, (_, pixel) => {
        const position = (pixel + 0.5) / ratio;
        if (position < from || position > to) return -1;
        const value = at.invert(position);
        return value < low * below || value > high * above ? -1 : nearest(values, value);
      });
    }

    function ticks({ domain: of, range: [from, to] }, room) {
      const every = powersOfTwo(of);
      const step = Math.ceil(every.length / (Math.abs(to - from) / room));
      return every.filter((_, i) => i % step === 0).map((tick) => [tick, String(tick)]);
    }

    function marks(law, made, found, x, y) {
      const list = [];
      const within = (value, at) => Math.min(Math.max(value, at.domain[0]), at.domain[1]);
      const { fitted } = law;
      if (fitted.width && fitted.depth) {
        const [left, right] = fitted.width.map((w) => x(within(w, x)));
        const [bottom, top] = fitted.depth.map((d) => y(within(d, y)));
        list.push(
          element("rect", { class: "fitted", x: left, y: top, width: right - left, height: bottom - top }),
        );
        list.push(element("text", { x: left + 6, y: top + 15, "font-style": "italic" }, "fitted runs"));
      }
      for (const { name, width, depth } of law.own ? measured : []) {
        if (width && inside(width, x) && inside(depth, y))
          list.push(element("circle", { class: "run", cx: x(width), cy: y(depth), r: 2.5 }, "", name));
      }
      for (const { name, width, depth, params, tokens } of industry) {
        if (!inside(width, x) || !inside(depth, y)) continue;
        const [cx, cy] = [x(width), y(depth)];
        const said = `${name}: ${width}x${depth}, ${formatQuantity(params)} parameters on ${formatQuantity(tokens)} tokens`;
        list.push(element("path", { class: "industry", d: `M${cx},${cy - 5}l5,5l-5,5l-5,-5Z` }, "", said));
      }
      const counts = new Map();
      for (const { width, depth } of found?.optima ?? []) {
        const key = `${width}x${depth}`;
        counts.set(key, { width, depth, count: (counts.get(key)?.count ?? 0) + 1 });
      }
      for (const { width, depth, count } of counts.values()) {
        if (inside(width, x) && inside(depth, y)) {
          list.push(element("circle", { class: "draw", cx: x(width), cy: y(depth), r: 1.6 + Math.sqrt(count) }));
        }
      }
      for (const { width, depth, distance } of made.shape ? [] : made.nearest) {
        if (distance <= Math.log(1.2) && inside(width, x) && inside(depth, y)) {
          list.push(element("circle", { class: "nearest", cx: x(width), cy: y(depth), r: 4 }));
        }
      }
      if (made.shape) list.push(...markPlan(made, x, y));
      list.push(element("rect", { class: "cursor", hidden: "" }));
      return list;
    }

    function markPlan(made, x, y) {
      const place = ({ width, depth }) => [x(width), y(depth)];
      const [bx, by] = place(made.optimum.shape);
      const [mx, my] = place(made.shape);
      const list = [];
      if (made.shape !== made.optimum.shape)
        list.push(element("line", { class: "path", x1: bx, y1: by, x2: mx, y2: my }));
      list.push(element("circle", { class: "best", cx: bx, cy: by, r: 6.5 }));
      if (made.shape !== made.optimum.shape)
        list.push(element("circle", { class: "moved", cx: mx, cy: my, r: 6 }));
      const right = mx > (x.range[0] + x.range[1]) / 2;
      const at = { class: "name", x: mx + (right ? -12 : 12), y: my - 10, "text-anchor": right ? "end" : "start" };
      list.push(element("text", at, `${made.shape.width}x${made.shape.depth}`));
      return list;
    }

    // ---- Choosing a shape

    function choose(i, j) {
      const { made, law, x, y, box } = view;
      const [width, depth] = [made.surface.widths[i], made.surface.depths[j]];
      const k = i * made.surface.depths.length + j;
      const tokens = made.shapeTokens[k];
      const lost = made.losses[k] / made.optimum.loss - 1;
      const parts = [`${width}x${depth}`];
      parts.push(tokens > 0 ? `${formatQuantity(tokens)} tokens` : "not within the budget");
      if (law.kind !== "frontier" && Number.isFinite(lost)) parts.push(`loss +${(100 * lost).toFixed(2)}%`);
      tip.textContent = parts.join(" · ");
      tip.hidden = false;
      const [px, py] = [x(width), y(depth)];
      const size = tip.getBoundingClientRect();
      tip.style.left = `${Math.max(0, Math.min(px - size.width / 2, box.width - size.width))}px`;
      tip.style.top = `${py - size.height - 14 < 0 ? py + 14 : py - size.height - 14}px`;
      const cursor = svg.querySelector(".cursor");
      for (const [key, value] of Object.entries({ x: px - 4, y: py - 4, width: 8, height: 8 })) {
        cursor.setAttribute(key, value);
      }
      cursor.removeAttribute("hidden");
      view.cursor = [i, j];
      chose({ width, depth, loss: made.losses[k] });
    }

    function unchoose() {
      chose(null);
      tip.hidden = true;
      svg.querySelector(".cursor")?.setAttribute("hidden", "");
    }

    function chooseAt(event) {
      if (!view) return;
      const box = plot.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left, event.clientY - box.top];
      const { x, y, made } = view;
      const inside = px >= x.range[0] && px <= x.range[1] && py >= y.range[1] && py <= y.range[0];
      if (inside) choose(nearest(made.surface.widths, x.invert(px)), nearest(made.surface.depths, y.invert(py)));
      else unchoose();
    }

    const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

    plot.addEventListener("pointermove", chooseAt);
    plot.addEventListener("pointerdown", chooseAt);
    // A finger always leaves.
    plot.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && unchoose());
    plot.addEventListener("blur", unchoose);
    plot.addEventListener("keydown", (event) => {
      if (!view) return;
      if (event.key === "Escape") unchoose();
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      const { made } = view;
      const start = indexOf(made.shape ?? made.nearest[0], made.surface);
      const [i, j] = view.cursor ?? start;
      const { widths, depths } = made.surface;
      const [di, dj] = view.cursor ? step : [0, 0]; // the first key shows where one is
      choose(Math.min(Math.max(i + di, 0), widths.length - 1), Math.min(Math.max(j + dj, 0), depths.length - 1));
    });

    const indexOf = (shape, { widths, depths }) =>
      shape ? [nearest(widths, shape.width), nearest(depths, shape.depth)] : [0, 0];

    const redraw = () => view && draw(view);
    new ResizeObserver(redraw).observe(plot);
    document.addEventListener("theme", redraw);

    /** Point at a shape from elsewhere, or at none. */
    function point(shape) {
      if (view && shape) choose(...indexOf(shape, view.made.surface));
      else unchoose();
    }

    /** The shapes that are coloured, as a table. */
    function table() {
      const { made, near, law } = view;
      const rows = [];
      const most = made.optimum.loss * (1 + BANDS.at(-1)[0] * near);
      made.surface.widths.forEach((width, i) =>
        made.surface.depths.forEach((depth, j) => {
          const k = i * made.surface.depths.length + j;
          if (law.kind !== "frontier" && made.losses[k] <= most)
            rows.push([width, depth, made.shapeTokens[k], made.losses[k], made.losses[k] / made.optimum.loss - 1]);
        }),
      );
      return { columns: ["width", "depth", "tokens", "loss", "over_least"], rows };
    }

    const industryShown = () => svg.querySelector(".industry") !== null;

    return { draw, point, table, industryShown };
  }

  Object.assign(globalThis.gemstones, { createMap, MAP_BANDS: BANDS });
}
