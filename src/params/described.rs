//! A configuration as its family describes it: its keys in `config.json`, and what the model computes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::diag::counted;

use super::architecture::{Activation, Architecture};
use super::config::BertConfig;
use super::family::Family;

impl<'de> Deserialize<'de> for BertConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map: Map<String, Value> = Deserialize::deserialize(deserializer)?;
        let family = map.get("model_type").and_then(Value::as_str).and_then(Family::named);
        if let Some(family) = family.map(Family::description) {
            for (of_bert, own) in family.settings {
                // BERT's name of the key: obert reads only the family's own.
                map.shift_remove(*of_bert);
                if let Some(value) = map.shift_remove(*own) {
                    map.insert((*of_bert).to_owned(), value);
                }
            }
            for (key, constant) in family.constants {
                map.insert((*key).to_owned(), constant.value());
            }
            for (key, value) in family.absent {
                map.entry(*key).or_insert_with(|| value.value());
            }
        }
        BertConfig::deserialize(Value::Object(map)).map_err(serde::de::Error::custom)
    }
}

impl Serialize for BertConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = BertConfig::serialize(self, serde_json::value::Serializer);
        let mut value = value.map_err(serde::ser::Error::custom)?;
        if let Some(map) = value.as_object_mut() {
            let family = self.family().description();
            for (of_bert, own) in family.settings {
                if let Some(value) = map.shift_remove(*of_bert) {
                    map.insert((*own).to_owned(), value);
                }
            }
            for (key, _) in family.constants {
                map.shift_remove(*key);
            }
        }
        Serialize::serialize(&value, serializer)
    }
}

impl BertConfig {
    /// The family, by `model_type`; BERT if that is unknown.
    pub fn family(&self) -> Family {
        Family::named(&self.model_type).unwrap_or_default()
    }

    /// What a model of this configuration computes.
    pub fn architecture(&self) -> Architecture {
        (self.family().description().architecture)(self)
    }

    /// The row of the position embeddings for the first token of a sequence: 0, or `pad_token_id + 1` for RoBERTa.
    pub fn first_position(&self) -> usize {
        self.architecture().positions.first
    }

    /// The greatest sequence length in tokens.
    pub fn longest(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }

    /// The dropout probability before a classifier, during training.
    pub fn classifier_dropout(&self) -> f64 {
        self.architecture().heads.classifier_dropout
    }

    /// The dropout probability before a classifier of tokens, during training.
    pub fn token_classifier_dropout(&self) -> f64 {
        self.architecture().heads.token_dropout
    }

    /// The dropout probability before the question answering head, during training.
    pub fn answer_dropout(&self) -> f64 {
        self.architecture().heads.answer_dropout
    }

    /// Writes what a model with these layers computes into the configuration.
    pub fn set_layers(&mut self, architecture: &Architecture) {
        self.num_hidden_layers = architecture.shape.layers;
        if let Some(set) = self.family().description().set_layers {
            set(self, architecture);
        }
    }

    /// Why this program cannot compute the model, in one sentence; `None` if it can.
    pub fn unsupported(&self) -> Option<String> {
        let Some(family) = Family::named(&self.model_type) else {
            return Some(format!("`model_type` is `{}`", self.model_type));
        };
        let own = family.description();
        let typeless = own.constants.iter().chain(own.absent).any(|(key, _)| *key == "type_vocab_size");
        if !typeless && self.type_vocab_size == 0 {
            return Some("the number of token types is 0".to_owned());
        }
        if self.longest() == 0 {
            return Some(counted(
                self.max_position_embeddings,
                "position holds no token",
                "positions hold no token",
            ));
        }
        if Activation::named(&self.hidden_act).is_none() {
            return Some(format!("`hidden_act` is `{}`, which is not known", self.hidden_act));
        }
        if self.architecture().embedding == 0 {
            return Some("the width of the embeddings is 0".to_owned());
        }
        let position = self.rest.get("position_embedding_type").and_then(|v| v.as_str());
        if let Some(kind) = position.filter(|kind| *kind != "absolute") {
            return Some(format!("`position_embedding_type` is `{kind}`; only `absolute` is known"));
        }
        self.shape().impossible()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> BertConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_distilbert_is_read_and_written_under_its_own_names() {
        let json = r#"{"architectures":["DistilBertForMaskedLM"],"model_type":"distilbert","vocab_size":60,
            "max_position_embeddings":20,"n_layers":2,"n_heads":4,"dim":32,"hidden_dim":48,"dropout":0.2,
            "attention_dropout":0.3,"activation":"gelu","seq_classif_dropout":0.25,"tie_weights_":true}"#;
        let config = read(json);
        assert_eq!(config.family(), Family::DistilBert);
        assert_eq!((config.hidden_size, config.num_hidden_layers, config.intermediate_size), (32, 2, 48));
        assert_eq!((config.hidden_dropout_prob, config.attention_probs_dropout_prob), (0.2, 0.3));
        assert_eq!((config.shape().types, config.longest(), config.classifier_dropout()), (0, 20, 0.25));
        assert_eq!(config.unsupported(), None);
        let written = serde_json::to_value(&config).unwrap();
        assert_eq!((&written["dim"], &written["n_layers"]), (&32.into(), &2.into()));
        assert!(written.get("hidden_size").is_none() && written.get("type_vocab_size").is_none());
        assert_eq!(serde_json::from_value::<BertConfig>(written).unwrap(), config);
    }

    #[test]
    fn positions_of_a_roberta_begin_after_its_padding_token() {
        let json = r#"{"model_type":"roberta","vocab_size":60,"hidden_size":32,"num_hidden_layers":2,
            "num_attention_heads":4,"intermediate_size":48,"max_position_embeddings":22,"type_vocab_size":1,
            "classifier_dropout":null}"#;
        let config = read(json);
        assert_eq!((config.first_position(), config.longest()), (2, 20));
        assert_eq!(config.classifier_dropout(), config.hidden_dropout_prob);
        assert_eq!(config.unsupported(), None);
        assert!(
            read(&json.replace("\"type_vocab_size\":1", "\"type_vocab_size\":0")).unsupported().is_some()
        );
        assert!(read(&json.replace(":22", ":2")).unsupported().unwrap().contains("no token"));
        assert!(read(&json.replace("roberta", "gpt2")).unsupported().unwrap().contains("gpt2"));
    }
}
