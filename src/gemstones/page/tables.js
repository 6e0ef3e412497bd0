// Tables: sorted by a click on a column's head, downloaded as CSV with every column and digit.

{
  const data = JSON.parse(document.getElementById("tables-data").textContent);
  // Every text of a column is there once: gemstones.page.table.folded.
  for (const { rows, texts } of Object.values(data)) {
    for (const [at, known] of Object.entries(texts))
      for (const row of rows) if (row[at] !== null) row[at] = known[row[at]];
  }

  /** What a spreadsheet would run as a formula (OWASP, CSV injection), also after a line break or in wide characters. */
  const formula = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]./su;

  /** A cell of text that cannot be a formula: an apostrophe tells spreadsheets so. Numbers, and texts of them, are none. */
  function defused(value) {
    if (value === null) return "";
    const text = String(value);
    const isNumber = typeof value === "number" || (text.trim() !== "" && Number.isFinite(Number(text)));
    return !isNumber && formula.test(text) ? `'${text}` : text;
  }

  /** RFC 4180: CRLF, and quotes around what has a line break, a quote, or any country's separator in it. */
  function csv({ columns, rows }) {
    const field = (value) => {
      const text = defused(value);
      return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    return [columns, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
  }

  const saveTable = (name) => save(new Blob([csv(data[name])], { type: "text/csv;charset=utf-8" }), `${name}.csv`);

  /** Give the reader a file. */
  function save(blob, name) {
    const url = URL.createObjectURL(blob);
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  for (const button of document.querySelectorAll("button.csv")) {
    button.hidden = false;
    button.setAttribute("aria-label", `Download ${button.dataset.table} as CSV`);
    button.addEventListener("click", () => saveTable(button.dataset.table));
  }

  /** Ascending; what is missing comes last in either direction. */
  function compare(a, b, direction) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number") return direction * (a - b);
    return direction * String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(table, head) {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const { rows } = data[table.dataset.table];
    const value = (row) => rows[Number(row.dataset.row)][Number(head.dataset.column)];
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b), direction)));
  }

  for (const table of document.querySelectorAll("table[data-table]")) {
    if (table.tBodies[0].rows.length < 2) continue;
    for (const head of table.querySelectorAll("th")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head));
    }
  }

  Object.assign(globalThis.gemstones, { csv, save, saveTable });
}
