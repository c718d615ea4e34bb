// Tables sort by a click on a heading; the filter hides what does not contain its text. Nothing else, and nothing is loaded.
"use strict";

function value(row, column) {
  const cell = row.cells[column];
  return cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim();
}

function compare(left, right) {
  const a = Number(left), b = Number(right);
  const numbers = left !== "" && right !== "" && !Number.isNaN(a) && !Number.isNaN(b);
  return numbers ? a - b : left.localeCompare(right, undefined, { numeric: true });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = heading.ariaSort === "ascending" ? "descending" : "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows];
      rows.sort((left, right) => sign * compare(value(left, column), value(right, column)));
      table.tBodies[0].append(...rows);
    });
  });
}

for (const input of document.querySelectorAll("input.filter")) {
  const items = [...document.querySelectorAll(`#${input.dataset.list} > *`)];
  input.hidden = false;
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLocaleLowerCase();
    for (const item of items) item.hidden = !item.textContent.toLocaleLowerCase().includes(wanted);
  });
}
