//! `obertc predict`.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use clap::Args;
use serde_json::{Map, Value, json};

use super::pack::PrecisionName;
use super::settings_args::SettingsArgs;
use super::{FINE, fetching};
use crate::api::{self, Error, PredictConfig};
use crate::infer::predictor::Entity;
use crate::infer::{Predictor, Request, Response};

/// Answer questions, classify texts, find entities, or compute scores or embeddings: requests as JSON on standard input,
/// one in a line, and answers on standard output.
#[derive(Args, Debug)]
#[command(after_help = "Requests:\n  \
    {\"question\": \"Who wrote it?\", \"context\": \"Ada wrote it.\", \"id\": 1}\n  \
    {\"text\": \"A man sleeps.\", \"pair\": \"A man is awake.\"}\n\
    A line that cannot be answered gets {\"error\": \"…\", \"line\": 3}, and the next ones are answered.")]
pub struct PredictArgs {
    /// A model folder, its name on the hub, or a file that `obertc pack --as engine` wrote
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Do not use the network: the model is a folder or a file, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// Precision of a model folder [default: int8 if it was trained with quantization, else f32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
    /// Truncate texts to the maximum sequence length; without it longer ones are refused
    #[arg(long)]
    truncate: bool,
    /// Maximum batch size: requests that wait are computed together
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    batch: u64,
    /// Number of answers for each question
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    top: u64,
    /// Number of threads [default: number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The longest request in bytes.
const LONGEST_LINE: usize = 4 << 20;
/// The most bytes of unanswered requests: reading pauses while more are queued.
const MOST_WAITING: usize = 16 << 20;
/// The most bytes of the requests in a batch.
const LARGEST_BATCH: usize = 1 << 20;

pub fn run(args: &PredictArgs) -> Result<i32, Error> {
    let mut config = PredictConfig::new(fetching::find(&args.model, args.offline, false)?);
    config.precision = args.precision.map(Into::into);
    config.settings = args.settings.settings();
    config.truncate = args.truncate;
    config.batch = args.batch as usize;
    config.top = args.top as usize;
    config.threads = args.threads.map(|n| n as usize);
    let mut predictor = api::predict(&config)?;
    let lines = read_lines();
    let mut out = std::io::stdout().lock();
    while let Some(batch) = next_batch(&lines, args.batch as usize) {
        let text = answer(&mut predictor, batch);
        // The reader of the output has gone away.
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    Ok(FINE)
}

/// A line of standard input.
struct Line {
    number: u64,
    /// Its bytes, or why they cannot be used.
    content: Result<Vec<u8>, String>,
}

impl Line {
    fn size(&self) -> usize {
        self.content.as_ref().map_or(0, Vec::len)
    }
}

/// Lines that were read and not yet answered.
struct Lines {
    received: Receiver<Line>,
    waiting: Arc<Waiting>,
}

/// The number of bytes that wait, shared with the thread that reads.
#[derive(Default)]
struct Waiting {
    bytes: Mutex<usize>,
    fewer: Condvar,
}

impl Waiting {
    /// Adds a line, after waiting until fewer than [`MOST_WAITING`] bytes wait.
    fn add(&self, size: usize) {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |bytes: &mut usize| *bytes > MOST_WAITING;
        let mut bytes = self.fewer.wait_while(bytes, full).unwrap_or_else(PoisonError::into_inner);
        *bytes += size;
    }

    fn take(&self, size: usize) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= size;
        self.fewer.notify_one();
    }
}

/// Reads standard input on its own thread, so that waiting lines are answered in one batch.
fn read_lines() -> Lines {
    let (sender, received) = sync_channel(1024);
    let waiting = Arc::new(Waiting::default());
    let reading = Arc::clone(&waiting);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        for number in 1.. {
            let mut line = Vec::new();
            let read = (&mut input).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut line);
            let content = match read {
                Ok(0) => return,
                Ok(n) if n > LONGEST_LINE => {
                    let mut rest = Vec::new();
                    while !matches!((&mut input).take(1 << 20).read_until(b'\n', &mut rest), Ok(0) | Err(_))
                        && rest.last() != Some(&b'\n')
                    {
                        rest.clear();
                    }
                    Err(format!("the line is longer than {} MiB", LONGEST_LINE >> 20))
                }
                Ok(_) => Ok(line),
                Err(_) => return,
            };
            let line = Line { number, content };
            reading.add(line.size());
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Lines { received, waiting }
}

/// Waits for a line and takes those that wait with it.
fn next_batch(lines: &Lines, most: usize) -> Option<Vec<Line>> {
    let mut batch = vec![lines.received.recv().ok()?];
    let mut bytes = batch[0].size();
    while batch.len() < most && bytes < LARGEST_BATCH {
        let Ok(line) = lines.received.try_recv() else { break };
        bytes += line.size();
        batch.push(line);
    }
    lines.waiting.take(bytes);
    Some(batch)
}

/// The request of a line, and its id.
struct Asked {
    number: u64,
    id: Option<Value>,
    request: Result<Request, String>,
}

fn answer(predictor: &mut Predictor, lines: Vec<Line>) -> String {
    let asked: Vec<Asked> = lines.into_iter().filter_map(parse).collect();
    let requests: Vec<Request> = asked.iter().filter_map(|a| a.request.as_ref().ok().cloned()).collect();
    let mut responses = predictor.answer(&requests).into_iter();
    let mut out = String::new();
    for one in asked {
        let response = match &one.request {
            Err(why) => Err(why.clone()),
            Ok(_) => responses.next().unwrap_or_else(|| Err("there is no answer".into())),
        };
        let mut object = Map::new();
        object.extend(one.id.map(|id| ("id".to_owned(), id)));
        match response {
            Err(why) => {
                object.insert("error".into(), why.into());
                object.insert("line".into(), one.number.into());
            }
            Ok(response) => show(response, &mut object),
        }
        out.push_str(&format!("{}\n", Value::Object(object)));
    }
    out
}

/// `None` for a blank line.
fn parse(line: Line) -> Option<Asked> {
    let number = line.number;
    let refused = |why: String| Some(Asked { number, id: None, request: Err(why) });
    let bytes = match line.content {
        Ok(bytes) => bytes,
        Err(why) => return refused(why),
    };
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return refused("the line is not UTF-8".into());
    };
    if text.trim().is_empty() {
        return None;
    }
    let mut object = match serde_json::from_str::<Value>(text.trim()) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return refused("the line is no JSON object".into()),
        Err(e) => return refused(format!("the line is not JSON: {e}")),
    };
    let id = object.remove("id");
    let mut text = |name: &str| match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no text")),
    };
    let mut request = || -> Result<Request, String> {
        let (question, context) = (text("question")?, text("context")?);
        let (first, pair) = (text("text")?, text("pair")?);
        match (question, context, first, pair) {
            (Some(question), Some(context), None, None) => Ok(Request::Question { question, context }),
            (None, None, Some(text), pair) => Ok(Request::Text { text, pair }),
            _ => Err("a request has `question` and `context`, or `text` and perhaps `pair`".into()),
        }
    };
    let request = request();
    Some(Asked { number, id, request })
}

fn show(response: Response, object: &mut Map<String, Value>) {
    match response {
        Response::Answers { answers, no_answer } => {
            let fields = |answer: &crate::infer::predictor::Answer| {
                let Value::Object(fields) = json!({
                    "answer": answer.text, "score": rounded(answer.score),
                    "start": answer.start, "end": answer.end,
                }) else {
                    return Map::new();
                };
                fields
            };
            match answers.first() {
                Some(best) => object.extend(fields(best)),
                None => object.extend([("answer".to_owned(), json!("")), ("score".to_owned(), Value::Null)]),
            }
            object.insert("no_answer".into(), rounded(no_answer));
            if answers.len() > 1 {
                let others = answers[1..].iter().map(|a| Value::Object(fields(a)));
                object.insert("others".into(), others.collect());
            }
        }
        Response::Labels { labels, single, truncated } => {
            if let (true, Some((label, probability))) = (single, labels.first()) {
                object.insert("label".into(), label.clone().into());
                object.insert("score".into(), rounded(*probability));
            }
            let all = labels.into_iter().map(|(name, p)| (name, rounded(p)));
            object.insert("labels".into(), Value::Object(all.collect()));
            note_truncation(truncated, object);
        }
        Response::Score { score, truncated } => {
            object.insert("score".into(), rounded(score));
            note_truncation(truncated, object);
        }
        Response::Entities { entities, truncated } => {
            let fields = |entity: Entity| {
                json!({
                    "label": entity.label, "text": entity.text, "score": rounded(entity.score),
                    "start": entity.start, "end": entity.end,
                })
            };
            object.insert("entities".into(), entities.into_iter().map(fields).collect());
            note_truncation(truncated, object);
        }
        Response::Embedding { embedding, truncated } => {
            object.insert("embedding".into(), embedding.into_iter().map(rounded_embedding).collect());
            note_truncation(truncated, object);
        }
    }
}

fn note_truncation(truncated: bool, object: &mut Map<String, Value>) {
    if truncated {
        object.insert("truncated".into(), true.into());
    }
}

/// Rounds to seven decimals, about the precision of float32 for values below 1.
fn rounded_embedding(value: f32) -> Value {
    json!((f64::from(value) * 1e7).round() / 1e7)
}

/// Rounds to five decimals.
fn rounded(value: f32) -> Value {
    json!((f64::from(value) * 1e5).round() / 1e5)
}
