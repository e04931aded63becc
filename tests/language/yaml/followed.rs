//! Help is followed: what a finding proposes removes it, and brings no new error.

use obert::internals::diag::fix;
use obert::internals::yaml::{Options, import};

/// A recipe with every replacement that is proposed, until none is.
pub(super) fn mended(name: &str, text: &str) -> String {
    let check = |text: &str| {
        let compiled = import(name, text, Options::default()).compilation;
        (compiled.main, compiled.diagnostics)
    };
    fix::mend(text, false, check).0
}
