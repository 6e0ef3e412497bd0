// The page itself: light and dark, the table of contents, and its address.
//
// The address has the form #section?name=value&…: a part of the page and the explorer's state, either of which may
// be missing. A plain #section is what links without scripts make.

{
  // ---- Light and dark, remembered where the browser allows it

  const root = document.documentElement;
  const button = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "gemstones-theme";

  function remembered() {
    try {
      const theme = localStorage.getItem(KEY);
      return theme === "dark" || theme === "light" ? theme : null;
    } catch {
      return null; // storage may be forbidden
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Then for this visit only.
    }
  }

  const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";

  function nameTheme() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
    document.dispatchEvent(new Event("theme"));
  }

  if (remembered()) root.dataset.theme = remembered();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember(root.dataset.theme);
    nameTheme();
  });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();

  // ---- The address

  /** { section, state } of the address; what cannot be read is empty. */
  function readAddress() {
    const [section, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
    let name = "";
    try {
      name = decodeURIComponent(section);
    } catch {
      // A stray % sign.
    }
    return { section: document.getElementById(name) ? name : "", state: new URLSearchParams(query) };
  }

  /** Write the address; as a new entry of the history, or in place of the last. */
  function writeAddress({ section, state }, { replace }) {
    const query = state.toString();
    const hash = `#${section}${query ? `?${query}` : ""}`;
    if (hash === (location.hash || "#")) return;
    const url = hash === "#" ? location.href.split("#")[0] : hash;
    history[replace ? "replaceState" : "pushState"](null, "", url);
  }

  function goTo(name, behavior = "auto") {
    const target = document.getElementById(name);
    if (!target) return;
    target.scrollIntoView({ behavior });
    if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const section = link.getAttribute("href").slice(1);
    writeAddress({ section, state: readAddress().state }, { replace: false });
    goTo(section);
  });

  globalThis.gemstones.address = { read: readAddress, write: writeAddress };

  // ---- The table of contents shows where the reader is

  const links = new Map(
    [...document.querySelectorAll(".contents a")].map((link) => [link.getAttribute("href").slice(1), link]),
  );
  const sections = [...links.keys()].map((name) => document.getElementById(name));

  function markCurrent() {
    const line = innerHeight * 0.3;
    const atEnd = scrollY > 0 && innerHeight + scrollY >= root.scrollHeight - 2;
    const passed = sections.filter((section) => section.getBoundingClientRect().top <= line);
    const current = atEnd ? sections.at(-1) : (passed.at(-1) ?? sections[0]);
    for (const [name, link] of links) {
      if (name === current.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  let waiting = false;
  addEventListener(
    "scroll",
    () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        markCurrent();
      });
    },
    { passive: true },
  );
  addEventListener("load", markCurrent); // what other scripts fill moves sections

  const { section } = readAddress();
  // With a state behind the section browsers do not find it; without, they go there before the explorer has filled itself.
  if (section) {
    const go = () => document.getElementById(section).scrollIntoView({ behavior: "instant" });
    addEventListener("load", () => goTo(section, "instant"), { once: true });
    // What the explorer computes later moves what is below it; whoever has begun to read is left alone.
    const reading = new AbortController();
    for (const name of ["wheel", "touchstart", "keydown", "pointerdown"])
      addEventListener(name, () => reading.abort(), { passive: true, signal: reading.signal });
    document.addEventListener("explored", go, { once: true, signal: reading.signal });
  }
}
