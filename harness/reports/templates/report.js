"use strict";
(() => {
  const table = document.getElementById("cell-table");
  const body = table.tBodies[0];
  const tools = document.getElementById("tools");
  const filter = document.getElementById("filter");
  const count = tools.querySelector("output");
  const rows = [...body.rows];
  const text = new Map(rows.map((row) => [row.dataset.i, row.textContent.toLowerCase()]));
  const parts = [...document.querySelectorAll("[data-i]")];

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = new Set(
      [...text].filter(([, t]) => words.every((w) => t.includes(w))).map(([i]) => i),
    );
    for (const part of parts) {
      const out = !kept.has(part.dataset.i);
      if (part.classList.contains("tile")) part.classList.toggle("faded", out);
      else part.hidden = out;
    }
    count.value = words.length ? `${kept.size} of ${rows.length} cells` : "";
  }

  function value(row, column) {
    const cell = row.cells[column];
    const raw = cell.dataset.v ?? cell.textContent.trim();
    const number = Number(raw);
    return raw !== "" && !Number.isNaN(number) ? number : raw === "—" || raw === "nan" ? null : raw;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(heading, column) {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => {
      // What was not measured, and NaN, stays at the end in both directions.
      if (a === null || b === null) return (a === null) - (b === null);
      return down ? compare(b, a) : compare(a, b);
    });
    body.append(...keyed.map(([, row]) => row));
  }

  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sort(heading, column));
    heading.replaceChildren(button);
  });
  // Where the clipboard is not to be had the command is selected, ready to be copied by keyboard.
  async function copy(button, code) {
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  for (const code of document.querySelectorAll(".repro code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command");
    button.addEventListener("click", () => copy(button, code));
    code.after(" ", button);
  }
  tools.hidden = false;
  tools.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", show);
  // A link into a part that the filter hides brings it back.
  addEventListener("hashchange", () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target?.hidden) {
      filter.value = "";
      show();
      target.scrollIntoView();
    }
  });
  // On paper everything is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const part of closed) part.open = true;
  });
  addEventListener("afterprint", () => {
    for (const part of closed) part.open = false;
  });
})();
