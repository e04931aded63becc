//! Any text as `config.json`: it is refused with help, or the sizes, parameters and the encoder that it describes are computed.
//!
//! ```sh
//! mkdir -p seeds && for f in ../golden/*/*/config.json; do cp $f seeds/$(echo $f | tr / _); done
//! cargo +nightly fuzz run config --fuzz-dir . corpus-config seeds -- -max_len=4000
//! ```

#![no_main]

use libfuzzer_sys::fuzz_target;
use obert::internals::diag::Sources;
use obert::internals::infer::pack::describe;
use obert::internals::params::builtin::{self, Head};
use obert::internals::params::config_file::ConfigFile;

fuzz_target!(|text: &str| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("config.json"), text).expect("a file");
    match ConfigFile::read(folder.path(), &mut Sources::new(), || None) {
        Err(wrong) => assert!(wrong.iter().all(|d| d.help.is_some())),
        Ok(read) => {
            builtin::table(&read.config.architecture(), Head::QuestionAnswering);
            let _ = describe::encoder(&read.config);
        }
    }
});
