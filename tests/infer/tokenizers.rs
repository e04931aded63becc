//! Tokenizers of every kind against `transformers` (`tests/oracle/tokenizers_of.py`): the source's token ids,
//! ours, and those of what is saved.

use std::path::Path;
use std::process::Command;

use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::text::Tokenizer;
use obert::internals::text::windows::join;
use serde_json::{Value, json};

use super::golden::golden;

/// The longest sequence of the models.
const LONGEST: usize = 512;

fn recorded() -> Value {
    serde_json::from_slice(&std::fs::read(golden("tokenizers/ids.json")).unwrap()).unwrap()
}

fn read(folder: &Path) -> Result<Tokenizer, Diagnostic> {
    Tokenizer::from_folder(folder, &mut Sources::new())
}

/// The recorded tokenizers by name.
fn all(recorded: &Value) -> impl Iterator<Item = (&String, &Value)> {
    recorded["tokenizers"].as_object().unwrap().iter()
}

/// The length to which the source truncates; a source that says none is given the model's.
fn longest(expected: &Value) -> usize {
    expected["longest"].as_f64().filter(|n| *n < 1e20).map_or(LONGEST, |n| n as usize)
}

/// What a tokenizer makes of the texts, in the form of the recording.
fn made(tokenizer: &Tokenizer, texts: &Value, longest: usize) -> Value {
    let encode = |text: &str| tokenizer.encode(texts[text].as_str().unwrap()).unwrap().ids;
    let sequence = |text: &str, pair: Option<&str>| join(encode(text), pair.map(encode), tokenizer, longest);
    let pair = sequence("single", Some("pair"));
    json!({
        "single": sequence("single", None).ids, "pair": pair.ids, "types": pair.types,
        "long": sequence("long", None).ids,
    })
}

fn check(what: &str, made: &Value, expected: &Value, longest: usize) {
    for key in ["single", "pair"] {
        assert_eq!(made[key], expected[key], "{key} of {what}");
    }
    let long = expected["long"].as_array().unwrap();
    let (last, kept) = (long.last().unwrap(), longest.min(long.len()) - 1);
    let own = made["long"].as_array().unwrap();
    assert_eq!((&own[..own.len() - 1], own.last().unwrap()), (&long[..kept], last), "long text of {what}");
    // A class without token types gives a model none, which is the same as zeros.
    let is_zero = |types: &Value| types.as_array().is_none_or(|types| types.iter().all(|t| *t == 0));
    let distilled = what.contains("distilbert");
    let equal = if expected["types"].is_null() {
        is_zero(&made["types"])
    } else {
        made["types"] == expected["types"]
    };
    assert!(equal || distilled, "types of {what}: {}", made["types"]);
}

#[test]
fn token_ids_of_every_kind_of_tokenizer_equal_those_of_transformers() {
    let recorded = recorded();
    let mut seen = 0;
    for (name, expected) in all(&recorded) {
        let folder = golden(&format!("tokenizers/{name}"));
        let tokenizer = read(&folder).unwrap_or_else(|d| panic!("{name}: {d:?}"));
        let longest = longest(expected);
        check(name, &made(&tokenizer, &recorded["texts"], longest), expected, longest);
        // What is packed for the runtime says everything by itself.
        let packed = Tokenizer::from_json(tokenizer.json().as_bytes()).unwrap();
        check(&format!("packed {name}"), &made(&packed, &recorded["texts"], longest), expected, longest);
        seen += 1;
    }
    assert!(seen > 15, "{seen} tokenizers");
}

#[test]
fn what_is_saved_keeps_every_file_and_key_of_the_source_and_gives_the_same_ids() {
    let recorded = recorded();
    for (name, expected) in all(&recorded) {
        let source = golden(&format!("tokenizers/{name}"));
        let saved = tempfile::tempdir().unwrap();
        read(&source).unwrap().save(saved.path(), LONGEST).unwrap();
        for entry in std::fs::read_dir(&source).unwrap().flatten() {
            let (from, to) = (entry.path(), saved.path().join(entry.file_name()));
            if entry.file_name() == "config.json" {
                continue;
            }
            let bytes =
                |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            if entry.file_name() == "tokenizer_config.json" {
                let map = |path: &Path| serde_json::from_slice::<Value>(&bytes(path)).unwrap();
                let (source, saved) = (map(&from), map(&to));
                for (key, value) in source.as_object().unwrap() {
                    // Sources without a length say 1e30.
                    let unstated = key == "model_max_length" && value.as_f64().unwrap() > 1e20;
                    assert!(unstated || saved[key] == *value, "{key} of {name}");
                }
                assert_eq!(saved["model_max_length"], longest(expected), "{name}");
                assert!(saved["tokenizer_class"].is_string(), "{name}");
            } else if !(entry.file_name() == "tokenizer.json" && name == "bert_contradicts") {
                assert_eq!(bytes(&to), bytes(&from), "{} of {name}", from.display());
            }
        }
        std::fs::copy(source.join("config.json"), saved.path().join("config.json")).unwrap();
        let longest = longest(expected);
        let again = read(saved.path()).unwrap();
        assert_eq!(again.notes(), &[] as &[String], "{name}");
        check(&format!("saved {name}"), &made(&again, &recorded["texts"], longest), expected, longest);
    }
}

#[test]
#[ignore = "needs a Python with transformers, named by OBERT_PYTHON"]
fn transformers_reads_what_is_saved_as_it_reads_the_source() {
    let python = std::env::var_os("OBERT_PYTHON").expect("OBERT_PYTHON names a Python with transformers");
    let recorded = recorded();
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&String> = all(&recorded).map(|(name, _)| name).collect();
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/tokenizers_of.py"));
    for name in &names {
        let (source, saved) = (golden(&format!("tokenizers/{name}")), folder.path().join(name));
        std::fs::create_dir(&saved).unwrap();
        read(&source).unwrap().save(&saved, LONGEST).unwrap();
        std::fs::copy(source.join("config.json"), saved.join("config.json")).unwrap();
        command.args([&source, &saved]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 2 * names.len(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, pair) in names.iter().zip(lines.chunks(2)) {
        let expected = &recorded["tokenizers"][name.as_str()];
        assert_eq!(&pair[0], expected, "the recording of {name} is old");
        let longest = longest(expected);
        assert_eq!(pair[1]["longest"], longest, "{name}");
        check(&format!("{name} in transformers"), &pair[1], expected, longest);
        assert_eq!(pair[1]["types"], expected["types"], "{name}");
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n";

#[test]
fn japanese_words_are_refused_by_name() {
    let dir = folder(&[
        ("vocab.txt", WORDS),
        ("tokenizer_config.json", r#"{"do_lower_case": false, "tokenizer_class": "BertJapaneseTokenizer"}"#),
    ]);
    let refused = read(dir.path()).unwrap_err();
    assert_eq!(refused.code, Code::TokenizerSetting);
    let label = refused.primary.unwrap();
    assert!(label.text.contains("MeCab") && label.text.contains("BertJapaneseTokenizer"), "{}", label.text);
}

#[test]
fn a_sentencepiece_model_alone_is_refused_with_the_line_that_converts_it() {
    for name in ["sentencepiece.bpe.model", "spiece.model"] {
        let dir = folder(&[
            (name, "x"),
            ("tokenizer_config.json", r#"{"tokenizer_class": "XLMRobertaTokenizer"}"#),
        ]);
        let refused = read(dir.path()).unwrap_err();
        let help = refused.help.unwrap();
        assert!(refused.message.contains(name) && help.contains("AutoTokenizer.from_pretrained("), "{help}");
    }
}

#[test]
fn an_added_token_that_gets_another_id_is_refused_at_its_place() {
    let dir = folder(&[("vocab.txt", WORDS), ("added_tokens.json", r#"{"<new>": 9}"#)]);
    let refused = read(dir.path()).unwrap_err();
    assert_eq!(refused.code, Code::TokenizerSetting);
    let label = refused.primary.unwrap().text;
    assert!(label.contains("has the id 9") && label.contains("gets 7"), "{label}");
}

#[test]
fn what_tokenizer_json_alone_says_is_followed_and_written_out() {
    let source = golden("tokenizers/bert_cased_json");
    let json = std::fs::read_to_string(source.join("tokenizer.json")).unwrap();
    let dir = folder(&[("tokenizer.json", &json), ("config.json", r#"{"model_type": "bert"}"#)]);
    let tokenizer = read(dir.path()).unwrap();
    assert_eq!(tokenizer.encode("The fox").unwrap(), read(&source).unwrap().encode("The fox").unwrap());
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path(), 64).unwrap();
    let config = std::fs::read(saved.path().join("tokenizer_config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["do_lower_case"], false, "transformers would take true");
    assert_eq!(
        (&config["model_max_length"], &config["tokenizer_class"]),
        (&json!(64), &json!("BertTokenizer"))
    );
}

#[test]
fn a_normalizer_of_another_kind_is_followed_and_saved_so_that_transformers_follows_it() {
    let json =
        std::fs::read_to_string(golden("tokenizers/bert_uncased_json").join("tokenizer.json")).unwrap();
    let mut json: Value = serde_json::from_str(&json).unwrap();
    json["normalizer"] = json!({"type": "NFC"});
    let dir = folder(&[
        ("tokenizer.json", &json.to_string()),
        ("tokenizer_config.json", r#"{"tokenizer_class": "BertTokenizer"}"#),
    ]);
    let tokenizer = read(dir.path()).unwrap();
    assert_eq!(tokenizer.notes().len(), 1, "{:?}", tokenizer.notes());
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path(), 64).unwrap();
    let config = std::fs::read_to_string(saved.path().join("tokenizer_config.json")).unwrap();
    assert!(config.contains("PreTrainedTokenizerFast"), "{config}");
}
