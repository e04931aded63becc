//! `obertc serve`, by requests over loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::golden::golden;
use super::server::{Reply, Server, post};

fn classifier() -> String {
    golden("heads/classifier").display().to_string()
}

fn reader() -> String {
    golden("bert/tiny").display().to_string()
}

/// What `obertc predict` says to a request.
fn predicted(model: &str, request: &Value) -> Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(["predict", model, "--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_classifier_answers_as_predict_does_to_a_text_a_pair_and_a_list() {
    let server = Server::start(&[&classifier()]);
    let expected = predicted(&classifier(), &json!({ "text": "w1 w2", "pair": "w3" }));
    let one = server.post("/predict", &json!({ "inputs": ["w1 w2", "w3"] }));
    assert_eq!(one.status, 200, "{}", one.body);
    let labels = one.json();
    assert_eq!(labels[0]["label"], expected["label"]);
    let close = |a: &Value, b: &Value| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5;
    assert!(close(&labels[0]["score"], &expected["score"]), "{labels} {expected}");
    assert_eq!(labels.as_array().unwrap().len(), 3);
    let many = server.post("/predict", &json!({ "inputs": [["w1 w2", "w3"], ["w1"], "w1"] })).json();
    assert_eq!(many[0], labels, "what runs beside a text does not change its scores");
    assert_eq!((many.as_array().unwrap().len(), &many[1]), (3, &many[2]));
    let single = server.post("/predict", &json!({ "inputs": "w1" })).json();
    assert_eq!(single, many[1]);
    let info = server.get("/info").json();
    assert_eq!(info["model_id"], "classifier");
    assert_eq!(info["model_type"]["classifier"]["id2label"]["0"], "entailment");
    assert!(!info.to_string().contains(&*golden("").display().to_string()), "no path of the machine: {info}");
}

#[test]
fn several_models_answer_by_name_and_a_reader_answers_questions() {
    let named = format!("read={}", reader());
    let server = Server::start(&[&classifier(), &named]);
    let asked = json!({ "question": "w1 w2", "context": "w3 w4 w5 w6" });
    let expected = predicted(&reader(), &asked);
    let got = server.post("/answer", &json!({ "model": "read", "inputs": asked })).json();
    assert_eq!(got["answers"][0]["text"], expected["answer"]);
    assert_eq!(got["answers"][0]["start"], expected["start"]);
    let list = server.post("/answer", &json!({ "model": "read", "inputs": [asked, asked] })).json();
    assert_eq!((&list[0], &list[1]), (&got, &got));
    let wrong = server.post("/answer", &json!({ "inputs": asked }));
    assert_eq!((wrong.status, wrong.json()["error_type"].as_str()), (422, Some("Validation")));
    let unknown = server.post("/predict", &json!({ "inputs": "w1", "model": "none" }));
    assert_eq!(unknown.status, 404);
    assert!(unknown.json()["error"].as_str().unwrap().contains("classifier, read"), "{}", unknown.body);
    let models = server.get("/v1/models").json();
    assert_eq!(models["data"][1]["id"], "read");
}

#[test]
fn tokens_have_ids_and_offsets_in_characters() {
    let server = Server::start(&[&classifier()]);
    let tokens = server.post("/tokenize", &json!({ "inputs": "w1 é w2" })).json();
    let texts: Vec<&str> =
        tokens[0].as_array().unwrap().iter().map(|t| t["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["[CLS]", "w1", "é", "w2", "[SEP]"]);
    let last = &tokens[0][3];
    assert_eq!((&last["start"], &last["stop"], &last["special"]), (&json!(5), &json!(7), &json!(false)));
    let plain =
        server.post("/tokenize", &json!({ "inputs": ["w1", ""], "add_special_tokens": false })).json();
    assert_eq!((plain[0].as_array().unwrap().len(), plain[1].as_array().unwrap().len()), (1, 0));
}

#[test]
fn requests_beyond_the_limits_are_refused_with_a_reason() {
    let server = Server::start(&[&classifier(), "--max-texts", "2", "--max-body", "4"]);
    let refused = |reply: Reply, status: u16, part: &str| {
        assert_eq!(reply.status, status, "{}", reply.body);
        let error = reply.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(part), "{error}");
    };
    let predict = |body: Value| server.post("/predict", &body);
    refused(predict(json!({ "inputs": [["w1"], ["w1"], ["w1"]] })), 413, "at most 2");
    refused(predict(json!({ "inputs": [] })), 422, "is empty");
    refused(predict(json!({ "inputs": [["a", "b", "c"]] })), 422, "one text or two");
    refused(predict(json!({ "inputs": 5 })), 422, "must be a text");
    refused(predict(json!({ "inputs": "w1", "trunkate": true })), 422, "trunkate");
    refused(predict(json!({ "inputs": "w1 ".repeat(2000) })), 413, "too large");
    refused(predict(json!({ "inputs": "w1 ".repeat(100) })), 413, "`\"truncate\": true`");
    assert_eq!(predict(json!({ "inputs": "w1 ".repeat(100), "truncate": true })).status, 200);
    refused(server.get("/nothing"), 404, "no such path");
    refused(server.get("/predict"), 405, "another method");
    refused(server.send(&post("/predict", "", b"{")), 400, "JSON");
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("obert_requests_total{path=\"/predict\",status=\"413\"} 3"), "{metrics}");
    assert!(metrics.contains("obert_batch_texts_count 2"), "{metrics}");
}

#[test]
fn a_key_is_asked_for_and_health_needs_none() {
    let server = Server::start(&[&classifier(), "--api-key", "secret"]);
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.get("/info").status, 401);
    let with = |key: &str| {
        let header = format!("Authorization: Bearer {key}\r\n");
        server.send(&post("/predict", &header, br#"{"inputs": "w1"}"#)).status
    };
    assert_eq!((with("secret"), with("secre"), with("secrets"), with("")), (200, 401, 401, 401));
}

#[test]
fn another_address_than_the_machines_own_needs_a_key_or_no_auth() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obertc"));
        let output = command.args(["serve", &classifier()]).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["--host", "0.0.0.0"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("--api-key") && said.contains("--no-auth"), "{said}");
    let other = Server::start(&[&classifier()]);
    let port = other.address.rsplit(':').next().unwrap();
    let (code, said) = run(&["--port", port]);
    assert_eq!(code, Some(1));
    assert!(said.contains("OB0966") && said.contains("--port"), "{said}");
    let (code, said) = run(&[&classifier()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("NAME=MODEL"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn threads_that_the_system_refuses_are_no_fault_of_the_address_or_the_model() {
    // The stacks of 1024 threads take more address space than is allowed.
    let command = r#"ulimit -v 2000000; exec "$0" serve "$1" --port 0 --threads 1024"#;
    let output = Command::new("sh")
        .args(["-c", command, env!("CARGO_BIN_EXE_obertc"), &classifier()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("OB0967") && said.contains("--threads"), "{said}");
}

#[test]
fn requests_that_came_are_answered_before_the_server_stops() {
    let server = Server::start(&[&classifier(), "--delay", "400"]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(&post("/predict", "", br#"{"inputs": "w1"}"#)).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let reading = std::thread::spawn(move || {
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        Reply::of(&reply)
    });
    assert_eq!(server.stop(), Some(0));
    assert_eq!(reading.join().unwrap().status, 200);
}

#[test]
fn a_request_that_takes_longer_than_the_timeout_gets_504() {
    let server = Server::start(&[&classifier(), "--timeout", "1", "--delay", "3000"]);
    let clock = Instant::now();
    let reply = server.post("/predict", &json!({ "inputs": "w1" }));
    assert_eq!((reply.status, reply.json()["error_type"].as_str()), (504, Some("Timeout")));
    assert!(clock.elapsed() < Duration::from_secs(3), "{:?}", clock.elapsed());
}

#[test]
#[ignore = "needs 10,000 open files in each of two processes"]
#[allow(clippy::print_stdout, reason = "figures for the reader")]
fn ten_thousand_connections_are_open_and_a_request_on_one_is_answered() {
    let server = Server::start(&[&classifier(), "--log", "off"]);
    let before = server.memory();
    let mut open: Vec<TcpStream> = (0..9_999)
        .map(|i| TcpStream::connect(&server.address).unwrap_or_else(|e| panic!("{i}: {e}")))
        .collect();
    let good = json!({ "inputs": "w1 w2" });
    assert_eq!(server.post("/predict", &good).status, 200, "the last of 10,000");
    let clock = Instant::now();
    let last = open.last_mut().unwrap();
    last.write_all(&post("/predict", "", good.to_string().as_bytes())).unwrap();
    let mut reply = Vec::new();
    last.read_to_end(&mut reply).unwrap();
    assert_eq!(Reply::of(&reply).status, 200);
    println!(
        "answered in {:?}; memory {before:?} MiB before, {:?} MiB with 10,000 connections",
        clock.elapsed(),
        server.memory()
    );
    drop(open);
    assert_eq!(server.post("/predict", &good).status, 200);
}

#[test]
fn more_texts_than_may_wait_are_refused_and_the_rest_answered() {
    let server = Server::start(&[&classifier(), "--max-waiting", "4", "--delay", "300"]);
    let clients: Vec<_> = (0..12)
        .map(|_| {
            let address = server.address.clone();
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&post("/predict", "", br#"{"inputs": "w1"}"#)).unwrap();
                let mut reply = Vec::new();
                stream.read_to_end(&mut reply).unwrap();
                Reply::of(&reply).status
            })
        })
        .collect();
    let mut statuses: Vec<u16> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert_eq!(*statuses.last().unwrap(), 429, "{statuses:?}");
    assert!(statuses.iter().all(|s| [200, 429].contains(s)), "{statuses:?}");
    assert_eq!(server.post("/predict", &json!({ "inputs": "w1" })).status, 200, "the server goes on");
}

/// Copies a folder with a model.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_replaced_model_answers_and_a_damaged_one_does_not_replace_it() {
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("model.obert-engine");
    let pack = |model: &str| {
        let new = folder.path().join("new.obert-engine");
        let arguments = ["pack", model, "--as", "engine", "--force", "--out", new.to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_obertc")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(new, &packed).unwrap();
    };
    pack(&classifier());
    let server = Server::start(&[packed.to_str().unwrap()]);
    let labels = || server.get("/info").json()["model_type"]["classifier"]["id2label"]["0"].clone();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let before = server.post("/predict", &json!({ "inputs": "w1" })).json();
    std::fs::write(&packed, b"damaged").unwrap();
    until("the damaged file is noticed", &|| {
        server.get("/metrics").body.contains("obert_reloads_total{outcome=\"failed\"} 1")
    });
    assert_eq!(server.post("/predict", &json!({ "inputs": "w1" })).json(), before);
    let renamed = folder.path().join("renamed");
    copy(&golden("heads/classifier"), &renamed);
    let config = renamed.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("entailment", "follows")).unwrap();
    pack(renamed.to_str().unwrap());
    until("the new model answers", &|| labels() == "follows");
    assert_eq!(server.post("/predict", &json!({ "inputs": "w1" })).status, 200);
}

#[test]
fn clients_that_are_slow_or_go_away_hold_up_nobody() {
    let server = Server::start(&[&classifier()]);
    let mut open = Vec::new();
    for i in 0..200 {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let request = post("/predict", "", br#"{"inputs": "w1"}"#);
        stream.write_all(&request[..request.len() * (i % 10) / 10]).unwrap();
        match i % 3 {
            0 => open.push(stream),
            1 => stream.shutdown(Shutdown::Write).unwrap(),
            _ => drop(stream),
        }
    }
    assert_eq!(server.post("/predict", &json!({ "inputs": "w1" })).status, 200);
}

/// Bytes that resemble a request more or less.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let json = prop_oneof![
        Just(br#"{"inputs": "w1"}"#.to_vec()),
        Just(br#"{"inputs": ["#.to_vec()),
        Just(vec![b'['; 5000]),
        Just(br#"{"inputs": "\ud800"}"#.to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let path = prop::sample::select(vec![
        "/predict",
        "/answer",
        "/tokenize",
        "/info",
        "/%00",
        "//",
        "/predict?x=%ff",
    ]);
    let header = prop::sample::select(vec![
        "",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 5\r\nContent-Length: 7\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Expect: 100-continue\r\n",
        "X: \u{1}\r\n",
    ]);
    let request = (path, header, json).prop_map(|(path, header, body)| post(path, header, &body));
    let changed =
        (request.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, with)| {
            let at = at.index(bytes.len());
            bytes[at] = with;
            bytes
        });
    prop_oneof![request, changed, prop::collection::vec(any::<u8>(), 1..300)]
}

#[test]
fn whatever_is_sent_the_server_goes_on_and_answers_as_before() {
    let server = Server::start(&[&classifier()]);
    let good = json!({ "inputs": "w1 w2" });
    let before = server.post("/predict", &good).json();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&hostile(), |bytes| {
            let mut stream = TcpStream::connect(&server.address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let mut reply = Vec::new();
            let _ = stream.read_to_end(&mut reply);
            let status = Reply::of(&reply).status;
            prop_assert!(status < 500, "{status}: {}", String::from_utf8_lossy(&bytes));
            Ok(())
        })
        .unwrap();
    assert_eq!(server.post("/predict", &good).json(), before);
}
