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

