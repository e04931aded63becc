//! What `obertc serve` answers from models of each head, against transformers (`tests/oracle/served.py`).

use serde_json::{Value, json};

use super::golden::{floats, golden, recorded};
use super::server::{Reply, Server};

fn model(name: &str) -> String {
    golden(name).display().to_string()
}

fn near(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let most = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-4, "{what}: {most}");
}

fn ok(reply: Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn refused(reply: Reply, status: u16, part: &str) {
    assert_eq!(reply.status, status, "{}", reply.body);
    let body = reply.json();
    // OpenAI's errors are objects.
    let message = body["error"]["message"].as_str().or(body["error"].as_str()).unwrap();
    assert!(message.contains(part), "{message}");
}

#[test]
fn embeddings_and_similarities_are_those_of_transformers() {
    let recorded = recorded("infer/served.json");
    let server = Server::start(&[&model("infer/heads/embedding")]);
    let expected: Vec<Vec<f32>> = recorded["embeddings"].as_array().unwrap().iter().map(floats).collect();
    let all = ok(server.post("/embed", &json!({ "inputs": recorded["texts"] })));
    for (got, expected) in all.as_array().unwrap().iter().zip(&expected) {
        near(&floats(got), expected, "/embed");
    }
    let one = json!({ "inputs": recorded["texts"][0] });
    let alone = ok(server.post("/embed", &one));
    assert_eq!((alone.as_array().unwrap().len(), &alone[0]), (1, &all[0]), "a list, also for one text");
    assert_eq!(ok(server.post("/", &one)), alone);
    let norm = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
    let raw = json!({ "inputs": recorded["texts"][0], "normalize": false });
    let raw = floats(&ok(server.post("/embed", &raw))[0]);
    assert!((norm(&raw) - 1.0).abs() < 1e-5, "the model itself normalizes");
    let short = json!({ "inputs": recorded["texts"], "dimensions": 7 });
    for (got, expected) in ok(server.post("/embed", &short)).as_array().unwrap().iter().zip(&expected) {
        let expected: Vec<f32> = expected[..7].iter().map(|v| v / norm(&expected[..7])).collect();
        near(&floats(got), &expected, "the leading values, normalized");
    }
    for dimensions in [0, 25] {
        let body = json!({ "inputs": "w1", "dimensions": dimensions });
        refused(server.post("/embed", &body), 422, "must be in 1..=24");
    }
    let compared =
        json!({ "inputs": { "source_sentence": recorded["texts"][0], "sentences": recorded["texts"] } });
    let similarities = ok(server.post("/similarity", &compared));
    near(&floats(&similarities), &floats(&recorded["similarities"]), "/similarity");
    assert_eq!(ok(server.post("/", &compared)), similarities);
    let long = "w1 ".repeat(30);
    refused(server.post("/embed", &json!({ "inputs": long })), 413, "`\"truncate\": true`");
    assert_eq!(server.post("/embed", &json!({ "inputs": long, "truncate": true })).status, 200);
    let compared = json!({ "inputs": { "source_sentence": "w1", "sentences": [long] } });
    refused(server.post("/similarity", &compared), 413, "longer than 20 tokens");
    let none = json!({ "inputs": { "source_sentence": "w1", "sentences": [] } });
    refused(server.post("/similarity", &none), 422, "`sentences` is empty");
    let info = ok(server.get("/info"));
    assert_eq!(info["model_type"]["embedding"]["pooling"], "mean");
    assert_eq!(info["dimensions"], 24);
    assert_eq!(info["paths"], json!(["/embed", "/similarity", "/v1/embeddings"]));
}

#[test]
fn openais_interface_writes_numbers_or_base64_and_counts_tokens() {
    let recorded = recorded("infer/served.json");
    let server = Server::start(&[&model("infer/heads/embedding")]);
    // The name of the only model does not matter; clients must send one.
    let body = json!({ "input": recorded["texts"], "model": "text-embedding-3-small" });
    let response = ok(server.post("/v1/embeddings", &body));
    assert_eq!((&response["object"], &response["model"]), (&json!("list"), &json!("embedding")));
    let tokens: u64 = recorded["tokens"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!(response["usage"], json!({ "prompt_tokens": tokens, "total_tokens": tokens }));
    let encoded = json!({ "input": recorded["texts"], "model": "x", "encoding_format": "base64" });
    let encoded = ok(server.post("/v1/embeddings", &encoded));
    for (i, expected) in recorded["embeddings"].as_array().unwrap().iter().enumerate() {
        let (object, expected) = (&response["data"][i], floats(expected));
        assert_eq!((&object["object"], &object["index"]), (&json!("embedding"), &json!(i)));
        near(&floats(&object["embedding"]), &expected, "numbers");
        near(&decoded(encoded["data"][i]["embedding"].as_str().unwrap()), &expected, "base64");
    }
    let short = json!({ "input": "w1", "dimensions": 3 });
    let short = ok(server.post("/v1/embeddings", &short));
    assert_eq!(short["data"][0]["embedding"].as_array().unwrap().len(), 3);
    let refusal = |body: Value, status, part: &str| {
        let reply = server.post("/v1/embeddings", &body);
        assert_eq!(reply.json()["error"]["param"], Value::Null, "{}", reply.body);
        refused(reply, status, part);
    };
    refusal(json!({ "input": [] }), 422, "`input` is empty");
    refusal(json!({ "input": [[1, 2]] }), 422, "expected a string");
    refusal(json!({ "input": "w1", "dimensions": 25 }), 422, "1..=24");
    refusal(json!({ "input": "w1", "encoding_format": "int8" }), 422, "int8");
    refusal(json!({ "input": "w1 ".repeat(30) }), 413, "longer than 20 tokens");
}

/// Little-endian float32 values in base64.
fn decoded(text: &str) -> Vec<f32> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = text.bytes().filter_map(|c| alphabet.iter().position(|a| *a == c));
    let bits: Vec<bool> = sextets.flat_map(|six| (0..6).rev().map(move |i| six >> i & 1 == 1)).collect();
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks_exact(8).map(byte).collect();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

#[test]
fn a_cross_encoder_ranks_by_its_scores() {
    let recorded = recorded("infer/served.json");
    let server = Server::start(&[&model("infer/heads/score")]);
    let scores = floats(&recorded["scores"]);
    let (query, texts) = (&recorded["texts"][0], &recorded["texts"]);
    let raw = json!({ "query": query, "texts": texts, "raw_scores": true, "return_text": true });
    let ranks = ok(server.post("/rerank", &raw));
    let order: Vec<u64> = ranks.as_array().unwrap().iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(order, [1, 0, 2]);
    for rank in ranks.as_array().unwrap() {
        let i = rank["index"].as_u64().unwrap() as usize;
        near(&[rank["score"].as_f64().unwrap() as f32], &[scores[i]], "/rerank");
        assert_eq!(rank["text"], texts[i]);
    }
    let plain = json!({ "query": query, "texts": texts });
    let probable = ok(server.post("/rerank", &plain));
    let logistic = |score: f32| 1.0 / (1.0 + (-score).exp());
    near(&[probable[0]["score"].as_f64().unwrap() as f32], &[logistic(scores[1])], "without raw_scores");
    assert_eq!(probable[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["index", "score"]);
    assert_eq!(ok(server.post("/", &plain)), probable);
    let body =
        json!({ "model": "any", "query": query, "documents": texts, "top_n": 2, "return_documents": true });
    let ranking = ok(server.post("/v1/rerank", &body));
    assert_eq!(ranking["results"].as_array().unwrap().len(), 2);
    assert_eq!(ranking["results"][0]["index"], 1);
    assert_eq!(ranking["results"][0]["relevance_score"], probable[0]["score"]);
    assert_eq!(ranking["results"][0]["document"]["text"], texts[1]);
    let pair = json!({ "inputs": [[query, texts[1]]] });
    let predicted = ok(server.post("/predict", &pair));
    assert_eq!(predicted[0][0]["label"], "LABEL_0");
    near(&[predicted[0][0]["score"].as_f64().unwrap() as f32], &[scores[1]], "/predict");
    let long = json!({ "query": query, "texts": ["w1 ".repeat(30)] });
    refused(server.post("/rerank", &long), 413, "`\"truncate\": true`");
    refused(server.post("/rerank", &json!({ "query": "w1", "texts": [] })), 422, "`texts` is empty");
    let many = json!({ "query": "w1", "documents": vec!["w1"; 33] });
    refused(server.post("/v1/rerank", &many), 413, "`documents` has 33 texts");
    assert!(ok(server.get("/info"))["model_type"]["reranker"].is_object());
}

#[test]
fn entities_and_labels_are_those_of_transformers() {
    let recorded = recorded("infer/served.json");
    let server = Server::start(&[&model("infer/heads/tokens"), &model("heads/classifier")]);
    let texts = &recorded["texts"];
    let found = ok(server.post("/entities", &json!({ "inputs": texts })));
    for (found, expected) in found.as_array().unwrap().iter().zip(recorded["entities"].as_array().unwrap()) {
        let (found, expected) = (found.as_array().unwrap(), expected.as_array().unwrap());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let score = |e: &Value| [e["score"].as_f64().unwrap() as f32];
            near(&score(found), &score(expected), "/entities");
            for key in ["entity_group", "word", "start", "end"] {
                assert_eq!(found[key], expected[key]);
            }
        }
    }
    let one = ok(server.post("/entities", &json!({ "inputs": texts[1] })));
    assert_eq!(one, found[1]);
    assert_eq!(ok(server.post("/", &json!({ "inputs": texts[1] }))), found[1]);
    let without = json!({ "inputs": texts[1], "parameters": { "ignore_labels": ["PER"] } });
    assert_eq!(ok(server.post("/", &without)), json!([]));
    let strategy = json!({ "inputs": texts[1], "parameters": { "aggregation_strategy": "max" } });
    refused(server.post("/", &strategy), 422, "`aggregation_strategy` is `first`");
    refused(server.post("/entities", &json!({ "inputs": "w1 ".repeat(30) })), 413, "longer than 20 tokens");

    let labels = json!({ "inputs": [[texts[0]], [texts[1]], [texts[2]]], "model": "classifier" });
    for (got, expected) in ok(server.post("/predict", &labels))
        .as_array()
        .unwrap()
        .iter()
        .zip(recorded["labels"].as_array().unwrap())
    {
        let got: Vec<f32> = (0..3).map(|i| got[i]["score"].as_f64().unwrap() as f32).collect();
        // The recorded ones happen to fall.
        near(&got, &floats(expected), "/predict");
    }
    let top = json!({ "inputs": texts[0], "model": "classifier", "parameters": { "top_k": 1 } });
    let top = ok(server.post("/", &top));
    assert_eq!((&top[0][0]["label"], top[0].as_array().unwrap().len()), (&json!("entailment"), 1));
    for (name, value, part) in
        [("top_k", json!(0), "at least 1"), ("function_to_apply", json!("none"), "softmax")]
    {
        let body = json!({ "inputs": "w1", "model": "classifier", "parameters": { name: value } });
        refused(server.post("/", &body), 422, part);
    }
    let misspelled = json!({ "inputs": "w1", "model": "classifier", "parameters": { "topk": 1 } });
    refused(server.post("/", &misspelled), 422, "topk");
}

#[test]
fn the_best_answers_have_probabilities_in_the_form_of_pipelines() {
    let server = Server::start(&[&model("bert/tiny")]);
    let asked = json!({ "question": "w1 w2", "context": "w3 w4 w5 w6" });
    let best = ok(server.post("/answer", &json!({ "inputs": asked, "top": 20 })));
    let spans = best["answers"].as_array().unwrap();
    let scores: Vec<f32> = spans.iter().map(|s| s["score"].as_f64().unwrap() as f32).collect();
    assert!(scores.len() > 3 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let softmax = |scores: &[f32]| {
        let total: f32 = scores.iter().map(|s| s.exp()).sum();
        scores.iter().map(|s| s.exp() / total).collect::<Vec<f32>>()
    };
    let list = ok(server.post("/", &json!({ "inputs": asked, "parameters": { "top_k": 3 } })));
    let got: Vec<f32> = (0..3).map(|i| list[i]["score"].as_f64().unwrap() as f32).collect();
    near(&got, &softmax(&scores)[..3], "top_k");
    let one = ok(server.post("/", &json!({ "inputs": asked })));
    assert_eq!(one, list[0]);
    assert_eq!(one["answer"], spans[0]["text"]);
    let parameters = json!({ "handle_impossible_answer": true, "top_k": 30 });
    let with = ok(server.post("/", &json!({ "inputs": asked, "parameters": parameters })));
    let empty = with.as_array().unwrap().iter().find(|a| a["answer"] == "").unwrap();
    let all = [&scores[..], &[best["no_answer"].as_f64().unwrap() as f32]].concat();
    near(&[empty["score"].as_f64().unwrap() as f32], &softmax(&all)[all.len() - 1..], "no answer");
    refused(server.post("/answer", &json!({ "inputs": asked, "top": 21 })), 422, "1..=20");
    let misspelled = json!({ "question": "w1", "contxt": "w3" });
    refused(server.post("/answer", &json!({ "inputs": [misspelled] })), 422, "contxt");
}

#[test]
fn a_path_that_a_head_does_not_have_is_refused_with_the_one_that_it_has() {
    let names = ["embedding", "tokens", "score"];
    let mut models: Vec<String> = names.iter().map(|n| model(&format!("infer/heads/{n}"))).collect();
    models.extend([model("heads/classifier"), format!("reader={}", model("bert/tiny"))]);
    let server = Server::start(&models.iter().map(String::as_str).collect::<Vec<_>>());
    let bodies = [
        ("/embed", json!({ "inputs": "w1" })),
        ("/similarity", json!({ "inputs": { "source_sentence": "w1", "sentences": ["w1"] } })),
        ("/v1/embeddings", json!({ "input": "w1" })),
        ("/entities", json!({ "inputs": "w1" })),
        ("/rerank", json!({ "query": "w1", "texts": ["w1"] })),
        ("/v1/rerank", json!({ "query": "w1", "documents": ["w1"] })),
        ("/predict", json!({ "inputs": "w1" })),
        ("/answer", json!({ "inputs": { "question": "w1", "context": "w2" } })),
    ];
    let info = ok(server.get("/info"));
    for described in info["models"].as_array().unwrap() {
        let paths: Vec<&str> =
            described["paths"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for (path, body) in &bodies {
            let mut body = body.clone();
            body["model"] = described["model_id"].clone();
            let reply = server.post(path, &body);
            if paths.contains(path) {
                assert_eq!(reply.status, 200, "{path} of {described}: {}", reply.body);
            } else {
                refused(reply, 422, &format!("ask `{}`", paths[0]));
            }
        }
    }
}
