//! Any bytes as a packed model whose checksums are right: it is refused, or it opens and runs.
//!
//! ```sh
//! mkdir -p seeds && obertc pack ../golden/infer/quantized --as engine --out seeds/quantized
//! cargo +nightly fuzz run packed --fuzz-dir . corpus-packed seeds -- -max_len=200000
//! ```

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use obert::internals::infer::file::layout::{HEADER, Header, hash};
use obert::internals::infer::{Limits, Model, Sequence, Session};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::from_bytes(&repaired(bytes), "fuzz") else { return };
    let limits = Limits { length: 20, threads: 1, ..Limits::default() };
    let mut session = Session::new(Arc::new(model), limits).expect("one thread");
    let _ = session.run(&[Sequence { ids: &[2, 9, 8, 3], types: &[0; 4] }]);
});

/// The same with checksums that are right, so that what lies behind them is reached.
fn repaired(bytes: &[u8]) -> Vec<u8> {
    let number = |at: usize| bytes.get(at..at + 8).map(|b| u64::from_le_bytes(b.try_into().unwrap()));
    let body = bytes.get(HEADER..).unwrap_or_default();
    let at = (number(24).unwrap_or(0) as usize).clamp(HEADER, HEADER + body.len());
    let sections = &body[..at - HEADER];
    let mut text = body[at - HEADER..].to_vec();
    if let Ok(mut directory) = serde_json::from_slice::<Value>(&text) {
        let all = directory.get_mut("sections").and_then(Value::as_object_mut);
        for section in all.into_iter().flat_map(|map| map.values_mut()) {
            let place = |name: &str| section.get(name).and_then(Value::as_u64).map(|n| n as usize);
            let (Some(offset), Some(length)) = (place("offset"), place("length")) else { continue };
            let Some(from) = offset.checked_sub(HEADER) else { continue };
            let Some(part) = from.checked_add(length).and_then(|to| sections.get(from..to)) else { continue };
            let right = format!("{:016x}", hash(part));
            section["hash"] = right.into();
        }
        text = directory.to_string().into_bytes();
    }
    let header = Header {
        length: (at + text.len()) as u64,
        directory: at as u64,
        directory_length: text.len() as u64,
        directory_hash: hash(&text),
    };
    [&header.bytes(), sections, &text].concat()
}
