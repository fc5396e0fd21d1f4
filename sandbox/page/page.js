// The channel as one person sees it, and what that person does in it.

import "./vendor/discord-components.js";
import { drawMessage } from "./draw.js";
import { askCommand, askForm, offerCommands } from "./forms.js";
import { element } from "./markdown.js";

const by = (id) => document.getElementById(id);
let drawn = "";

export async function get(path) {
  return answerOf(await fetch(`/control/${path}`));
}

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return answerOf(await fetch(`/control/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}

async function answerOf(response) {
  const text = await response.text();
  const answer = response.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(text) : { error: text };
  if (answer.error) throw new Error(answer.error);
  return answer;
}

export function tell(text) {
  by("told").textContent = text ?? "";
  by("told").hidden = !text;
}

export const me = () => ({ user: by("user").value, channel: by("channel").value, locale: by("locale").value });

/** Send an interaction and follow it to its end, saying what the person would be told. */
export async function follow(path, body) {
  tell();
  try {
    const { id } = (await post(path, { ...me(), ...body })).data;
    for (let since = -1; ; ) {
      const { version, data } = await get(`interactions/${id}?since=${since}&wait=20`);
      if (data.error) tell(data.error);
      if (data.modal) askForm(id, data.modal);
      if (data.error || data.complete || data.acknowledged) return data;
      since = version;
    }
  } catch (error) {
    tell(error.message);
    return null;
  }
}

function options(select, names, shown = (name) => name) {
  if (select.options.length === names.length) return;
  const kept = select.value;
  select.replaceChildren(...names.map((name) => element("option", { value: name }, shown(name))));
  if (names.includes(kept)) select.value = kept;
}

async function refresh() {
  const { data: state } = await get("state");
  options(by("user"), Object.keys(state.users));
  options(by("channel"), Object.keys(state.channels), (name) => `#${name}`);
  by("connection").textContent = state.connected ? `${state.connected} session(s) of the bot` : "no bot is connected";
  by("connection").classList.toggle("up", state.connected > 0);
  offerCommands((await get("commands")).data);
  const { user, channel } = me();
  const query = new URLSearchParams({ as_user: user, channel });
  redraw((await get(`messages?${query}`)).data, state);
}

function redraw(messages, state) {
  const { user } = me();
  const looks = JSON.stringify([user, messages]);
  if (looks === drawn) return;
  drawn = looks;
  const groups = [state.users, state.roles, state.channels];
  const names = new Map(groups.flatMap((group) => Object.entries(group).map(([name, one]) => [one.id, name])));
  const mine = new Set(state.users[user].roles);
  const pinged = ({ pinged: { users, roles, everyone } }) =>
    everyone || users.includes(state.users[user].id) || roles.some((role) => mine.has(role));
  const main = document.querySelector("main");
  const atEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
  const press = (message, customId, values) =>
    follow("click", { message_id: message.id, custom_id: customId, values });
  by("messages").replaceChildren(...messages.map((message) => drawMessage(message, names, press, pinged(message))));
  if (atEnd) requestAnimationFrame(() => main.scrollTo(0, main.scrollHeight));
}

let asked = false;
let running = false;

/** Refresh now, and once more at the end if something changed meanwhile. */
async function changed() {
  asked = true;
  if (running) return;
  running = true;
  try {
    while (asked) {
      asked = false;
      await refresh();
    }
  } catch (error) {
    tell(`The sandbox does not answer: ${error.message}`);
  } finally {
    running = false;
  }
}

for (const id of ["user", "channel"]) by(id).addEventListener("change", changed);
by("command").addEventListener("submit", askCommand);
new EventSource("/control/events").addEventListener("message", changed);
