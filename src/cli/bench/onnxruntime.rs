//! ONNX Runtime in a Python process, for comparison.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::json;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The Python program that it runs.
const PROGRAM: &str = include_str!("../onnxruntime.py");

/// A running process.
pub(super) struct OnnxRuntime {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
    fused: String,
    // The program's file lives as long as the process.
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
    fused: String,
}

/// Its reply to a request.
#[derive(Deserialize)]
pub(super) struct Reply {
    /// The seconds of each run.
    pub(super) times: Vec<f64>,
    /// The logits of the first sequence, start and end of each token in turn.
    pub(super) logits: Vec<f32>,
}

impl OnnxRuntime {
    /// Starts Python on a model folder.
    ///
    /// # Errors
    /// A sentence if Python, ONNX Runtime or something it needs is missing.
    pub(super) fn start(folder: &Path) -> Result<OnnxRuntime, String> {
        let python = std::env::var_os("OBERT_PYTHON").unwrap_or_else(|| "python3".into());
        let own = tempfile::tempdir().map_err(|e| e.to_string())?;
        // Under another name than the package, which Python would not find otherwise.
        let program = own.path().join("program.py");
        std::fs::write(&program, PROGRAM).map_err(|e| e.to_string())?;
        let mut child = Command::new(&python)
            .arg(&program)
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("cannot start `{}`: {e}", python.to_string_lossy()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its pipes cannot be opened".into());
        };
        let mut started = OnnxRuntime {
            child,
            input,
            output: BufReader::new(output),
            version: String::new(),
            fused: String::new(),
            _folder: own,
        };
        let greeting: Greeting = started.line()?;
        match greeting.error {
            Some(why) => Err(format!(
                "{why}; `pip install onnxruntime onnx numpy`, or set OBERT_PYTHON to a Python that has them"
            )),
            None => {
                started.version = greeting.version;
                started.fused = greeting.fused;
                Ok(started)
            }
        }
    }

    /// Its version, and how the graph was optimized.
    pub(super) fn described(&self) -> String {
        format!("ONNX Runtime {}, {}", self.version, self.fused)
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
        logits: bool,
    ) -> Result<Reply, String> {
        let asked = json!({
            "kind": kind, "threads": threads, "ids": ids, "seconds": seconds, "logits": logits,
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

impl Drop for OnnxRuntime {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
