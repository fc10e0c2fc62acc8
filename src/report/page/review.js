/* the pairs to look at, as their list shows them; what else is known of a pair is in its block */
let pairs = [], shownPair = null;
/* a pair's decision, or the answer that was given here */
const tagOf = p => { const answer = answers.of(p); return el("span", { class: "tag " + ({ same: "match", different: "no_match" }[answer] || p.decision) }, answer ? `you: ${answer}` : word(p.decision)); };
const reviewDetail = makeDetail($("review-detail"), $("review-list"));
const reviewList = makeList($("review-list"), "Pairs", p => [
  el("div", {}, el("span", {}, el("span", { class: "a" }, p.a.name.split(":")[0]), " · ", el("span", { class: "b" }, p.b.name.split(":")[0]), "  ", p.a.title || p.b.title || word(p.a.sport ?? "")), tagOf(p)),
  el("div", { class: "soft" }, el("span", {}, `${when(p.a.start_ms, p.a.utc_offset_s).slice(0, 16)} · ${p.user}`), el("span", {}, odds(p.bits)))],
  async (p, enter) => {
    shownPair = p;
    const whole = (await block(`pairs-${Math.floor(p.at / data.chunk)}`))[p.at % data.chunk];
    if (shownPair === p) reviewDetail.show(showPair(whole), enter);
  });
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
async function loadPairs() {
  const c = await block("pairs");
  const side = (at, s) => ({ name: c[`name_${s}`][at], title: c[`title_${s}`][at], sport: c[`sport_${s}`][at], start_ms: c[`start_ms_${s}`][at], utc_offset_s: c[`utc_offset_s_${s}`][at] });
  pairs = c.user.map((user, at) => ({ at, user, a: side(at, "a"), b: side(at, "b"), decision: c.decision[at], reason: c.reason[at], bits: c.bits[at] }));
  for (const p of pairs) p.text = [p.user, p.a.name, p.b.name, p.a.title, p.b.title, p.a.sport, p.b.sport, when(p.a.start_ms, 0)].join(" ").toLowerCase();
  showAnswers();
  searchPairs = makeFilters($("review-tools"), "Search a person, an id, a title, a date", [
    { name: "Answer", values: ["none", "same", "different"] },
    { name: "Decision", values: distinct(pairs.map(p => p.decision)) }, { name: "By", values: distinct(pairs.map(p => p.reason)) },
    { name: "Source", values: distinct(pairs.flatMap(p => [p.a.name.split(":")[0], p.b.name.split(":")[0]])) }],
    (text, [answer, decision, reason, source]) => {
      const found = pairs.filter(p => (!text || p.text.includes(text)) && (!answer || (answers.of(p) || "none") === answer) && (!decision || p.decision === decision) && (!reason || p.reason === reason) && (!source || p.a.name.startsWith(source + ":") || p.b.name.startsWith(source + ":")));
      shownPair = null;
      reviewList.set(found);
      reviewDetail.empty(found.length ? "Choose a pair." : "No pair matches these filters.");
      return `${count(found.length)} of ${count(pairs.length)}`;
    });
}
/* searches for a text, once the list is there */
let searchPairs = null;

