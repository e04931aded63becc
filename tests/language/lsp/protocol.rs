//! Starting and ending, refusals, and messages that are none.

use serde_json::{Value, json};

use super::client::{Client, plain};

#[test]
fn a_process_answers_over_its_standard_streams_and_ends_in_order() {
    let cache = tempfile::tempdir().unwrap();
    let mut client = Client::of_process(cache.path());
    let result = client.request("initialize", plain());
    assert_eq!(result["serverInfo"]["name"], "obertc");
    assert_eq!(result["capabilities"]["positionEncoding"], "utf-16");
    client.notify("initialized", json!({}));
    client.open("file:///x/a.obert", 1, "recipe a {\n");
    let pushed = client.pushed("file:///x/a.obert");
    assert_eq!(pushed["diagnostics"][0]["code"], "OB0101");
    let page = pushed["diagnostics"][0]["codeDescription"]["href"].as_str().unwrap();
    let page = std::fs::read_to_string(page.strip_prefix("file://").unwrap()).unwrap();
    assert!(page.starts_with("# OB0101: a bracket is never closed\n"), "{page}");
    assert_eq!(client.end(), 0);
}

#[test]
fn exit_without_shutdown_and_a_closed_stream_are_errors() {
    let cache = tempfile::tempdir().unwrap();
    let mut client = Client::of_process(cache.path());
    client.request("initialize", plain());
    client.notify("exit", Value::Null);
    assert_eq!(client.wait(), (1, String::new()));
    let client = Client::of_process(cache.path());
    assert_eq!(client.wait(), (1, String::new()), "its input is closed");
}

#[test]
fn messages_that_are_none_are_answered_or_end_the_server_with_a_reason() {
    let cache = tempfile::tempdir().unwrap();
    let mut client = Client::of_process(cache.path());
    client.send_bytes(b"Content-Length: 9\r\n\r\n{\"id\": 1,");
    assert_eq!(client.response(Value::Null)["error"]["code"], -32700);
    client.send_bytes(b"Content-Length: 11\r\n\r\n{\"id\": 12 }");
    assert_eq!(client.response(12)["error"]["code"], -32600);
    client.request("initialize", plain());
    client.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    let (code, errors) = client.wait();
    assert_eq!(code, 1);
    assert!(errors.contains("`GET / HTTP/1.1` is no header of a message"), "{errors}");
    assert!(errors.contains("help: `obertc lsp` is started by an editor"), "{errors}");
}

#[test]
fn requests_are_refused_before_the_start_after_the_end_and_where_unknown() {
    let mut client = Client::in_memory();
    let hover =
        json!({ "textDocument": { "uri": "file:///a.obert" }, "position": { "line": 0, "character": 0 } });
    assert_eq!(client.refused("textDocument/documentSymbol", hover.clone()).0, -32002);
    assert_eq!(client.refused("initialize", json!({ "capabilities": 3 })).0, -32602);
    client.request("initialize", plain());
    assert_eq!(client.refused("initialize", plain()).0, -32600);
    let (code, why) = client.refused("textDocument/nonsense", json!({}));
    assert_eq!((code, why.as_str()), (-32601, "`textDocument/nonsense` is not supported"));
    let (code, why) = client.refused("textDocument/documentSymbol", hover);
    assert_eq!((code, why.as_str()), (-32602, "`file:///a.obert` is not open"));
    let (code, why) = client.refused("textDocument/documentSymbol", json!({ "textDocument": 7 }));
    assert_eq!((code, why.as_str()), (-32602, "`textDocument/documentSymbol` has other parameters"));
    client.notify("$/unknown", json!({}));
    client.notify("textDocument/didChange", json!({ "x": 1 }));
    client.change("file:///not/open.obert", 2, "x");
    client.request("shutdown", Value::Null);
    assert_eq!(client.refused("textDocument/documentSymbol", json!({})).0, -32600);
    client.notify("exit", Value::Null);
    assert_eq!(client.wait().0, 0);
}

#[test]
fn a_request_that_waits_is_cancelled_and_every_request_has_one_answer() {
    let mut client = Client::started(plain());
    let uri = "file:///a.obert";
    // Enough work that the requests after it wait.
    client.open(uri, 1, &"recipe a { }\n".repeat(3_000));
    let tokens = json!({ "textDocument": { "uri": uri } });
    let first = client.ask("textDocument/semanticTokens/full", tokens.clone());
    let ids: Vec<i64> =
        (0..20).map(|_| client.ask("textDocument/semanticTokens/full", tokens.clone())).collect();
    for id in &ids {
        client.notify("$/cancelRequest", json!({ "id": id }));
    }
    client.notify("$/cancelRequest", json!({ "id": "unknown" }));
    assert!(client.response(first).get("result").is_some());
    let answers: Vec<Value> = ids.iter().map(|id| client.response(*id)).collect();
    let cancelled = answers.iter().filter(|a| a["error"]["code"] == -32800).count();
    let answered = answers.iter().filter(|a| a.get("result").is_some()).count();
    assert_eq!(cancelled + answered, ids.len(), "{answers:?}");
    assert!(cancelled > 0, "none was cancelled while the first was answered");
    assert_eq!(client.end(), 0);
}
