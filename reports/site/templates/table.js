"use strict";
/* Sorts every table.data by the buttons in its headings and filters long ones by words; copies calls to paste. */
for (const table of document.querySelectorAll("table.data")) {
  const body = table.tBodies[0];
  const key = (row, index) => {
    const cell = row.cells[index];
    const value = cell.dataset.sort ?? cell.textContent.trim();
    return value === "" || Number.isNaN(Number(value)) ? value.toLowerCase() : Number(value);
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      table.classList.add("sorted");
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => compare(key(a, index), key(b, index)) * (down ? -1 : 1));
      body.append(...rows);
    });
  });
  if (body.rows.length < 16) continue;
  const label = document.createElement("label");
  label.className = "filter";
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = "words that a row contains";
  label.append("Filter rows", input);
  table.closest(".scroll").before(label);
  const texts = new Map([...body.rows].map((row) => [row, row.textContent.toLowerCase()]));
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    for (const [row, text] of texts) row.hidden = !words.every((word) => text.includes(word));
  });
}
for (const block of navigator.clipboard ? document.querySelectorAll("pre.call") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  block.append(button);
}
