//! The queue of a model: requests that wait are computed together, on a thread of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::metrics::Metrics;
use crate::infer::{Predictor, Request, Response};

/// The most bytes of text in one batch; the session divides a batch by tokens.
const LARGEST_BATCH: usize = 256 << 10;

/// The predictions for the texts of a request, in their order; one sentence for a text that is refused.
pub type Predictions = Vec<Result<Response, String>>;

/// A request that waits.
struct Job {
    texts: Vec<Request>,
    respond: oneshot::Sender<Predictions>,
}

enum Message {
    Job(Job),
    Replace(Box<Predictor>),
}

/// Why a request has no predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many texts wait already.
    Overloaded,
    /// The model's thread has ended.
    Ended,
}

/// The sending side of a model's queue.
pub struct Queue {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    most: usize,
}

impl Queue {
    /// Starts the thread of a model.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn start(
        name: &str,
        predictor: Predictor,
        (most, delay): (usize, Duration),
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Queue> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = Worker { predictor, receiver, waiting: Arc::clone(&waiting), delay, metrics };
        std::thread::Builder::new().name(format!("obert {name}")).spawn(move || worker.run())?;
        Ok(Queue { sender, waiting, most })
    }

    /// The predictions for some texts.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn predict(&self, texts: Vec<Request>) -> Result<Predictions, Refused> {
        let count = texts.len();
        let before = self.waiting.fetch_add(count, Ordering::SeqCst);
        // A request is accepted by an empty queue whatever its size.
        if before > 0 && before + count > self.most {
            self.waiting.fetch_sub(count, Ordering::SeqCst);
            return Err(Refused::Overloaded);
        }
        let (respond, response) = oneshot::channel();
        if self.sender.send(Message::Job(Job { texts, respond })).is_err() {
            self.waiting.fetch_sub(count, Ordering::SeqCst);
            return Err(Refused::Ended);
        }
        response.await.map_err(|_| Refused::Ended)
    }

    /// Replaces the model for requests that are not computed yet.
    pub fn replace(&self, predictor: Predictor) {
        let _ = self.sender.send(Message::Replace(Box::new(predictor)));
    }

    /// The number of texts that wait or are computed.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

struct Worker {
    predictor: Predictor,
    receiver: Receiver<Message>,
    waiting: Arc<AtomicUsize>,
    delay: Duration,
    metrics: Arc<Metrics>,
}

impl Worker {
    /// Computes batches until the queue is dropped.
    fn run(mut self) {
        while let Ok(first) = self.receiver.recv() {
            let mut batch = VecDeque::new();
            let mut replacement = self.take(first, &mut batch);
            let until = Instant::now() + self.delay;
            let bytes =
                |batch: &VecDeque<Job>| batch.iter().flat_map(|job| &job.texts).map(size).sum::<usize>();
            while replacement.is_none() && bytes(&batch) < LARGEST_BATCH {
                let next = match self.receiver.try_recv() {
                    Ok(next) => next,
                    Err(TryRecvError::Disconnected) => break,
                    Err(TryRecvError::Empty) => {
                        let left = until.saturating_duration_since(Instant::now());
                        match self.receiver.recv_timeout(left) {
                            Ok(next) => next,
                            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                        }
                    }
                };
                replacement = self.take(next, &mut batch);
            }
            self.compute(batch);
            if let Some(predictor) = replacement {
                self.predictor = *predictor;
            }
        }
    }

    /// Adds a job to the batch, or returns the model that replaces the present one after the batch.
    fn take(&self, message: Message, batch: &mut VecDeque<Job>) -> Option<Box<Predictor>> {
        match message {
            Message::Replace(predictor) => return Some(predictor),
            // The client of a closed job has gone away, or its time is over.
            Message::Job(job) if job.respond.is_closed() => {
                self.waiting.fetch_sub(job.texts.len(), Ordering::SeqCst);
            }
            Message::Job(job) => batch.push_back(job),
        }
        None
    }

    fn compute(&mut self, batch: VecDeque<Job>) {
        let mut texts = Vec::new();
        let mut senders = Vec::new();
        for job in batch {
            senders.push((job.texts.len(), job.respond));
            texts.extend(job.texts);
        }
        if texts.is_empty() {
            return;
        }
        let clock = Instant::now();
        let mut predictions = self.predictor.answer(&texts).into_iter();
        self.metrics.batch(texts.len(), clock.elapsed());
        for (count, respond) in senders {
            self.waiting.fetch_sub(count, Ordering::SeqCst);
            let _ = respond.send(predictions.by_ref().take(count).collect());
        }
    }
}

/// Bytes of a request's texts.
fn size(request: &Request) -> usize {
    match request {
        Request::Question { question, context } => question.len() + context.len(),
        Request::Text { text, pair } => text.len() + pair.as_ref().map_or(0, String::len),
    }
}
