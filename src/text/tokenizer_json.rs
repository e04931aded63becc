//! Reads tokenizer.json and applies the settings beside it, as `AutoTokenizer` of `transformers` does.
//!
//! The classes of BERT and RoBERTa build normalizer, pre-tokenizer and special tokens from `tokenizer_config.json`, so
//! its keys take precedence over tokenizer.json. For a missing key tokenizer.json is followed, and the key is added to
//! the saved files, as `transformers` would take its default.

use std::path::Path;

use tokenizers::normalizers::BertNormalizer;
use tokenizers::{
    AddedToken, ModelWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    Tokenizer as HuggingFace,
};

use crate::diag::Diagnostic;

use super::class::Class;
use super::error::unreadable;
use super::saved::Saved;
use super::settings::Settings;
use super::template::Template;
use super::tokenizer::Tokenizer;
use super::vocabulary::{check_ids, named, roberta_processing, template};

/// Reads a tokenizer.json. `saved` are the tokenizer's files, to be written with the trained model.
///
/// # Errors
/// A broken file, or settings that contradict it or are not supported.
pub(super) fn read(json: &Path, settings: &Settings, saved: Saved) -> Result<Tokenizer, Diagnostic> {
    let wrong = |why: String| unreadable(json, &why);
    let inner = HuggingFace::from_file(json).map_err(|e| wrong(e.to_string()))?;
    let class = settings.class()?;
    let mut reading = Reading { inner, class, settings, changed: false, saved, notes: Vec::new() };
    reading.apply_settings(json)?;
    let Reading { inner, changed, mut saved, notes, .. } = reading;
    if changed {
        saved.forget("tokenizer.json");
    }
    Tokenizer::new(inner, settings, saved, notes).map_err(wrong)
}

/// A tokenizer.json to which the settings are applied.
struct Reading<'a> {
    inner: HuggingFace,
    class: Class,
    settings: &'a Settings,
    /// Whether the tokenizer differs from tokenizer.json, which then is not saved as it was.
    changed: bool,
    saved: Saved,
    notes: Vec<String>,
}

impl Reading<'_> {
    fn apply_settings(&mut self, json: &Path) -> Result<(), Diagnostic> {
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
        self.saved.set_class(self.settings, self.class);
        self.tokens().map_err(wrong)?;
        check_ids(&self.inner, self.settings)?;
        self.special_tokens().map_err(wrong)
    }

    /// Applies the settings of `BertNormalizer`.
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
        // Values that only tokenizer.json has are also written to tokenizer_config.json: for a missing key transformers
        // would use its default.
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

    /// Applies the settings of the byte-level pre-tokenizer.
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

    /// Adds added and special tokens that tokenizer.json lacks or has with other properties.
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

    /// Sets the template of special tokens and token types of the class.
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
