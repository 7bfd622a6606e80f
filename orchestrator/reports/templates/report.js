"use strict";
(() => {
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  toggle.hidden = false;
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  // Sorting: a header's button orders its table's rows by data-value where a cell has one, else by its text.
  const value = (row, column) => {
    const cell = row.cells[column];
    const raw = cell.dataset.value ?? cell.textContent.trim();
    return raw === "" || raw === "-" ? null : raw;
  };
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((r, s) => {
          const a = value(r, column), b = value(s, column);
          if (a === null || b === null) return (a === null) - (b === null); // the unknown comes last either way
          return down ? compare(b, a) : compare(a, b);
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  // The filter hides table rows and device sections whose text lacks the words.
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const items = [...document.querySelectorAll("[data-host]")];
  const count = new Set(items.map((item) => item.dataset.host)).size;
  filter.hidden = count < 2;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const left = new Set();
    for (const item of items) {
      item.hidden = !words.every((word) => item.dataset.words.includes(word));
      if (!item.hidden) left.add(item.dataset.host);
    }
    shown.textContent = words.length ? `${left.size} of ${count} devices` : "";
  });

  // A link to a device unfolds it; paper shows everything.
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();
  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const item of document.querySelectorAll("details:not([open])")) { folded.add(item); item.open = true; }
  });
  addEventListener("afterprint", () => {
    for (const item of folded) item.open = false;
    folded.clear();
  });
})();
