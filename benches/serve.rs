//! Sequences per second of `obertc serve` on loopback with 1, 8 and 64 clients, and their latencies, beside the same texts
//! through the runtime without a server. Run it as
//!
//! ```sh
//! cargo bench --no-default-features --features serve --bench serve -- [MODEL] [SECONDS]
//! ```
//!
//! MODEL is a folder or a packed file of a classifier or a sentence encoder, by default a tiny one, of which the server's
//! own work is nearly all there is. Each client sends one text at a time and waits for its response. The texts have 8 to
//! 64 words.

#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use obert::runtime::{Head, Request};
use obert::{PredictConfig, predict};

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/heads/classifier").to_owned();
    let model = arguments.first().cloned().unwrap_or(tiny);
    let seconds = arguments.get(1).map_or(5.0, |s| s.parse().expect("SECONDS is a number"));
    let texts: Vec<String> = (0..256).map(text).collect();

    let mut config = PredictConfig::new(&model);
    config.truncate = true;
    let mut predictor = predict(&config).unwrap_or_else(|e| panic!("{model}: {e:?}"));
    let path = match predictor.model().head() {
        Head::Embedding { .. } => "/embed",
        _ => "/predict",
    };
    let requests: Vec<Request> =
        texts.iter().map(|text| Request::Text { text: text.clone(), pair: None }).collect();
    for (name, size) in [("one at a time", 1), ("64 at a time", 64)] {
        let (clock, mut count) = (Instant::now(), 0);
        while clock.elapsed().as_secs_f64() < seconds {
            for chunk in requests.chunks(size) {
                for response in predictor.answer(chunk) {
                    response.unwrap_or_else(|e| panic!("{model}: {e}"));
                }
                count += chunk.len();
            }
        }
        println!(
            "without a server, {name:<14} {:9.0} sequences/s",
            count as f64 / clock.elapsed().as_secs_f64()
        );
    }
    drop(predictor);

    let mut server = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["serve", &model, "--port", "0", "--log", "off"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("obertc starts");
    let mut line = String::new();
    let mut said = BufReader::new(server.stderr.take().expect("its standard error is read"));
    said.read_line(&mut line).expect("it says where it listens");
    let address = line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));
    for clients in [1, 8, 64] {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        let mut times: Vec<Duration> = std::thread::scope(|scope| {
            let client = |i: usize| {
                let texts = &texts;
                scope.spawn(move || run(address, path, texts.iter().cycle().skip(i * 37), until))
            };
            let running: Vec<_> = (0..clients).map(client).collect();
            running.into_iter().flat_map(|client| client.join().expect("no client fails")).collect()
        });
        times.sort_unstable();
        let quantile = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
        println!(
            "{clients:>3} clients {:>23.0} sequences/s   p50 {:8.3} ms   p99 {:8.3} ms",
            times.len() as f64 / seconds,
            quantile(0.5),
            quantile(0.99)
        );
    }
    let _ = server.kill();
    let _ = server.wait();
}

/// A text of 8 to 64 words.
fn text(i: usize) -> String {
    let words = 8 + i * 7919 % 57;
    (0..words).map(|word| format!("w{} ", 1 + (i + word) % 30)).collect()
}

/// One client's requests until a time, and how long each took.
fn run<'a>(
    address: &str,
    path: &str,
    texts: impl Iterator<Item = &'a String>,
    until: Instant,
) -> Vec<Duration> {
    let mut stream = BufReader::new(TcpStream::connect(address).expect("the server accepts"));
    stream.get_ref().set_nodelay(true).expect("a connection over TCP");
    let mut times = Vec::new();
    for text in texts {
        let clock = Instant::now();
        if clock >= until {
            break;
        }
        let body = format!(r#"{{"inputs": "{text}", "truncate": true}}"#);
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.get_mut().write_all(request.as_bytes()).expect("the server reads");
        let (mut line, mut length) = (String::new(), 0);
        let mut is_first = true;
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).expect("the server answers");
            assert!(!std::mem::take(&mut is_first) || line.contains(" 200 "), "{line}");
            let name = "content-length:";
            if line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name) {
                length = line[name.len()..].trim().parse().expect("a number");
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the server answers");
        times.push(clock.elapsed());
    }
    times
}
