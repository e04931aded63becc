//! The commands of the documentation, run: ```` ```console ```` blocks hold `$ obertc …` and what it
//! says. `INSTA_UPDATE=always` writes what it says now.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::{blocks, pages};

/// Commands of the engine are shown, not run; so is what is not ours.
const RUN: [&str; 7] = ["check", "plan", "params", "fmt", "explain", "new", "import"];

/// Words of a command line, quotes removed and comments left out.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or("");
    let unquoted = |word: &str| word.trim_matches('\'').to_owned();
    line.split_whitespace().map(unquoted).collect()
}

/// What a command says, first on stderr and then on stdout.
fn said(words: &[String], folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(words)
        .env("NO_COLOR", "1")
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr) + &text(&output.stdout);
    said.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect::<String>()
        .trim_matches('\n')
        .to_owned()
}

/// A page with the output of its commands as it is now. Blocks marked `file=NAME` are its files.
fn replayed(text: &str, folder: &Path) -> String {
    let (mut now, mut rest) = (String::new(), text);
    for (info, block) in blocks(text) {
        if let Some(name) = info.split(',').find_map(|w| w.strip_prefix("file=")) {
            std::fs::write(folder.join(name), &block).unwrap();
        }
        let lines = format!("\n{block}");
        let commands: Vec<&str> = lines.split("\n$ ").skip(1).collect();
        let shows_output = commands.iter().any(|c| c.trim_end().contains('\n'));
        if info != "console" || !shows_output {
            continue;
        }
        let (before, after) = rest.split_once(&format!("```console\n{block}```")).unwrap();
        let fresh: String = commands.iter().map(|command| run_again(command, folder)).collect();
        now.push_str(&format!("{before}```console\n{fresh}```"));
        rest = after;
    }
    now + rest
}

/// A command with its output, run anew if it is ours.
fn run_again(command: &str, folder: &Path) -> String {
    let line = command.lines().next().unwrap_or("");
    match words(line).split_first() {
        Some((program, rest))
            if program == "obertc" && rest.first().is_some_and(|c| RUN.contains(&c.as_str())) =>
        {
            format!("$ {line}\n{}\n", said(rest, folder))
        }
        _ => format!("$ {}\n", command.trim_end()),
    }
}

#[test]
fn commands_in_the_documentation_say_what_is_written_there() {
    // The list of errors shows commands that nobody should type.
    let generated = |page: &PathBuf| page.ends_with("errors.md");
    for page in pages().into_iter().filter(|page| !generated(page)) {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(&page).unwrap();
        let now = replayed(&text, folder.path());
        let update = std::env::var_os("INSTA_UPDATE").is_some_and(|v| v == "always");
        if now != text && update {
            std::fs::write(&page, &now).unwrap();
        } else {
            assert!(now == text, "{} shows other output than\n{now}", page.display());
        }
    }
}
