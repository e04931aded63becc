//! Builds tokenizers from vocabulary files, as the classes of `transformers` do.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as HuggingFace;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;

use crate::diag::Diagnostic;

use super::class::Class;
use super::settings::Settings;

/// WordPiece as `BertTokenizer` builds it from `vocab.txt`.
pub(super) fn wordpiece(
    vocab: &[u8],
    settings: &Settings,
) -> Result<Result<HuggingFace, String>, Diagnostic> {
    let class = Class::Bert;
    let normalizer = BertNormalizer::new(
        settings.flag("clean_text")?.unwrap_or(true),
        settings.flag("tokenize_chinese_chars")?.unwrap_or(true),
        settings.flag("strip_accents")?,
        settings.flag("do_lower_case")?.unwrap_or(true),
    );
    let added = settings.added()?;
    let unknown = settings.special_of(class, "unk_token").map_or("[UNK]".to_owned(), |t| t.content);
    let build = || -> tokenizers::Result<HuggingFace> {
        let words = WordPiece::read_bytes(vocab)?;
        let mut inner = HuggingFace::new(WordPiece::builder().vocab(words).unk_token(unknown).build()?);
        inner.with_normalizer(Some(normalizer))?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
        inner.add_tokens(added.into_values())?;
        inner.add_tokens(settings.unlisted_special(class))?;
        let template = bert_template(&inner, settings)?;
        inner.with_post_processor(Some(template));
        Ok(inner)
    };
    Ok(build().map_err(|e| e.to_string()))
}

/// Byte-level BPE as `RobertaTokenizer` builds it from `vocab.json` and `merges.txt`.
pub(super) fn byte_level_bpe(
    vocab: &Path,
    merges: &Path,
    settings: &Settings,
) -> Result<Result<HuggingFace, String>, Diagnostic> {
    let class = Class::Roberta;
    let prefix = settings.flag("add_prefix_space")?.unwrap_or(false);
    let trim = settings.flag("trim_offsets")?.unwrap_or(true);
    let added = settings.added()?;
    let build = || -> tokenizers::Result<HuggingFace> {
        let [vocab, merges] = [vocab, merges].map(|path| path.to_string_lossy());
        let mut inner = HuggingFace::new(BPE::from_file(&vocab, &merges).build()?);
        inner.with_pre_tokenizer(Some(ByteLevel::new(prefix, true, true)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        inner.add_tokens(added.into_values())?;
        let mut special = settings.unlisted_special(class);
        // RobertaTokenizer's default: the mask token includes the space before it.
        if settings.special("mask_token").is_none() {
            special.iter_mut().filter(|t| t.content == "<mask>").for_each(|t| t.lstrip = true);
        }
        inner.add_tokens(special)?;
        let around = roberta_processing(&inner, settings, trim, prefix)?;
        inner.with_post_processor(Some(around));
        Ok(inner)
    };
    Ok(build().map_err(|e| e.to_string()))
}

/// The special token of a role, with its id.
pub(super) fn named(
    inner: &HuggingFace,
    settings: &Settings,
    class: Class,
    role: &str,
) -> Result<(String, u32), String> {
    let token = settings.special_of(class, role).ok_or(format!("it has no `{role}`"))?.content;
    let id = inner.token_to_id(&token).ok_or(format!("it has no token {token}"))?;
    Ok((token, id))
}

/// BERT's template `[CLS] text [SEP] pair [SEP]`, with types 0 and 1 unless the settings omit types.
fn bert_template(inner: &HuggingFace, settings: &Settings) -> Result<TemplateProcessing, String> {
    let (cls, sep) = (
        named(inner, settings, Class::Bert, "cls_token")?,
        named(inner, settings, Class::Bert, "sep_token")?,
    );
    let second = u32::from(!settings.omits_types());
    template(cls, sep, 1, second)
}

/// The template `cls text sep… pair sep` with `between` separators between the texts, and the type of the second text.
pub(super) fn template(
    cls: (String, u32),
    sep: (String, u32),
    between: usize,
    second: u32,
) -> Result<TemplateProcessing, String> {
    // From JSON, as the builder's short form allows no space in special tokens.
    let piece = |token: &str, kind: u32| serde_json::json!({"SpecialToken": {"id": token, "type_id": kind}});
    let text = |id: &str, kind: u32| serde_json::json!({"Sequence": {"id": id, "type_id": kind}});
    let single = vec![piece(&cls.0, 0), text("A", 0), piece(&sep.0, 0)];
    let mut pair = vec![piece(&cls.0, 0), text("A", 0)];
    pair.resize(2 + between, piece(&sep.0, 0));
    pair.extend([text("B", second), piece(&sep.0, second)]);
    let special = |(token, id): &(String, u32)| {
        (token.clone(), serde_json::json!({"id": token, "ids": [id], "tokens": [token]}))
    };
    let tokens: serde_json::Map<String, Value> = [special(&cls), special(&sep)].into_iter().collect();
    let value = serde_json::json!({
        "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens,
    });
    serde_json::from_value(value).map_err(|e| e.to_string())
}

/// RoBERTa's template `<s> text </s></s> pair </s>`.
pub(super) fn roberta_processing(
    inner: &HuggingFace,
    settings: &Settings,
    trim_offsets: bool,
    add_prefix_space: bool,
) -> Result<RobertaProcessing, String> {
    let [sep, cls] = ["sep_token", "cls_token"].map(|role| named(inner, settings, Class::Roberta, role));
    let around = RobertaProcessing::new(sep?, cls?);
    Ok(around.trim_offsets(trim_offsets).add_prefix_space(add_prefix_space))
}

/// Checks that added tokens have the ids that the files give them.
pub(super) fn check_ids(inner: &HuggingFace, settings: &Settings) -> Result<(), Diagnostic> {
    for (id, token) in settings.added()? {
        let becomes = inner.token_to_id(&token.content);
        if becomes != Some(id) {
            return Err(settings.refuse_added(&token.content, id, becomes));
        }
    }
    Ok(())
}
