//! Answers HTTP requests from packed models (`obertc serve`).
//!
//! The interface is that of Hugging Face's text-embeddings-inference (`/embed`, `/similarity`, `/rerank`, `/predict`,
//! `/tokenize`, `/info`, `/health`, `/metrics`) and OpenAI's `/v1/embeddings`, with `/entities` for token classification
//! and `/answer` for question answering. [`http`] accepts connections, [`routes`] parses requests and
//! writes responses, [`queue`] computes the requests that wait together in one batch, one thread for each model, and
//! [`model`] replaces a model whose file was replaced.

mod access;
mod config;
mod http;
mod metrics;
mod model;
mod queue;
mod reply;
mod routes;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::api::{Error, PredictConfig};
use crate::diag::{Code, Diagnostic};

use metrics::Metrics;
use model::ServedModel;

pub use config::{RequestLimits, ServeConfig};

/// Serves the models until the process is asked to stop (SIGINT, SIGTERM), and then answers the accepted requests.
/// `ready` receives the address when connections are accepted.
///
/// # Errors
/// A model that cannot be opened, an address that cannot be listened on, or threads that cannot be started.
pub fn serve(config: &ServeConfig, ready: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let metrics = Arc::new(Metrics::default());
    let open = |(name, predict): &(String, PredictConfig)| {
        ServedModel::open(name, predict, config.limits, Arc::clone(&metrics)).map(Arc::new)
    };
    let models = config.models.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
    let failed = |e: std::io::Error| {
        let message = format!("cannot listen on {}: {e}", config.address);
        Error::unlocated(
            Diagnostic::unlocated(Code::CannotListen, message)
                .help("give another address with `--host` and `--port`; port 0 is any free one"),
        )
    };
    let refused = |e: std::io::Error| {
        let message = format!("cannot start the server's event loop: {e}");
        Error::unlocated(
            Diagnostic::unlocated(Code::ResourcesRefused, message)
                .help("raise the limit of open files (`ulimit -n`)"),
        )
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(refused)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(config.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = http::stop_request().map_err(refused)?;
        for model in &models {
            tokio::spawn(Arc::clone(model).reload_when_replaced());
        }
        let app = routes::router(models, config, metrics);
        ready(address);
        http::run(listener, app, config.limits, stop).await;
        Ok(())
    })
}
