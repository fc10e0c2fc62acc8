"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const o = data.overview;
const $ = id => document.getElementById(id);
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

/* where months stand in a drawing, from the first to the last, such as "2024-05", and the years below it */
const monthAxis = (from, to) => {
  const number = month => Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1, first = number(from), span = number(to) - first + 1;
  const width = 1100, left = 110, step = (width - left) / span, x = month => left + (number(month) - first) * step;
  const years = [...Array(Math.ceil((first % 12 + span) / 12)).keys()].map(n => Math.floor(first / 12) + n);
  const axis = (drawing, y) => years.filter((_, at) => at % Math.ceil(years.length / 20) === 0).forEach(year => { const at = x(`${year}-01`); if (at >= left) drawing.append(svg("text", { x: at, y }, String(year))); });
  return { width, span, step, x, years, axis };
};
