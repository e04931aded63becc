//! The time of tokenizing questions and contexts into windows of 384 tokens with an overlap of 128: obert against the
//! fast tokenizer of `transformers` with the preparation of its SQuAD example, on the same machine, in turn. Run it as
//! `cargo bench --profile dev --bench features`; `OBERT_SQUAD` names a SQuAD file and `OBERT_MODEL` a folder with a
//! tokenizer, else texts are generated; `OBERT_PYTHON` names a Python with transformers (default `python3`). Both must
//! produce the same tokens and answers. The last line is `feature time ratio transformers/ours: N`.

#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use obert::internals::diag::Sources;
use obert::internals::task::data::builtin;
use obert::internals::task::data::cache::{FeatureCache, FeatureInputs, no_progress};
use obert::internals::task::data::features::{Feature, Questions};
use obert::internals::task::data::splits::{DataSet, Need};
use obert::internals::task::data::squad::{self, Question, Version};
use obert::internals::text::Tokenizer;
use obert::internals::text::windows::Windows;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WINDOWS: Windows = Windows { max_length: 384, doc_stride: 128 };
const ROUNDS: usize = 5;

fn main() {
    let scratch = tempfile::tempdir().expect("a folder for temporary files");
    let (file, folder) = places(scratch.path());
    let set = DataSet::new(&file, Need::Dev);
    let read = squad::read(&set, Version::Two, &mut Sources::new(), &mut Vec::new()).expect("a SQuAD file");
    let questions = read.dev;
    let tokenizer = Tokenizer::from_folder(&folder, &mut Sources::new()).expect("a tokenizer");
    println!("{} questions, {} threads", questions.len(), rayon::current_num_threads());
    let mut theirs = Theirs::start(&file, &folder);
    let mut ratios = Vec::new();
    let inputs = Questions { questions: &questions, tokenizer: &tokenizer, windows: WINDOWS };
    for round in 0..ROUNDS {
        let start = Instant::now();
        let list = inputs.make(&no_progress).expect("features");
        let own = start.elapsed().as_secs_f64();
        let sum = sum(&list);
        print!("round {round}: ours {own:.2} s for {} windows of {} tokens", list.len(), sum.0);
        match theirs.as_mut().and_then(|t| t.once()) {
            Some((seconds, other)) => {
                println!(", transformers {seconds:.2} s");
                assert_eq!(sum, other, "tokens, and the sums of their entries and of the answers' places");
                ratios.push(seconds / own);
            }
            None => println!(),
        }
    }
    // From the cache, which a second run of a recipe finds.
    let cache = scratch.path().join("cache");
    let kept = |make: bool| {
        let start = Instant::now();
        let mut feature_cache = FeatureCache::new(Some(cache.clone()), &no_progress);
        let stored = std::fs::read_dir(&cache).is_ok_and(|mut files| files.next().is_some());
        assert_ne!(stored, make, "the features were stored");
        let list = feature_cache.features(&inputs);
        (start.elapsed().as_secs_f64(), list.expect("features"))
    };
    let (made, first) = kept(true);
    let (read, second) = kept(false);
    assert_eq!(first, second);
    println!("made and kept in {made:.2} s, read again in {read:.2} s");
    ratios.sort_by(f64::total_cmp);
    match ratios.get(ratios.len() / 2) {
        Some(ratio) => println!("feature time ratio transformers/ours: {ratio:.1}"),
        None => println!("feature time ratio transformers/ours: not measured (no Python with transformers)"),
    }
}

/// The number of tokens, the sum of their ids, and the sum of the answers' first and last positions.
type Sum = (u64, u64, u64);

fn sum(features: &[Feature]) -> Sum {
    features.iter().fold((0, 0, 0), |(tokens, entries, answers), f| {
        let own: u64 = f.window.ids.iter().map(|id| u64::from(*id)).sum();
        (tokens + f.window.ids.len() as u64, entries + own, answers + (f.answer.0 + f.answer.1) as u64)
    })
}

/// The data and the folder of the tokenizer, generated if they are not given.
fn places(scratch: &Path) -> (PathBuf, PathBuf) {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let (Some(file), Some(folder)) = (named("OBERT_SQUAD"), named("OBERT_MODEL")) {
        return (file, folder);
    }
    println!("generated texts: OBERT_SQUAD and OBERT_MODEL name others");
    let file = scratch.join("train.json");
    let of_question = |q: &Question| {
        let answer = &q.answers[0];
        let start = q.context[..answer.start].chars().count();
        serde_json::json!({"context": &*q.context, "qas": [{"id": q.id, "question": q.question,
            "answers": [{"text": answer.text, "answer_start": start}]}]})
    };
    let paragraphs: Vec<_> = builtin::generate(8000, 0, 1).train.iter().map(of_question).collect();
    let data = serde_json::json!({"data": [{"paragraphs": paragraphs}]});
    std::fs::write(&file, data.to_string()).expect("a temporary file");
    std::fs::write(scratch.join("vocab.txt"), builtin::vocabulary().join("\n")).expect("a temporary file");
    (file, scratch.to_owned())
}

/// The Python process, which keeps running so that both are measured in turn.
struct Theirs {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Theirs {
    fn start(file: &Path, folder: &Path) -> Option<Self> {
        let python = std::env::var("OBERT_PYTHON").unwrap_or("python3".into());
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/features.py"))
            .args([file, folder])
            .args([WINDOWS.max_length.to_string(), WINDOWS.doc_stride.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut output = BufReader::new(child.stdout.take()?);
        let mut line = String::new();
        output.read_line(&mut line).ok()?;
        println!("{}", line.trim());
        line.starts_with("transformers").then_some(Theirs { child, output })
    }

    /// The seconds of one pass over all questions, and its sums.
    fn once(&mut self) -> Option<(f64, Sum)> {
        writeln!(self.child.stdin.as_mut()?, "go").ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace();
        let seconds = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse().ok();
        Some((seconds, (number()?, number()?, number()?)))
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
