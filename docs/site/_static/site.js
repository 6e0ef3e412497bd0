// What Sphinx and furo leave out for those who listen to a page, or have no mouse: levels of the menu's headings, a way into
// what scrolls, and that parameters of a long signature, one a line, are no list of definitions.
addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll("[role=heading]:not([aria-level])")) caption.setAttribute("aria-level", "2");
  for (const part of document.querySelectorAll("dt > dl, dt > dl > dd")) part.setAttribute("role", "presentation");
  for (const box of document.querySelectorAll("pre, .table-wrapper, div.output")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  }
});
