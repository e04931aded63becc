//! A tokenizer from the files of a model folder, read as `AutoTokenizer` of `transformers` reads them.
//!
//! BERT's and RoBERTa's classes make normalizer, pre-tokenizer and special tokens anew from
//! `tokenizer_config.json`; so the keys there win over what tokenizer.json says. Where a key is missing,
//! tokenizer.json is followed, and the key is added to the files that are saved.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer as HuggingFace,
};

use crate::diag::{Code, Diagnostic, Sources};

use super::error::unreadable;
use super::saved::Saved;
use super::settings::{Class, Settings};
use super::template::Template;
use super::tokenizer::Tokenizer;

/// SentencePiece models, which only Python converts.
const SENTENCEPIECE: &[&str] =
    &["sentencepiece.bpe.model", "sentencepiece.model", "spiece.model", "spm.model", "tokenizer.model"];

impl Tokenizer {
    /// Reads tokenizer.json, or else `vocab.txt` (WordPiece) or `vocab.json` with `merges.txt` (byte-level
    /// BPE), with the settings beside it.
    ///
    /// # Errors
    /// None of them is there, a file is broken, or a setting is not supported.
    pub fn from_folder(folder: &Path, sources: &mut Sources) -> Result<Self, Diagnostic> {
        read(folder, sources)
    }

    /// A WordPiece tokenizer of the given vocabulary, in the order of its ids.
    ///
    /// # Errors
    /// One sentence if the special tokens are missing.
    pub fn from_vocabulary(words: impl IntoIterator<Item = String>, lowercase: bool) -> Result<Self, String> {
        let mut settings = Settings::default();
        settings.map.insert("do_lower_case".to_owned(), lowercase.into());
        let text: String = words.into_iter().map(|word| word + "\n").collect();
        let inner = wordpiece(text.as_bytes(), &settings).map_err(|d| d.message)??;
        let mut saved = Saved::default();
        saved.set("tokenizer_class", settings.default_class(Class::Bert).into());
        saved.set("do_lower_case", lowercase.into());
        Tokenizer::new(inner, &settings, saved, Vec::new())
    }
}

fn read(folder: &Path, sources: &mut Sources) -> Result<Tokenizer, Diagnostic> {
    let settings = Settings::read(folder, sources)?;
    let class = settings.class()?;
    let path = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    let (json, words, pairs) = (path("tokenizer.json"), path("vocab.txt"), path("vocab.json"));
    let mut saved = Saved::read(folder)?;
    let mut notes = Vec::new();
    if let Some(json) = json {
        let wrong = |why: String| unreadable(&json, &why);
        let inner = HuggingFace::from_file(&json).map_err(|e| wrong(e.to_string()))?;
        let mut reading = Reading { inner, class, settings: &settings, changed: false, saved, notes };
        reading.follow_settings(&json)?;
        let Reading { inner, changed, mut saved, notes, .. } = reading;
        if changed {
            saved.forget("tokenizer.json");
        }
        return Tokenizer::new(inner, &settings, saved, notes).map_err(wrong);
    }
    let (file, inner) = match (words, pairs, path("merges.txt")) {
        (Some(words), pairs, merges)
            if class != Class::Roberta || pairs.as_ref().and(merges.as_ref()).is_none() =>
        {
            let text = std::fs::read_to_string(&words).map_err(|e| unreadable(&words, &e.to_string()))?;
            let inner = wordpiece(text.as_bytes(), &settings)?;
            saved.explicit(&settings, Class::Bert);
            (words, inner)
        }
        (_, Some(vocab), Some(merges)) => {
            let inner = byte_level_bpe(&vocab, &merges, &settings)?;
            saved.explicit(&settings, Class::Roberta);
            (vocab, inner)
        }
        _ => return Err(lacking(folder)),
    };
    let inner = inner.map_err(|why| unreadable(&file, &why))?;
    if let Some(name) = settings.unknown_class() {
        notes.push(format!(
            "the tokenizer's class `{name}` is not known; `{}` is read as it is",
            file.display()
        ));
    }
    check_ids(&inner, &settings)?;
    Tokenizer::new(inner, &settings, saved, notes).map_err(|why| unreadable(&file, &why))
}

/// Nothing that obert reads is there.
fn lacking(folder: &Path) -> Diagnostic {
    let shown = folder.display();
    if let Some(model) = SENTENCEPIECE.iter().find(|name| folder.join(name).exists()) {
        let message = format!("`{shown}` has a SentencePiece model, `{model}`, and no tokenizer.json");
        return Diagnostic::unlocated(Code::TokenizerNotReadable, message).help(format!(
            "convert it: `python -c \"from transformers import AutoTokenizer; \
             AutoTokenizer.from_pretrained('{shown}').save_pretrained('{shown}')\"`"
        ));
    }
    let message = format!("`{shown}` holds neither tokenizer.json nor vocab.txt");
    Diagnostic::unlocated(Code::ModelNotFound, message).help("copy the tokenizer of the model it came from")
}

/// WordPiece as `BertTokenizer` makes it of `vocab.txt`.
fn wordpiece(vocab: &[u8], settings: &Settings) -> Result<Result<HuggingFace, String>, Diagnostic> {
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

/// Byte-level BPE as `RobertaTokenizer` makes it of `vocab.json` and `merges.txt`.
fn byte_level_bpe(
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
        // As RobertaTokenizer does unless told otherwise: the mask takes the space before it.
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

/// A special token with its id.
fn named(
    inner: &HuggingFace,
    settings: &Settings,
    class: Class,
    role: &str,
) -> Result<(String, u32), String> {
    let token = settings.special_of(class, role).ok_or(format!("it has no `{role}`"))?.content;
    let id = inner.token_to_id(&token).ok_or(format!("it has no token {token}"))?;
    Ok((token, id))
}

/// `[CLS] text [SEP] pair [SEP]`, with types 0 and 1 unless the settings leave types out.
fn bert_template(inner: &HuggingFace, settings: &Settings) -> Result<TemplateProcessing, String> {
    let (cls, sep) = (
        named(inner, settings, Class::Bert, "cls_token")?,
        named(inner, settings, Class::Bert, "sep_token")?,
    );
    let second = u32::from(!settings.omits_types());
    template(cls, sep, 1, second)
}

fn template(
    cls: (String, u32),
    sep: (String, u32),
    between: usize,
    second: u32,
) -> Result<TemplateProcessing, String> {
    // From JSON: in its short form a special token may hold no space.
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

/// `<s> text </s></s> pair </s>`.
fn roberta_processing(
    inner: &HuggingFace,
    settings: &Settings,
    trim_offsets: bool,
    add_prefix_space: bool,
) -> Result<RobertaProcessing, String> {
    let [sep, cls] = ["sep_token", "cls_token"].map(|role| named(inner, settings, Class::Roberta, role));
    let around = RobertaProcessing::new(sep?, cls?);
    Ok(around.trim_offsets(trim_offsets).add_prefix_space(add_prefix_space))
}

/// Refuses added tokens that did not get the ids that the files say.
fn check_ids(inner: &HuggingFace, settings: &Settings) -> Result<(), Diagnostic> {
    for (id, token) in settings.added()? {
        let becomes = inner.token_to_id(&token.content);
        if becomes != Some(id) {
            return Err(settings.refuse_added(&token.content, id, becomes));
        }
    }
    Ok(())
}

/// A tokenizer.json while the settings beside it are applied.
struct Reading<'a> {
    inner: HuggingFace,
    class: Class,
    settings: &'a Settings,
    /// Whether the settings changed what tokenizer.json says.
    changed: bool,
    saved: Saved,
    notes: Vec<String>,
}

impl Reading<'_> {
    fn follow_settings(&mut self, json: &Path) -> Result<(), Diagnostic> {
        if let Some(name) = self.settings.unknown_class() {
            self.notes
                .push(format!("the tokenizer's class `{name}` is not known; tokenizer.json is followed"));
        }
        let wrong = |why: String| unreadable(json, &why);
        if let ModelWrapper::BPE(model) = self.inner.get_model()
            && model.dropout.is_some_and(|p| p > 0.0)
        {
            return Err(wrong("its `dropout` makes tokens random".into()));
        }
        match self.class {
            Class::Bert => self.bert()?,
            Class::Roberta => self.byte_level()?,
            Class::XlmRoberta if self.settings.flag("add_prefix_space")? == Some(false) => {
                let why = "words of a SentencePiece model begin with a space";
                return Err(self.settings.refuse("add_prefix_space", why, "set it to true, or remove it"));
            }
            Class::XlmRoberta | Class::Generic => {}
        }
        self.saved.explicit(self.settings, self.class);
        self.tokens().map_err(wrong)?;
        check_ids(&self.inner, self.settings)?;
        self.special_tokens().map_err(wrong)
    }

    /// `BertNormalizer` with the settings that are written.
    fn bert(&mut self) -> Result<(), Diagnostic> {
        let is_bert = matches!(self.inner.get_model(), ModelWrapper::WordPiece(_))
            && matches!(self.inner.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)));
        let Some(NormalizerWrapper::BertNormalizer(own)) = self.inner.get_normalizer().filter(|_| is_bert)
        else {
            self.class = Class::Generic;
            self.saved.set("tokenizer_class", "PreTrainedTokenizerFast".into());
            self.notes.push(
                "tokenizer.json is no BertTokenizer's and is followed as it is; the saved tokenizer_config.json \
                 says `PreTrainedTokenizerFast`, so that transformers follows it too"
                    .to_owned(),
            );
            return Ok(());
        };
        let (own, mut wanted) = (*own, *own);
        if let (ModelWrapper::WordPiece(model), Some(unknown)) =
            (self.inner.get_model(), self.settings.special("unk_token"))
            && model.unk_token != unknown.content
        {
            let why = format!("tokenizer.json says `{}`", model.unk_token);
            return Err(self.settings.refuse("unk_token", &why, "which of the two belongs to the model?"));
        }
        if let Some(lower) = self.settings.flag("do_lower_case")? {
            wanted.lowercase = lower;
        }
        if let Some(strip) = self.settings.flag("strip_accents")? {
            wanted.strip_accents = Some(strip);
        }
        if let Some(chinese) = self.settings.flag("tokenize_chinese_chars")? {
            wanted.handle_chinese_chars = chinese;
        }
        let parts = |n: &BertNormalizer| {
            (n.lowercase, n.strip_accents.unwrap_or(n.lowercase), n.handle_chinese_chars)
        };
        if parts(&own) != parts(&wanted) {
            self.notes.push(
                "tokenizer.json and tokenizer_config.json differ in lower case, accents or Chinese characters; \
                 tokenizer_config.json is followed, as transformers does"
                    .to_owned(),
            );
            self.changed = true;
            let set = self.inner.with_normalizer(Some(wanted)).map(|_| ());
            set.map_err(|e| self.settings.refuse("do_lower_case", &e.to_string(), "remove the key"))?;
        }
        // What tokenizer.json alone says is written out, because transformers would take the default.
        for (key, value, usual) in [
            ("do_lower_case", Some(wanted.lowercase), Some(true)),
            ("strip_accents", wanted.strip_accents, None),
            ("tokenize_chinese_chars", Some(wanted.handle_chinese_chars), Some(true)),
        ] {
            if let Some(value) =
                value.filter(|_| value != usual && self.settings.flag(key).is_ok_and(|v| v.is_none()))
            {
                self.saved.set(key, value.into());
            }
        }
        Ok(())
    }

    /// The byte-level pre-tokenizer with the settings that are written.
    fn byte_level(&mut self) -> Result<(), Diagnostic> {
        let Some(PreTokenizerWrapper::ByteLevel(own)) = self.inner.get_pre_tokenizer() else {
            self.class = Class::Generic;
            self.saved.set("tokenizer_class", "PreTrainedTokenizerFast".into());
            return Ok(());
        };
        let own = *own;
        match self.settings.flag("add_prefix_space")? {
            Some(wanted) if wanted != own.add_prefix_space => {
                self.inner.with_pre_tokenizer(Some(own.add_prefix_space(wanted)));
                self.changed = true;
            }
            None if own.add_prefix_space => self.saved.set("add_prefix_space", true.into()),
            _ => {}
        }
        Ok(())
    }

    /// Added and special tokens that tokenizer.json lacks or has with other properties.
    fn tokens(&mut self) -> Result<(), String> {
        let known = self.inner.get_added_tokens_decoder();
        let has = |token: &AddedToken| known.values().any(|own| own.content == token.content);
        let settings = self.settings;
        let listed = settings.added().map_err(|d| d.message)?;
        let listed: Vec<AddedToken> =
            listed.into_iter().filter(|(id, token)| known.get(id) != Some(token)).map(|(_, t)| t).collect();
        let special: Vec<AddedToken> =
            settings.unlisted_special(self.class).into_iter().filter(|token| !has(token)).collect();
        for tokens in [listed, special] {
            self.changed |= self.inner.add_tokens(tokens).map_err(|e| e.to_string())? > 0;
        }
        Ok(())
    }

    /// `[CLS]`, `[SEP]` and token types as the class places them.
    fn special_tokens(&mut self) -> Result<(), String> {
        let own = Template::of(&self.inner);
        let (class, settings) = (self.class, self.settings);
        if class == Class::Generic {
            let own = own?;
            if settings.omits_types() && own.second_type != 0 {
                let token = |id| (self.inner.id_to_token(id).unwrap_or_default(), id);
                let without = template(token(own.cls), token(own.sep), own.between, 0)?;
                self.inner.with_post_processor(Some(without));
                self.changed = true;
            }
            return Ok(());
        }
        let [cls, sep] = ["cls_token", "sep_token"].map(|role| named(&self.inner, settings, class, role));
        let (cls, sep) = (cls?, sep?);
        let between = if class == Class::Bert { 1 } else { 2 };
        let second_type = u32::from(!class.has_no_types() && !settings.omits_types());
        let wanted = Template { cls: cls.1, sep: sep.1, between, second_type };
        let trims = settings.flag("trim_offsets").map_err(|d| d.message)?;
        let trims_as_told = match self.inner.get_post_processor() {
            Some(PostProcessorWrapper::Roberta(own)) => trims.is_none_or(|trims| trims == own.trim_offsets),
            _ => true,
        };
        if own.is_ok_and(|own| own == wanted) && trims_as_told {
            return Ok(());
        }
        let around: PostProcessorWrapper = match (class, self.inner.get_pre_tokenizer()) {
            (Class::Roberta, Some(PreTokenizerWrapper::ByteLevel(bytes))) => {
                roberta_processing(&self.inner, settings, trims.unwrap_or(true), bytes.add_prefix_space)?
                    .into()
            }
            _ => template(cls, sep, between, second_type)?.into(),
        };
        self.inner.with_post_processor(Some(around));
        self.changed = true;
        Ok(())
    }
}
