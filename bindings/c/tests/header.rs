//! The committed header is the one that cbindgen writes.

use std::path::Path;

#[test]
fn the_header_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let mut written = Vec::new();
    cbindgen::generate_with_config(folder, config).unwrap().write(&mut written);
    // `# Safety` is Rust's word for what a caller must keep to.
    let text = String::from_utf8(written).unwrap().replace("# Safety", "Contract:");
    let path = folder.join("include/obert.h");
    if std::env::var_os("OBERT_WRITE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "write it again: OBERT_WRITE=1 cargo test -p obert-c");
    assert_eq!(text.matches("\nextern \"C\"").count(), 1);
}
