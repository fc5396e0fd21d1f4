// The list above the command line: what could be meant by what was typed so far.

import { element } from "./markdown.js";

const by = (id) => document.getElementById(id);
let rows = [];
let marked = 0;

/** Offer rows of { label, detail, choose }; the first is marked. */
export function offer(found) {
  rows = found;
  marked = 0;
  by("popup").replaceChildren(...rows.map((row, number) => {
    const shown = element("li", { role: "option" }, element("strong", {}, row.label), element("span", {}, row.detail ?? ""));
    // Before the field loses its focus, which closes the list.
    shown.addEventListener("pointerdown", (event) => { event.preventDefault(); take(number); });
    return shown;
  }));
  by("popup").hidden = rows.length === 0;
  mark(0);
}

export const close = () => offer([]);

function mark(number) {
  marked = number;
  [...by("popup").children].forEach((row, at) => row.setAttribute("aria-selected", String(at === number)));
  by("popup").children[number]?.scrollIntoView({ block: "nearest" });
}

function take(number) {
  const row = rows[number];
  close();
  row?.choose();
}

/** Move and choose by keyboard; returns whether the key was meant for the list. */
export function steer(event) {
  if (rows.length === 0) return false;
  if (event.key === "ArrowDown") mark((marked + 1) % rows.length);
  else if (event.key === "ArrowUp") mark((marked + rows.length - 1) % rows.length);
  else if (event.key === "Enter" || event.key === "Tab") take(marked);
  else if (event.key === "Escape") close();
  else return false;
  event.preventDefault();
  return true;
}
