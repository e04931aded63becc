//! The JSON formats of SQuAD: articles with paragraphs, or flat rows.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::answers::RawAnswer;
use crate::diag::counted;

/// `{"data": [entries]}`, or a list of entries.
pub(super) struct File {
    pub(super) data: Vec<Entry>,
}

/// An article, or a question with its context.
#[derive(serde::Deserialize)]
pub(super) struct Entry {
    pub(super) paragraphs: Option<Vec<Paragraph>>,
    #[serde(default, deserialize_with = "optional_id")]
    pub(super) id: Option<String>,
    pub(super) question: Option<String>,
    pub(super) context: Option<String>,
    pub(super) answers: Option<Answers>,
}

#[derive(serde::Deserialize)]
pub(super) struct Paragraph {
    pub(super) context: String,
    pub(super) qas: Vec<Asked>,
}

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(deserialize_with = "text_or_number")]
    pub(super) id: String,
    pub(super) question: String,
    pub(super) answers: Option<Answers>,
}

/// A list of `{text, answer_start}`, or `{text: [..], answer_start: [..]}`.
pub(super) struct Answers(pub(super) Vec<RawAnswer>);

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Object {
            data: Vec<Entry>,
        }
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object with `data`, or a list of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<File, A::Error> {
                Ok(File { data: Deserialize::deserialize(de::value::SeqAccessDeserializer::new(list))? })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<File, A::Error> {
                let object = Object::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(File { data: object.data })
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Lists {
            text: Vec<String>,
            answer_start: Vec<i64>,
        }
        struct Shapes;
        impl<'de> Visitor<'de> for Shapes {
            type Value = Answers;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("answers with `text` and `answer_start`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Answers, A::Error> {
                Deserialize::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Answers)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Answers, A::Error> {
                let lists = Lists::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let (texts, starts) = (lists.text, lists.answer_start);
                if texts.len() != starts.len() {
                    let (texts, starts) = (texts.len(), starts.len());
                    let texts = counted(texts, "text", "texts");
                    let places = counted(starts, "place", "places");
                    return Err(de::Error::custom(format!("{texts} and {places} of answers")));
                }
                let pairs = texts.into_iter().zip(starts);
                Ok(Answers(pairs.map(|(text, answer_start)| RawAnswer { text, answer_start }).collect()))
            }
        }
        deserializer.deserialize_any(Shapes)
    }
}

fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text_or_number(deserializer).map(Some)
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Either;
    impl Visitor<'_> for Either {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an id, a text or a number")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Either)
}
