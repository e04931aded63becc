// Diagnostics as markers in the editor and as a list below it.

import { setDiagnostics } from "@codemirror/lint";

const SEVERITIES = { error: "error", warning: "warning", advice: "info" };

/** The parts of two texts that differ, extended to whole words. */
function difference(before, after) {
  const word = /\w/;
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before.at(-1 - end) === after.at(-1 - end)) end++;
  while (start > 0 && word.test(before[start - 1]) && word.test(before[start] ?? after[start] ?? "")) start--;
  while (end > 0 && word.test(before.at(-end)) && word.test(before.at(-1 - end) ?? "")) end--;
  return [before.slice(start, before.length - end), after.slice(start, after.length - end)];
}

/** How a fix reads on its button. */
export function fixLabel(text, fix) {
  const [before, after] = difference(text.slice(fix.from, fix.to), fix.insert).map((part) => part.trim());
  const short = (part) => (part.length > 40 || part.includes("\n") ? `${part.slice(0, 40).split("\n")[0]}…` : part);
  if (before === "" && after === "") return "Change the space";
  if (before === "") return `Insert “${short(after)}”`;
  if (after === "") return `Remove “${short(before)}”`;
  return `Replace “${short(before)}” by “${short(after)}”`;
}

/** Marks findings in the editor; each marker has the fix as a button. */
export function mark(view, findings) {
  const text = view.state.doc.toString();
  const end = text.length;
  const markers = findings.filter((f) => f.place).map((finding) => ({
    from: Math.min(finding.place.from, end),
    to: Math.min(Math.max(finding.place.to, finding.place.from), end),
    severity: SEVERITIES[finding.severity],
    source: finding.code,
    message: finding.help ? `${finding.message}\nhelp: ${finding.help}` : finding.message,
    actions: finding.fix ? [{ name: fixLabel(text, finding.fix), apply: (v) => applyFix(v, finding.fix) }] : [],
  }));
  markers.sort((a, b) => a.from - b.from);
  view.dispatch(setDiagnostics(view.state, markers));
}

/** Applies a fix to the text of the editor. */
export function applyFix(view, fix) {
  view.dispatch({
    changes: { from: fix.from, to: fix.to, insert: fix.insert },
    selection: { anchor: fix.from + fix.insert.length },
    userEvent: "input.fix",
  });
  view.focus();
}

/** One line about all findings. */
export function summary(findings) {
  const counts = ["error", "warning", "advice"].map((severity) => {
    const count = findings.filter((f) => f.severity === severity).length;
    const plural = severity === "advice" || count === 1 ? severity : `${severity}s`;
    return count > 0 ? `${count} ${plural}` : "";
  });
  return counts.filter(Boolean).join(", ") || "No mistakes found";
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A text whose parts in backticks are code. */
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 === 1 ? element("code", { textContent: part }) : part));
}

/**
 * Fills a list with findings of a text. `actions` has functions `goTo(place)`, `fix(change)` and `explain(code)`; a
 * button is made for each that is given.
 */
export function list(target, text, findings, actions) {
  target.replaceChildren(...findings.map((finding) => {
    const item = element("li", {});
    item.dataset.severity = finding.severity;
    const where = finding.place ? ` at ${finding.place.line}:${finding.place.column}` : "";
    item.append(element("p", {},
      element("span", { className: "severity", textContent: `${finding.severity}${where}: ` }), ...prose(finding.message)));
    if (finding.help) item.append(element("p", { className: "help" }, "help: ", ...prose(finding.help)));
    const row = element("div", { className: "actions" });
    const button = (label, className, run) => {
      const made = element("button", { type: "button", textContent: label, className });
      made.addEventListener("click", run);
      row.append(made);
    };
    if (finding.fix && actions.fix) button(fixLabel(text, finding.fix), "fix", () => actions.fix(finding.fix));
    if (finding.place && actions.goTo) {
      button(`Go to line ${finding.place.line}`, "go", () => actions.goTo(finding.place));
    }
    if (actions.explain) button(`Explain ${finding.code}`, "explain", () => actions.explain(finding.code));
    if (row.childElementCount > 0) item.append(row);
    return item;
  }));
}
