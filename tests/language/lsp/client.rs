//! A scripted client, over the server's standard input and output or in the test's own process.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use obert::internals::lsp::server;
use serde_json::{Value, json};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    transport: Transport,
    next: i64,
    /// Notifications and requests of the server that were not looked at.
    received: VecDeque<Value>,
}

enum Transport {
    Memory(lsp_server::Connection, Option<JoinHandle<bool>>),
    Process(Child, Option<ChildStdin>, Receiver<Value>),
}

/// The capabilities of a client that has diagnostics pushed and counts UTF-16.
pub fn plain() -> Value {
    json!({ "capabilities": {} })
}

impl Client {
    /// A client of a server in this process, before `initialize`.
    pub fn in_memory() -> Self {
        let (server_end, client_end) = lsp_server::Connection::memory();
        let server = std::thread::spawn(move || server::run(&server_end));
        Client { transport: Transport::Memory(client_end, Some(server)), next: 0, received: VecDeque::new() }
    }

    /// A client of the process `obertc lsp`, before `initialize`.
    pub fn of_process(cache: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
            .arg("lsp")
            .env("XDG_CACHE_HOME", cache)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        let input = child.stdin.take();
        Client { transport: Transport::Process(child, input, receiver), next: 0, received: VecDeque::new() }
    }

    /// A client of a server in this process, after `initialize`.
    pub fn started(params: Value) -> Self {
        let mut client = Client::in_memory();
        client.request("initialize", params);
        client.notify("initialized", json!({}));
        client
    }

    pub fn send(&mut self, message: Value) {
        match &mut self.transport {
            Transport::Memory(connection, _) => {
                connection.sender.send(serde_json::from_value(message).unwrap()).unwrap();
            }
            Transport::Process(..) => {
                let text = message.to_string();
                self.send_bytes(format!("Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes());
            }
        }
    }

    /// Sends bytes that may be no message.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let Transport::Process(_, input, _) = &mut self.transport else { panic!("a process has bytes") };
        let input = input.as_mut().unwrap();
        // A server that has ended does not read.
        let _ = input.write_all(bytes).and_then(|()| input.flush());
    }

    fn receive(&mut self) -> Value {
        match &mut self.transport {
            Transport::Memory(connection, _) => {
                json!(connection.receiver.recv_timeout(PATIENCE).expect("an answer"))
            }
            Transport::Process(_, _, receiver) => receiver.recv_timeout(PATIENCE).expect("an answer"),
        }
    }

    /// Sends a request without waiting; returns its id.
    pub fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.next += 1;
        let id = self.next;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// The response to a request, whole.
    pub fn response(&mut self, id: impl Into<Value>) -> Value {
        let id = id.into();
        let is_it = |m: &Value| m.get("method").is_none() && m["id"] == id;
        if let Some(at) = self.received.iter().position(is_it) {
            return self.received.remove(at).unwrap();
        }
        loop {
            let message = self.receive();
            if is_it(&message) {
                return message;
            }
            self.received.push_back(message);
        }
    }

    /// The result of a request.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let response = self.response(id);
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].clone()
    }

    /// The error of a request: its code and message.
    pub fn refused(&mut self, method: &str, params: Value) -> (i64, String) {
        let id = self.ask(method, params);
        let error = &self.response(id)["error"];
        (error["code"].as_i64().expect("an error"), error["message"].as_str().unwrap().to_owned())
    }

    /// The next notification or request of the server with this method.
    pub fn notified(&mut self, method: &str) -> Value {
        if let Some(at) = self.received.iter().position(|m| m["method"] == method) {
            return self.received.remove(at).unwrap()["params"].clone();
        }
        loop {
            let message = self.receive();
            if message["method"] == method {
                return message["params"].clone();
            }
            self.received.push_back(message);
        }
    }

    pub fn open(&mut self, uri: &str, version: i32, text: &str) {
        let document = json!({ "uri": uri, "languageId": "obert", "version": version, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
    }

    /// Replaces the whole text.
    pub fn change(&mut self, uri: &str, version: i32, text: &str) {
        self.edit(uri, version, json!([{ "text": text }]));
    }

    pub fn edit(&mut self, uri: &str, version: i32, changes: Value) {
        let document = json!({ "uri": uri, "version": version });
        self.notify("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
    }

    pub fn close(&mut self, uri: &str) {
        self.notify("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
    }

    /// The next pushed diagnostics of a document.
    pub fn pushed(&mut self, uri: &str) -> Value {
        let is_it = |m: &Value| m["method"] == "textDocument/publishDiagnostics" && m["params"]["uri"] == uri;
        if let Some(at) = self.received.iter().position(is_it) {
            return self.received.remove(at).unwrap()["params"].clone();
        }
        loop {
            let message = self.receive();
            if is_it(&message) {
                return message["params"].clone();
            }
            self.received.push_back(message);
        }
    }

    /// The next pushed diagnostics of a version of a document; `null` for one that is closed.
    pub fn pushed_of(&mut self, uri: &str, version: impl Into<Value>) -> Value {
        let version = version.into();
        loop {
            let params = self.pushed(uri);
            if params["version"] == version {
                return params;
            }
        }
    }

    /// The result of a request about a whole document.
    pub fn of_document(&mut self, method: &str, uri: &str) -> Value {
        let options = json!({ "tabSize": 2, "insertSpaces": true });
        self.request(method, json!({ "textDocument": { "uri": uri }, "options": options }))
    }

    /// The result of a request about a position.
    pub fn at(&mut self, method: &str, uri: &str, (line, character): (u32, u32)) -> Value {
        let position = json!({ "line": line, "character": character });
        self.request(method, json!({ "textDocument": { "uri": uri }, "position": position }))
    }

    /// Shuts the server down in order; returns the exit code of a process, or 0.
    pub fn end(mut self) -> i32 {
        self.request("shutdown", Value::Null);
        self.notify("exit", Value::Null);
        self.wait().0
    }

    /// Waits for the end of the server; its exit code and what it wrote to standard error.
    pub fn wait(self) -> (i32, String) {
        match self.transport {
            Transport::Memory(connection, server) => {
                drop(connection);
                let in_order = server.unwrap().join().expect("the server does not panic");
                (i32::from(!in_order), String::new())
            }
            Transport::Process(mut child, input, _) => {
                drop(input);
                let mut errors = String::new();
                child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
                (child.wait().unwrap().code().unwrap(), errors)
            }
        }
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim() {
            "" => break,
            header => length = header.strip_prefix("Content-Length: ")?.parse().ok()?,
        }
    }
    let mut bytes = vec![0; length];
    output.read_exact(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The line and the UTF-16 column of the first `needle` in a text, plus an offset in it.
pub fn place(text: &str, needle: &str, inside: usize) -> (u32, u32) {
    let at = text.find(needle).unwrap_or_else(|| panic!("`{needle}` in\n{text}")) + inside;
    let line = text[..at].matches('\n').count();
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    (line as u32, text[start..at].encode_utf16().count() as u32)
}

/// A range as `line:column-line:column`.
pub fn range(range: &Value) -> String {
    let at = |end: &str| format!("{}:{}", range[end]["line"], range[end]["character"]);
    format!("{}-{}", at("start"), at("end"))
}

/// The text that edits make of a text; columns are UTF-16.
pub fn edited(text: &str, edits: &Value) -> String {
    let offset = |position: &Value| {
        let line = position["line"].as_u64().unwrap() as usize;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        let mut units = position["character"].as_u64().unwrap() as usize;
        let mut at = start;
        for c in text[start..].chars() {
            if units == 0 {
                break;
            }
            units -= c.len_utf16();
            at += c.len_utf8();
        }
        at
    };
    let mut edits: Vec<&Value> = edits.as_array().unwrap().iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(offset(&edit["range"]["start"])));
    let mut text = text.to_owned();
    let whole = text.clone();
    for edit in edits {
        assert!(whole.len() >= offset(&edit["range"]["end"]));
        let range = offset(&edit["range"]["start"])..offset(&edit["range"]["end"]);
        text.replace_range(range, edit["newText"].as_str().unwrap());
    }
    text
}
