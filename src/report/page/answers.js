/* answers: kept in this browser, and saved as the file that `longrun dedupe decide --file` reads */
const answers = (() => {
  const place = "longrun answers", name = p => [p.user, p.a.name, p.b.name].join("\t");
  let all = new Map();
  /* without storage (a private window) they last as long as the page */
  try { all = new Map(JSON.parse(localStorage.getItem(place) || "[]")); } catch { all = new Map(); }
  const keep = () => { try { localStorage.setItem(place, JSON.stringify([...all])); } catch { return; } };
  const cell = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const given = () => pairs.filter(p => all.has(name(p)));
  return {
    of: p => all.get(name(p)),
    given,
    /* the same answer once more takes it back */
    give(p, answer) { if (all.get(name(p)) === answer) all.delete(name(p)); else all.set(name(p), answer); keep(); },
    csv: () => ["user,a,b,answer", ...given().map(p => [p.user, p.a.name, p.b.name, all.get(name(p))].map(cell).join(","))].join("\n") + "\n",
    save() {
      const url = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
      el("a", { href: url, download: "answers.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    },
  };
})();

