// The page of the webview that shows a plan.

function escapeHtml(text) {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

/** A page with the chart `svg`, or with the diagnostics `message` if there is no chart. No script runs in it. */
function planPage(svg, message) {
  const body = svg === undefined ? `<pre>${escapeHtml(message)}</pre>` : svg.slice(Math.max(0, svg.indexOf("<svg")));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Plan</title>
<style>body { padding: 1rem } svg { width: 100%; height: auto } pre { font-family: var(--vscode-editor-font-family) }</style>
</head>
<body>${body}</body>
</html>`;
}

module.exports = { planPage };
