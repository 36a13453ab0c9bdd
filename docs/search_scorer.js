// Ranks the results of the search: guides first, names of the API and pages for developers last.
const LAST = /^(changelog|contributing|releasing|reliability|architecture|decisions\/|performance)/;

var Scorer = {
  score: ([page, , , , score, , kind]) =>
    score + (page.startsWith("howto/") ? 2 : 0) - (LAST.test(page) ? 12 : 0) - (kind === "object" ? 9 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
