//! The OpenAPI document of `obertc serve`, against its routes and their responses.

use std::process::Command;

use serde_json::{Value, json};

use super::golden::golden;
use super::server::Server;

/// Why a value does not agree with a JSON schema; a keyword that is not checked here is an error too.
fn disagreement(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    let Some(schema) = schema.as_object() else { return (schema != &json!(true)).then(|| "false".into()) };
    let all = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let fits = |schema: &Value, value: &Value| disagreement(document, schema, value).is_none();
    for (keyword, of) in schema {
        let agrees = match keyword.as_str() {
            "title" | "description" | "format" | "default" => true,
            "$ref" => {
                let target = document.pointer(of.as_str().unwrap().trim_start_matches('#'));
                fits(target.unwrap_or_else(|| panic!("{of} is not in the document")), value)
            }
            "type" => {
                let names = of.as_array().cloned().unwrap_or_else(|| vec![of.clone()]);
                names.iter().any(|name| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{other} is no type"),
                })
            }
            "const" => of == value,
            "enum" => all(of).contains(value),
            "oneOf" => all(of).iter().filter(|schema| fits(schema, value)).count() == 1,
            "anyOf" => all(of).iter().any(|schema| fits(schema, value)),
            "minimum" => value.as_f64().is_none_or(|v| v >= of.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|v| v <= of.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|v| v.len() as u64 >= of.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|v| v.len() as u64 <= of.as_u64().unwrap()),
            "items" => value.as_array().is_none_or(|v| v.iter().all(|item| fits(of, item))),
            "contains" => value.as_array().is_none_or(|v| v.iter().any(|item| fits(of, item))),
            "required" => all(of).iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "properties" => of.as_object().unwrap().iter().all(|(key, schema)| {
                value.get(key).is_none_or(|value| disagreement(document, schema, value).is_none())
            }),
            "additionalProperties" => {
                let known = |key: &String| schema.get("properties").is_some_and(|p| p.get(key).is_some());
                value.as_object().is_none_or(|v| v.iter().all(|(key, value)| known(key) || fits(of, value)))
            }
            other => panic!("the keyword {other} is not checked"),
        };
        if !agrees {
            return Some(format!("{keyword} {of} of {value}"));
        }
    }
    None
}

/// A model, a path, a body, and whether it is accepted.
fn samples() -> Vec<(&'static str, &'static str, Value, bool)> {
    let asked = json!({ "question": "w1 w2", "context": "w3 w4 w5 w6" });
    vec![
        (
            "embedding",
            "/embed",
            json!({ "inputs": ["w1", "w2 w3"], "dimensions": 4, "truncate": true }),
            true,
        ),
        ("embedding", "/embed", json!({ "inputs": "w1" }), true),
        ("embedding", "/embed", json!({ "inputs": "w1", "dimension": 4 }), false),
        ("embedding", "/embed", json!({ "inputs": "w1", "dimensions": 0 }), false),
        (
            "embedding",
            "/similarity",
            json!({ "inputs": { "source_sentence": "w1", "sentences": ["w2"] } }),
            true,
        ),
        (
            "embedding",
            "/similarity",
            json!({ "inputs": { "source_sentence": "w1", "sentences": [] } }),
            false,
        ),
        ("embedding", "/v1/embeddings", json!({ "input": "w1", "model": "embedding", "user": "x" }), true),
        (
            "embedding",
            "/v1/embeddings",
            json!({ "input": ["w1"], "model": "embedding", "encoding_format": "base64" }),
            true,
        ),
        ("embedding", "/v1/embeddings", json!({ "input": [1], "model": "embedding" }), false),
        ("score", "/rerank", json!({ "query": "w1", "texts": ["w1", "w2"], "return_text": true }), true),
        ("score", "/rerank", json!({ "query": "w1" }), false),
        (
            "score",
            "/v1/rerank",
            json!({ "query": "w1", "documents": ["w1"], "return_documents": true, "model": "score" }),
            true,
        ),
        ("classifier", "/predict", json!({ "inputs": "w1" }), true),
        ("classifier", "/predict", json!({ "inputs": ["w1", "w2"] }), true),
        ("classifier", "/predict", json!({ "inputs": [["w1"], "w2", ["w1", "w2"]] }), true),
        ("classifier", "/predict", json!({ "inputs": ["w1", "w2", "w3"] }), false),
        ("classifier", "/predict", json!({ "inputs": [["w1", "w2", "w3"]] }), false),
        ("classifier", "/predict", json!({ "inputs": 5 }), false),
        ("tokens", "/entities", json!({ "inputs": "w1 w2 w3" }), true),
        ("tokens", "/entities", json!({ "inputs": ["w9 w4 w22", ""] }), true),
        ("tiny", "/answer", json!({ "inputs": asked, "top": 3 }), true),
        ("tiny", "/answer", json!({ "inputs": [asked, asked] }), true),
        ("tiny", "/answer", json!({ "inputs": asked, "top": 21 }), false),
        ("tiny", "/tokenize", json!({ "inputs": ["w1 é", ""], "add_special_tokens": false }), true),
        ("tiny", "/tokenize", json!({ "inputs": { "text": "w1" } }), false),
        ("tiny", "/", json!({ "inputs": asked, "parameters": { "top_k": 2 } }), true),
        ("tokens", "/", json!({ "inputs": "w1", "parameters": [] }), false),
        // Lists of the values of fields are no objects.
        ("tiny", "/answer", json!({ "inputs": [["w1 w2", "w3 w4"]] }), false),
        ("embedding", "/similarity", json!({ "inputs": ["w1", ["w2"]] }), false),
        (
            "embedding",
            "/similarity",
            json!({ "inputs": { "source_sentence": "w1", "sentences": ["w2"] }, "parameters": [] }),
            false,
        ),
    ]
}

fn start() -> Server {
    let heads = ["embedding", "score", "tokens"].map(|name| golden(&format!("infer/heads/{name}")));
    let paths: Vec<String> = heads
        .iter()
        .chain([&golden("heads/classifier"), &golden("bert/tiny")])
        .map(|p| p.display().to_string())
        .collect();
    Server::start(&paths.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn requests_and_responses_agree_with_the_openapi_document() {
    let server = start();
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described: Vec<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for (model, path, mut body, accepted) in samples() {
        let operation = &document["paths"][path]["post"];
        described.retain(|other| *other != path);
        body["model"] = model.into();
        let reply = server.post(path, &body);
        let said = disagreement(
            &document,
            &operation["requestBody"]["content"]["application/json"]["schema"],
            &body,
        );
        assert_eq!(
            (reply.status == 200, said.is_none()),
            (accepted, accepted),
            "{path} {body}: {} {said:?}",
            reply.body
        );
        let response =
            &operation["responses"][reply.status.to_string()]["content"]["application/json"]["schema"];
        assert!(!response.is_null(), "{path} gives {}, which is not described", reply.status);
        assert_eq!(disagreement(&document, response, &reply.json()), None, "{path} {body}");
    }
    for path in described {
        let operation = &document["paths"][path]["get"];
        let reply = server.get(path);
        assert_eq!(reply.status, 200, "{path} is described and not served");
        let (kind, of) = operation["responses"]["200"]["content"].as_object().unwrap().iter().next().unwrap();
        assert!(reply.header.contains(&format!("content-type: {kind}")), "{path}: {}", reply.header);
        if kind == "application/json" {
            assert_eq!(disagreement(&document, &of["schema"], &reply.json()), None, "{path}");
        }
    }
}

#[test]
fn the_page_names_every_path_and_loads_nothing() {
    let server = Server::start(&[&golden("bert/tiny").display().to_string(), "--api-key", "secret"]);
    let document = server.get("/openapi.json").json();
    let page = server.get("/docs").body;
    for path in document["paths"].as_object().unwrap().keys() {
        assert!(page.contains(&format!(" {path}</h2>")), "{path}");
    }
    let loads = ["<script", "<link", "src=", "@import", "url("];
    assert!(loads.iter().all(|load| !page.contains(load)), "{page}");
}

/// Needs a Python with `openai`, `huggingface_hub` and `schemathesis`, by its path in `OBERT_PYTHON`.
#[test]
#[ignore = "needs Python packages"]
fn unmodified_clients_and_schemathesis_find_no_fault() {
    let python = std::env::var("OBERT_PYTHON").expect("OBERT_PYTHON names a Python with the clients");
    let script = golden("").join("../oracle/clients.py");
    let status = Command::new(python).arg(script).arg(env!("CARGO_BIN_EXE_obertc")).status().unwrap();
    assert!(status.success());
}
