//! Any text: it is parsed, checked and formatted without a panic, what is formatted reads as before, and
//! every diagnostic can be shown.
//!
//! ```sh
//! cargo install cargo-fuzz
//! cd tests/fuzz && cargo +nightly fuzz run recipe --fuzz-dir . corpus ../corpus/bad ../corpus/good ../../stdlib_recipes
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use obert::internals::diag::render::{full, json};
use obert::internals::diag::{Findings, Sources};
use obert::internals::language::syntax::parse_file;
use obert::internals::language::{NoFiles, Options, compile, format};

fuzz_target!(|text: &str| {
    let compiled = compile("fuzz.obert", text, &NoFiles, Options::default());
    assert!(compiled.schedule.is_some() || compiled.has_errors(), "neither a schedule nor an error");
    full::render_all(&compiled.diagnostics, &compiled.sources, false);
    json::render_all(&[(&compiled.diagnostics, &compiled.sources)]);
    let Some(once) = formatted(text) else { return };
    let twice = formatted(&once).expect("what is formatted can be read");
    assert_eq!(once, twice, "formatting again changes the text");
});

fn formatted(text: &str) -> Option<String> {
    let mut findings = Findings::new();
    let file = Sources::new().add("fuzz.obert", text);
    let parsed = parse_file(file, text, &mut findings);
    (!findings.has_errors()).then(|| format(text, &parsed))
}
