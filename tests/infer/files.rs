//! Hostile packed files: cut, flipped, foreign, and whole ones that lie.

use obert::internals::infer::file::layout::{Directory, HEADER, Header, hash};
use obert::internals::infer::{Limits, Model, Precision, Sequence, Session, pack};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

use super::golden::golden;

/// A packed tiny model, sparse and dense layers in it.
fn packed() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        pack::pack(&golden("infer/quantized"), None, &mut Default::default()).unwrap().bytes()
    })
}

fn refused(bytes: &[u8]) -> String {
    let diagnostic = Model::from_bytes(bytes, "x.obert-engine").unwrap_err();
    assert!(diagnostic.help.is_some() && diagnostic.message.contains("x.obert-engine"));
    format!("{} {}", diagnostic.code, diagnostic.message)
}

/// A packed tiny DeBERTa, with embeddings of distances and projections of its own for them.
fn disentangled() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = golden("infer/families/deberta-v2-unshared_classifier");
        pack::pack(&folder, None, &mut Default::default()).unwrap().bytes()
    })
}

/// Where the directory begins.
fn directory_at(packed: &[u8]) -> usize {
    u64::from_le_bytes(packed[24..32].try_into().unwrap()) as usize
}

/// The file with another directory, and all checksums right.
fn with_directory(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    changed(packed(), change)
}

/// The same of any packed file.
fn changed(packed: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let at = directory_at(packed);
    let mut value: Value = serde_json::from_slice(&packed[at..]).unwrap();
    change(&mut value);
    with_text(&packed[..at], value.to_string().into_bytes())
}

/// Header and sections with another text of the directory.
pub fn with_text(sections: &[u8], text: Vec<u8>) -> Vec<u8> {
    let header = Header {
        length: (sections.len() + text.len()) as u64,
        directory: sections.len() as u64,
        directory_length: text.len() as u64,
        directory_hash: hash(&text),
    };
    [&header.bytes(), &sections[HEADER..], &text].concat()
}

/// What becomes of one value somewhere in a directory.
#[derive(Clone, Debug)]
struct Change {
    /// The way down: which of its parts at each depth.
    way: Vec<prop::sample::Index>,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Value(Value),
    /// Gone, if it is a part of an object or an array.
    Nothing,
    /// Another part of the same object or array.
    Neighbour(prop::sample::Index),
    /// Twice in its array.
    Twice,
}

fn change() -> impl Strategy<Value = Change> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (0u64..300).prop_map(Into::into),
        (0u32..64).prop_map(|bit| (1u64 << bit).into()),
        any::<f64>().prop_map(Into::into),
        "[a-z.0-9]{0,12}".prop_map(Into::into),
        prop_oneof![
            Just("f32"),
            Just("i8"),
            Just("u16"),
            Just("dense"),
            Just("blocks"),
            Just("measured"),
            Just("relu"),
            Just("silu"),
            Just("gelu_tanh")
        ]
        .prop_map(Into::into),
        prop::collection::vec(0u64..9, 0..4).prop_map(Into::into),
        Just(serde_json::json!({})),
    ];
    let to = prop_oneof![
        4 => value.prop_map(To::Value),
        1 => Just(To::Nothing),
        2 => any::<prop::sample::Index>().prop_map(To::Neighbour),
        1 => Just(To::Twice),
    ];
    (prop::collection::vec(any::<prop::sample::Index>(), 1..6), to).prop_map(|(way, to)| Change { way, to })
}

impl Change {
    fn apply(&self, directory: &mut Value) {
        self.go(directory, &self.way);
    }

    fn go(&self, value: &mut Value, way: &[prop::sample::Index]) {
        let part = match value {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        };
        let Some((step, rest)) = way.split_first().filter(|_| part > 0) else {
            if let To::Value(to) = &self.to {
                *value = to.clone();
            }
            return;
        };
        let (at, last) = (step.index(part), rest.is_empty());
        match value {
            Value::Object(map) => {
                let name = map.keys().nth(at).unwrap().clone();
                match &self.to {
                    To::Nothing if last => {
                        map.remove(&name);
                    }
                    To::Neighbour(which) if last => {
                        let other = map.values().nth(which.index(part)).unwrap().clone();
                        map.insert(name, other);
                    }
                    _ => self.go(&mut map[&name], rest),
                }
            }
            Value::Array(list) => match &self.to {
                To::Nothing if last => {
                    list.remove(at);
                }
                To::Twice if last => list.insert(at, list[at].clone()),
                _ => self.go(&mut list[at], rest),
            },
            _ => {}
        }
    }
}

#[test]
fn a_packed_model_is_read_back_and_its_parts_are_aligned() {
    let model = Model::from_bytes(packed(), "x").unwrap();
    assert_eq!(model.size(), packed().len());
    let number = |at: usize| u64::from_le_bytes(packed()[at..at + 8].try_into().unwrap());
    let directory: Directory = serde_json::from_slice(&packed()[number(24) as usize..]).unwrap();
    assert!(directory.sections.values().all(|s| s.offset % 64 == 0));
    assert_eq!(directory.config.num_hidden_layers, 2);
}

#[test]
fn foreign_and_truncated_files_are_refused_by_name() {
    assert!(refused(b"").starts_with("OB0960"));
    assert!(refused(b"GGUF and more of it").starts_with("OB0960"));
    assert!(refused(&packed()[..20]).starts_with("OB0961"));
    for cut in [64, 1000, packed().len() - 1] {
        assert!(refused(&packed()[..cut]).starts_with("OB0961"), "{cut}");
    }
    assert!(refused(&[packed(), b"more"].concat()).starts_with("OB0961"));
    let mut newer = packed().to_vec();
    for version in [1, 3] {
        newer[8] = version;
        let refused = refused(&newer);
        assert!(refused.starts_with("OB0960"), "{refused}");
        assert!(
            refused.contains(&format!("version {version} of the format; this program reads 2")),
            "{refused}"
        );
    }
}

#[test]
fn directories_that_lie_are_refused() {
    let section = |name: &'static str, field: &'static str, value: Value| {
        refused(&with_directory(|d| d["sections"][name][field] = value))
    };
    let encoder = |key: &'static str, value: Value| refused(&with_directory(|d| d["encoder"][key] = value));
    let query = "bert.encoder.layer.0.attention.self.query";
    let rotary = |bases: Value| {
        refused(&with_directory(|d| {
            d["encoder"]["rotary"] = bases;
        }))
    };
    let lies = [
        section("qa_outputs.bias", "offset", (1u64 << 40).into()),
        section("qa_outputs.bias", "offset", u64::MAX.into()),
        section("qa_outputs.bias", "offset", 65.into()),
        section("qa_outputs.bias", "length", u64::MAX.into()),
        section("qa_outputs.bias", "type", "i32".into()),
        encoder("heads", 0.into()),
        encoder("heads", 5.into()),
        encoder("hidden", 48.into()),
        encoder("layers", 3.into()),
        encoder("layers", 1_000_000.into()),
        encoder("vocabulary", (1u64 << 40).into()),
        encoder("first_position", 20.into()),
        encoder("first_position", u64::MAX.into()),
        encoder("types", 0xffff.into()),
        encoder("norm_epsilon", (-1.0).into()),
        encoder("norm_epsilon", 1e300.into()),
        encoder("activation", "mish".into()),
        encoder("longest", 21.into()),
        encoder("longest", 0.into()),
        encoder("windows", serde_json::json!([null])),
        encoder("structure", "pre_norm_gated".into()),
        encoder("position_bias", true.into()),
        encoder("embedding", 12.into()),
        rotary(serde_json::json!([10.0])),
        rotary(serde_json::json!([10.0, 0.0])),
        refused(&with_directory(|d| d["head"] = serde_json::json!({ "tokens": ["a", "b"] }))),
        refused(&with_directory(|d| d["pooling"] = "least".into())),
        encoder("a_key_of_a_later_version", true.into()),
        refused(&with_directory(|d| d["transform"] = serde_json::json!({ "activation": "tanh" }))),
        refused(&with_directory(|d| d["head"] = serde_json::json!({ "labels": ["a", "b"] }))),
        refused(&with_directory(|d| d["linears"][query]["rows"] = 23.into())),
        refused(&with_directory(|d| d["linears"][query]["form"] = "floats".into())),
        refused(&with_directory(|d| d["linears"][query]["input"]["fixed"]["scale"] = 0.into())),
        refused(&with_directory(|d| d["linears"][query]["input"]["fixed"]["high"] = 300.into())),
        refused(&with_directory(|d| d["linears"][query]["input"] = "floats".into())),
        refused(&with_directory(|d| d["attention"] = serde_json::json!([]))),
        refused(&with_directory(|d| {
            d["linears"].as_object_mut().unwrap().remove("qa_outputs");
        })),
        refused(&with_directory(|d| {
            // Places of another layer: fewer blocks than the pointers say.
            d["sections"]["bert.encoder.layer.0.attention.self.query.places"] =
                d["sections"]["bert.encoder.layer.1.attention.output.dense.places"].clone();
        })),
        refused(&with_directory(|d| *d = "nothing".into())),
    ];
    for lie in lies {
        assert!(lie.starts_with("OB0963"), "{lie}");
    }
}

#[test]
fn directories_that_lie_about_embeddings_of_distances_are_refused() {
    let of = |key: &'static str, value: Value| {
        refused(&changed(disentangled(), |d| d["encoder"]["disentangled"][key] = value))
    };
    let encoder =
        |key: &'static str, value: Value| refused(&changed(disentangled(), |d| d["encoder"][key] = value));
    let lies = [
        of("rows", 0.into()),
        of("rows", 11.into()),
        of("rows", (1u64 << 60).into()),
        of("content_to_position", false.into()),
        of("position_to_content", true.into()),
        of("a_key_of_a_later_version", true.into()),
        encoder("windows", serde_json::json!([4, 4])),
        encoder("position_bias", true.into()),
        encoder("rotary", serde_json::json!([10.0, 10.0])),
        encoder("longest", 21.into()),
        refused(&changed(disentangled(), |d| {
            d["sections"].as_object_mut().unwrap().remove("distance_rows");
        })),
        refused(&changed(disentangled(), |d| {
            d["linears"].as_object_mut().unwrap().remove("bert.encoder.layer.1.attention.self.pos_key");
        })),
        refused(&with_directory(|d| {
            d["encoder"]["disentangled"] = serde_json::json!({
                "rows": 4, "content_to_position": true, "position_to_content": true, "shared": true
            });
        })),
    ];
    for lie in lies {
        assert!(lie.starts_with("OB0963"), "{lie}");
    }
    // A row behind the last, with the right checksum.
    let at = directory_at(disentangled());
    let mut bytes = disentangled()[..at].to_vec();
    let mut value: Value = serde_json::from_slice(&disentangled()[at..]).unwrap();
    let section = &mut value["sections"]["distance_rows"];
    let from = section["offset"].as_u64().unwrap() as usize;
    bytes[from] = 12;
    let length = section["length"].as_u64().unwrap() as usize;
    section["hash"] = format!("{:016x}", hash(&bytes[from..from + length])).into();
    let lie = refused(&with_text(&bytes, value.to_string().into_bytes()));
    assert!(lie.starts_with("OB0963") && lie.contains("the row 12 of 12 rows"), "{lie}");
}

/// Whatever opens must also run.
fn opens_and_runs_or_is_refused(bytes: &[u8]) {
    if let Ok(model) = Model::from_bytes(bytes, "x") {
        let limits = Limits { length: 20, threads: 1, ..Limits::default() };
        let mut session = Session::new(Arc::new(model), limits).unwrap();
        let _ = session.run(&[Sequence { ids: &[2, 9, 8, 3], types: &[0; 4] }]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_flipped_byte_is_noticed(at in 0usize..10_000_000, bits in 1u8..=255) {
        let mut bytes = packed().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= bits;
        let number = |at: usize| u64::from_le_bytes(packed()[at..at + 8].try_into().unwrap());
        let directory: Directory = serde_json::from_slice(&packed()[number(24) as usize..]).unwrap();
        let end = number(24) as usize;
        // Only what fills up the header and the gaps between sections means nothing.
        let used = directory.sections.values().any(|s| (s.offset..s.offset + s.length).contains(&(at as u64)));
        let filling = !used && ((56..HEADER).contains(&at) || (HEADER..end).contains(&at) || (12..16).contains(&at));
        let opened = Model::from_bytes(&bytes, "x");
        prop_assert!(filling || opened.is_err(), "byte {at}");
    }

    #[test]
    fn numbers_of_a_directory_may_be_anything(which in 0usize..400, value in any::<i64>(), small in -2i64..300) {
        for value in [value, small] {
            let bytes = with_directory(|d| {
                let mut left = which;
                set_number(d, &mut left, value);
            });
            opens_and_runs_or_is_refused(&bytes);
        }
    }

    #[test]
    fn any_part_of_a_directory_may_be_anything(changes in prop::collection::vec(change(), 1..4)) {
        for packed in [packed(), disentangled()] {
            let bytes = changed(packed, |d| {
                for change in &changes {
                    change.apply(d);
                }
            });
            opens_and_runs_or_is_refused(&bytes);
        }
    }

    #[test]
    fn weights_and_places_may_be_anything(which in 0usize..1000, at in any::<prop::sample::Index>(), with in any::<[u8; 8]>()) {
        // A section's bytes changed, and its checksum with them.
        for packed in [packed(), disentangled()] {
            let directory = directory_at(packed);
            let mut bytes = packed[..directory].to_vec();
            let mut value: Value = serde_json::from_slice(&packed[directory..]).unwrap();
            let sections = value["sections"].as_object_mut().unwrap();
            let count = sections.len();
            let section = sections.values_mut().nth(which % count).unwrap();
            let from = section["offset"].as_u64().unwrap() as usize;
            let length = section["length"].as_u64().unwrap() as usize;
            if length >= 8 {
                let place = from + at.index(length - 7);
                bytes[place..place + 8].copy_from_slice(&with);
                section["hash"] = format!("{:016x}", hash(&bytes[from..from + length])).into();
                opens_and_runs_or_is_refused(&with_text(&bytes, value.to_string().into_bytes()));
            }
        }
    }

    #[test]
    fn what_follows_the_magic_may_be_anything(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = [b"OBERTENG\x02\0\0\0".as_slice(), &bytes].concat();
        prop_assert!(Model::from_bytes(&whole, "x").is_err());
    }
}

/// Sets the number that stands at some place in the order of the text.
fn set_number(value: &mut Value, left: &mut usize, number: i64) {
    match value {
        Value::Number(_) => {
            if *left == 0 {
                *value = number.into();
            }
            *left = left.wrapping_sub(1);
        }
        Value::Array(list) => list.iter_mut().for_each(|v| set_number(v, left, number)),
        Value::Object(map) => map.values_mut().for_each(|v| set_number(v, left, number)),
        _ => {}
    }
}

#[test]
fn floats_and_measured_models_pack_too() {
    for precision in [Precision::Float32, Precision::Int8] {
        let image =
            pack::pack(&golden("heads/classifier"), Some(precision), &mut Default::default()).unwrap();
        opens_and_runs_or_is_refused(&image.bytes());
        assert_eq!(Model::from_bytes(&image.bytes(), "x").unwrap().labels().unwrap().len(), 3);
    }
    let refused = pack::pack(&golden("heads/masked_lm"), None, &mut Default::default()).unwrap_err();
    assert_eq!(refused[0].code.to_string(), "OB0964");
}
