//! ONNX Runtime or OpenVINO in a Python process, for comparison.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::json;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::args::Program;
use crate::diag::{Diagnostic, Sources};
use crate::output::export::onnx;
use crate::output::export::source::Source;

/// The Python program that it runs.
const SCRIPT: &str = include_str!("rivals.py");

/// A running process.
pub(super) struct Rival {
    pub(super) program: Program,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
    note: String,
    // The script and the ONNX file live as long as the process.
    _folder: tempfile::TempDir,
}

/// Its first line.
#[derive(Deserialize)]
struct Greeting {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    note: String,
}

/// Its reply to a request.
#[derive(Deserialize)]
pub(super) struct Reply {
    /// The seconds of each run.
    pub(super) times: Vec<f64>,
    /// The outputs of the first sequence in the order of the ONNX file.
    pub(super) outputs: Vec<f32>,
}

impl Rival {
    /// Exports the model in float32 as ONNX and starts Python on it. `length` is a sequence length for calibration.
    ///
    /// # Errors
    /// A sentence if the model cannot be exported, or if Python, the program or something it needs is missing.
    pub(super) fn start(program: Program, folder: &Path, length: u64) -> Result<Rival, String> {
        let python = std::env::var_os("OBERT_PYTHON").unwrap_or_else(|| "python3".into());
        let own = tempfile::tempdir().map_err(|e| e.to_string())?;
        // Under another name than the packages, which Python would not find otherwise.
        let script = own.path().join("script.py");
        std::fs::write(&script, SCRIPT).map_err(|e| e.to_string())?;
        let model = own.path().join("model.onnx");
        let first = |found: Vec<Diagnostic>| found.into_iter().next().map_or_else(String::new, |d| d.message);
        let mut source = Source::read(folder, &mut Sources::new()).map_err(first)?;
        source.quantization = None;
        let head = source.head.clone().ok_or("the model has no head")?;
        let bytes = onnx::bytes(&source, &head, &model).map_err(|d| d.message)?;
        std::fs::write(&model, bytes).map_err(|e| e.to_string())?;
        let config = &source.config;
        let mut child = Command::new(&python)
            .arg(&script)
            .arg(program.package())
            .arg(&model)
            .args([config.num_attention_heads, config.hidden_size, config.vocab_size].map(|n| n.to_string()))
            .arg(length.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot start `{}`: {e}", python.to_string_lossy()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its pipes cannot be opened".into());
        };
        let output = BufReader::new(output);
        let (version, note) = (String::new(), String::new());
        let mut started = Rival { program, child, input, output, version, note, _folder: own };
        let greeting: Greeting = started.line()?;
        match greeting.error {
            Some(why) => Err(format!(
                "{why}; `pip install {}`, or set OBERT_PYTHON to a Python that has them",
                program.needs()
            )),
            None => {
                started.version = greeting.version;
                started.note = greeting.note;
                Ok(started)
            }
        }
    }

    /// Its name and version, and how its models were made.
    pub(super) fn described(&self) -> String {
        format!("{} {}, {}", self.program.name(), self.version, self.note)
    }

    /// Runs its `f32` or `int8` model for some seconds, at least once.
    ///
    /// # Errors
    /// A sentence if the process has ended.
    pub(super) fn run(
        &mut self,
        kind: &str,
        threads: u64,
        ids: &[Vec<u32>],
        seconds: f64,
        outputs: bool,
    ) -> Result<Reply, String> {
        let asked = json!({
            "kind": kind, "threads": threads, "ids": ids, "seconds": seconds, "outputs": outputs,
        });
        writeln!(self.input, "{asked}").and_then(|()| self.input.flush()).map_err(|e| e.to_string())?;
        self.line()
    }

    /// The resident memory of its process, in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        let (mut system, pid) = (System::new(), Pid::from_u32(self.child.id()));
        let kinds = ProcessRefreshKind::nothing().with_memory();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kinds);
        Some(system.process(pid)?.memory())
    }

    fn line<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|e| e.to_string())?;
        serde_json::from_str(&line).map_err(|_| "its process ended".into())
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
