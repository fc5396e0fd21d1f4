// The command line: type a slash, choose a command, fill in its options with what the bot suggests.

import { element } from "./markdown.js";
import { follow, get, me, post, tell } from "./page.js";
import { close, offer, steer } from "./popup.js";
import { language, say } from "./words.js";

const SUBCOMMANDS = [1, 2];
const INTEGER = 4;
const BOOLEAN = 5;
const NUMBER = 10;

const by = (id) => document.getElementById(id);
let offered = "";
let leaves = [];
let chosen = null;

const named = (one) => one.name_localizations?.[language()] ?? one.name;
const described = (one) => one.description_localizations?.[language()] ?? one.description;

function leavesOf(command, path = [], shown = []) {
  const here = [...path, command.name];
  const seen = [...shown, named(command)];
  const below = (command.options ?? []).filter((option) => SUBCOMMANDS.includes(option.type));
  if (below.length) return below.flatMap((option) => leavesOf(option, here, seen));
  return [{ name: here.join(" "), shown: seen.join(" "), description: described(command), options: command.options ?? [] }];
}

/** Learn the commands that the bot has registered; the one being typed stays. */
export function offerCommands(commands) {
  const now = JSON.stringify([commands, language()]);
  if (now === offered) return;
  offered = now;
  leaves = commands.filter((one) => (one.type ?? 1) === 1).flatMap((one) => leavesOf(one));
  const typing = chosen && leaves.find((leaf) => leaf.name === chosen.name);
  if (typing) choose(typing, filled());
  else if (chosen || by("typed").value === "") forget();
  else search();
}

function forget() {
  chosen = null;
  by("name").hidden = true;
  by("options").replaceChildren();
  by("typed").hidden = false;
  by("typed").value = "";
  by("typed").placeholder = `${say("message")} #${me().channel}`;
  close();
}

function choose(leaf, values = {}) {
  chosen = leaf;
  by("name").textContent = `/${leaf.shown}`;
  by("name").hidden = false;
  by("typed").hidden = true;
  by("options").replaceChildren(...leaf.options.map((option) => field(option, values[option.name])));
  (emptyField() ?? by("send")).focus();
}

const fields = () => [...by("options").querySelectorAll("input")];
const emptyField = () => fields().find((one) => one.value === "" && one.required);

function field(option, value) {
  const typed = element("input", {
    name: option.name,
    required: Boolean(option.required),
    autocomplete: "off",
    placeholder: option.required ? "" : say("optional"),
    value: value ?? "",
    size: option.required ? 12 : 8,
  });
  if ([INTEGER, NUMBER].includes(option.type)) typed.type = "number";
  typed.dataset.type = option.type;
  typed.addEventListener("input", () => { delete typed.dataset.value; suggest(option, typed); });
  typed.addEventListener("focus", () => suggest(option, typed));
  typed.addEventListener("blur", close);
  typed.addEventListener("keydown", (event) => {
    if (steer(event)) return;
    if (event.key === "Escape" || (event.key === "Backspace" && typed.value === "" && typed === fields()[0])) cancel(event);
  });
  return element("label", { title: described(option) }, named(option), typed);
}

function cancel(event) {
  event.preventDefault();
  forget();
  by("typed").focus();
}

async function suggest(option, typed) {
  const asked = typed.value;
  const fitting = (choices) => {
    if (document.activeElement !== typed || typed.value !== asked) return;
    offer(choices.map((one) => ({ label: one.name_localizations?.[language()] ?? one.name, choose: () => fill(typed, one) })));
  };
  if (option.choices?.length) fitting(option.choices.filter((one) => one.name.includes(asked)));
  else if (option.type === BOOLEAN) fitting(["True", "False"].map((name) => ({ name, value: name === "True" })));
  else if (option.autocomplete) fitting(await suggestions(option, asked, typed));
  else offer(asked ? [] : [{ label: named(option), detail: described(option), choose: () => typed.focus() }]);
}

async function suggestions(option, value, typed) {
  try {
    const body = { ...me(), command: chosen.name, option: option.name, value, options: filled(typed) };
    const { id } = (await post("autocomplete", body)).data;
    for (let since = -1; typed.value === value; ) {
      const { version, data } = await get(`interactions/${id}?since=${since}&wait=3`);
      if (data.complete) return data.choices;
      if (data.error) return [];
      since = version;
    }
  } catch {
    // A client shows no suggestions then, either.
  }
  return [];
}

function fill(typed, choice) {
  typed.value = choice.name;
  typed.dataset.value = JSON.stringify(choice.value);
  (emptyField() ?? typed).focus();
  close();
}

function filled(except) {
  const given = fields().filter((one) => one.value !== "" && one !== except);
  return Object.fromEntries(given.map((one) => [one.name, valueOf(one)]));
}

function valueOf(typed) {
  if (typed.dataset.value !== undefined) return JSON.parse(typed.dataset.value);
  const type = Number(typed.dataset.type);
  if (type === BOOLEAN) return typed.value.toLowerCase() === "true";
  return [INTEGER, NUMBER].includes(type) ? Number(typed.value) : typed.value;
}

function search() {
  const asked = by("typed").value;
  if (!asked.startsWith("/")) return close();
  const wanted = asked.slice(1).toLowerCase();
  const begins = (leaf) => [leaf.name, leaf.shown].some((name) => name.toLowerCase().startsWith(wanted.trim()));
  const found = leaves.filter(begins);
  const exact = wanted.endsWith(" ") && found.find((leaf) => [leaf.name, leaf.shown].includes(wanted.trim()));
  if (exact) return choose(exact);
  return offer(found.map((leaf) => ({ label: `/${leaf.shown}`, detail: leaf.description, choose: () => choose(leaf) })));
}

async function send(event) {
  event.preventDefault();
  close();
  if (!chosen) return tell(by("typed").value ? say("onlyCommands") : "");
  const sent = { command: chosen.name, options: filled() };
  forget();
  const answer = await follow("slash", sent);
  if (!chosen) by("typed").focus();
  return answer;
}

/** Begin to listen to what is typed. */
export function listen() {
  by("typed").addEventListener("input", search);
  by("typed").addEventListener("blur", close);
  by("typed").addEventListener("keydown", steer);
  by("command").addEventListener("submit", send);
  by("name").addEventListener("click", cancel);
}
