// Discord's markdown, as far as the bot uses it, into nodes: text stays text, so nothing needs to be escaped.

import { language } from "./words.js";

const BLOCK = /```(?:[a-z]*\n)?([\s\S]+?)```/;
const TOKEN =
  /`([^`\n]+)`|\*\*([\s\S]+?)\*\*|__([\s\S]+?)__|\*([^*\n]+)\*|<(@!?|@&|#)(\d+)>|<t:(-?\d+)(?::([tTdDfFR]))?>|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>]+)|\\([\\`*_~|>#[\]()-])/;
// Beyond it there is no date; a client shows such a time as it is written.
const LAST_SECOND = 8.64e12;
const HERE = /^https:\/\/discord\.com\/channels\/\d+\/(\d+)(?:\/(\d+))?$/;
const LINES = [
  [/^> (.*)$/, "blockquote"],
  [/^-# (.*)$/, "small"],
  [/^#{1,3} (.*)$/, "strong"],
];

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function markdown(text, names) {
  const made = element("span", { className: "text" });
  let rest = text ?? "";
  for (let found = BLOCK.exec(rest); found; found = BLOCK.exec(rest)) {
    made.append(...lines(rest.slice(0, found.index), names), element("pre", {}, found[1]));
    rest = rest.slice(found.index + found[0].length);
  }
  made.append(...lines(rest, names));
  return made;
}

/** The same as mere text, for what a component takes as an attribute. */
export function plain(text) {
  return text && markdown(text, new Map()).textContent;
}

function lines(text, names) {
  const nodes = [];
  text.split("\n").forEach((line, number) => {
    const [kind, inner] = shape(line);
    if (number > 0 && nodes.at(-1)?.tagName !== "BLOCKQUOTE") nodes.push("\n");
    nodes.push(...(kind ? [element(kind, {}, ...inline(inner, names))] : inline(line, names)));
  });
  return nodes;
}

function shape(line) {
  for (const [pattern, kind] of LINES) {
    const found = pattern.exec(line);
    if (found) return [kind, found[1]];
  }
  return [null, line];
}

function inline(text, names) {
  const nodes = [];
  let rest = text;
  for (let found = TOKEN.exec(rest); found; found = TOKEN.exec(rest)) {
    nodes.push(rest.slice(0, found.index), node(found, names));
    rest = rest.slice(found.index + found[0].length);
  }
  return [...nodes, rest];
}

function node(found, names) {
  const [, code, bold, underlined, italic, sigil, id, time, style, label, target, url, escaped] = found;
  if (code) return element("discord-code", {}, code);
  if (bold) return element("strong", {}, ...inline(bold, names));
  if (underlined) return element("u", {}, ...inline(underlined, names));
  if (italic) return element("em", {}, ...inline(italic, names));
  if (sigil) return mention(sigil, id, names);
  if (time) return Math.abs(Number(time)) <= LAST_SECOND ? moment(Number(time), style) : found[0];
  if (escaped) return escaped;
  const here = HERE.exec(target ?? url);
  if (here) return jump(here[1], here[2], label, names);
  return element("a", { href: target ?? url, target: "_blank", rel: "noopener noreferrer" }, label ?? url);
}

/** A link to a message of this channel leads to it, and one to the channel to its end, as in a client. */
function jump(channelId, messageId, label, names) {
  const made = element("a", { href: `#${messageId ?? channelId}` }, label ?? `# ${names.get(channelId) ?? "?"}${messageId ? " › 💬" : ""}`);
  made.addEventListener("click", (event) => {
    event.preventDefault();
    const shown = messageId ? document.querySelector(`[data-message-id="${messageId}"]`) : [...document.querySelectorAll("discord-message")].at(-1);
    shown?.scrollIntoView({ behavior: "smooth", block: "center" });
  });
  return made;
}

function mention(sigil, id, names) {
  const type = { "#": "channel", "@&": "role" }[sigil] ?? "user";
  return element("discord-mention", { type }, names.get(id) ?? id);
}

function moment(seconds, style) {
  const made = element("time", { title: new Date(seconds * 1000).toISOString() }, shown(seconds, style));
  if (style === "R") made.dataset.seconds = seconds;
  return made;
}

const DATES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};

function shown(seconds, style) {
  if (style !== "R") return new Date(seconds * 1000).toLocaleString(language(), DATES[style ?? "f"]);
  const away = seconds - Date.now() / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]].find(
    ([, one]) => Math.abs(away) >= one || one === 1,
  );
  return new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(Math.round(away / size), unit);
}

/** Bring every relative time up to date, as a client does. */
export function tick() {
  for (const one of document.querySelectorAll("time[data-seconds]")) one.textContent = shown(Number(one.dataset.seconds), "R");
}
