//! Results of variable shape as JSON, with the fields of `obertc predict`.

use obert::runtime::{Answer, Answers, Entity, Prediction};
use serde_json::{Map, Value, json};

/// `{"label", "score", "labels"}`, `{"labels"}` or `{"score"}` for each.
pub fn predictions(all: &[Prediction]) -> Value {
    let one = |prediction: &Prediction| match prediction {
        Prediction::Score(score) => json!({ "score": score }),
        Prediction::Labels { labels, single } => {
            let mut fields = Map::new();
            if let (true, Some((label, score))) = (single, labels.first()) {
                fields.insert("label".to_owned(), json!(label));
                fields.insert("score".to_owned(), json!(score));
            }
            let each = labels.iter().map(|(name, probability)| (name.clone(), json!(probability)));
            fields.insert("labels".to_owned(), Value::Object(each.collect()));
            Value::Object(fields)
        }
    };
    all.iter().map(one).collect()
}

/// A list of `{"label", "text", "score", "start", "end"}` for each text.
pub fn entities(all: &[Vec<Entity>]) -> Value {
    let one = |entity: &Entity| {
        json!({
            "label": entity.label, "text": entity.text, "score": entity.score,
            "start": entity.start, "end": entity.end,
        })
    };
    all.iter().map(|found| found.iter().map(one).collect::<Value>()).collect()
}

/// `{"answers": [{"answer", "score", "start", "end"}], "no_answer"}` for each question.
pub fn answers(all: &[Answers]) -> Value {
    let one = |answer: &Answer| json!({ "answer": answer.text, "score": answer.score, "start": answer.start, "end": answer.end });
    let of_question = |found: &Answers| json!({ "answers": found.answers.iter().map(one).collect::<Value>(), "no_answer": found.no_answer });
    all.iter().map(of_question).collect()
}
