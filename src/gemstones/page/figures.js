// Figures: downloaded as they are seen, as SVG or PNG, and their numbers as CSV.

{
  const { csv, save, saveTable } = globalThis.gemstones;
  const SCALE = 2; // pixels of a PNG per CSS pixel

  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "paint-order"];
  const OF_TEXT = ["font-size", "font-weight"];

  /** A copy whose elements say themselves how the page's styles draw them. */
  function styled(svg) {
    const copy = svg.cloneNode(true);
    const copies = copy.querySelectorAll("*");
    svg.querySelectorAll("*").forEach((element, i) => {
      const seen = getComputedStyle(element);
      if (element.tagName === "title") return;
      for (const name of element.tagName === "text" ? [...STYLES, ...OF_TEXT] : STYLES)
        copies[i].setAttribute(name, seen.getPropertyValue(name));
    });
    for (const hidden of copy.querySelectorAll("[hidden]")) hidden.remove();
    return copy;
  }

  /** The figure as a file of its own: colours in place of the page's variables, its title above it, `below` it a canvas. */
  function standalone(svg, title, { copy = svg.cloneNode(true), below = null } = {}) {
    const theme = getComputedStyle(document.documentElement);
    const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const room = 30;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.removeAttribute("aria-labelledby");
    copy.setAttribute("viewBox", `${x} ${y - room} ${width} ${height + room}`);
    const shown = Number(svg.getAttribute("width") ?? width);
    copy.setAttribute("width", String(shown));
    copy.setAttribute("height", String((shown / width) * (height + room)));
    copy.removeAttribute("preserveAspectRatio");
    copy.setAttribute("font-family", "Helvetica, Arial, sans-serif");
    const made = (name, attributes, text = "") => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      element.textContent = text;
      return element;
    };
    const heading = made("text", { x: x + 14, y: y - 8, fill: "var(--ink)", "font-size": 15, "font-weight": "bold" }, title);
    if (title.length > width / 8) {
      heading.setAttribute("textLength", String(width - 28));
      heading.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
    const paper = made("rect", { x, y: y - room, width, height: height + room, fill: "var(--paper)" });
    const first = [paper, ...(below ? [made("image", { href: below.toDataURL(), x, y, width, height })] : []), heading];
    const named = copy.querySelector(":scope > title");
    if (named) named.after(...first);
    else copy.prepend(...first);
    return new XMLSerializer()
      .serializeToString(copy)
      .replace(/var\((--[\w-]+)\)/g, (_, name) => theme.getPropertyValue(name).trim());
  }

  function picture(text, svg, name) {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = SCALE * image.width;
      canvas.height = SCALE * image.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, `${name}.png`), "image/png");
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  }

  /** Buttons in `place`, by the kind of file that they give. */
  function offer(place, name, ways) {
    place.append("Download: ");
    for (const [kind, get] of Object.entries(ways)) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: kind });
      button.setAttribute("aria-label", `Download ${kind} of the figure ${name}`);
      button.addEventListener("click", get);
      place.append(button, " ");
    }
    place.hidden = false;
  }

  const inFile = (text, kind, name) => save(new Blob([text], { type: `${kind};charset=utf-8` }), name);

  for (const place of document.querySelectorAll(".downloads[data-figure]")) {
    const { figure: name, table } = place.dataset;
    const figure = place.closest("figure");
    const svg = figure.querySelector("svg");
    const text = () => standalone(svg, figure.querySelector("h3").textContent);
    offer(place, name, {
      SVG: () => inFile(text(), "image/svg+xml", `${name}.svg`),
      PNG: () => picture(text(), svg, name),
      ...(table && { data: () => saveTable(table) }),
    });
  }

  /** Downloads of a plot of the explorer, as it then is: `title()` in words, `table()` its numbers. */
  function offerPlot(place, plot, name, title, table) {
    const svg = plot.querySelector("svg");
    const text = () => standalone(svg, title(), { copy: styled(svg), below: plot.querySelector("canvas") });
    offer(place, name, {
      SVG: () => inFile(text(), "image/svg+xml", `${name}.svg`),
      PNG: () => picture(text(), svg, name),
      data: () => inFile(csv(table()), "text/csv", `${name}.csv`),
    });
  }

  Object.assign(globalThis.gemstones, { offerPlot });
}
