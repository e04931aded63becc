//! Messages of JSON-RPC over a pair of byte streams, such as standard input and output.

use std::io::{self, BufRead, Read, Write};
use std::sync::Mutex;

use lsp_server::{Connection, ErrorCode, Message};
use serde_json::{Value, json};

/// The most bytes of a message.
const LARGEST: usize = 256 << 20;

/// Serves a client over byte streams until it exits or closes its end. Returns whether it shut down in order.
///
/// A message that is no JSON, or no request, is answered with an error, and the next one is read.
///
/// # Errors
/// A stream that cannot be read or written, or in which the beginning of a message cannot be found.
pub fn serve(
    mut input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    run: impl FnOnce(&Connection) -> bool,
) -> io::Result<bool> {
    let (server, client) = Connection::memory();
    let output = std::sync::Arc::new(Mutex::new(output));
    let errors = output.clone();
    let Connection { sender, receiver } = client;
    let writer = std::thread::spawn(move || -> io::Result<()> {
        for message in receiver {
            let value = serde_json::to_value(&message)?;
            send(&output, value)?;
        }
        Ok(())
    });
    // The thread may wait for input forever, so it is not joined after the client's `exit`.
    let failed = std::sync::Arc::new(Mutex::new(None));
    let failure = failed.clone();
    std::thread::spawn(move || {
        loop {
            match read(&mut input) {
                Ok(None) => break,
                Ok(Some(Ok(message))) => {
                    if sender.send(message).is_err() {
                        break;
                    }
                }
                Ok(Some(Err(answer))) => {
                    if send(&errors, answer).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    if let Ok(mut failure) = failure.lock() {
                        *failure = Some(error);
                    }
                    break;
                }
            }
        }
    });
    let in_order = run(&server);
    drop(server);
    writer.join().map_err(|_| io::Error::other("the thread that writes has failed"))??;
    match failed.lock().ok().and_then(|mut failed| failed.take()) {
        Some(error) => Err(error),
        None => Ok(in_order),
    }
}

fn send(output: &Mutex<impl Write>, mut message: Value) -> io::Result<()> {
    if let Some(fields) = message.as_object_mut() {
        fields.insert("jsonrpc".to_owned(), "2.0".into());
    }
    let text = message.to_string();
    let mut output = output.lock().map_err(|_| io::Error::other("the output is not usable"))?;
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

/// Reads a message; the inner error is the answer to one that cannot be read. `None` at the end of the input.
#[allow(clippy::type_complexity)]
fn read(input: &mut impl BufRead) -> io::Result<Option<Result<Message, Value>>> {
    let Some(bytes) = read_bytes(input)? else { return Ok(None) };
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => return Ok(Some(Err(refusal(Value::Null, ErrorCode::ParseError, &error.to_string())))),
    };
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    // A request with another id would be read as a notification, and never answered.
    let numbered = id.as_i64().is_some_and(|id| i32::try_from(id).is_ok());
    if !(id.is_null() || id.is_string() || numbered) {
        let why = "the `id` of a request is a text, or a whole number of 32 bits";
        let id = if id.is_i64() { id } else { Value::Null };
        return Ok(Some(Err(refusal(id, ErrorCode::InvalidRequest, why))));
    }
    Ok(Some(match serde_json::from_value(value) {
        Ok(message) => Ok(message),
        Err(_) => {
            let why = "a message has a `method`, or an `id` with a `result` or an `error`";
            Err(refusal(id, ErrorCode::InvalidRequest, why))
        }
    }))
}

fn refusal(id: Value, code: ErrorCode, message: &str) -> Value {
    json!({ "id": id, "error": { "code": code as i32, "message": message } })
}

/// The content of a message, whose length its header gives.
fn read_bytes(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        // A header line is short; an endless one is no header.
        if input.by_ref().take(4096).read_until(b'\n', &mut line)? == 0 {
            return match length {
                None => Ok(None),
                Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        let text = String::from_utf8_lossy(&line);
        let header = text.trim_end_matches(['\r', '\n']);
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else {
            return Err(invalid(format!("`{header}` is no header of a message")));
        };
        if name.trim().eq_ignore_ascii_case("content-length") {
            let bytes = value.trim().parse::<usize>().ok().filter(|bytes| *bytes <= LARGEST);
            length = Some(bytes.ok_or_else(|| invalid(format!("`{header}` is no length of a message")))?);
        }
    }
    let Some(length) = length else { return Err(invalid("a message has no Content-Length".to_owned())) };
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut input = io::Cursor::new(text.as_bytes().to_vec());
        let mut list = Vec::new();
        loop {
            list.push(match read(&mut input) {
                Ok(None) => return list,
                Ok(Some(Ok(Message::Request(request)))) => request.method,
                Ok(Some(Ok(_))) => "other".to_owned(),
                Ok(Some(Err(answer))) => format!("{} {}", answer["id"], answer["error"]["code"]),
                Err(error) => {
                    list.push(error.to_string());
                    return list;
                }
            });
        }
    }

    fn framed(text: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{text}", text.len())
    }

    #[test]
    fn a_message_that_cannot_be_read_does_not_end_the_conversation() {
        let text = [
            framed("{"),
            framed("[1]"),
            framed(r#"{"id": 7, "method": 3}"#),
            framed(r#"{"id": 1.5, "method": "x"}"#),
            framed(r#"{"id": 3000000000, "method": "x"}"#),
            framed(r#"{"jsonrpc": "2.0", "id": 1, "method": "ß"}"#),
        ];
        assert_eq!(
            all(&text.concat()),
            ["null -32700", "null -32600", "7 -32600", "null -32600", "3000000000 -32600", "ß"]
        );
    }

    #[test]
    fn a_stream_without_headers_ends_with_an_error() {
        assert_eq!(all("hello\r\n"), ["`hello` is no header of a message"]);
        assert_eq!(all("Content-Length: -1\r\n\r\n"), ["`Content-Length: -1` is no length of a message"]);
        assert_eq!(all("Content-Type: x\r\n\r\n{}"), ["a message has no Content-Length"]);
        assert_eq!(all(""), [""; 0]);
    }
}
