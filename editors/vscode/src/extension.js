// The client of the language server `obertc lsp`, and the plan of a recipe as a chart.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

const { findProgram } = require("./program.js");
const { planPage } = require("./plan_page.js");

let client;

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("obert.showPlan", () => showPlan(vscode.window.activeTextEditor?.document)),
    vscode.commands.registerCommand("obert.restart", async () => {
      await stop();
      await start();
    }),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("obert.path")) {
        await stop();
        await start();
      }
    }),
  );
  await start();
}

async function deactivate() {
  await stop();
}

/** The path of `obertc`; if it is not found, the user is told how to set it. */
function program() {
  const configured = vscode.workspace.getConfiguration("obert").get("path");
  const found = findProgram(configured, process.env, os.homedir(), fs.existsSync);
  if (found === undefined) {
    const message = configured
      ? `obert: the program \`${configured}\` of the setting obert.path does not exist`
      : "obert: the program `obertc` was not found in PATH: install it, or give its path";
    vscode.window.showErrorMessage(message, "Open settings").then((choice) => {
      if (choice) vscode.commands.executeCommand("workbench.action.openSettings", "obert.path");
    });
  }
  return found;
}

async function start() {
  const command = program();
  if (command === undefined) return;
  const watcher = vscode.workspace.createFileSystemWatcher("**/*.obert");
  client = new LanguageClient(
    "obert",
    "obert",
    { command, args: ["lsp"] },
    {
      // The server says nothing of YAML that is no SparseML recipe.
      documentSelector: [{ language: "obert" }, { language: "yaml" }],
      synchronize: { fileEvents: watcher },
      middleware: {
        // The server's command behind the line above a recipe; here it shows the chart.
        executeCommand: async (name, parameters, next) => {
          if (name !== "obertc.plan") return next(name, parameters);
          showPlan(await vscode.workspace.openTextDocument(vscode.Uri.parse(parameters[0])));
        },
      },
    },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    vscode.window.showErrorMessage(`obert: \`${command} lsp\` did not start: ${error.message}`);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running) await running.stop();
}

/** Shows the plan of a recipe beside it, and draws it again when the recipe is saved. */
function showPlan(document) {
  if (document?.languageId !== "obert") return;
  const command = program();
  if (command === undefined) return;
  const panel = vscode.window.createWebviewPanel(
    "obert.plan",
    `Plan: ${path.basename(document.fileName)}`,
    { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
    { enableScripts: false },
  );
  const draw = () => {
    // Files of `use "…"` are relative to the recipe.
    const options = { cwd: path.dirname(document.fileName), maxBuffer: 1 << 26 };
    const child = execFile(command, ["plan", "-", "--svg", "-"], options, (error, stdout, stderr) => {
      panel.webview.html = planPage(error ? undefined : stdout, stderr || error?.message || "");
    });
    child.stdin.on("error", () => {});
    child.stdin.end(document.getText());
  };
  const saved = vscode.workspace.onDidSaveTextDocument((other) => {
    if (other.uri.toString() === document.uri.toString()) draw();
  });
  panel.onDidDispose(() => saved.dispose());
  draw();
}

module.exports = { activate, deactivate };
