// Recipes of obert for highlight.js (10 and 11), and their colours in this book. On other pages: load highlight.js, then
// this file; or pass `obertLanguage` to `hljs.registerLanguage`.

function obertLanguage(hljs) {
  const escape = { begin: /\\./ };
  return {
    name: "obert",
    keywords: {
      keyword:
        "edition use param let recipe template stage branch " +
        "keep drop lr prune hold freeze quantize distill train evaluate allow expect target factor " +
        "for extends from over every layers repeating except after or of in",
      type: "ratio rate number count duration bytes text bool params pattern update sparsity names model data",
      literal: "true false teacher self start run",
      built_in: "constant linear warmup cubic inverse_cubic cosine exponential polynomial",
    },
    contains: [
      { className: "doctag", begin: /##/, end: /$/ },
      { className: "comment", begin: /#/, end: /$/ },
      { className: "regexp", begin: /\bre"/, end: /"/, illegal: /\n/, contains: [escape] },
      { className: "string", begin: /"/, end: /"/, illegal: /\n/, contains: [escape] },
      { className: "number", begin: /\b\d[\d_]*(\.\d[\d_]*)?([eE][+-]?\d+)?(\s*(%|(epochs?|steps?|bytes?|KiB|MiB|GiB|TiB|KB|MB|GB|TB)\b))?/ },
      { className: "symbol", begin: /\bOB\d{4}\b/ },
      { className: "attr", begin: /\b[A-Za-z_]\w*(?=\s*:)/ },
      { className: "title", begin: /\b[A-Za-z_]\w*(?=\()/ },
    ],
  };
}

if (typeof hljs !== "undefined") {
  hljs.registerLanguage("obert", obertLanguage);
  if (typeof document !== "undefined") {
    const highlight = hljs.highlightElement ?? hljs.highlightBlock;
    for (const block of document.querySelectorAll("code.language-obert")) {
      block.removeAttribute("data-highlighted");
      highlight.call(hljs, block);
    }
  }
} else if (typeof module !== "undefined") {
  module.exports = obertLanguage;
}
