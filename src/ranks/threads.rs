//! Ranks as threads of one process, for tests of what several ranks compute.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::Communicator;

/// A rank, to be moved to its thread.
pub struct ThreadRank {
    rank: usize,
    /// To each rank.
    to: Vec<Sender<Message>>,
    /// From each rank.
    from: Vec<Receiver<Message>>,
}

enum Message {
    Floats(Vec<f32>),
    Bytes(Vec<u8>),
}

/// `size` ranks that are connected with each other.
pub fn threads(size: usize) -> Vec<ThreadRank> {
    let mut ranks: Vec<ThreadRank> =
        (0..size).map(|rank| ThreadRank { rank, to: Vec::new(), from: Vec::new() }).collect();
    for sender in 0..size {
        for receiver in 0..size {
            let (to, from) = channel();
            ranks[sender].to.push(to);
            ranks[receiver].from.push(from);
        }
    }
    ranks
}

impl ThreadRank {
    /// Sends a message to each rank and receives one from each.
    ///
    /// # Panics
    /// If another rank has ended.
    fn exchange(&self, messages: impl Iterator<Item = Message>) -> impl Iterator<Item = Message> {
        for (to, message) in self.to.iter().zip(messages) {
            to.send(message).expect("a rank ended before the others");
        }
        self.from.iter().map(|from| from.recv().expect("a rank ended before the others"))
    }
}

impl Communicator for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn all_to_all(&self, values: &[f32], sends: &[usize], receives: &[usize]) -> Vec<f32> {
        let mut rest = values;
        let parts = sends.iter().map(|n| {
            let (part, after) = rest.split_at(*n);
            rest = after;
            Message::Floats(part.to_vec())
        });
        let received: Vec<Vec<f32>> = self.exchange(parts).map(Message::floats).collect();
        assert!(received.iter().map(Vec::len).eq(receives.iter().copied()), "numbers of received floats");
        received.concat()
    }

    fn all_gather_floats(&self, own: &[f32], counts: &[usize]) -> Vec<f32> {
        let size = self.size();
        self.all_to_all(&own.repeat(size), &vec![own.len(); size], counts)
    }

    fn all_gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        let messages = std::iter::repeat_n(own, self.size()).map(|own| Message::Bytes(own.to_vec()));
        self.exchange(messages).map(Message::bytes).collect()
    }
}

impl Message {
    /// # Panics
    /// If the ranks do not call the same operations.
    fn floats(self) -> Vec<f32> {
        match self {
            Message::Floats(floats) => floats,
            Message::Bytes(_) => panic!("ranks call different operations"),
        }
    }

    /// # Panics
    /// If the ranks do not call the same operations.
    fn bytes(self) -> Vec<u8> {
        match self {
            Message::Bytes(bytes) => bytes,
            Message::Floats(_) => panic!("ranks call different operations"),
        }
    }
}
