/* a pair's decision, or the answer that was given here */
const tagOf = p => { const answer = answers.of(p); return el("span", { class: "tag " + ({ same: "match", different: "no_match" }[answer] || p.decision) }, answer ? `you: ${answer}` : word(p.decision)); };
const reviewDetail = makeDetail($("review-detail"), $("review-list"));
const reviewList = makeList($("review-list"), "Pairs", p => [
  el("div", {}, el("span", {}, el("span", { class: "a" }, p.a.name.split(":")[0]), " · ", el("span", { class: "b" }, p.b.name.split(":")[0]), "  ", p.a.title || p.b.title || word(p.a.sport ?? "")), tagOf(p)),
  el("div", { class: "soft" }, el("span", {}, `${when(p.a.start_ms, p.a.utc_offset_s).slice(0, 16)} · ${p.user}`), el("span", {}, odds(p.bits)))],
  (p, enter) => { shownPair = p; reviewDetail.show(showPair(p), enter); });
let shownPair = null;
/* gives an answer and goes on to the next pair */
function decide(answer) {
  if (!shownPair) return;
  const isInPane = $("review-detail").contains(document.activeElement);
  if (answer) answers.give(shownPair, answer);
  showAnswers();
  reviewList.next(isInPane);
}
for (const box of [$("review-list"), $("review-detail")]) box.addEventListener("keydown", event => {
  const answer = { s: "same", d: "different", x: null }[event.key];
  if (answer === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  decide(answer);
});
function showAnswers() {
  const given = answers.given(), box = $("review-answers");
  if (!given.length) { box.replaceChildren("No answers yet: S says same, D different, X skips to the next pair."); return; }
  box.replaceChildren(
    el("button", { type: "button", on: { click: () => answers.save() } }, `Save ${many(given.length, "answer", "answers")} as answers.csv`),
    command("longrun dedupe decide --file answers.csv && longrun dedupe"));
}
showAnswers();
for (const p of data.pairs) p.text = [p.user, p.a.name, p.b.name, p.a.title, p.b.title, p.a.sport, p.b.sport, when(p.a.start_ms, 0)].join(" ").toLowerCase();
makeFilters($("review-tools"), "Search a person, an id, a title, a date", [
  { name: "Answer", values: ["none", "same", "different"] },
  { name: "Decision", values: distinct(data.pairs.map(p => p.decision)) }, { name: "By", values: distinct(data.pairs.map(p => p.reason)) },
  { name: "Source", values: distinct(data.pairs.flatMap(p => [p.a.name.split(":")[0], p.b.name.split(":")[0]])) }],
  (text, [answer, decision, reason, source]) => {
    const found = data.pairs.filter(p => (!text || p.text.includes(text)) && (!answer || (answers.of(p) || "none") === answer) && (!decision || p.decision === decision) && (!reason || p.reason === reason) && (!source || p.a.name.startsWith(source + ":") || p.b.name.startsWith(source + ":")));
    shownPair = null;
    reviewList.set(found);
    reviewDetail.empty(found.length ? "Choose a pair." : "No pair matches these filters.");
    return `${count(found.length)} of ${count(data.pairs.length)}`;
  });

