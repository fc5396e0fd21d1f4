// Filling in the forms that the bot opens.

import { element } from "./markdown.js";
import { follow } from "./page.js";
import { say } from "./words.js";

const TEXT_INPUT = 4;
const PARAGRAPH = 2;

function inputsOf(components) {
  return components.flatMap((one) => {
    const label = one.label ?? "";
    if (one.component) return inputsOf([one.component]).map((found) => ({ ...found, label: label || found.label }));
    return one.components ? inputsOf(one.components) : [one];
  });
}

/** Show a modal as a form above the command line. */
export function askForm(interactionId, modal) {
  const form = document.getElementById("form");
  const inputs = inputsOf(modal.components).filter((one) => one.type === TEXT_INPUT);
  form.replaceChildren(element("strong", {}, modal.title), ...inputs.map((one) => {
    const kind = one.style === PARAGRAPH ? "textarea" : "input";
    const typed = element(kind, { name: one.custom_id, required: one.required !== false, value: one.value ?? "" });
    return element("label", {}, one.label, " ", typed);
  }), element("button", {}, say("submit")));
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    follow("submit", { interaction_id: interactionId, values: Object.fromEntries(new FormData(form)) });
  };
}
