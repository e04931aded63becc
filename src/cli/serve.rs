//! `obertc serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory, ValueEnum};

use super::pack::PrecisionName;
use super::{Cli, FINE, eprint, fetching};
use crate::api::{Error, PredictConfig};
use crate::serve::{RequestLimits, ServeConfig, serve};

/// Answer HTTP requests from models, with the interface of text-embeddings-inference.
#[derive(Args, Debug)]
#[command(
    after_help = "Paths: POST /embed, /similarity, /rerank, /predict, /entities, /answer, /tokenize, /v1/embeddings, \
    /v1/rerank, /; GET /info, /v1/models, /metrics, /health, /docs, /openapi.json.\n\
    With several models, a request chooses one by `\"model\": \"NAME\"`; otherwise the first answers.\n\n\
    $ obertc serve model.obert-engine\n\
    $ curl localhost:8080/predict -H 'Content-Type: application/json' -d '{\"inputs\": \"A text.\"}'"
)]
pub struct ServeArgs {
    /// Model folders, names on the hub, or files that `obertc pack --as engine` wrote; NAME=MODEL gives a name
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<String>,
    /// Address to listen on; other addresses than this machine's own need --api-key or --no-auth
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 is any free port
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Key that requests must send as `Authorization: Bearer KEY` [default: the variable OBERT_API_KEY]
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Answer everyone who reaches the address, without a key
    #[arg(long, conflicts_with = "api_key")]
    no_auth: bool,
    /// Do not use the network: the models are folders or files, or in the Hugging Face cache
    #[arg(long)]
    offline: bool,
    /// Precision of a model folder [default: int8 if it was trained with quantization, else f32]
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionName>,
    /// Number of threads for each model [default: number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,
    /// Maximum batch size: N sequences of the maximum length, or more sequences if they are shorter
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    batch: u64,
    /// Milliseconds that the first request of a batch waits for others
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    delay: u64,
    /// Maximum number of texts in a request; more get status 413
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_texts: u64,
    /// Maximum number of texts that wait for a model; further requests get status 429
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_waiting: u64,
    /// Maximum size of a request in KiB; larger ones get status 413
    #[arg(long, value_name = "KIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    max_body: u64,
    /// Seconds that a request may take; then it gets status 504
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// How requests are logged to standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    log: LogFormat,
}

/// How requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object for each request
    Json,
    /// No requests
    Off,
}

pub fn run(args: &ServeArgs) -> Result<i32, Error> {
    let from_environment =
        || std::env::var("OBERT_API_KEY").ok().filter(|key| !key.is_empty() && !args.no_auth);
    let api_key = args.api_key.clone().or_else(from_environment);
    if !args.host.is_loopback() && api_key.is_none() && !args.no_auth {
        let message = "--host other than this machine's own needs --api-key KEY, or --no-auth";
        Cli::command().error(clap::error::ErrorKind::MissingRequiredArgument, message).exit();
    }
    let mut models: Vec<(String, PredictConfig)> = Vec::new();
    for text in &args.models {
        let (name, path) = named(text);
        if models.iter().any(|(other, _)| *other == name) {
            let message = format!("two models have the name `{name}`; write NAME=MODEL");
            Cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit();
        }
        let mut config = PredictConfig::new(fetching::find(&path, args.offline, false)?);
        config.offline = args.offline;
        config.precision = args.precision.map(Into::into);
        config.batch = args.batch as usize;
        config.threads = args.threads.map(|n| n as usize);
        // A request says whether it may be truncated; the server refuses it if not.
        config.truncate = true;
        models.push((name, config));
    }
    let config = ServeConfig {
        models,
        address: SocketAddr::new(args.host, args.port),
        api_key,
        limits: RequestLimits {
            body: (args.max_body as usize) << 10,
            texts: args.max_texts as usize,
            waiting: args.max_waiting as usize,
            delay: Duration::from_millis(args.delay),
            timeout: Duration::from_secs(args.timeout),
            ..RequestLimits::default()
        },
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false);
    match args.log {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Off => {}
    }
    serve(&config, |address| eprint(&format!("listening on http://{address}\n")))?;
    Ok(FINE)
}

/// The name and the path of a model: `NAME=MODEL`, or the last part of a path without its ending.
fn named(text: &str) -> (String, PathBuf) {
    if let Some((name, path)) =
        text.split_once('=').filter(|(name, _)| !name.is_empty() && !Path::new(text).exists())
    {
        return (name.to_owned(), path.into());
    }
    let path = Path::new(text);
    let stem = path.file_stem().filter(|_| path.is_file()).or(path.file_name());
    let name = stem.map_or_else(|| text.to_owned(), |stem| stem.to_string_lossy().into_owned());
    (name, path.to_owned())
}
