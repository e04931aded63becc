//! `obertc watch`: a report at the start and after each save.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const RECIPE: &str = "edition 2026
use std.bert.{encoder_linears}
recipe r for 3 epochs {
  model: \"bert-base-uncased\"
  data: squad
  lr { 0..3 epochs: 5e-5 -> 0 linear }
  prune encoder_linears over 0..2 epochs every 1 epoch { by: magnitude, sparsity: 50% -> 80% }
  allow OB0701
}
";

struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .arg("watch")
            .args(arguments)
            .env("NO_COLOR", "1")
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Watch { child, lines }
    }

    /// The next report, with its last line.
    fn report(&self) -> String {
        let mut text = String::new();
        loop {
            let line =
                self.lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("after\n{text}"));
            text.push_str(&line);
            text.push('\n');
            if line.ends_with("waiting for changes, Ctrl-C ends") {
                return text;
            }
        }
    }

    /// Asserts that there is no report without a change.
    fn rests(&self) {
        let line = self.lines.recv_timeout(Duration::from_millis(700));
        assert!(line.is_err(), "{line:?}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Saves a file as most editors do: under another name, then by renaming.
fn save_by_rename(path: &Path, text: &str) {
    let aside = path.with_extension("tmp");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

#[test]
fn a_recipe_is_checked_and_planned_at_every_save() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.obert");
    std::fs::write(&file, RECIPE).unwrap();
    let watch = Watch::start(folder.path(), &["r.obert", "--no-chart"]);
    let first = watch.report();
    assert!(first.contains("prune encoder_linears to 80%"), "{first}");
    assert!(first.ends_with("r.obert is fine; waiting for changes, Ctrl-C ends\n"), "{first}");
    watch.rests();
    std::fs::write(&file, RECIPE.replace("linear }", "linaer }")).unwrap();
    let mistaken = watch.report();
    assert!(mistaken.contains("OB0312") && mistaken.contains("r.obert:6:"), "{mistaken}");
    assert!(mistaken.ends_with("r.obert has errors; waiting for changes, Ctrl-C ends\n"), "{mistaken}");
    assert!(!mistaken.contains("to 80%"), "a recipe with errors has no plan: {mistaken}");
    save_by_rename(&file, &RECIPE.replace("80%", "90%"));
    let renamed = watch.report();
    assert!(renamed.contains("prune encoder_linears to 90%"), "{renamed}");
    std::fs::remove_file(&file).unwrap();
    watch.report();
    std::fs::write(&file, RECIPE).unwrap();
    assert!(watch.report().contains("prune encoder_linears to 80%"));
    watch.rests();
}

#[test]
fn the_files_that_a_recipe_uses_are_watched_even_while_they_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts.obert");
    let other = folder.path().join("other.obert");
    let text = RECIPE.replace("use std.bert.{encoder_linears}", "use \"parts.obert\".{encoder_linears}");
    std::fs::write(folder.path().join("r.obert"), text).unwrap();
    let watch = Watch::start(folder.path(), &["r.obert", "--no-chart", "--steps-per-epoch", "10"]);
    assert!(watch.report().contains("OB0208"));
    save_by_rename(&parts, "use \"other.obert\".{dense}\nlet encoder_linears = dense\n");
    assert!(watch.report().contains("has errors"), "a file that it uses is missing");
    std::fs::write(&other, "let dense = params(\"bert.**.dense.weight\")\n").unwrap();
    // The missing file is used by another file; that one is watched.
    save_by_rename(&parts, "use \"other.obert\".{dense}\nlet encoder_linears = dense\n");
    let fine = watch.report();
    assert!(fine.contains("is fine"), "{fine}");
    save_by_rename(&other, "let dense = params(\"bert.none\")\n");
    assert!(watch.report().contains("OB0501"));
}

#[test]
fn a_wrong_path_ends_at_once_and_ctrl_c_ends_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    for (path, expected) in [("none.obert", "cannot read `none.obert`"), ("-", "cannot watch standard input")]
    {
        let mut watch = Watch::start(folder.path(), &[path]);
        let mut errors = String::new();
        std::io::Read::read_to_string(&mut watch.child.stderr.take().unwrap(), &mut errors).unwrap();
        assert_eq!(watch.child.wait().unwrap().code(), Some(1));
        assert!(errors.contains(expected), "{errors}");
    }
    #[cfg(unix)]
    {
        std::fs::write(folder.path().join("r.obert"), RECIPE).unwrap();
        let mut watch = Watch::start(folder.path(), &["r.obert"]);
        watch.report();
        // A process that a shell started in the background ignores SIGINT, and so do its children.
        let (flag, signal) = if ignores_sigint() { ("-TERM", 15) } else { ("-INT", 2) };
        let kill = Command::new("kill").args([flag, &watch.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let ended = watch.child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(signal));
    }
}

/// Whether this process was started with SIGINT ignored, where the system says so.
#[cfg(unix)]
fn ignores_sigint() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (2 - 1)) != 0)
}
