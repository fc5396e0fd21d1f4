// Discord's markdown, as far as the bot uses it, into nodes: text stays text, so nothing needs to be escaped.

const TOKEN =
  /```(?:[a-z]*\n)?([\s\S]+?)```|`([^`\n]+)`|\*\*([\s\S]+?)\*\*|__([\s\S]+?)__|\*([^*\n]+)\*|<(@!?|@&|#)(\d+)>|<t:(-?\d+)(?::([tTdDfFR]))?>|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>]+)|\\([\\`*_~|>#[\]()-])/;

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function markdown(text, names) {
  const nodes = [];
  let rest = text ?? "";
  for (let found = TOKEN.exec(rest); found; found = TOKEN.exec(rest)) {
    nodes.push(rest.slice(0, found.index), node(found, names));
    rest = rest.slice(found.index + found[0].length);
  }
  nodes.push(rest);
  return element("span", { className: "text" }, ...nodes);
}

function node(found, names) {
  const [, block, code, bold, underlined, italic, sigil, id, time, style, label, target, url, escaped] = found;
  if (block) return element("pre", {}, block);
  if (code) return element("discord-code", {}, code);
  if (bold) return element("discord-bold", {}, markdown(bold, names));
  if (underlined) return element("u", {}, markdown(underlined, names));
  if (italic) return element("discord-italic", {}, markdown(italic, names));
  if (sigil) return mention(sigil, id, names);
  if (time) return element("time", { title: new Date(time * 1000).toISOString() }, moment(Number(time), style));
  if (escaped) return escaped;
  return element("a", { href: target ?? url, target: "_blank", rel: "noopener noreferrer" }, label ?? url);
}

function mention(sigil, id, names) {
  const type = { "#": "channel", "@&": "role" }[sigil] ?? "user";
  return element("discord-mention", { type }, names.get(id) ?? id);
}

function moment(seconds, style) {
  if (style !== "R") return new Date(seconds * 1000).toLocaleString();
  const away = seconds - Date.now() / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]].find(
    ([, one]) => Math.abs(away) >= one || one === 1,
  );
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.round(away / size), unit);
}
