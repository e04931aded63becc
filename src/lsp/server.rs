//! The loop of the language server: messages in their order, cancelled requests, and diagnostics once no message waits.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    Cancel, DidChangeTextDocument, DidChangeWatchedFiles, DidChangeWorkspaceFolders, DidCloseTextDocument,
    DidOpenTextDocument, DidSaveTextDocument, Exit, Initialized, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{
    Initialize, RegisterCapability, Request as _, Shutdown, WorkspaceDiagnosticRefresh,
};
use lsp_types::{InitializeParams, NumberOrString, PublishDiagnosticsParams};
use serde_json::{Value, json};

use super::requests::{self, params};
use super::workspace::Workspace;

/// Answers a client until it exits or is gone. Returns whether it shut down first, as the protocol asks.
pub fn run(connection: &Connection) -> bool {
    Server { connection, state: State::Waiting, queue: VecDeque::new(), changed: BTreeSet::new(), sent: 0 }
        .run()
}

enum State {
    /// Before `initialize`.
    Waiting,
    Running(Box<Workspace>),
    /// After `shutdown`.
    Stopped,
}

struct Server<'a> {
    connection: &'a Connection,
    state: State,
    /// Messages that were received and not handled.
    queue: VecDeque<Message>,
    /// The URIs of documents whose diagnostics are to be pushed.
    changed: BTreeSet<String>,
    /// The number of requests to the client.
    sent: i32,
}

impl Server<'_> {
    fn run(mut self) -> bool {
        loop {
            if self.queue.is_empty() {
                // Only now, so that no diagnostics of an old version are sent while a newer one waits.
                if let Ok(message) = self.connection.receiver.try_recv() {
                    self.receive(message);
                } else {
                    self.push_diagnostics();
                    match self.connection.receiver.recv() {
                        Ok(message) => self.receive(message),
                        Err(_) => return false,
                    }
                }
            }
            while let Ok(message) = self.connection.receiver.try_recv() {
                self.receive(message);
            }
            match self.queue.pop_front() {
                Some(Message::Request(request)) => self.request(request),
                Some(Message::Notification(n)) if n.method == Exit::METHOD => {
                    return matches!(self.state, State::Stopped);
                }
                Some(Message::Notification(notification)) => self.notification(notification),
                Some(Message::Response(_)) | None => {}
            }
        }
    }

    /// Queues a message; a cancellation answers the request that waits.
    fn receive(&mut self, message: Message) {
        let cancelled = match &message {
            Message::Notification(n) if n.method == Cancel::METHOD => {
                params::<lsp_types::CancelParams>(&n.params).map(|params| match params.id {
                    NumberOrString::Number(id) => RequestId::from(id),
                    NumberOrString::String(id) => RequestId::from(id),
                })
            }
            _ => None,
        };
        let Some(id) = cancelled else { return self.queue.push_back(message) };
        let waits = |m: &Message| matches!(m, Message::Request(request) if request.id == id);
        if let Some(at) = self.queue.iter().position(waits) {
            self.queue.remove(at);
            self.refuse(id, ErrorCode::RequestCanceled, "the request was cancelled");
        }
    }

    fn send(&self, message: impl Into<Message>) {
        // A client that is gone is noticed when the next message is received.
        let _ = self.connection.sender.send(message.into());
    }

    fn refuse(&self, id: RequestId, code: ErrorCode, message: &str) {
        self.send(Response::new_err(id, code as i32, message.to_owned()));
    }

    /// Sends a request to the client, whose answer is not needed.
    fn ask(&mut self, method: &str, params: Value) {
        self.sent += 1;
        let id = RequestId::from(format!("obertc-{}", self.sent));
        self.send(Request { id, method: method.to_owned(), params });
    }

    fn request(&mut self, request: Request) {
        match (&mut self.state, request.method.as_str()) {
            (State::Waiting, Initialize::METHOD) => match params::<InitializeParams>(&request.params) {
                Some(initialize) => {
                    let workspace = Workspace::new(&initialize);
                    let result = workspace.initialize_result();
                    self.state = State::Running(Box::new(workspace));
                    self.send(Response::new_ok(request.id, result));
                }
                None => {
                    self.refuse(request.id, ErrorCode::InvalidParams, "`initialize` has other parameters")
                }
            },
            (State::Waiting, _) => {
                self.refuse(request.id, ErrorCode::ServerNotInitialized, "the first request is `initialize`");
            }
            (State::Running(_), Initialize::METHOD) => {
                self.refuse(request.id, ErrorCode::InvalidRequest, "`initialize` is sent once");
            }
            (State::Running(_), Shutdown::METHOD) => {
                self.state = State::Stopped;
                self.send(Response::new_ok(request.id, Value::Null));
            }
            (State::Running(workspace), method) => {
                // A fault of one answer must not end the server, which has the texts of the client.
                let answer =
                    catch_unwind(AssertUnwindSafe(|| requests::answer(workspace, method, request.params)));
                let asks = std::mem::take(&mut workspace.asks);
                let failed = || Err((ErrorCode::InternalError, "the request failed".to_owned()));
                match answer.unwrap_or_else(|_| failed()) {
                    Ok(result) => self.send(Response::new_ok(request.id, result)),
                    Err((code, why)) => self.refuse(request.id, code, &why),
                }
                asks.into_iter().for_each(|(method, params)| self.ask(&method, params));
            }
            (State::Stopped, _) => {
                self.refuse(request.id, ErrorCode::InvalidRequest, "the server was shut down");
            }
        }
    }

    fn notification(&mut self, notification: Notification) {
        let State::Running(workspace) = &mut self.state else { return };
        let value = &notification.params;
        let changed = match notification.method.as_str() {
            DidOpenTextDocument::METHOD => params(value).map(|params| workspace.open(params)),
            DidChangeTextDocument::METHOD => params(value).map(|params| workspace.change(params)),
            DidCloseTextDocument::METHOD => params(value).map(|params| workspace.close(params)),
            DidSaveTextDocument::METHOD | DidChangeWatchedFiles::METHOD => Some(workspace.files_changed()),
            DidChangeWorkspaceFolders::METHOD => {
                if let Some(params) = params(value) {
                    workspace.change_folders(params);
                }
                None
            }
            Initialized::METHOD => {
                if let Some(watchers) = workspace.watchers() {
                    self.ask(RegisterCapability::METHOD, watchers);
                }
                return;
            }
            // Others, such as `$/setTrace`, are optional.
            _ => None,
        };
        let Some(changed) = changed else { return };
        if workspace.pulls {
            if changed.others && workspace.refreshes {
                self.ask(WorkspaceDiagnosticRefresh::METHOD, Value::Null);
            }
        } else {
            self.changed.extend(changed.documents);
        }
    }

    /// Sends the diagnostics of the documents that have changed.
    fn push_diagnostics(&mut self) {
        let State::Running(workspace) = &mut self.state else { return };
        let changed = std::mem::take(&mut self.changed);
        let mut pushed: Vec<PublishDiagnosticsParams> = Vec::new();
        for uri in changed {
            let found = catch_unwind(AssertUnwindSafe(|| workspace.published(&uri)));
            pushed.extend(found.ok().flatten());
        }
        for params in pushed {
            self.send(Notification::new(PublishDiagnostics::METHOD.to_owned(), json!(params)));
        }
    }
}
