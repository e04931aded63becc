//! Malformed and hostile requests to `obertc serve`: every answer is known beforehand, or none is owed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::golden::golden;
use super::hostile::{GOOD, Random, Sent, complete, good};
use super::server::Server;

/// A connection, and what is read from it.
struct Connection(BufReader<TcpStream>);

/// A reply: its status and its body.
type Reply = (u16, Vec<u8>);

impl Connection {
    fn open(address: &str) -> Connection {
        let begin = Instant::now();
        loop {
            match TcpStream::connect(address) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                    stream.set_nodelay(true).unwrap();
                    return Connection(BufReader::new(stream));
                }
                // All ports of the machine may be in use for a moment.
                Err(e) if begin.elapsed() > Duration::from_secs(60) => panic!("{e}"),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// The next reply; `None` if the server closed the connection.
    fn read(&mut self) -> Option<Reply> {
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            if self.0.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(' ') {
                Some((version, rest)) if version.starts_with("HTTP/1.") => {
                    status = rest.get(..3)?.parse().ok()?
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length:") => {
                    length = value.parse().ok()?
                }
                None if line == "\r\n" && status == 100 => {}
                None if line == "\r\n" => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((status, body))
    }
}

/// What all clients share.
struct Attack<'a> {
    address: &'a str,
    good: Vec<u8>,
    sent: AtomicUsize,
}

impl Attack<'_> {
    fn check(&self, sent: &Sent, (status, body): &Reply) {
        let request = || String::from_utf8_lossy(&sent.bytes[..sent.bytes.len().min(2000)]).into_owned();
        let shown = || String::from_utf8_lossy(body).into_owned();
        assert_eq!(*status, sent.status, "{}\n{}", request(), shown());
        if sent.is_good {
            assert_eq!(shown(), String::from_utf8_lossy(&self.good), "another answer than before");
        }
        if *status >= 400 {
            let error: Value =
                serde_json::from_slice(body).unwrap_or_else(|e| panic!("{e}: {}\n{}", shown(), request()));
            assert!(error["error"].is_string() && error["error_type"].is_string(), "{error}");
        }
    }

    /// One client's requests.
    fn run(&self, seed: u64, count: usize) {
        let mut random = Random(seed);
        let mut open: Option<Connection> = None;
        for _ in 0..count {
            if random.below(12) == 0 {
                self.broken(&mut random);
                continue;
            }
            // Several requests at once; a server may close a connection after it refused a body that it did not read.
            let batch: Vec<Sent> =
                (0..[1, 1, 1, 1, 5][random.below(5)]).map(|_| complete(&mut random)).collect();
            self.sent.fetch_add(batch.len(), Ordering::Relaxed);
            let bytes: Vec<u8> = batch.iter().flat_map(|sent| sent.bytes.clone()).collect();
            let mut connection = open.take().unwrap_or_else(|| Connection::open(self.address));
            // It may have been closed; then nothing is read either.
            let _ = connection.write(&bytes);
            let mut rest = &batch[..];
            let mut attempts = 0;
            while let Some((first, others)) = rest.split_first() {
                match connection.read() {
                    Some(reply) => {
                        self.check(first, &reply);
                        rest = others;
                        attempts = 0;
                    }
                    None => {
                        attempts += 1;
                        assert!(attempts < 3, "no reply to {}", String::from_utf8_lossy(&first.bytes));
                        connection = Connection::open(self.address);
                        let bytes: Vec<u8> = rest.iter().flat_map(|sent| sent.bytes.clone()).collect();
                        let _ = connection.write(&bytes);
                    }
                }
            }
            open = Some(connection);
        }
    }

    /// What is no complete request, on a connection of its own: it gets an error or nothing.
    fn broken(&self, random: &mut Random) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let whole = good().bytes;
        let mut connection = Connection::open(self.address);
        let with = |header: &str, body: &str| {
            format!(
                "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{header}\r\n{body}"
            )
            .into_bytes()
        };
        let mut is_slow = false;
        let bytes = match random.below(14) {
            0 | 1 => whole[..random.below(whole.len())].to_vec(),
            2 => (0..1 + random.below(500)).map(|_| random.next() as u8).collect(),
            3 => with("Content-Length: 5\r\nContent-Length: 7\r\n", GOOD),
            4 => with(
                &format!("Content-Length: {}\r\n", random.pick(&["-1", "99999999999999999999", "x", ""])),
                GOOD,
            ),
            5 => with(
                "Transfer-Encoding: chunked\r\n",
                random.pick(&["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "5\r\nab"]),
            ),
            6 => with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "3\r\n{}}\r\n0\r\n\r\n"),
            7 => with("X: \u{1}\r\nContent-Length: 19\r\n", GOOD),
            8 => with(&"X: y\r\n".repeat(101 + random.below(500)), GOOD),
            9 => format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 + random.below(70_000)))
                .into_bytes(),
            10 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            11 => {
                is_slow = random.below(20) == 0;
                whole.clone()
            }
            12 => with("Expect: 100-continue\r\nContent-Length: 19\r\n", ""),
            _ => {
                let mut changed = whole.clone();
                changed[random.below(whole.len())] = random.next() as u8;
                changed
            }
        };
        if is_slow {
            for part in bytes.chunks(7) {
                connection.write(part).unwrap();
                std::thread::sleep(Duration::from_millis(2));
            }
            self.check(&good(), &connection.read().unwrap());
            return;
        }
        let _ = connection.write(&bytes);
        if random.below(4) == 0 {
            return;
        }
        let _ = connection.0.get_mut().shutdown(Shutdown::Write);
        while let Some((status, body)) = connection.read() {
            assert!(status < 500 || status == 505, "{status}: {}", String::from_utf8_lossy(&bytes));
            if status == 200 && bytes == whole {
                assert_eq!(body, self.good);
            }
        }
    }
}

fn pack(model: &Path, out: &Path) {
    let arguments =
        ["pack", model.to_str().unwrap(), "--as", "engine", "--force", "--out", out.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_obertc")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `OBERT_REQUESTS` is the number of requests, 4000 by default.
#[test]
#[allow(clippy::print_stdout, reason = "figures for the reader of a long run")]
fn hostile_requests_get_errors_and_good_ones_their_answers() {
    let count: usize = std::env::var("OBERT_REQUESTS").map_or(4000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (packed, whole) = (folder.path().join("model.obert-engine"), folder.path().join("whole"));
    pack(&golden("heads/classifier"), &packed);
    std::fs::copy(&packed, &whole).unwrap();
    let server = Server::start(&[packed.to_str().unwrap(), "--log", "off"]);
    let mut first = Connection::open(&server.address);
    first.write(&good().bytes).unwrap();
    let (status, body) = first.read().unwrap();
    assert_eq!(status, 200);
    let attack = Attack { address: &server.address, good: body, sent: AtomicUsize::new(0) };
    // Clients that send nothing more, for as long as the server lets them.
    let request = good().bytes;
    let stuck: Vec<Connection> = (0..100)
        .map(|i| {
            let mut connection = Connection::open(&server.address);
            connection.write(&request[..request.len() * (i % 10) / 10]).unwrap();
            connection
        })
        .collect();
    let clients = 4;
    // Before memory is measured, every buffer was as full as it gets.
    attack.run(1, 2000.min(count / 2));
    let before = server.memory();
    let clock = Instant::now();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            let bytes = std::fs::read(&whole).unwrap();
            let mut random = Random(99);
            while !is_over.load(Ordering::Relaxed) {
                // Truncated where it is, replaced by a rename, overwritten in two parts.
                match random.below(3) {
                    0 => std::fs::write(&packed, &bytes[..random.below(bytes.len())]).unwrap(),
                    1 => {
                        let new = folder.path().join("new");
                        std::fs::write(&new, &bytes).unwrap();
                        std::fs::rename(new, &packed).unwrap();
                    }
                    _ => {
                        let mut file = std::fs::File::create(&packed).unwrap();
                        let (one, two) = bytes.split_at(random.below(bytes.len()));
                        file.write_all(one).unwrap();
                        std::thread::sleep(Duration::from_millis(300));
                        file.write_all(two).unwrap();
                    }
                }
                std::thread::sleep(Duration::from_millis(50 + random.below(4000) as u64));
            }
        });
        let run: Vec<_> = (0..clients)
            .map(|i| {
                let attack = &attack;
                scope.spawn(move || attack.run(2 + i as u64, count / clients))
            })
            .collect();
        // Whether they panicked is said after the other thread was told to end.
        let ends: Vec<_> = run.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        replacing.join().unwrap();
        ends.into_iter().for_each(|end| end.unwrap());
    });
    let seconds = clock.elapsed().as_secs_f64();
    drop(stuck);
    let mut last = Connection::open(&server.address);
    last.write(&good().bytes).unwrap();
    attack.check(&good(), &last.read().unwrap());
    let metrics = server.get("/metrics").body;
    assert!(!metrics.contains("status=\"500"), "{metrics}");
    assert!(!server.said().contains("panicked"), "{}", server.said());
    let after = server.memory();
    let requests = attack.sent.load(Ordering::Relaxed);
    println!(
        "{requests} requests in {seconds:.1} s; resident memory {before:?} MiB before, {after:?} MiB after"
    );
    let reloads = metrics.lines().filter(|line| line.starts_with("obert_reloads_total"));
    reloads.for_each(|line| println!("{line}"));
    if let (Some(before), Some(after)) = (before, after) {
        assert!(after < before + 64, "memory grew from {before} to {after} MiB");
    }
}
