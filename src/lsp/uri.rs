//! Files as URIs of the protocol, and back.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use lsp_types::Uri;

/// The path of a `file:` URI; `None` for another scheme, such as that of a text without a file.
pub fn path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    // The authority is empty, or `localhost`.
    let path = &rest[rest.find('/')?..];
    let path = path.split(['?', '#']).next().unwrap_or("");
    let decoded = decode(path)?;
    // `/c:/folder` of Windows.
    let bytes = decoded.as_bytes();
    let drive = bytes.len() > 2 && bytes[0] == b'/' && bytes[1].is_ascii_alphabetic() && bytes[2] == b':';
    Some(PathBuf::from(if drive { &decoded[1..] } else { &decoded }))
}

/// The `file:` URI of an absolute path; `None` for a relative one.
pub fn of_path(path: &Path) -> Option<Uri> {
    let text = path.to_str()?.replace('\\', "/");
    let rooted = if text.starts_with('/') {
        text
    } else if text.as_bytes().get(1) == Some(&b':') {
        format!("/{text}")
    } else {
        return None;
    };
    Uri::from_str(&format!("file://{}", encode(&rooted))).ok()
}

/// The name of a document in messages, from which paths in `use "…"` are resolved: its path, or the URI.
pub fn name(uri: &Uri) -> String {
    path(uri).map_or_else(|| uri.as_str().to_owned(), |path| path.display().to_string())
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |b: Option<u8>| char::from(b?).to_digit(16);
                bytes.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Percent-encodes all but unreserved characters and slashes.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b':' => out.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_its_uri_are_inverse() {
        for name in ["/a/b.obert", "/with space/ü#?%.obert", "/日本/x.yaml"] {
            let uri = of_path(Path::new(name)).unwrap();
            assert_eq!(path(&uri), Some(PathBuf::from(name)), "{}", uri.as_str());
        }
        assert_eq!(of_path(Path::new("relative.obert")), None);
    }

    #[test]
    fn uris_of_other_clients_are_read() {
        let read = |text: &str| path(&Uri::from_str(text).unwrap());
        assert_eq!(read("file:///c%3A/x/a.obert"), Some(PathBuf::from("c:/x/a.obert")));
        assert_eq!(read("file://localhost/x/a.obert"), Some(PathBuf::from("/x/a.obert")));
        assert_eq!(read("untitled:Untitled-1"), None);
    }
}
