"use strict";
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const o = data.overview;
/* blocks of packed JSON, each unpacked when it is first asked for */
const block = (() => {
  const known = new Map();
  const unpack = async name => {
    const node = $("block-" + name), packed = atob(node.textContent), bytes = new Uint8Array(packed.length);
    for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
    node.remove();
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
  };
  return name => { if (!known.has(name)) known.set(name, unpack(name)); return known.get(name); };
})();
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "on") for (const [event, f] of Object.entries(value)) node.addEventListener(event, f);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter(c => c !== null && c !== undefined));
  return node;
};
const NS = "http://www.w3.org/2000/svg";
const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const count = n => Math.round(n).toLocaleString("en");
const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more}`;
const percent = (part, whole) => whole ? (100 * part / whole).toFixed(1) + " %" : "–";
const word = text => String(text).replaceAll("_", " ");
const pad = n => String(n).padStart(2, "0");
const zone = s => s === null || s === undefined ? "UTC" : (s < 0 ? "−" : "+") + pad(Math.floor(Math.abs(s) / 3600)) + ":" + pad(Math.floor(Math.abs(s) % 3600 / 60));
const when = (ms, offset) => new Date(ms + (offset || 0) * 1000).toISOString().slice(0, 19).replace("T", " ");
const duration = s => s === null || s === undefined ? null : [Math.floor(s / 3600), pad(Math.floor(s % 3600 / 60)), pad(Math.floor(s % 60))].join(":");
const km = m => m === null || m === undefined ? null : (m / 1000).toFixed(2) + " km";
const bits = b => (b >= 0 ? "+" : "−") + Math.abs(b).toFixed(1);
const odds = b => b >= 0 ? count(2 ** Math.min(b, 40)) + " to 1" : "1 to " + count(2 ** Math.min(-b, 40));
const distinct = values => [...new Set(values.filter(v => v !== null && v !== undefined && v !== ""))].sort();
/* the points of an encoded polyline, as latitude and longitude */
function decode(text) {
  const points = []; let at = 0, lat = 0, lon = 0;
  const next = () => { let shift = 0, value = 0, byte; do { byte = text.charCodeAt(at++) - 63; value |= (byte & 31) << shift; shift += 5; } while (byte >= 32); return value & 1 ? ~(value >> 1) : value >> 1; };
  while (at < text.length) { lat += next(); lon += next(); points.push([lat, lon]); }
  return points;
}
/* many boxes as few elements, and a line that says which one is pointed at */
function boxes(drawing, all) {
  const groups = new Map(), says = el("div", { class: "says", "aria-hidden": "true" });
  for (const b of all) {
    const key = `${b.kind} ${Math.ceil((b.opacity ?? 1) * 5) / 5}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(`M${b.x.toFixed(1)} ${b.y.toFixed(1)}h${b.width.toFixed(1)}v${b.height.toFixed(1)}h-${b.width.toFixed(1)}z`);
  }
  for (const [key, paths] of groups) { const [kind, opacity] = key.split(" "); drawing.append(svg("path", { class: kind, "fill-opacity": opacity, d: paths.join("") })); }
  drawing.addEventListener("pointermove", event => {
    const at = drawing.getBoundingClientRect(), scale = drawing.viewBox.baseVal.width / at.width, x = (event.clientX - at.left) * scale, y = (event.clientY - at.top) * scale;
    says.textContent = all.find(b => x >= b.x && x <= b.x + b.width + 1 && (b.isColumn || y >= b.y && y <= b.y + b.height))?.text() ?? "";
  });
  return says;
}

/* where months stand in a drawing, from the first to the last, such as "2024-05", and the years below it */
const monthAxis = (from, to) => {
  const number = month => Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1, first = number(from), span = number(to) - first + 1;
  const width = 1100, left = 110, step = (width - left) / span, x = month => left + (number(month) - first) * step;
  const years = [...Array(Math.ceil((first % 12 + span) / 12)).keys()].map(n => Math.floor(first / 12) + n);
  const axis = (drawing, y) => years.filter((_, at) => at % Math.ceil(years.length / 20) === 0).forEach(year => { const at = x(`${year}-01`); if (at >= left) drawing.append(svg("text", { x: at, y }, String(year))); });
  return { width, span, step, x, years, axis };
};
