// Typing a slash command, and filling in the forms that the bot opens.

import { element } from "./markdown.js";
import { follow, get, me, post } from "./page.js";

const SUBCOMMANDS = [1, 2];
const INTEGER = 4;
const BOOLEAN = 5;
const NUMBER = 10;
const TEXT_INPUT = 4;
const PARAGRAPH = 2;

const by = (id) => document.getElementById(id);
let offered = "";
let leaves = new Map();

function leavesOf(command, path = []) {
  const here = [...path, command.name];
  const below = (command.options ?? []).filter((option) => SUBCOMMANDS.includes(option.type));
  return below.length ? below.flatMap((option) => leavesOf(option, here)) : [[here.join(" "), command]];
}

export function offerCommands(commands) {
  const now = JSON.stringify(commands);
  if (now === offered) return;
  offered = now;
  leaves = new Map(commands.filter((one) => (one.type ?? 1) === 1).flatMap((one) => leavesOf(one)));
  const kept = by("name").value;
  by("name").replaceChildren(...[...leaves.keys()].map((name) => element("option", { value: name }, `/${name}`)));
  if (leaves.has(kept)) by("name").value = kept;
  by("name").onchange = offerOptions;
  offerOptions();
}

function offerOptions() {
  const leaf = leaves.get(by("name").value);
  by("options").replaceChildren(...(leaf?.options ?? []).map((option) => {
    const label = element("label", { title: option.description }, option.name + (option.required ? "*" : ""));
    label.append(...input(option));
    return label;
  }));
}

function input(option) {
  if (option.choices?.length || option.type === BOOLEAN) {
    const choices = option.choices ?? [{ name: "true", value: true }, { name: "false", value: false }];
    const shown = choices.map((one) => element("option", { value: JSON.stringify(one.value) }, one.name));
    const select = element("select", { name: option.name, required: option.required }, element("option", { value: "" }), ...shown);
    select.dataset.json = "yes";
    return [select];
  }
  const typed = element("input", { name: option.name, required: Boolean(option.required), autocomplete: "off" });
  if ([INTEGER, NUMBER].includes(option.type)) Object.assign(typed, { type: "number", step: option.type === NUMBER ? "any" : "1" }).dataset.json = "yes";
  if (!option.autocomplete) return [typed];
  const list = element("datalist", { id: `suggest-${option.name}` });
  typed.setAttribute("list", list.id);
  for (const event of ["input", "focus"]) typed.addEventListener(event, () => suggest(typed, list));
  return [typed, list];
}

function filled(except) {
  const values = {};
  for (const one of by("options").querySelectorAll("input, select")) {
    if (one.value !== "" && one !== except) values[one.name] = one.dataset.json ? JSON.parse(one.value) : one.value;
  }
  return values;
}

async function suggest(typed, list) {
  const asked = typed.value;
  const body = { ...me(), command: by("name").value, option: typed.name, value: asked, options: filled(typed) };
  try {
    const { id } = (await post("autocomplete", body)).data;
    for (let since = -1; typed.value === asked; ) {
      const { version, data } = await get(`interactions/${id}?since=${since}&wait=3`);
      if (data.complete) list.replaceChildren(...data.choices.map((one) => element("option", { value: one.value }, one.name)));
      if (data.complete || data.error) return;
      since = version;
    }
  } catch {
    list.replaceChildren(); // A client shows no suggestions then, either.
  }
}

export async function askCommand(event) {
  event.preventDefault();
  const sent = await follow("slash", { command: by("name").value, options: filled() });
  if (sent && !sent.error) offerOptions();
}

function inputsOf(components) {
  return components.flatMap((one) => {
    const label = one.label ?? "";
    if (one.component) return inputsOf([one.component]).map((found) => ({ ...found, label: label || found.label }));
    return one.components ? inputsOf(one.components) : [one];
  });
}

/** Show a modal as a form above the command line. */
export function askForm(interactionId, modal) {
  const form = by("form");
  const inputs = inputsOf(modal.components).filter((one) => one.type === TEXT_INPUT);
  form.replaceChildren(element("strong", {}, modal.title), ...inputs.map((one) => {
    const kind = one.style === PARAGRAPH ? "textarea" : "input";
    const typed = element(kind, { name: one.custom_id, required: one.required !== false, value: one.value ?? "" });
    return element("label", {}, one.label, " ", typed);
  }), element("button", {}, "Submit"));
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    follow("submit", { interaction_id: interactionId, values: Object.fromEntries(new FormData(form)) });
  };
}
