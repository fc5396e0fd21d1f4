// A message of the API into the elements of discord-components.

import { element, markdown, plain } from "./markdown.js";
import { language, say } from "./words.js";

const EPHEMERAL = 1 << 6;
const LOADING = 1 << 7;
const BUTTON = 2;
const PREVIEW = 1500;
const STRING_SELECT = 3;
const LINK = 5;
const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "destructive" };
// Within the component, where a page's own style does not reach: a picture is no wider than a phone.
const IMAGE_FITS = ":host .discord-embed-image { max-width: min(400px, calc(100vw - 130px)); }";
const COLORS = ["#5865f2", "#3ba55d", "#faa81a", "#ed4245", "#eb459e"];

export function drawMessage(message, names, { press, dismiss, pinged }) {
  const drawn = element("discord-message", {
    author: message.author.global_name ?? message.author.username,
    avatar: avatar(message.author),
    bot: message.author.bot,
    edited: Boolean(message.edited_timestamp),
    ephemeral: Boolean(message.flags & EPHEMERAL),
    timestamp: new Date(message.timestamp),
    twentyFour: true,
    highlight: pinged,
    dismissMessageClicked: () => dismiss(message),
  });
  drawn.dataset.messageId = message.id;
  drawn.append(...origin(message));
  drawn.append(message.flags & LOADING ? element("em", {}, say("thinking")) : markdown(message.content, names));
  drawn.append(...message.embeds.map((embed) => drawEmbed(embed, names)));
  const within = new Set(message.embeds.flatMap((one) => [one.image?.url, one.thumbnail?.url]));
  drawn.append(...message.attachments.filter((file) => !within.has(file.url)).map(drawAttachment));
  drawn.append(...message.components.map((row) => drawRow(message, row, press)));
  return drawn;
}

/** Say what a message is an answer to: a command, a button, or another message. */
function origin(message) {
  const used = message.interaction_metadata;
  if (used) {
    const what = used.name ? `/${used.name}` : say("control");
    return [element("small", { className: "origin" }, `↪ ${used.user.global_name ?? used.user.username} ${say("used")} ${what}`)];
  }
  const answered = message.referenced_message;
  if (!answered) return [];
  const line = element("small", { className: "origin", role: "link" }, `↪ ${say("reply")} ${plain(answered.embeds[0]?.title ?? answered.content)}`);
  line.addEventListener("click", () => document.querySelector(`[data-message-id="${answered.id}"]`)?.scrollIntoView({ behavior: "smooth" }));
  return [line];
}

function avatar(user) {
  // No picture is fetched from anywhere: a disc with the initial does.
  const color = COLORS[Number(BigInt(user.id) % BigInt(COLORS.length))];
  const initial = encodeURIComponent((user.global_name ?? user.username).slice(0, 1).replace(/[<>&]/, "?"));
  return (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 40'%3E" +
    `%3Ccircle cx='20' cy='20' r='20' fill='${encodeURIComponent(color)}'/%3E%3Ctext x='20' y='27' font-size='20' ` +
    `text-anchor='middle' fill='white' font-family='sans-serif'%3E${initial}%3C/text%3E%3C/svg%3E`
  );
}

function link(url) {
  return /^https?:\/\//.test(url ?? "") ? url : undefined;
}

function drawEmbed(embed, names) {
  const drawn = element("discord-embed", {
    slot: "embeds",
    color: embed.color ? `#${embed.color.toString(16).padStart(6, "0")}` : undefined,
    embedTitle: plain(embed.title),
    url: link(embed.url),
    authorName: embed.author?.name,
    authorUrl: link(embed.author?.url),
    image: link(embed.image?.url),
    thumbnail: link(embed.thumbnail?.url),
  });
  if (embed.image) drawn.updateComplete.then(() => drawn.shadowRoot.append(element("style", {}, IMAGE_FITS)));
  if (embed.description) drawn.append(slotted("discord-embed-description", "description", markdown(embed.description, names)));
  if (embed.fields?.length) drawn.append(drawFields(embed.fields, names));
  if (embed.footer || embed.timestamp) {
    const footer = slotted("discord-embed-footer", "footer", embed.footer?.text ?? "");
    if (embed.timestamp) footer.timestamp = new Date(embed.timestamp).toLocaleString(language());
    drawn.append(footer);
  }
  return drawn;
}

function slotted(name, slot, ...children) {
  return element(name, { slot }, ...children);
}

function drawFields(fields, names) {
  const drawn = slotted("discord-embed-fields", "fields");
  let column = 0;
  for (const field of fields) {
    column = field.inline ? (column % 3) + 1 : 0;
    const place = field.inline ? { inline: true, inlineIndex: column } : {};
    drawn.append(element("discord-embed-field", { fieldTitle: plain(field.name), ...place }, markdown(field.value, names)));
  }
  return drawn;
}

function drawAttachment(file) {
  const shown = element("a", { href: file.url, download: file.filename, slot: "attachments" }, `📎 ${file.filename} (${file.size} bytes)`);
  if (/^text\//.test(file.content_type) || file.filename.endsWith(".log")) return element("div", { slot: "attachments", className: "file" }, shown, preview(file));
  if (!/^image\//.test(file.content_type)) return shown;
  return element("img", { src: file.url, alt: file.description ?? file.filename, slot: "attachments", className: "picture" });
}

/** Show the beginning of a text file, as a client does. */
function preview(file) {
  const shown = element("pre", {});
  const fits = (text) => (text.length > PREVIEW ? `${text.slice(0, PREVIEW)}…` : text);
  fetch(new URL(file.url).pathname).then((answer) => answer.text()).then((text) => shown.append(fits(text)), () => shown.remove());
  return shown;
}

function drawRow(message, row, press) {
  const drawn = element("discord-action-row", { slot: "components" });
  for (const item of row.components ?? []) {
    if (item.type === BUTTON) drawn.append(drawButton(message, item, press));
    else if (item.type === STRING_SELECT) drawn.append(drawSelect(message, item, press));
  }
  return drawn;
}

function drawButton(message, item, press) {
  const label = [item.emoji?.id ? null : item.emoji?.name, item.label].filter(Boolean).join(" ");
  const button = element("discord-button", { disabled: Boolean(item.disabled) }, label);
  if (item.style === LINK) button.url = link(item.url);
  else button.type = STYLES[item.style] ?? "secondary";
  if (item.custom_id && !item.disabled) button.addEventListener("click", () => press(message, item.custom_id));
  button.dataset.customId = item.custom_id ?? "";
  return button;
}

function drawSelect(message, item, press) {
  const options = item.options.map((one) => element("option", { value: one.value, selected: Boolean(one.default) }, one.label));
  const placeholder = element("option", { value: "", disabled: true, selected: true }, item.placeholder ?? say("choose"));
  const select = element("select", { disabled: Boolean(item.disabled) }, placeholder, ...options);
  select.addEventListener("change", () => press(message, item.custom_id, [select.value]));
  return select;
}
