// What the explorer's plots have in common: SVG elements, scales and ticks.

{
  const NS = "http://www.w3.org/2000/svg";

  /** An SVG element; with a text in it, or a tooltip. */
  function element(name, attributes = {}, text = "", title = "") {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    if (title) made.append(element("title", {}, title));
    return made;
  }

  /** From values, whose logarithms are spaced evenly, to pixels, and back. */
  function logScale([low, high], [from, to]) {
    const factor = (to - from) / Math.log(high / low);
    const at = (value) => from + factor * Math.log(value / low);
    return Object.assign(at, {
      domain: [low, high],
      range: [from, to],
      invert: (p) => low * Math.exp((p - from) / factor),
    });
  }

  /** As logScale, of values that are spaced evenly themselves. */
  function linearScale([low, high], [from, to]) {
    const factor = (to - from) / (high - low);
    return Object.assign((value) => from + factor * (value - low), { domain: [low, high], range: [from, to] });
  }

  const inside = (value, { domain: [low, high] }) => value >= low && value <= high;

  function powersOfTwo([low, high]) {
    const ticks = [];
    for (let tick = 2 ** Math.ceil(Math.log2(low) - 1e-9); tick <= high * 1.000001; tick *= 2) ticks.push(tick);
    return ticks.length > 1 ? ticks : [low, high];
  }

  /** Values of one, two or five times a power of ten, or of ten alone where these are more than `most`. */
  function roundValues([low, high], most) {
    const of = (multiples) => {
      const found = [];
      for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
        for (const m of multiples) found.push(Number(`${m}e${e}`));
      }
      return found.filter((value) => value >= low && value <= high);
    };
    const found = [[1, 2, 5], [1, 3], [1]].map(of);
    return found.find((values) => values.length <= most) ?? found[2].filter((_, i) => i % 2 === 0);
  }

  /** Equally spaced round values, `most` at most. */
  function evenValues([low, high], most) {
    const size = 10 ** Math.floor(Math.log10((high - low) / most));
    const step = [1, 2, 5, 10].map((m) => m * size).find((s) => (high - low) / s <= most);
    const first = Math.ceil(low / step - 1e-9);
    return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
  }

  /** A frame with ticks and titles: [[value, label], …] along either axis. */
  function axes(x, y, [xTicks, yTicks], [xTitle, yTitle]) {
    const [left, right] = x.range;
    const [bottom, top] = y.range;
    const made = [];
    for (const [tick, label] of xTicks) {
      made.push(element("line", { class: "tick", x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 5 }));
      made.push(element("text", { x: x(tick), y: bottom + 18, "text-anchor": "middle" }, label));
    }
    for (const [tick, label] of yTicks) {
      made.push(element("line", { class: "tick", x1: left - 5, x2: left, y1: y(tick), y2: y(tick) }));
      made.push(element("text", { x: left - 9, y: y(tick) + 4, "text-anchor": "end" }, label));
    }
    made.push(element("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }));
    made.push(element("text", { x: (left + right) / 2, y: bottom + 37, "text-anchor": "middle" }, xTitle));
    const turned = `translate(11 ${(top + bottom) / 2}) rotate(-90)`;
    made.push(element("text", { transform: turned, "text-anchor": "middle" }, yTitle));
    return made;
  }

  /** The picture of a plot, and what it is to be on paper, where nothing is drawn again. */
  function drawn(plot, svg, box, elements) {
    svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    plot.style.setProperty("--drawn-width", `${box.width}px`);
    plot.style.setProperty("--drawn-ratio", `${box.width} / ${box.height}`);
    svg.replaceChildren(...elements);
  }

  Object.assign(globalThis.gemstones, {
    element, logScale, linearScale, inside, powersOfTwo, roundValues, evenValues, axes, drawn,
  });
}
