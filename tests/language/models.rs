//! Model folders before their weights are read: every key of `config.json`, tensors against sizes, prefixes,
//! and files that are wrong in every way.

use std::path::Path;

use obert::internals::diag::render::full;
use obert::internals::diag::{Code, Diagnostic, Sources};
use obert::internals::params::builtin::{self, Head};
use obert::internals::params::config_file::ConfigFile;
use obert::internals::params::config_keys::{self, Key, Kind, Treatment, keys};
use obert::internals::params::folder::{self, ModelFolder};
use obert::internals::params::{Family, ParameterTable};
use serde_json::{Map, Value, json};

/// A small configuration of a family.
fn config(family: Family) -> Map<String, Value> {
    let body = |types: usize| {
        json!({ "model_type": family.model_type(),
            "architectures": [format!("{}ForQuestionAnswering", family.class())],
            "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": types })
    };
    let value = match family {
        Family::XlmRoberta | Family::Camembert => body(1),
        Family::Electra | Family::Albert => {
            let mut electra = body(2);
            electra["embedding_size"] = json!(6);
            electra
        }
        Family::Mpnet | Family::ModernBert | Family::DebertaV2 => {
            let mut typeless = body(0);
            typeless.as_object_mut().unwrap().remove("type_vocab_size");
            typeless
        }
        Family::Bert => json!({ "model_type": "bert", "architectures": ["BertForQuestionAnswering"],
            "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 2 }),
        Family::Roberta => json!({ "model_type": "roberta", "architectures": ["RobertaForQuestionAnswering"],
            "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 1 }),
        Family::DistilBert => json!({ "model_type": "distilbert",
            "architectures": ["DistilBertForQuestionAnswering"], "vocab_size": 10, "dim": 4, "n_layers": 2,
            "n_heads": 2, "hidden_dim": 8, "max_position_embeddings": 16 }),
    };
    value.as_object().unwrap().clone()
}

fn with(family: Family, key: &str, value: Value) -> Map<String, Value> {
    let mut config = config(family);
    config.insert(key.to_owned(), value);
    config
}

fn write_config(folder: &Path, config: &Map<String, Value>) {
    std::fs::write(folder.join("config.json"), serde_json::to_string_pretty(config).unwrap()).unwrap();
}

/// Writes a safetensors file of zeros.
fn write_weights(folder: &Path, tensors: &[(String, Vec<usize>)]) {
    let (mut header, mut at) = (Map::new(), 0);
    for (name, shape) in tensors {
        let bytes = 4 * shape.iter().product::<usize>();
        header.insert(
            name.clone(),
            json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, at + bytes] }),
        );
        at += bytes;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + at, 0);
    std::fs::write(folder.join("model.safetensors"), file).unwrap();
}

fn tensors(table: &ParameterTable) -> Vec<(String, Vec<usize>)> {
    table.iter().map(|p| (p.name.clone(), p.shape.clone())).collect()
}

/// The tensors of a small model of a family with a head.
fn small(family: Family, head: Head) -> Vec<(String, Vec<usize>)> {
    let architecture = read_config(&config(family)).unwrap().0.config.architecture();
    tensors(&builtin::table(&architecture, head))
}

fn read_config(config: &Map<String, Value>) -> Result<(ConfigFile, Sources), (Vec<Diagnostic>, Sources)> {
    let (folder, mut sources) = (tempfile::tempdir().unwrap(), Sources::new());
    write_config(folder.path(), config);
    match ConfigFile::read(folder.path(), &mut sources, || None) {
        Ok(file) => Ok((file, sources)),
        Err(wrong) => Err((wrong, sources)),
    }
}

/// The only diagnostic, and the text that it points at.
fn only(wrong: &[Diagnostic], sources: &Sources) -> (Code, String, String) {
    assert_eq!(wrong.len(), 1, "{}", full::render_all(wrong, sources, false));
    let place = wrong[0].primary.as_ref().map_or(String::new(), |label| sources.slice(label.span).to_owned());
    assert!(wrong[0].help.is_some(), "{}", wrong[0].message);
    (wrong[0].code, wrong[0].message.clone(), place)
}

fn refusal(config: &Map<String, Value>) -> (Code, String, String) {
    match read_config(config) {
        Ok((file, _)) => panic!("accepted: {config:?} as {:?}", file.config),
        Err((wrong, sources)) => only(&wrong, &sources),
    }
}

/// Reads a folder of this configuration and these tensors.
fn read(
    config: &Map<String, Value>,
    tensors: &[(String, Vec<usize>)],
    head: Option<Head>,
) -> Result<ModelFolder, (Vec<Diagnostic>, Sources)> {
    let (folder, mut sources) = (tempfile::tempdir().unwrap(), Sources::new());
    write_config(folder.path(), config);
    write_weights(folder.path(), tensors);
    folder::read_with_head(folder.path(), head, &mut sources).map_err(|wrong| (wrong, sources))
}

/// A value of a kind that differs from that of a small configuration.
fn another(family: Family, key: &Key) -> Value {
    let Treatment::Computed(kind, _) = key.treatment else { panic!("{key:?}") };
    match (key.name, kind) {
        ("num_hidden_groups", _) => json!(2),
        ("embedding_size" | "pooler_hidden_size", _) if family == Family::DebertaV2 => json!(4),
        ("hidden_size" | "dim", _) => json!(8),
        ("num_attention_heads" | "n_heads", _) => json!(1),
        (_, Kind::Exactly(only)) => json!(only),
        (_, Kind::Signed) => json!(7),
        (_, Kind::DistanceTerms) => json!("p2c|c2p"),
        (_, Kind::Always) => json!(true),
        (_, Kind::Positive) => json!(2.5),
        (_, Kind::LayerTypes) => json!(["sliding_attention", "full_attention"]),
        (_, Kind::Rotary) => {
            let theta = |theta: f64| json!({ "rope_type": "default", "rope_theta": theta });
            json!({ "full_attention": theta(9e4), "sliding_attention": theta(50.0) })
        }
        (_, Kind::Family) => panic!("another family has other keys"),
        (_, Kind::Size) => json!(32),
        (_, Kind::Count(most)) => json!(most),
        (_, Kind::Token) => json!(3),
        (_, Kind::Dropout | Kind::MaybeDropout) => json!(0.375),
        (_, Kind::Number) => json!(1e-3),
        (_, Kind::OneOf(values)) => json!(values[values.len() - 1]),
        (_, Kind::Truth) => json!(false),
        (_, Kind::Classes) => json!(["BertModel"]),
        (_, Kind::Names) => json!({ "0": "no", "1": "yes" }),
        (_, Kind::Numbers) => json!({ "no": 0, "yes": 1 }),
        (_, Kind::Problem) => json!("regression"),
    }
}

#[test]
fn every_row_of_the_table_is_followed() {
    for family in Family::ALL {
        let plain = read_config(&config(family)).unwrap().0;
        assert_eq!(plain.notes, Vec::<String>::new());
        for key in keys(family) {
            let name = key.name;
            let differs = |config: Map<String, Value>| {
                let (file, _) = read_config(&config).unwrap_or_else(|(wrong, _)| panic!("{name}: {wrong:?}"));
                assert!(file.notes.is_empty() || name == "sinusoidal_pos_embds", "{name}: {:?}", file.notes);
                file.config != plain.config
            };
            match key.treatment {
                Treatment::WithoutEffect(_) => {
                    for value in [json!(7), json!("x"), json!(true), json!(null), json!({ "a": [1] })] {
                        let (mut file, _) = read_config(&with(family, name, value.clone())).unwrap();
                        // ModernBERT has this setting under another name.
                        if name != "layer_norm_eps" {
                            assert_eq!(file.config.rest.shift_remove(name), Some(value), "{name} is kept");
                        }
                        assert_eq!(file.config, plain.config, "{name}");
                    }
                }
                Treatment::Refused(_) => {
                    for off in [json!(null), json!(false), json!({}), json!(0), json!([])] {
                        assert!(read_config(&with(family, name, off)).is_ok(), "{name}");
                    }
                    for on in [json!(true), json!({ "1": [0, 2] }), json!(768)] {
                        let (code, message, place) = refusal(&with(family, name, on.clone()));
                        assert_eq!(code, Code::ConfigUnsupported);
                        assert!(message.contains(&format!("`{name}`")), "{message}");
                        assert_eq!(serde_json::from_str::<Value>(&place).unwrap(), on, "{name}");
                    }
                }
                Treatment::Computed(..) if name == "model_type" => {
                    let (code, message, place) = refusal(&with(family, name, json!("gpt2")));
                    assert_eq!((code, place.as_str()), (Code::NotABert, "\"gpt2\""));
                    assert!(message.contains("`model_type` is `gpt2`"), "{message}");
                    assert_eq!(refusal(&with(family, name, json!(3))).0, Code::NotABert);
                }
                Treatment::Computed(kind, _) => {
                    // Zero is the default.
                    let changes = kind != Kind::Exactly(0);
                    assert_eq!(differs(with(family, name, another(family, &key))), changes, "{name}");
                    let (code, message, place) = refusal(&with(family, name, json!([[3]])));
                    assert_eq!(code, Code::ConfigMalformed, "{name}");
                    assert!(message.contains(&format!("`{name}`")), "{message}");
                    assert_eq!(place.split_whitespace().collect::<String>(), "[[3]]", "{name}");
                    if let Kind::OneOf(_) = kind {
                        let (code, message, place) = refusal(&with(family, name, json!("xielu")));
                        assert_eq!((code, place.as_str()), (Code::ConfigUnsupported, "\"xielu\""));
                        assert!(message.contains(name) && !message.contains("model_type"), "{message}");
                    }
                }
            }
        }
    }
}

/// What the configuration classes of transformers 5.24 read, as `dataclasses.fields` lists it, and the
/// settings of generation that they take out.
#[test]
fn no_key_that_transformers_reads_is_forgotten() {
    const COMMON: &str = "transformers_version architectures output_hidden_states return_dict dtype \
        chunk_size_feed_forward is_encoder_decoder id2label label2id problem_type vocab_size \
        max_position_embeddings initializer_range pad_token_id bos_token_id eos_token_id tie_word_embeddings \
        max_length min_length do_sample use_cache early_stopping num_beams temperature top_k top_p typical_p \
        repetition_penalty length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids \
        num_return_sequences output_scores return_dict_in_generate forced_bos_token_id forced_eos_token_id \
        remove_invalid_values exponential_decay_length_penalty suppress_tokens begin_suppress_tokens \
        epsilon_cutoff eta_cutoff encoder_repetition_penalty num_assistant_tokens \
        num_assistant_tokens_schedule assistant_confidence_threshold assistant_lookbehind target_lookbehind \
        num_beam_groups diversity_penalty torch_dtype num_labels name_or_path _commit_hash output_attentions \
        attn_implementation per_layer_config auto_map quantization_config pruned_heads";
    const BERT: &str = "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act \
        hidden_dropout_prob attention_probs_dropout_prob type_vocab_size layer_norm_eps classifier_dropout \
        is_decoder add_cross_attention position_embedding_type";
    const DISTILLED: &str = "sinusoidal_pos_embds n_layers n_heads dim hidden_dim dropout attention_dropout \
        activation qa_dropout seq_classif_dropout";
    const ELECTRA: &str = "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act \
        hidden_dropout_prob attention_probs_dropout_prob type_vocab_size layer_norm_eps classifier_dropout \
        embedding_size summary_type summary_use_proj summary_activation summary_last_dropout is_decoder \
        add_cross_attention";
    const MPNET: &str = "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act \
        hidden_dropout_prob attention_probs_dropout_prob layer_norm_eps relative_attention_num_buckets";
    const MODERN: &str = "hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_activation \
        initializer_cutoff_factor norm_eps norm_bias cls_token_id sep_token_id attention_bias attention_dropout \
        layer_types rope_parameters local_attention embedding_dropout mlp_bias mlp_dropout decoder_bias \
        classifier_pooling classifier_dropout classifier_bias classifier_activation deterministic_flash_attn \
        sparse_prediction sparse_pred_ignore_index global_attn_every_n_layers global_rope_theta local_rope_theta \
        rope_scaling reference_compile";
    const DEBERTA: &str = "hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act \
        hidden_dropout_prob attention_probs_dropout_prob type_vocab_size layer_norm_eps relative_attention \
        max_relative_positions position_biased_input pos_att_type pooler_dropout pooler_hidden_act legacy \
        pooler_hidden_size position_buckets norm_rel_ebd share_att_key cls_dropout conv_kernel_size conv_groups \
        conv_act embedding_size attention_head_size";
    const ALBERT: &str = "embedding_size hidden_size num_hidden_layers num_hidden_groups num_attention_heads \
        intermediate_size inner_group_num hidden_act hidden_dropout_prob attention_probs_dropout_prob \
        type_vocab_size layer_norm_eps classifier_dropout_prob";
    for (family, own) in [
        (Family::Albert, ALBERT),
        (Family::DebertaV2, DEBERTA),
        (Family::ModernBert, MODERN),
        (Family::Mpnet, MPNET),
        (Family::Bert, BERT),
        (Family::Roberta, BERT),
        (Family::XlmRoberta, BERT),
        (Family::Camembert, BERT),
        (Family::DistilBert, DISTILLED),
        (Family::Electra, ELECTRA),
    ] {
        for name in COMMON.split_whitespace().chain(own.split_whitespace()) {
            assert!(config_keys::find(name, family).is_some(), "{name} of {family:?}");
        }
    }
}

#[test]
fn files_that_are_wrong_are_told_at_their_place() {
    let big = "9".repeat(30);
    let text = |more: &str| format!("{{\"model_type\": \"bert\", {more}}}");
    let layers = |n: &str| text(&format!("\"num_hidden_layers\": {n}"));
    let cases: Vec<(String, Code, &str, &str)> = vec![
        ("".into(), Code::ModelNotReadable, "not JSON", ""),
        ("{".into(), Code::ModelNotReadable, "not JSON", "{"),
        (text("\"hidden_size\": 4,"), Code::ModelNotReadable, "not JSON", "}"),
        ("[1]".into(), Code::ConfigMalformed, "no configuration", "["),
        ("null".into(), Code::ConfigMalformed, "no configuration", "n"),
        ("{}".into(), Code::NotABert, "does not say which architecture", "{"),
        ("{\"model_type\": null}".into(), Code::NotABert, "does not say which architecture", "{"),
        ("{\"model_type\": [\"bert\"]}".into(), Code::NotABert, "`model_type` is [", "[\"bert\"]"),
        (layers("1000000"), Code::ConfigMalformed, "`num_hidden_layers` is 1000000", "1000000"),
        (layers("-1"), Code::ConfigMalformed, "`num_hidden_layers` is -1", "-1"),
        (layers("12.0"), Code::ConfigMalformed, "`num_hidden_layers` is 12.0", "12.0"),
        (layers("\"12\""), Code::ConfigMalformed, "`num_hidden_layers` is \"12\"", "\"12\""),
        (layers(&big), Code::ConfigMalformed, "`num_hidden_layers` is", &big),
        (layers("null"), Code::ConfigMalformed, "`num_hidden_layers` is null", "null"),
        (text("\"vocab_size\": 99999999999"), Code::ConfigMalformed, "`vocab_size`", "99999999999"),
        (text("\"hidden_size\": 770"), Code::ConfigMalformed, "does not divide `hidden_size` 770", "{"),
        (text("\"num_attention_heads\": 7"), Code::ConfigMalformed, "`num_attention_heads` 7 does not", "7"),
        (text("\"type_vocab_size\": 0"), Code::ConfigMalformed, "`type_vocab_size` is 0", "0"),
        (text("\"hidden_dropout_prob\": 1.5"), Code::ConfigMalformed, "`hidden_dropout_prob` is 1.5", "1.5"),
        (text("\"layer_norm_eps\": -1e-5"), Code::ConfigMalformed, "`layer_norm_eps` is -0.00001", "-1e-5"),
        (text("\"hidden_act\": \"xielu\""), Code::ConfigUnsupported, "`hidden_act` is `xielu`", "\"xielu\""),
        (text("\"problem_type\": \"ranking\""), Code::ConfigMalformed, "`problem_type`", "\"ranking\""),
        (
            "{\"model_type\": \"roberta\", \"max_position_embeddings\": 2}".into(),
            Code::ConfigMalformed,
            "2 positions hold no token",
            "2",
        ),
        (
            "{\"model_type\": \"roberta\", \"pad_token_id\": -1}".into(),
            Code::ConfigMalformed,
            "`pad_token_id` is -1",
            "-1",
        ),
        (
            "{\"model_type\": \"distilbert\", \"hidden_size\": 8}".into(),
            Code::ConfigMalformed,
            "obert does not read `hidden_size` of a `distilbert`",
            "\"hidden_size\"",
        ),
        ("{\"model_type\": \"longformer\"}".into(), Code::NotABert, "`longformer`", "\"longformer\""),
        (
            "{\"model_type\": \"electra\", \"embedding_size\": 0}".into(),
            Code::ConfigMalformed,
            "`embedding_size` is 0",
            "0",
        ),
        (
            "{\"model_type\": \"modernbert\", \"num_attention_heads\": 256}".into(),
            Code::ConfigMalformed,
            "is 3 wide",
            "256",
        ),
        (
            "{\"model_type\": \"modernbert\", \"layer_types\": [\"full_attention\"]}".into(),
            Code::ConfigMalformed,
            "`layer_types` has 1 of 22 layers",
            "[\"full_attention\"]",
        ),
        (
            "{\"model_type\": \"modernbert\", \"local_attention\": 0}".into(),
            Code::ConfigMalformed,
            "`local_attention` is 0",
            "0",
        ),
        (
            "{\"model_type\": \"modernbert\", \"rope_parameters\": {}}".into(),
            Code::ConfigMalformed,
            "`rope_parameters` is an object",
            "{}",
        ),
        (
            "{\"model_type\": \"modernbert\", \"global_rope_theta\": 0}".into(),
            Code::ConfigMalformed,
            "`global_rope_theta` is 0",
            "0",
        ),
        (
            "{\"model_type\": \"modernbert\", \"decoder_bias\": false}".into(),
            Code::ConfigMalformed,
            "`decoder_bias` is false",
            "false",
        ),
        (
            "{\"model_type\": \"albert\", \"num_hidden_groups\": 13}".into(),
            Code::ConfigMalformed,
            "12 layers share the parameters of 13 groups",
            "13",
        ),
        (
            "{\"model_type\": \"mpnet\", \"relative_attention_num_buckets\": 64}".into(),
            Code::ConfigUnsupported,
            "`relative_attention_num_buckets` is 64",
            "64",
        ),
    ];
    for (text, code, message, place) in cases {
        let (folder, mut sources) = (tempfile::tempdir().unwrap(), Sources::new());
        std::fs::write(folder.path().join("config.json"), &text).unwrap();
        let wrong =
            ConfigFile::read(folder.path(), &mut sources, || None).map(|file| file.config).unwrap_err();
        let shown = full::render_all(&wrong, &sources, false);
        let found = only(&wrong, &sources);
        assert_eq!(found.0, code, "{text}: {shown}");
        assert!(found.1.contains(message), "{text}: {shown}");
        assert_eq!(found.2, place, "{text}: {shown}");
    }
    // Nested deeper than a stack should be.
    let (folder, mut sources) = (tempfile::tempdir().unwrap(), Sources::new());
    std::fs::write(folder.path().join("config.json"), "[".repeat(100_000)).unwrap();
    assert!(ConfigFile::read(folder.path(), &mut sources, || None).is_err());
    std::fs::write(folder.path().join("config.json"), [b'{', 0xff, b'}']).unwrap();
    assert!(ConfigFile::read(folder.path(), &mut sources, || None).is_err());
}

#[test]
fn every_family_refuses_a_million_layers_and_heads_that_do_not_divide_at_their_place() {
    for family in Family::ALL {
        let key = family.key("num_hidden_layers");
        let (code, message, place) = refusal(&with(family, key, json!(1_000_000)));
        assert_eq!((code, &*place), (Code::ConfigMalformed, "1000000"), "{family:?}: {message}");
        let key = family.key("num_attention_heads");
        for heads in [0, 3] {
            let (code, message, place) = refusal(&with(family, key, json!(heads)));
            let found = (code, place, message.contains(&format!("`{key}`")));
            assert_eq!(found, (Code::ConfigMalformed, heads.to_string(), true), "{family:?}: {message}");
        }
    }
}

#[test]
fn several_mistakes_are_each_told_once() {
    let mut config = with(Family::Bert, "is_decoder", json!(true));
    config.insert("hidden_act".into(), json!("xielu"));
    config.insert("position_embedding_type".into(), json!("relative_key_query"));
    let (wrong, sources) = read_config(&config).unwrap_err();
    insta::assert_snapshot!(
        full::render_all(&wrong, &sources, false)
            .replace(&sources.get(wrong[0].primary.as_ref().unwrap().span.file).name, "bert/config.json")
    );
}

#[test]
fn what_is_assumed_and_what_is_unknown_is_noted() {
    let read = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), text).unwrap();
        ConfigFile::read(folder.path(), &mut Sources::new(), || None).unwrap()
    };
    let file = read(r#"{"model_type": "distilbert", "my_key": 3, "n_layers": 3}"#);
    assert_eq!(
        (file.config.hidden_size, file.config.num_hidden_layers, file.config.vocab_size),
        (768, 3, 30522)
    );
    assert_eq!(file.notes.len(), 2, "{:?}", file.notes);
    assert!(file.notes[0].contains("unknown keys have no effect: `my_key`"));
    assert!(file.notes[1].contains("`vocab_size` 30522, `dim` 768, `n_heads` 12"));
    assert_eq!(file.config.rest["my_key"], 3, "it is kept");
    let file = read(r#"{"model_type": "roberta"}"#);
    assert_eq!((file.config.vocab_size, file.config.pad_token_id), (50265, 1));
    // A BERT does not compute with its padding.
    for token in ["-1", "null"] {
        let file = read(&format!("{{\"model_type\": \"bert\", \"pad_token_id\": {token}}}"));
        assert_eq!(file.config.pad_token_id, 0);
    }
}

#[test]
fn without_a_model_type_the_help_says_which_to_add() {
    for family in Family::ALL {
        let mut config = config(family);
        config.remove("model_type");
        let help = |config: &Map<String, Value>, tensors: &[(String, Vec<usize>)]| {
            let (wrong, sources) = read(config, tensors, None).unwrap_err();
            assert_eq!(only(&wrong, &sources).0, Code::NotABert);
            wrong[0].help.clone().unwrap()
        };
        let wanted = format!("add `\"model_type\": \"{}\"`", family.model_type());
        let tensors = small(family, Head::QuestionAnswering);
        assert!(help(&config, &tensors).contains(&wanted), "by its class");
        // Of families with the same names, the first.
        let first = Family::ALL.into_iter().find(|other| other.prefix() == family.prefix()).unwrap();
        let wanted = format!("add `\"model_type\": \"{}\"`", first.model_type());
        config.remove("architectures");
        config.remove("dim");
        assert!(help(&config, &tensors).contains(&wanted), "by its tensors");
        assert!(!help(&config, &[("x.weight".into(), vec![2])]).contains("add `"), "by nothing");
    }
}

#[test]
fn a_prefix_of_all_tensors_is_left_out_with_a_note() {
    for family in Family::ALL {
        let plain = read(&config(family), &small(family, Head::QuestionAnswering), None).unwrap();
        assert_eq!(plain.notes, Vec::<String>::new());
        for prefix in ["module.", "model.", "_orig_mod.", "module._orig_mod."] {
            let mut tensors = small(family, Head::QuestionAnswering);
            tensors.iter_mut().for_each(|(name, _)| name.insert_str(0, prefix));
            let read = read(&config(family), &tensors, None).unwrap();
            assert_eq!(read.table, plain.table);
            assert!(read.missing_head.is_empty());
            assert_eq!(read.notes, [format!("the tensors' names begin with `{prefix}`, which is left out")]);
        }
    }
}

#[test]
fn a_hundred_tensors_that_are_missing_are_one_mistake() {
    let mut tensors = small(Family::Bert, Head::QuestionAnswering);
    tensors.iter_mut().for_each(|(name, _)| *name = name.replace("bert.", "electra."));
    let (wrong, sources) = read(&config(Family::Bert), &tensors, None).unwrap_err();
    let (code, message, _) = only(&wrong, &sources);
    assert_eq!(code, Code::TensorMissing);
    assert!(message.contains("lacks 37 tensors: bert.embeddings.word_embeddings.weight"), "{message}");
    assert!(message.ends_with("and 32 more"), "{message}");
    assert!(wrong[0].help.as_ref().unwrap().contains("`electra.embeddings.LayerNorm.bias`"), "{wrong:?}");
    // Shapes alike.
    let mut tensors = small(Family::Bert, Head::QuestionAnswering);
    for (name, shape) in &mut tensors {
        if name.contains("attention") {
            shape.push(1);
        }
    }
    let (wrong, _) = read(&config(Family::Bert), &tensors, None).unwrap_err();
    assert_eq!(wrong.len(), 3);
    assert!(
        wrong[2].message.ends_with("; 17 other tensors have errors of the same kind"),
        "{}",
        wrong[2].message
    );
}

#[test]
fn sizes_that_the_tensors_do_not_have_are_told_at_their_keys() {
    for family in Family::ALL {
        let distilled = family == Family::DistilBert;
        let own = |bert: &'static str, own: &'static str| if distilled { own } else { bert };
        let (layers, width) = (own("num_hidden_layers", "n_layers"), own("intermediate_size", "hidden_dim"));
        let tensors = small(family, Head::QuestionAnswering);
        for (key, value, code) in [
            ("vocab_size", 12, Code::TensorShape),
            ("max_position_embeddings", 20, Code::TensorShape),
            (own("hidden_size", "dim"), 8, Code::TensorShape),
            (width, 16, Code::TensorShape),
            (layers, 12, Code::TensorMissing),
        ] {
            // ModernBERT has no table of positions, and the layers of an ALBERT share their parameters.
            let unseen = match family {
                Family::ModernBert => key == "max_position_embeddings",
                Family::Albert => key == "num_hidden_layers",
                _ => false,
            };
            if unseen {
                continue;
            }
            let (wrong, sources) = read(&with(family, key, json!(value)), &tensors, None).unwrap_err();
            let (found, message, place) = only(&wrong, &sources);
            assert_eq!((found, place), (code, value.to_string()), "{key}");
            assert!(message.starts_with(&format!("`{key}` is {value}; ")), "{message}");
            assert!(wrong[0].help.as_ref().unwrap().contains(&format!("write `\"{key}\": ")), "{wrong:?}");
        }
    }
}

/// Tensors of a small BERT with a classifier of so many outputs.
fn classifier(outputs: usize) -> Vec<(String, Vec<usize>)> {
    small(Family::Bert, Head::Classification { labels: outputs })
}

#[test]
fn heads_that_are_something_else_are_refused_by_name_where_they_would_be_used() {
    let labels = |n| Some(Head::Classification { labels: n });
    let two = json!({ "0": "no", "1": "yes" });
    let cases: Vec<(usize, &str, Value, Code, &str)> = vec![
        (
            2,
            "problem_type",
            json!("regression"),
            Code::ConfigUnsupported,
            "`problem_type` is `regression` with 2 outputs",
        ),
        (3, "num_labels", json!(2), Code::ConfigMalformed, "`num_labels` is 2; the classifier has 3 outputs"),
        (3, "id2label", two.clone(), Code::ConfigMalformed, "`id2label` names 2 labels"),
        (2, "id2label", json!({ "1": "no", "2": "yes" }), Code::ConfigMalformed, "no name to output 0"),
        (2, "id2label", json!({ "0": "no", "1": 1 }), Code::ConfigMalformed, "no name to output 1"),
        (
            2,
            "architectures",
            json!(["BertForMultipleChoice"]),
            Code::ConfigUnsupported,
            "`architectures` is `BertForMultipleChoice`",
        ),
    ];
    for (outputs, key, value, code, message) in cases {
        let mut config = with(Family::Bert, "architectures", json!(["BertForSequenceClassification"]));
        config.insert(key.into(), value.clone());
        let wanted = if key == "problem_type" { Some(Head::Regression) } else { labels(outputs) };
        let (wrong, sources) = read(&config, &classifier(outputs), wanted).unwrap_err();
        let (found, said, place) = only(&wrong, &sources);
        assert_eq!(found, code, "{said}");
        assert!(said.contains(message), "{said}");
        assert_eq!(serde_json::from_str::<Value>(&place).unwrap(), value, "{said}");
        // The encoder is as good as any other one.
        let described = read(&config, &classifier(outputs), None).unwrap();
        assert_eq!(described.unusable_head.map(|d| d.code), Some(code));
        let answers = read(&config, &classifier(outputs), Some(Head::QuestionAnswering)).unwrap();
        assert_eq!(answers.missing_head, ["qa_outputs.weight", "qa_outputs.bias"]);
    }
    let mut config = with(Family::Bert, "id2label", two);
    config.insert("label2id".into(), json!({ "no": 1, "yes": 0 }));
    let (wrong, sources) = read(&config, &classifier(2), labels(2)).unwrap_err();
    let (code, message, place) = only(&wrong, &sources);
    assert_eq!(code, Code::ConfigMalformed);
    assert!(message.contains("`id2label` gives \"no\" to output 0, `label2id` to output 1"), "{message}");
    assert!(place.contains("\"yes\": 0"), "{place}");
    config.insert("label2id".into(), json!({ "no": "0", "yes": "1" }));
    assert!(read(&config, &classifier(2), labels(2)).is_ok(), "numbers as texts, as some files have them");
}

#[test]
fn a_classifier_whose_outputs_mean_something_else_is_refused_for_the_task() {
    let problem = |name: &str| with(Family::Bert, "problem_type", json!(name));
    let (one, many) = (Head::Classification { labels: 2 }, Head::MultiLabel { labels: 2 });
    let refused = |config: &serde_json::Map<String, Value>, outputs: usize, wanted: Head, message: &str| {
        let (wrong, sources) = read(config, &classifier(outputs), Some(wanted)).unwrap_err();
        let (code, said, _) = only(&wrong, &sources);
        assert_eq!(code, Code::ConfigUnsupported, "{said}");
        assert!(said.contains(message), "{said}");
    };
    let multi = problem("multi_label_classification");
    assert_eq!(read(&multi, &classifier(2), None).unwrap().head, many);
    assert!(read(&multi, &classifier(2), Some(many)).unwrap().missing_head.is_empty());
    refused(
        &multi,
        2,
        one,
        "gives any number of labels (multi-label classification); the task needs one label",
    );
    refused(
        &problem("single_label_classification"),
        2,
        many,
        "gives one label of several; the task needs any",
    );
    // One output is a score, whatever the class says.
    let plain = with(Family::Bert, "num_labels", json!(1));
    assert_eq!(read(&plain, &classifier(1), None).unwrap().head, Head::Regression);
    assert!(read(&problem("regression"), &classifier(1), Some(Head::Regression)).is_ok());
    refused(&plain, 1, Head::Classification { labels: 1 }, "gives a score (regression)");
    refused(&problem("single_label_classification"), 2, Head::Regression, "the task needs a score");
}

#[test]
fn a_classifier_of_tokens_is_told_from_one_of_texts_and_not_taken_for_it() {
    let class = |task: &str| with(Family::Bert, "architectures", json!([format!("BertFor{task}")]));
    let (texts, tokens) = (Head::Classification { labels: 2 }, Head::TokenClassification { labels: 2 });
    // Old checkpoints of token classification have a pooler too.
    let old = read(&class("TokenClassification"), &classifier(2), None).unwrap();
    assert_eq!(old.head, tokens);
    assert!(
        read(&class("TokenClassification"), &classifier(2), Some(tokens)).unwrap().missing_head.is_empty()
    );
    let bare = with(Family::Bert, "id2label", json!({ "0": "O", "1": "B-X" }));
    assert_eq!(read(&bare, &small(Family::Bert, tokens), None).unwrap().head, tokens, "without its class");
    let (wrong, sources) = read(&class("TokenClassification"), &classifier(2), Some(texts)).unwrap_err();
    let (code, message, place) = only(&wrong, &sources);
    assert_eq!((code, place.contains("BertForTokenClassification")), (Code::ConfigUnsupported, true));
    assert!(message.contains("a classifier of tokens; the task needs one of texts"), "{message}");
    let (wrong, _) = read(&class("SequenceClassification"), &classifier(2), Some(tokens)).unwrap_err();
    assert!(wrong[0].message.contains("a classifier of texts; the task needs one of tokens"), "{wrong:?}");
    let names = json!({ "0": "O", "1": "B-X", "2": "I-X" });
    let (wrong, _) = read(&with(Family::Bert, "id2label", names), &small(Family::Bert, tokens), None)
        .map(|folder| (vec![folder.unusable_head.unwrap()], ()))
        .unwrap();
    assert!(wrong[0].message.contains("`id2label` names 3 labels"), "{wrong:?}");
    // The names of RoBERTa's classifiers differ: that of texts is not used, and a new one is made.
    let roberta = with(Family::Roberta, "architectures", json!(["RobertaForSequenceClassification"]));
    let new = read(&roberta, &small(Family::Roberta, texts), Some(tokens)).unwrap();
    assert_eq!(new.missing_head, ["classifier.weight", "classifier.bias"]);
}

#[test]
fn a_language_model_with_a_matrix_of_its_own_is_refused_for_its_head_alone() {
    let config = with(Family::Bert, "tie_word_embeddings", json!(false));
    let tensors = small(Family::Bert, Head::MaskedLanguageModel);
    let (wrong, sources) = read(&config, &tensors, Some(Head::MaskedLanguageModel)).unwrap_err();
    let (code, _, place) = only(&wrong, &sources);
    assert_eq!((code, place.as_str()), (Code::ConfigUnsupported, "false"));
    assert!(read(&config, &tensors, Some(Head::QuestionAnswering)).is_ok());
}

#[test]
fn a_header_that_claims_more_than_it_has_is_refused_before_anything_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(Family::Bert);
    config.insert("vocab_size".into(), json!(1 << 24));
    write_config(folder.path(), &config);
    let name = "bert.embeddings.word_embeddings.weight";
    let header =
        json!({ name: { "dtype": "F32", "shape": [1 << 24, 4], "data_offsets": [0, 16] } }).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend([0; 16]);
    std::fs::write(folder.path().join("model.safetensors"), file).unwrap();
    let wrong = folder::read(folder.path(), &mut Sources::new()).unwrap_err();
    assert_eq!(wrong[0].code, Code::ModelNotReadable);
    assert!(wrong[0].message.contains("does not take the 16 bytes"), "{}", wrong[0].message);
}

#[test]
fn the_documentation_has_the_table_of_keys_and_the_built_in_models() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/models-and-data.md");
    let names: Vec<String> = builtin::WELL_KNOWN.iter().map(|name| format!("`{name}`")).collect();
    let parts = [
        ("keys of config.json", "keys", config_keys::markdown()),
        ("built-in models", "built-in models", format!("{}\n", names.join(",\n"))),
    ];
    for (title, short, expected) in parts {
        let text = std::fs::read_to_string(&page).unwrap();
        let (begin, end) =
            (format!("<!-- {title}: written by a test -->\n"), format!("<!-- end of the {short} -->\n"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (written, after) = rest.split_once(&end).unwrap();
        if written != expected && std::env::var_os("INSTA_UPDATE").is_some_and(|v| v == "always") {
            std::fs::write(&page, format!("{before}{begin}{expected}{end}{after}")).unwrap();
            continue;
        }
        assert_eq!(written, expected, "write it again: INSTA_UPDATE=always cargo test --no-default-features");
    }
}
