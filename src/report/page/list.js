/* a list of any length: only the rows in sight are there */
const ROW = 60;
function makeList(box, label, render, open) {
  let items = [], at = -1;
  const space = el("div", { style: "position:relative" });
  box.append(space);
  box.tabIndex = 0;
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", label);
  const draw = (first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4), end = Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 4) => {
    const last = Math.min(items.length, end);
    space.replaceChildren(...items.slice(first, last).map((item, i) => el("div", {
      class: "row", role: "option", id: `${box.id}-${first + i}`, style: `top:${(first + i) * ROW}px`,
      "aria-selected": first + i === at, "aria-setsize": items.length, "aria-posinset": first + i + 1,
      on: { click: () => { select(first + i); open(items[at], true); } } }, ...render(item))));
    if (!items.length) space.append(el("div", { class: "none" }, "Nothing matches these filters."));
    // A reader of the screen can only be sent to a row that is drawn.
    if (at >= first && at < last) box.setAttribute("aria-activedescendant", `${box.id}-${at}`); else box.removeAttribute("aria-activedescendant");
  };
  const select = (next, enter = false) => {
    if (!items.length) return;
    at = Math.max(0, Math.min(items.length - 1, next));
    if (at * ROW < box.scrollTop) box.scrollTop = at * ROW;
    if ((at + 1) * ROW > box.scrollTop + box.clientHeight) box.scrollTop = (at + 1) * ROW - box.clientHeight;
    draw();
    open(items[at], enter);
  };
  const page = () => Math.max(1, Math.floor(box.clientHeight / ROW) - 1);
  box.addEventListener("scroll", () => requestAnimationFrame(() => draw()));
  box.addEventListener("keydown", event => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page(), PageUp: at - page(), Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); select(to); }
    else if (event.key === "Enter" && at >= 0) { event.preventDefault(); open(items[at], true); }
  });
  addEventListener("resize", () => draw());
  /* on paper, the first of them */
  addEventListener("beforeprint", () => draw(0, 40));
  addEventListener("afterprint", () => draw());
  return { draw, next: enter => select(at + 1, enter), set(next) { items = next; at = -1; space.style.height = Math.max(1, items.length) * ROW + "px"; box.scrollTop = 0; draw(); } };
}
function makeDetail(pane, list) {
  const close = () => { pane.classList.remove("open"); list.focus(); };
  pane.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
  return {
    show(nodes, enter) {
      pane.replaceChildren(el("button", { class: "close", type: "button", on: { click: close } }, "Close"), ...nodes);
      pane.scrollTop = 0;
      if (enter) { pane.classList.add("open"); pane.focus(); }
    },
    empty(text) { pane.classList.remove("open"); pane.replaceChildren(el("div", { class: "none" }, text)); },
  };
}
function makeFilters(box, placeholder, selects, apply) {
  const shown = el("span", { class: "soft", role: "status" });
  const search = el("input", { type: "search", placeholder, "aria-label": placeholder });
  const controls = selects.map(({ name, values }) => el("select", { "aria-label": name }, el("option", { value: "" }, name + ": all"), ...values.map(v => el("option", { value: v }, word(v)))));
  const run = () => { shown.textContent = apply(search.value.trim().toLowerCase(), controls.map(c => c.value)); };
  search.addEventListener("input", run);
  controls.forEach(c => c.addEventListener("change", run));
  box.append(search, ...controls, shown);
  run();
  return text => { search.value = text; controls.forEach(c => { c.value = ""; }); run(); };
}

