// The playground: an editor whose text is checked and planned after every change.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, lintKeymap } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";

import { load } from "./compiler.js";
import { applyFix, list, mark, summary } from "./diagnostics.js";
import { EXAMPLES, YAML } from "./examples.js";
import { obert } from "./language.js";
import { fragmentOf, textOf } from "./link.js";

const at = (id) => document.getElementById(id);
const compiler = load();
let compile;
let view;

/** The text that the page opens with, and what to say about it. */
async function firstText() {
  try {
    const text = await textOf(location.hash);
    return [text ?? EXAMPLES[0][1], ""];
  } catch {
    return [EXAMPLES[0][1], "The link is damaged: its text cannot be read. "];
  }
}

function editor(text) {
  const theme = EditorView.theme({
    "&": { backgroundColor: "var(--ground)", color: "var(--text)", fontSize: ".875rem" },
    "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
    ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5" },
    ".cm-gutters": { backgroundColor: "var(--panel)", color: "var(--muted)", borderRight: "1px solid var(--border)" },
    ".cm-activeLine": { backgroundColor: "light-dark(#f0f4fa80, #1c243080)" },
    ".cm-content": { caretColor: "var(--text)" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "light-dark(#c8dcff, #264f78)" },
    ".cm-tooltip": { backgroundColor: "var(--panel)", color: "var(--text)", border: "1px solid var(--border)", maxWidth: "min(40rem, 90vw)" },
    ".cm-diagnostic": { whiteSpace: "pre-wrap" },
    ".cm-diagnosticAction": { backgroundColor: "var(--accent)", color: "var(--ground)", borderRadius: ".25rem" },
    ".cm-diagnosticSource": { color: "var(--muted)", opacity: "1" },
  });
  return new EditorView({
    parent: at("editor"),
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        bracketMatching(),
        indentOnInput(),
        highlightActiveLine(),
        indentUnit.of("  "),
        obert(),
        theme,
        EditorView.lineWrapping,
        // Tab moves the focus, as everywhere on a page.
        keymap.of([...lintKeymap, ...defaultKeymap, ...historyKeymap]),
        EditorView.contentAttributes.of({ "aria-label": "Text of the recipe", spellcheck: "false", autocapitalize: "off", tabindex: "0" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) changed();
        }),
      ],
    }),
  });
}

let scheduled = false;
function changed() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    show("");
    keepInLink();
  });
}

/** Checks and plans the text of the editor. */
function show(note) {
  if (!compile) return;
  try {
    checkAndPlan(note);
  } catch (error) {
    // A trap of WebAssembly leaves the compiler unusable.
    compile = undefined;
    at("summary").textContent = `The compiler stopped (${error.message}): copy your text and reload the page`;
    at("summary").dataset.severity = "error";
  }
}

function checkAndPlan(note) {
  const text = view.state.doc.toString();
  const { findings, has_plan: hasPlan } = compile.check(text);
  mark(view, findings);
  at("summary").textContent = note + summary(findings);
  at("summary").dataset.severity = findings[0] ? ["error", "warning", "advice"].find((s) => findings.some((f) => f.severity === s)) : "none";
  list(at("findings"), text, findings, {
    goTo: (place) => {
      view.dispatch({ selection: { anchor: place.from, head: place.to }, scrollIntoView: true });
      view.focus();
    },
    fix: (fix) => applyFix(view, fix),
    explain,
  });
  plan(hasPlan ? text : null, findings);
}

function plan(text, findings) {
  const steps = at("steps").valueAsNumber;
  const known = Number.isInteger(steps) && steps >= 1 && steps <= 1e9;
  const planned = text === null ? null : compile.plan(text, known ? steps : 0);
  at("plan").classList.toggle("outdated", planned === null);
  const wrong = findings.some((f) => f.severity === "error");
  at("plan-note").hidden = planned !== null;
  at("plan-note").textContent = wrong
    ? "The recipe has errors; this is the plan of the last text without errors."
    : "This file has no recipe, and so no plan.";
  if (planned === null) return;
  at("chart").innerHTML = planned.svg;
  at("chart").querySelector("svg").setAttribute("aria-label", "Sparsity and learning rate over time; the tables below have the values");
  at("table").textContent = planned.table;
  at("json").textContent = JSON.stringify(planned.json, null, 2);
}

function explain(topic) {
  at("topic").value = topic;
  const page = topic.trim() === "" ? null : compile?.explain(topic);
  // Pages are wrapped for a terminal of 100 columns.
  const unwrapped = page?.replace(/(?<=^\S.{70,})\n(?=\S)/gm, " ");
  at("explanation").textContent = unwrapped ?? `Nothing is known about “${topic}”. Try a code (OB0203), a verb (prune) or a setting (damp).`;
  at("explanation").hidden = false;
  at("explanation").scrollIntoView({ block: "nearest" });
}

let linkTimer;
function keepInLink() {
  clearTimeout(linkTimer);
  linkTimer = setTimeout(async () => keep(await fragmentOf(view.state.doc.toString())), 250);
}
const keep = (fragment) => window.history.replaceState(null, "", fragment);

function replaceText(text) {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, userEvent: "input.replace" });
}

function controls() {
  const select = at("examples");
  select.append(new Option("Choose a recipe…", ""));
  EXAMPLES.forEach(([title], index) => select.append(new Option(title, String(index))));
  select.addEventListener("change", () => {
    if (select.value !== "") replaceText(EXAMPLES[Number(select.value)][1]);
    select.value = "";
  });
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("format").addEventListener("click", () => {
    const formatted = compile?.format(view.state.doc.toString());
    if (!formatted) return;
    if (formatted.text === null) show("Not formatted: ");
    else if (formatted.text !== view.state.doc.toString()) replaceText(formatted.text);
  });
  at("copy-link").addEventListener("click", async () => {
    clearTimeout(linkTimer);
    keep(await fragmentOf(view.state.doc.toString()));
    try {
      await navigator.clipboard.writeText(location.href);
      at("summary").textContent = "The link is copied";
    } catch {
      at("summary").textContent = "The link is in the address bar";
    }
  });
  at("steps").addEventListener("input", () => show(""));
  at("explain-form").addEventListener("submit", (event) => {
    event.preventDefault();
    explain(at("topic").value);
  });
  window.addEventListener("hashchange", async () => {
    const [text, note] = await firstText();
    if (text !== view.state.doc.toString()) replaceText(text);
    if (note) show(note);
  });
  importControls();
}

function importControls() {
  const dialog = at("import");
  at("open-import").addEventListener("click", () => {
    at("yaml-findings").replaceChildren();
    dialog.showModal();
  });
  at("yaml-example").addEventListener("click", () => {
    at("yaml").value = YAML;
    at("yaml").focus();
  });
  at("run-import").addEventListener("click", () => {
    const yaml = at("yaml").value;
    const imported = compile?.importYaml(yaml);
    if (!imported) return;
    list(at("yaml-findings"), yaml, imported.findings, {
      goTo: (place) => {
        at("yaml").focus();
        at("yaml").setSelectionRange(place.from, place.to);
      },
      fix: (fix) => {
        at("yaml").setRangeText(fix.insert, fix.from, fix.to, "end");
        at("run-import").click();
      },
    });
    if (imported.text === null) return;
    replaceText(imported.text);
    if (imported.findings.length === 0) dialog.close();
  });
}

const [text, note] = await firstText();
view = editor(text.replace(/^\ufeff/, ""));
controls();
try {
  compile = await compiler;
  show(note);
  performance.mark("first-result");
} catch (error) {
  at("summary").textContent = `The compiler could not be loaded: ${error.message}`;
  at("summary").dataset.severity = "error";
}
