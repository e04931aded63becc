//! Requests that are complete HTTP and have malformed bodies, wrong headers or paths, with the status that each gets.

/// Pseudorandom numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

pub const GOOD: &str = r#"{"inputs": "w1 w2"}"#;

/// A request that is complete, and the status that it gets.
pub struct Sent {
    pub bytes: Vec<u8>,
    pub status: u16,
    /// Whether its answer is the one that is known.
    pub is_good: bool,
}

fn sent(method_and_path: &str, header: &str, body: &[u8], status: u16) -> Sent {
    let head =
        format!("{method_and_path} HTTP/1.1\r\nHost: x\r\n{header}Content-Length: {}\r\n\r\n", body.len());
    Sent { bytes: [head.as_bytes(), body].concat(), status, is_good: false }
}

fn json(path: &str, body: &[u8], status: u16) -> Sent {
    sent(&format!("POST {path}"), "Content-Type: application/json\r\n", body, status)
}

pub fn good() -> Sent {
    Sent { is_good: true, ..json("/predict", GOOD.as_bytes(), 200) }
}

/// Bodies of wrong types.
const WRONG: [&str; 17] = [
    "5",
    "null",
    "[]",
    r#"["w1"]"#,
    "{}",
    r#"{"inputs": 5}"#,
    r#"{"inputs": null}"#,
    r#"{"inputs": {"a": 1}}"#,
    r#"{"inputs": [1, 2]}"#,
    r#"{"inputs": []}"#,
    r#"{"inputs": [[]]}"#,
    r#"{"inputs": ["a", "b", "c"]}"#,
    r#"{"inputs": "w1", "truncate": "yes"}"#,
    r#"{"inputs": "w1", "model": 5}"#,
    r#"{"inputs": "w1", "inputs": "w1"}"#,
    r#"{"inputs": 12345678901234567890123456789012345678901234567890}"#,
    r#"{"inputs": "w1", "\u0000": 1}"#,
];

/// A complete request.
pub fn complete(random: &mut Random) -> Sent {
    match random.below(16) {
        0..=2 => good(),
        3 => json("/predict", &GOOD.as_bytes()[..random.below(GOOD.len())], 400),
        4 => json("/predict", random.pick(&WRONG).as_bytes(), 422),
        5 => {
            let most = random.pick(&[10, 1000, 100_000]);
            let depth = 130 + random.below(most);
            let body = [r#"{"inputs": "#, &"[".repeat(depth), &"]".repeat(depth), "}"].concat();
            json("/predict", body.as_bytes(), 400)
        }
        6 => {
            let number = random.pick(&["1e999", "-1e99999", "0123", "NaN", "Infinity", "1e", "--1", ".5"]);
            json("/predict", format!(r#"{{"inputs": {number}}}"#).as_bytes(), 400)
        }
        7 => {
            let bytes: [&[u8]; 6] = [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f", br"\ud800", b"\x00"];
            json("/predict", &[br#"{"inputs": "w1"#.as_slice(), random.pick(&bytes), br#""}"#].concat(), 400)
        }
        8 => {
            let header = random.pick(&[
                "",
                "Content-Type: text/plain\r\n",
                "Content-Type: application/x-www-form-urlencoded\r\n",
                "Content-Type: \u{1f600}\r\n",
                "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
                "Content-Type: application/json\r\nContent-Encoding: unknown\r\n",
            ]);
            sent("POST /predict", header, GOOD.as_bytes(), 415)
        }
        9 => {
            let mut body: Vec<u8> = (0..1 + random.below(300)).map(|_| random.next() as u8).collect();
            body[0] = 1;
            json(random.pick(&["/predict", "/answer", "/embed", "/rerank", "/", "/v1/rerank"]), &body, 400)
        }
        10 => {
            let path =
                random.pick(&["/%00", "//", "/predict/", "/../etc/passwd", "/PREDICT", "/v1", "/x?y=%ff"]);
            json(path, GOOD.as_bytes(), 404)
        }
        11 => sent(
            random.pick(&["GET /predict", "DELETE /predict", "PUT /embed", "POST /info", "BREW /"]),
            "",
            b"",
            405,
        ),
        12 => {
            let texts = vec![r#"["w1"]"#; 33].join(",");
            json("/predict", format!(r#"{{"inputs": [{texts}]}}"#).as_bytes(), 413)
        }
        13 => {
            let text = "w1 ".repeat(19 + random.below(2000));
            let truncate = random.below(2) == 0;
            let body = format!(r#"{{"inputs": "{text}", "truncate": {truncate}}}"#);
            json("/predict", body.as_bytes(), if truncate { 200 } else { 413 })
        }
        14 => {
            let character =
                |random: &mut Random| char::from_u32(random.below(0x11_0000) as u32).unwrap_or('\u{fffd}');
            let text: String = (0..random.below(200)).map(|_| character(random)).collect();
            let body = serde_json::json!({ "inputs": text, "truncate": true });
            json("/predict", body.to_string().as_bytes(), 200)
        }
        _ => {
            let body = random.pick(&[r#"{"inputs": "w1"}"#, r#"{"inputs": ["w1"]}"#]);
            let (path, status) =
                random.pick(&[("/tokenize", 200), ("/embed", 422), ("/entities", 422), ("/rerank", 422)]);
            json(path, body.as_bytes(), status)
        }
    }
}
