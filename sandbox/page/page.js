// The channel as one person sees it, and what that person does in it.

import "./vendor/discord-components.js";
import { listen, offerCommands } from "./command.js";
import { drawMessage } from "./draw.js";
import { askForm } from "./forms.js";
import { element, tick } from "./markdown.js";
import { LANGUAGES, language, say, sayAll } from "./words.js";

const TICK_MILLISECONDS = 1000;
const RETRY_MILLISECONDS = 1000;
const BURST_MILLISECONDS = 100;

const by = (id) => document.getElementById(id);
let drawn = "";
const shown = new Map();
// What a person does not want to see any more; as in a client, that is forgotten with the page.
const dismissed = new Set();
// Whether the channel stays at its end, whatever grows in it: until the person scrolls away.
let following = true;

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

export const me = () => ({ user: by("user").value, channel: by("channel").value, locale: language() });

/** Send an interaction and follow it to its end, saying what the person would be told. */
export async function follow(path, body) {
  tell();
  following = following || path === "slash";
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

function options(select, entries) {
  const now = JSON.stringify(entries);
  if (select.dataset.offered === now) return;
  select.dataset.offered = now;
  const kept = select.value;
  select.replaceChildren(...entries.map(([value, shown]) => element("option", { value }, shown)));
  if (entries.some(([value]) => value === kept)) select.value = kept;
}

function people(state) {
  const called = new Map(Object.entries(state.roles).map(([name, role]) => [role.id, name]));
  const roles = (user) => user.roles.map((id) => called.get(id)).filter(Boolean).join(", ") || say("bystander");
  return Object.entries(state.users).map(([name, user]) => [name, `${name} (${roles(user)})`]);
}

async function refresh() {
  const { data: state } = await get("state");
  options(by("user"), people(state));
  options(by("channel"), Object.keys(state.channels).map((name) => [name, `#${name}`]));
  by("guild-locale").value = state.guild.locale;
  by("connection").textContent = connection(state.connected);
  by("connection").classList.toggle("up", state.connected > 0);
  offerCommands((await get("commands")).data);
  const { user, channel } = me();
  const query = new URLSearchParams({ as_user: user, channel });
  redraw((await get(`messages?${query}`)).data, state);
}

function connection(count) {
  if (count > 1) return `${say("several")} ${count}`;
  return count ? say("connected") : say("nobody");
}

function redraw(messages, state) {
  const { user } = me();
  const looks = JSON.stringify([user, language(), messages]);
  if (looks === drawn) return;
  drawn = looks;
  const groups = [state.users, state.roles, state.channels];
  const names = new Map(groups.flatMap((group) => Object.entries(group).map(([name, one]) => [one.id, name])));
  const mine = new Set(state.users[user].roles);
  const pinged = ({ pinged: { users, roles, everyone } }) =>
    everyone || users.includes(state.users[user].id) || roles.some((role) => mine.has(role));
  const press = (message, customId, values) =>
    follow("click", { message_id: message.id, custom_id: customId, values });
  const dismiss = (message) => { dismissed.add(message.id); drawn = ""; changed(); };
  const draw = (message) => drawMessage(message, names, { press, dismiss, pinged: pinged(message) });
  const wanted = messages.filter((message) => !dismissed.has(message.id));
  place(wanted.map((message) => nodeOf(message, () => draw(message))));
}

/** Stay at the end of the channel while it grows, until the person scrolls away from it. */
function followEnd() {
  const main = document.querySelector("main");
  const toEnd = () => following && main.scrollTo(0, main.scrollHeight);
  let before = 0;
  main.addEventListener("scroll", () => {
    const atEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
    following = atEnd || (following && main.scrollTop >= before);
    before = main.scrollTop;
  });
  new ResizeObserver(toEnd).observe(by("messages"));
  new ResizeObserver(toEnd).observe(main);
}

/** Return the node that shows a message: the one that is there already, where nothing of it changed. */
function nodeOf(message, draw) {
  const looks = JSON.stringify([me().user, language(), message]);
  const known = shown.get(message.id);
  const node = known?.looks === looks ? known.node : draw();
  shown.set(message.id, { looks, node });
  return node;
}

/** Put the nodes into the channel without touching those that stand where they should. */
function place(nodes) {
  const channel = by("messages");
  nodes.forEach((node, at) => {
    const there = channel.children[at];
    if (there === node) return;
    if (there && !nodes.includes(there)) there.replaceWith(node);
    else channel.insertBefore(node, there ?? null);
  });
  while (channel.children.length > nodes.length) channel.lastElementChild.remove();
}

let asked = false;
let running = false;
let failed = false;

/** Refresh now, once more at the end if something changed meanwhile, and again in a moment if that failed. */
async function changed() {
  asked = true;
  if (running) return;
  running = true;
  try {
    while (asked) {
      asked = false;
      await refresh();
      if (failed) tell();
      failed = false;
      // Changes come in bursts, and each look is at everything: what comes next is seen once.
      if (asked) await new Promise((resolve) => setTimeout(resolve, BURST_MILLISECONDS));
    }
  } catch (error) {
    failed = true;
    tell(`${say("silent")} ${error.message}`);
    setTimeout(changed, RETRY_MILLISECONDS);
  } finally {
    running = false;
  }
}

/** Look at each change; the browser itself connects again only where a connection broke, and not where it was refused. */
function watch() {
  const events = new EventSource("/control/events");
  events.addEventListener("message", changed);
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(watch, RETRY_MILLISECONDS);
  });
}

for (const select of document.querySelectorAll(".language")) options(select, Object.entries(LANGUAGES));
for (const id of ["user", "channel", "locale"]) by(id).addEventListener("change", () => { sayAll(); tell(); changed(); });
by("guild-locale").addEventListener("change", () => post("guild_locale", { locale: by("guild-locale").value }));
sayAll();
listen();
followEnd();
setInterval(tick, TICK_MILLISECONDS);
watch();
