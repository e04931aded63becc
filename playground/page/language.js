// Colours and indentation of recipes in CodeMirror: a tokenizer of one line after another.

import { HighlightStyle, LanguageSupport, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const alternatives = (words) => new RegExp(`^(?:${words})$`);
const DEFINITIONS = alternatives("recipe|template|stage|branch");
const DECLARATIONS = alternatives("edition|use|param|let");
const CLAUSES = alternatives("for|extends|from|over|every|layers|repeating|except|expect|after|or|of|in");
const SHAPES = alternatives("constant|linear|warmup|cubic|inverse_cubic|cosine|exponential|polynomial");
const CONSTANTS = alternatives("true|false|teacher|self|start|run");
const NUMBER = /^\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?/;
const UNIT = /^(?:%|(?:epochs?|steps?|bytes?|[KMGT]i?B)\b)/;

const parser = {
  name: "obert",
  startState: () => ({ depth: 0, nested: 0, starts: true, next: null, unit: false }),
  copyState: (state) => ({ ...state }),
  languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", "{", '"'] }, indentOnInput: /^\s*[})\]]$/ },

  token(stream, state) {
    // A newline ends a statement, except in parentheses and brackets.
    if (stream.sol() && state.nested === 0) {
      state.starts = true;
      state.next = null;
    }
    if (stream.sol()) state.unit = false;
    if (stream.eatSpace()) return null;
    if (stream.match(/^##.*/)) return "docComment";
    if (stream.match(/^#.*/)) return "lineComment";
    if (state.unit) {
      state.unit = false;
      if (stream.match(UNIT)) return "unit";
    }
    const starts = state.starts;
    const next = state.next;
    state.starts = false;
    state.next = null;
    if (stream.match(/^re"(?:[^"\\]|\\.)*"?/)) return "regexp";
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return "string";
    if (stream.match(NUMBER)) {
      state.unit = true;
      return "number";
    }
    if (stream.match(/^(?:->|\.\.|[-+*/=])/)) return "operator";
    const bracket = stream.match(/^[()[\]{}]/);
    if (bracket) {
      const open = "([{".includes(bracket[0]);
      state.depth = Math.max(0, state.depth + (open ? 1 : -1));
      if (bracket[0] === "{" || bracket[0] === "}") state.starts = true;
      else state.nested = Math.max(0, state.nested + (open ? 1 : -1));
      return "bracket";
    }
    if (stream.match(/^,/)) {
      state.starts = state.nested === 0;
      return "separator";
    }
    if (stream.match(/^[:.]/)) return "separator";
    const word = stream.match(/^[A-Za-z_]\w*/);
    if (!word) {
      stream.next();
      return "invalid";
    }
    if (next) return next;
    if (stream.match(/^\s*:/, false)) return state.nested > 0 ? "attributeName" : "propertyName";
    if (starts) {
      if (DEFINITIONS.test(word[0])) state.next = "definition";
      if (word[0] === "param" || word[0] === "let") state.next = "variableName";
      return DEFINITIONS.test(word[0]) || DECLARATIONS.test(word[0]) ? "definitionKeyword" : "keyword";
    }
    if (stream.match(/^\s*\(/, false)) return "function";
    if (CLAUSES.test(word[0])) return "operatorKeyword";
    if (SHAPES.test(word[0]) || CONSTANTS.test(word[0])) return "atom";
    return "variableName";
  },

  indent(state, textAfter, context) {
    const closes = /^\s*[})\]]/.test(textAfter) ? 1 : 0;
    return Math.max(0, state.depth - closes) * context.unit;
  },

  tokenTable: {
    docComment: tags.docComment,
    lineComment: tags.lineComment,
    unit: tags.unit,
    definition: tags.definition(tags.variableName),
    function: tags.function(tags.variableName),
  },
};

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.definitionKeyword, tags.operatorKeyword], color: "var(--keyword)" },
  { tag: tags.definition(tags.variableName), color: "var(--definition)", fontWeight: "600" },
  { tag: tags.function(tags.variableName), color: "var(--function)" },
  { tag: [tags.propertyName, tags.attributeName], color: "var(--property)" },
  { tag: [tags.string, tags.regexp], color: "var(--string)" },
  { tag: [tags.number, tags.unit, tags.atom], color: "var(--number)" },
  { tag: tags.lineComment, color: "var(--muted)" },
  { tag: tags.docComment, color: "var(--muted)", fontStyle: "italic" },
  { tag: tags.invalid, color: "var(--error)" },
]);

/** Recipes in CodeMirror. */
export const obert = () => new LanguageSupport(StreamLanguage.define(parser), syntaxHighlighting(colours));
