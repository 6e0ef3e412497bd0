// Figures on a phone: panels that stood in a row stand under each other, as wide as the screen, their type as large as it was.
// gemstones.page.panels says where they are. What stood beside and leaves too little room stands above: titles of strips,
// labels of rows.

{
  const LEAST = 0.2; // a panel is squeezed to no less than this share of its width
  const MOST_WORDS = 0.5; // of the room, left of a panel
  const GAP = 14;
  const LINE = 17;
  const TITLE = 7; // a character's width, about, of a title of an axis
  const CHARACTER = 8; // gemstones.page.panels.CHARACTER, of type of 13

  const boxOf = (text) => {
    const [x, y, width, height, left, top, right, bottom] = text.split(" ").map(Number);
    return { x, y, width, height, left, top, right, bottom };
  };

  /** Places within `panel` nearer to its left edge; type and marks keep their size. */
  function squeeze(panel, share) {
    if (share === 1) return;
    for (const element of panel.querySelectorAll("*")) {
      if (element.closest("[data-legend], clipPath, defs, tspan")) continue;
      const place = element.getAttribute("transform");
      if (place)
        element.setAttribute("transform", place.replace(/^translate\(([\d.]+)/, (_, x) => `translate(${x * share}`));
      else if (element.tagName === "path" || element.tagName === "rect") {
        element.setAttribute("transform", `scale(${share},1)`);
        element.setAttribute("vector-effect", "non-scaling-stroke");
      }
      for (const name of element.tagName === "line" ? ["x2"] : element.tagName === "use" ? ["x"] : [])
        if (element.hasAttribute(name)) element.setAttribute(name, element.getAttribute(name) * share);
    }
    for (const labels of panel.querySelectorAll("[data-x]")) {
      let end = -Infinity;
      for (const label of labels.querySelectorAll("text")) {
        const x = Number(label.getAttribute("transform")?.match(/translate\((-?[\d.]+)/)?.[1] ?? 0);
        const half = (CHARACTER * label.textContent.length) / 2;
        if (x - half < end + 3) label.remove();
        else end = x + half;
      }
    }
  }

  /** Titles of a horizontal axis that are longer than their panel, within the room. */
  function hold({ element, left }, room) {
    for (const axis of element.querySelectorAll(":scope > g")) {
      const labels = axis.querySelector("[data-x]");
      for (const title of labels?.parentNode.querySelectorAll("text[text-anchor=middle]") ?? []) {
        const [x, y] = placeOf(title);
        const half = (TITLE * title.textContent.length) / 2;
        const held = Math.max(half - left, Math.min(x, room - left - half));
        if (!labels.contains(title) && !title.getAttribute("transform").includes("rotate"))
          title.setAttribute("transform", `translate(${held},${y})`);
      }
    }
  }

  /** Entries of a legend in a row on as many lines as they need; returns how many more that are. */
  function refold(legend, room) {
    let [x, line] = [0, 0];
    for (const entry of legend.querySelectorAll("[data-entry]")) {
      const width = Number(entry.dataset.entry);
      if (x > 0 && x + width > room) [x, line] = [0, line + 1];
      entry.setAttribute("transform", `translate(${x},${line * LINE})`);
      x += width + GAP;
    }
    return line;
  }

  /** A heading on two lines where it needs them; returns how many more that are. */
  function wrap(heading, room) {
    let more = 0;
    for (const text of heading.querySelectorAll("text")) {
      const most = Math.floor(room / CHARACTER);
      if (text.children.length || text.textContent.length <= most) continue;
      const at = text.textContent.lastIndexOf(" ", most);
      if (at < 0) continue;
      onLines(text, [text.textContent.slice(0, at), text.textContent.slice(at + 1)]);
      more += 1;
    }
    return more;
  }

  /** The element without what it stood in, which lends it its colours. */
  function freed(element, svg) {
    for (let above = element.parentNode; above !== svg; above = above.parentNode)
      for (const { name, value } of above.attributes)
        if (!/^(transform|id|clip-path|data-.*)$/.test(name) && !element.hasAttribute(name)) element.setAttribute(name, value);
    return element;
  }

  const placeOf = (element) =>
    (element.getAttribute("transform") ?? "").match(/translate\((-?[\d.]+),(-?[\d.]+)\)/)?.slice(1).map(Number) ?? [0, 0];

  /** Words of a panel that leave it too little room beside them, above: its title, or labels of rows above their marks. */
  function lift(panel, room) {
    const title = panel.element.querySelector("[data-beside]");
    if (title) {
      panel.left = Number(title.dataset.beside);
      panel.top += LINE;
      for (const text of title.matches("text") ? [title] : title.querySelectorAll("text")) {
        text.setAttribute("transform", "translate(0,-5)");
        text.setAttribute("text-anchor", "start");
      }
    }
    if (panel.left + panel.right <= MOST_WORDS * room) return;
    for (const labels of panel.element.querySelectorAll("[data-rows]")) {
      panel.left = panel.right = GAP;
      panel.top += 4;
      for (const label of labels.querySelectorAll("text")) {
        label.setAttribute("transform", `translate(6,${placeOf(label)[1] - 11})`);
        label.setAttribute("text-anchor", "start");
      }
    }
    for (const words of panel.element.querySelectorAll("[data-said] text, text[data-said]")) fold(words);
  }

  /** What is said of a mark on two lines, about its place. */
  function fold(text) {
    const parts = text.textContent.split(/(?<=,) /);
    if (parts.length < 2) return;
    const [x, y] = placeOf(text);
    text.setAttribute("transform", `translate(${x},${y - GAP / 2})`);
    onLines(text, [parts[0], parts.slice(1).join(" ")], GAP);
  }

  function onLines(text, lines, step = LINE) {
    text.textContent = "";
    for (const [i, line] of lines.entries()) {
      const part = document.createElementNS(text.namespaceURI, "tspan");
      part.setAttribute("x", "0");
      if (i) part.setAttribute("dy", String(step));
      part.textContent = line;
      text.append(part);
    }
  }

  /** A copy of a figure for `room` units of width; null where it cannot be narrower, or need not. */
  function narrowed(svg, room) {
    if (Number(svg.getAttribute("viewBox").split(" ")[2]) <= room) return null;
    const copy = svg.cloneNode(true);
    const found = (name) =>
      [...copy.querySelectorAll(`[data-${name}]`)].map((element) => ({ element, ...boxOf(element.dataset[name]) }));
    const panels = found("panel");
    for (const panel of panels) lift(panel, room);
    // What is above each other stays so, and shares its horizontal axis.
    for (const panel of panels)
      for (const side of ["left", "right"])
        panel[side] = Math.max(...panels.filter((p) => p.x === panel.x && p.width === panel.width).map((p) => p[side]));
    if (!panels.length || panels.some(({ left }) => left > MOST_WORDS * room)) return null;
    const headings = found("heading").filter(({ element }) => !element.closest("[data-panel]"));
    const legends = found("legend");
    for (const borrowed of copy.querySelectorAll("[data-borrowed]")) borrowed.removeAttribute("display");
    for (const { element } of [...panels, ...headings, ...legends]) freed(element, copy);
    for (const one of headings) one.height += LINE * wrap(one.element, room);
    // Down the columns, which have their heading at the top; where rows have headings, or a panel spans columns, row by row.
    const rows = headings.length > 0 || panels.some((a) => panels.some((b) => a.x === b.x && a.width !== b.width));
    const shown = [...panels, ...headings].sort((a, b) => (rows ? a.y - b.y || a.x - b.x : a.x - b.x || a.y - b.y));
    let [x, y, tall] = [0, 0, 0];
    const place = ({ element, left, top }, width, height) => {
      if (x > 0 && x + width > room) [x, y, tall] = [0, y + tall + GAP, 0];
      element.setAttribute("transform", `translate(${x + left},${y + top})`);
      copy.append(element);
      [x, tall] = [x + width + GAP, Math.max(tall, height)];
    };
    for (const legend of legends) {
      legend.element.remove();
      if (legend.width > room) legend.height += LINE * refold(legend.element, room);
    }
    for (const one of shown) {
      const free = room - one.left - Math.max(one.right, 14);
      const share = panels.includes(one) ? Math.max(LEAST, Math.min(1, free / one.width)) : 1;
      squeeze(one.element, share);
      hold(one, room);
      const width = panels.includes(one) ? one.left + one.width * share + one.right : room;
      place(one, width, one.top + one.height + one.bottom);
    }
    [x, y, tall] = [0, y + tall + GAP, 0];
    for (const legend of legends) place({ ...legend, top: 10 }, legend.left + legend.width, legend.height + 10);
    const scale = svg.getAttribute("width") / svg.getAttribute("viewBox").split(" ")[2];
    const height = y + tall + 8;
    copy.setAttribute("viewBox", `0 0 ${room} ${height}`);
    copy.setAttribute("width", String(room * scale));
    copy.setAttribute("height", String(height * scale));
    copy.dataset.stacked = "";
    return copy;
  }

  const narrow = matchMedia("screen and (max-width: 40rem)");
  const figures = [...document.querySelectorAll(".chart")].map((chart) => [chart, chart.querySelector("svg")]);

  function fit() {
    for (const [chart, wide] of figures) {
      if (!wide) continue;
      const scale = wide.getAttribute("width") / wide.getAttribute("viewBox").split(" ")[2];
      const room = Math.floor((document.documentElement.clientWidth - 32) / scale);
      chart.replaceChildren((narrow.matches && narrowed(wide, room)) || wide);
    }
  }

  narrow.addEventListener("change", fit);
  if (narrow.matches) fit();
}
