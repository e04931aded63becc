// A server of static files on this machine, for the test.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import path from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
};

/** Serves a folder; returns the address and a function that stops the server. */
export async function serve(folder) {
  const server = createServer(async (request, response) => {
    const wanted = path.normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const file = path.join(folder, wanted.endsWith("/") ? `${wanted}index.html` : wanted);
    try {
      const bytes = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
      response.end(bytes);
    } catch {
      response.writeHead(404);
      response.end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}
