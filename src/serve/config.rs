//! What is served, and the limits of requests.

use std::net::SocketAddr;
use std::time::Duration;

use crate::api::PredictConfig;

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The models with the names by which requests choose one; a request that names none is answered by the first.
    pub models: Vec<(String, PredictConfig)>,
    /// The address to listen on; port 0 is any free port.
    pub address: SocketAddr,
    /// The key that requests must send, as `Authorization: Bearer KEY`.
    pub api_key: Option<String>,
    /// The limits of requests.
    pub limits: RequestLimits,
}

/// The limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Texts of a request.
    pub texts: usize,
    /// Texts that wait for a model; further requests are refused with status 429.
    pub waiting: usize,
    /// How long the first request of a batch waits for others.
    pub delay: Duration,
    /// How long a request may take.
    pub timeout: Duration,
    /// Open connections; further ones wait to be accepted.
    pub connections: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        RequestLimits {
            body: 2 << 20,
            texts: 32,
            waiting: 512,
            delay: Duration::ZERO,
            timeout: Duration::from_secs(30),
            connections: 10_000,
        }
    }
}
