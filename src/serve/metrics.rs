//! Metrics in the format of Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The labels of a counted request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reloads {
    outcome: &'static str,
}

/// Counters, histograms and gauges of a server.
pub struct Metrics {
    requests: Family<Served, Counter>,
    seconds: Histogram,
    batch_seconds: Histogram,
    batch_texts: Histogram,
    waiting: Family<OfModel, Gauge>,
    reloads: Family<Reloads, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.0005, 2.0, 16));
        Metrics {
            requests: Family::default(),
            seconds: seconds(),
            batch_seconds: seconds(),
            batch_texts: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            waiting: Family::default(),
            reloads: Family::default(),
        }
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn request(&self, path: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Served { path: path.to_owned(), status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a batch that was computed.
    pub fn batch(&self, texts: usize, took: Duration) {
        self.batch_seconds.observe(took.as_secs_f64());
        self.batch_texts.observe(texts as f64);
    }

    /// Counts the replacement of a model, or that it failed.
    pub fn reloaded(&self, succeeded: bool) {
        let outcome = if succeeded { "replaced" } else { "failed" };
        self.reloads.get_or_create(&Reloads { outcome }).inc();
    }

    /// All metrics in Prometheus' text format; `waiting` has each model's number of texts that wait or are computed.
    pub fn text<'a>(&self, waiting: impl Iterator<Item = (&'a str, usize)>) -> String {
        for (model, count) in waiting {
            let gauge = self.waiting.get_or_create(&OfModel { model: model.to_owned() });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut registry = Registry::with_prefix("obert");
        registry.register("requests", "Answered requests by path and status", self.requests.clone());
        registry.register("request_seconds", "Seconds from a request to its response", self.seconds.clone());
        registry.register("batch_seconds", "Seconds of a batch in the model", self.batch_seconds.clone());
        registry.register("batch_texts", "Texts in a batch", self.batch_texts.clone());
        registry.register("waiting_texts", "Texts that wait or are computed", self.waiting.clone());
        registry.register("reloads", "Replacements of a model by its new file", self.reloads.clone());
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
