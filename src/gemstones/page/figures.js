// Figures: downloaded as they are seen, as SVG or PNG, and their numbers as CSV.

{
  const { save, saveTable } = globalThis.gemstones;
  const SCALE = 2; // pixels of a PNG per CSS pixel

  /** The figure as a file of its own: colours in place of the page's variables, its title above it. */
  function standalone(svg, title) {
    const theme = getComputedStyle(document.documentElement);
    const copy = svg.cloneNode(true);
    const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const room = 30;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.removeAttribute("aria-labelledby");
    copy.setAttribute("viewBox", `${x} ${y - room} ${width} ${height + room}`);
    copy.setAttribute("height", String((svg.getAttribute("width") / width) * (height + room)));
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
    copy.querySelector("title")?.after(paper, heading);
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

  for (const place of document.querySelectorAll(".downloads")) {
    const { figure: name, table } = place.dataset;
    const figure = place.closest("figure");
    const svg = figure.querySelector("svg");
    const text = () => standalone(svg, figure.querySelector("h3").textContent);
    const ways = {
      SVG: () => save(new Blob([text()], { type: "image/svg+xml" }), `${name}.svg`),
      PNG: () => picture(text(), svg, name),
      ...(table && { data: () => saveTable(table) }),
    };
    place.append("Download: ");
    for (const [kind, get] of Object.entries(ways)) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: kind });
      button.setAttribute("aria-label", `Download ${kind} of the figure ${name}`);
      button.addEventListener("click", get);
      place.append(button, " ");
    }
    place.hidden = false;
  }
}
