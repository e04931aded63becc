// Where `obertc` is.

const path = require("node:path");

/**
 * The path of `obertc`: the configured one, or the first in PATH and `~/.cargo/bin`; undefined if there is none.
 * A configured `~` is the home directory.
 */
function findProgram(configured, environment, home, exists) {
  if (configured) {
    const expanded = configured.replace(/^~(?=$|[\\/])/, () => home);
    return exists(expanded) ? expanded : undefined;
  }
  const folders = (environment.PATH ?? environment.Path ?? "").split(path.delimiter).filter(Boolean);
  const names = process.platform === "win32" ? ["obertc.exe"] : ["obertc"];
  for (const folder of [...folders, path.join(home, ".cargo", "bin")]) {
    for (const name of names) {
      const candidate = path.join(folder, name);
      if (exists(candidate)) return candidate;
    }
  }
  return undefined;
}

module.exports = { findProgram };
