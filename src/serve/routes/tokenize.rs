//! `POST /tokenize`: the tokens of texts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::body::{Body, OneOrMany};
use super::shared::{Reply, Shared};
use crate::serve::reply::Failure;
use crate::text::Tokenizer;

/// A request. `inputs` is a text or a list of texts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenizeRequest {
    inputs: OneOrMany<String>,
    /// Whether the tokens that the model adds, such as `[CLS]`, are listed.
    #[serde(default = "yes")]
    add_special_tokens: bool,
    /// The name of the model; if absent, the first.
    model: Option<String>,
}

fn yes() -> bool {
    true
}

/// A token.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Token {
    id: u32,
    text: String,
    special: bool,
    /// The offset of its first character in the text; `null` for a special token.
    start: Option<usize>,
    /// The offset after its last character.
    stop: Option<usize>,
}

/// Handles a request.
pub async fn tokenize(
    State(shared): State<Arc<Shared>>,
    Body(body): Body<TokenizeRequest>,
) -> Reply<Vec<Vec<Token>>> {
    let about = shared.model(body.model.as_deref())?.about();
    let (texts, _) = body.inputs.into_list();
    shared.check_count("inputs", texts.len())?;
    // Tokenization takes as long as the texts are, so it must not hold up other requests.
    let special = body.add_special_tokens;
    let work = move || texts.iter().map(|text| tokens(&about.tokenizer, text, special)).collect();
    let tokens: Result<Vec<_>, String> =
        tokio::task::spawn_blocking(work).await.map_err(|e| Failure::invalid(e.to_string()))?;
    Ok(Json(tokens.map_err(Failure::invalid)?))
}

/// The tokens of a text. Offsets count characters, as in text-embeddings-inference.
fn tokens(tokenizer: &Tokenizer, text: &str, add_special_tokens: bool) -> Result<Vec<Token>, String> {
    let encoded = tokenizer.encode(text)?;
    let special = |id: u32| Token {
        id,
        text: tokenizer.token(id).unwrap_or_default(),
        special: true,
        start: None,
        stop: None,
    };
    let mut list = Vec::with_capacity(encoded.ids.len() + 2);
    if add_special_tokens {
        list.push(special(tokenizer.cls()));
    }
    // Counted from the token before, so that the time is linear in the text.
    let (mut byte, mut characters) = (0, 0);
    for (id, (from, to)) in encoded.ids.iter().zip(&encoded.offsets) {
        let (from, to) = (*from, *to);
        if from < byte {
            (byte, characters) = (0, 0);
        }
        characters += text.get(byte..from).map_or(0, |t| t.chars().count());
        byte = from;
        let own = text.get(from..to).unwrap_or_default();
        let stop = characters + own.chars().count();
        list.push(Token {
            id: *id,
            text: own.to_owned(),
            special: false,
            start: Some(characters),
            stop: Some(stop),
        });
    }
    if add_special_tokens {
        list.push(special(tokenizer.sep()));
    }
    Ok(list)
}
