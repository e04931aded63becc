//! `obertc pack`, `predict` and `bench`, as a user runs them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::golden::golden;

fn run(arguments: &[&str], folder: &Path, input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obertc"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("OBERT_PYTHON", "/nowhere/python")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_packed_model_answers_as_its_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("infer/quantized").display().to_string();
    let (code, said, complaint) = run(&["pack", &model, "--as", "engine"], folder.path(), b"");
    assert_eq!(code, Some(0), "{complaint}");
    assert!(said.starts_with("quantized.obert-engine\n") && said.contains("sparse int8"), "{said}");
    let request = br#"{"question": "w1 w2", "context": "w3 w4 w5 w6", "id": "a"}"#;
    let (_, packed, _) = run(&["predict", "quantized.obert-engine"], folder.path(), request);
    let (_, unpacked, _) = run(&["predict", &model], folder.path(), request);
    assert_eq!(packed, unpacked);
    let answer = &lines(&packed)[0];
    assert_eq!(answer["id"], "a");
    let (start, end) = (answer["start"].as_u64().unwrap(), answer["end"].as_u64().unwrap());
    assert_eq!(answer["answer"], "w3 w4 w5 w6"[start as usize..end as usize]);
    assert!(answer["score"].is_number() && answer["no_answer"].is_number());
}

#[test]
fn lines_that_cannot_be_answered_get_an_error_and_the_stream_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("bert/tiny").display().to_string();
    let long = format!(r#"{{"question": "{}", "context": "w1"}}"#, "w1 ".repeat(30));
    let mut input = Vec::new();
    let good: &[u8] = br#"{"question": "w1", "context": "w2 w3"}"#;
    let all: [&[u8]; 11] = [
        good,
        b"{",
        b"[1]",
        b"\xff\xfe",
        b"",
        br#"{"question": "w1"}"#,
        br#"{"question": 1, "context": "w2"}"#,
        br#"{"question": " ", "context": "w2", "id": 7}"#,
        br#"{"text": "w1"}"#,
        long.as_bytes(),
        good,
    ];
    for line in all {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    let (code, said, complaint) = run(&["predict", &model, "--top", "2"], folder.path(), &input);
    assert_eq!(code, Some(0), "{complaint}");
    let said = lines(&said);
    assert_eq!(said.len(), 10, "a blank line asks nothing");
    assert_eq!(said[0], said[9]);
    assert!(said[0]["answer"].is_string() && said[0]["others"].is_array());
    let error = |i: usize, line: u64, part: &str| {
        assert_eq!(said[i]["line"], line, "{}", said[i]);
        assert!(said[i]["error"].as_str().unwrap().contains(part), "{}", said[i]);
    };
    error(1, 2, "not JSON");
    error(2, 3, "no JSON object");
    error(3, 4, "not UTF-8");
    error(4, 6, "`question` and `context`");
    error(5, 7, "`question` is no text");
    error(6, 8, "the question is empty");
    assert_eq!(said[6]["id"], 7);
    error(7, 9, "answers questions");
    error(8, 10, "leaves 0 of 20");
}

#[test]
fn whatever_stands_in_a_line_each_gets_one_answer_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("bert/tiny").display().to_string();
    let good = br#"{"question": "w1 w2", "context": "w3 w4 w5", "id": {"a": [1, null]}}"#;
    let mut lines_in: Vec<Vec<u8>> = vec![
        vec![b'['; 100_000],
        br#"{"question": "\ud800", "context": "w1"}"#.to_vec(),
        b"{\"question\": \"w1\", \"context\": \"w2 \0 w3\"}".to_vec(),
        b"{\"question\": \"w1\", \"context\": \"w2\"}\r".to_vec(),
        format!(r#"{{"question": "w1", "context": "w2", "id": 1e999, "x": {}}}"#, "9".repeat(5000)).into(),
        vec![b' '; 5 << 20],
        format!(r#"{{"question": "w1", "context": "{}"}}"#, "w3 ".repeat(2000)).into(),
        "{\"question\": \"\u{202e}w1\", \"context\": \"\u{fffd}\u{1f600} w2\"}".into(),
    ];
    let mut state = 7u64;
    let mut draw = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    for _ in 0..300 {
        let mut line = good.to_vec();
        for _ in 0..1 + draw(3) {
            let at = draw(line.len());
            match draw(4) {
                0 => line[at] = draw(256) as u8,
                1 => line.truncate(at.max(1)),
                2 => line.insert(at, [b'"', b'{', b'}', b'\\', 0xff, b','][draw(6)]),
                _ => line.extend_from_within(at..),
            }
        }
        line.retain(|b| *b != b'\n');
        lines_in.push(line);
    }
    lines_in.push(good.to_vec());
    let input = lines_in.join(&b'\n');
    let (code, said, complaint) = run(&["predict", &model], folder.path(), &input);
    assert_eq!(code, Some(0), "{complaint}");
    let blank =
        |line: &&Vec<u8>| std::str::from_utf8(line).is_ok_and(|t| t.trim().is_empty() && t.len() < 4 << 20);
    let asked = lines_in.len() - lines_in.iter().filter(blank).count();
    let said = lines(&said);
    assert_eq!(said.len(), asked);
    let refused: Vec<u64> = said.iter().filter_map(|line| line["line"].as_u64()).collect();
    assert!(refused.len() > 100 && refused.is_sorted(), "{refused:?}");
    assert!(said.iter().any(|l| l["error"].as_str().is_some_and(|e| e.contains("longer than 4 MiB"))));
    let last = said.last().unwrap();
    assert!(last["answer"].is_string() && last["id"]["a"][0] == 1, "{last}");
}

#[test]
fn long_contexts_are_read_in_windows() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("bert/tiny").display().to_string();
    let words: Vec<String> = (0..60).map(|i| format!("w{}", i * 7 % 35)).collect();
    let context = format!("é {}", words.join(" "));
    let request = serde_json::json!({ "question": "w1", "context": context }).to_string();
    let flags = ["predict", &model, "--top", "50", "--doc-stride", "4"];
    let (_, said, _) = run(&flags, folder.path(), request.as_bytes());
    let said = &lines(&said)[0];
    let mut all = vec![said.clone()];
    all.extend(said["others"].as_array().unwrap().clone());
    assert_eq!(all.len(), 50);
    let mut furthest = 0;
    for answer in &all {
        let (start, end) = (answer["start"].as_u64().unwrap(), answer["end"].as_u64().unwrap());
        let text: String = context.chars().skip(start as usize).take((end - start) as usize).collect();
        assert_eq!(answer["answer"], text);
        furthest = furthest.max(start);
    }
    assert!(furthest > 60, "no answer from behind the first window");
}

#[test]
fn classifiers_give_labels_with_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("heads/classifier").display().to_string();
    let input = b"{\"text\": \"w1 w2\", \"pair\": \"w3\"}\n{\"text\": \"w1 w2\"}\n{\"question\": \"w1\", \"context\": \"w2\"}\n";
    let (_, said, _) = run(&["predict", &model], folder.path(), input);
    let said = lines(&said);
    let labels = said[0]["labels"].as_object().unwrap();
    let total: f64 = labels.values().map(|v| v.as_f64().unwrap()).sum();
    assert!((total - 1.0).abs() < 1e-3 && labels.len() == 3);
    assert_eq!(labels[said[0]["label"].as_str().unwrap()], said[0]["score"]);
    assert_ne!(said[0]["labels"], said[1]["labels"], "the second text counts");
    assert!(said[2]["error"].as_str().unwrap().contains("classifies texts"));
}

#[test]
fn texts_longer_than_a_model_reads_are_refused_or_truncated_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("heads/classifier").display().to_string();
    let text = |words: usize| format!("{{\"text\": \"{}\"}}\n", vec!["w1"; words].join(" "));
    let (input, cut) = (text(900), text(18));
    let (code, said, _) = run(&["predict", &model, "--max-seq-len", "20"], folder.path(), input.as_bytes());
    let refused = lines(&said).remove(0);
    let why = refused["error"].as_str().unwrap();
    assert!(
        why.contains("902 tokens") && why.contains("at most 20") && why.contains("`--truncate`"),
        "{why}"
    );
    assert_eq!((code, &refused["line"]), (Some(0), &1.into()));
    let truncating = ["predict", &model, "--max-seq-len", "20", "--truncate"];
    let (_, said, _) = run(&truncating, folder.path(), (input + &cut).as_bytes());
    let mut said = lines(&said);
    assert_eq!(said[0].as_object_mut().unwrap().remove("truncated"), Some(true.into()));
    assert_eq!(said[0], said[1], "the beginning is read");
}

#[test]
fn files_that_are_no_packed_models_are_refused_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "nothing").unwrap();
    let (code, _, complaint) = run(&["predict", "x"], folder.path(), b"");
    assert!(code == Some(1) && complaint.contains("OB0960"), "{complaint}");
    let (code, _, complaint) = run(&["bench", "./missing"], folder.path(), b"");
    assert!(code == Some(1) && complaint.contains("OB0901"), "{complaint}");
    // A plain name may be one on the hub.
    let (code, _, complaint) = run(&["bench", "missing", "--offline"], folder.path(), b"");
    assert!(code == Some(1) && complaint.contains("OB0972"), "{complaint}");
    let (code, _, complaint) = run(&["bench", "--shape", "bert-tny"], folder.path(), b"");
    assert!(code == Some(1) && complaint.contains("OB0920"), "{complaint}");
    let (code, ..) = run(&["bench"], folder.path(), b"");
    assert_eq!(code, Some(2));
}

#[test]
fn a_bench_measures_every_point_and_says_what_it_skips() {
    let folder = tempfile::tempdir().unwrap();
    let model = golden("bert/tiny").display().to_string();
    let flags = ["bench", &model, "--batch", "1,3", "--seq", "7,20", "--threads", "1", "--seconds", "0.01"];
    let against = ["--against", "onnxruntime", "--format", "json"];
    let (code, said, complaint) = run(&[&flags[..], &against].concat(), folder.path(), b"");
    assert_eq!(code, Some(0), "{complaint}");
    assert!(complaint.contains("ONNX Runtime is skipped"), "{complaint}");
    let rows = lines(&said);
    assert_eq!(rows.len(), 8, "two models at four points");
    for row in &rows {
        assert!(row["p50_ms"].as_f64().unwrap() > 0.0 && row["p99_ms"].as_f64() >= row["p50_ms"].as_f64());
    }
    let (_, said, _) = run(&flags, folder.path(), b"");
    assert!(said.contains("times as fast") && said.contains("obert int8"), "{said}");
    assert!(said.contains(" ms, first answer after "), "{said}");
}
