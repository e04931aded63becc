//! `obertc new`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{ERRORS, FINE, eprint, print};
use crate::api::Error;
use crate::files;
use crate::language::vocab::{KEYWORDS, VERBS};

#[derive(Args, Debug)]
pub struct NewArgs {
    /// The file to write; `-` prints the recipe
    #[arg(value_name = "FILE", default_value = "recipe.obert")]
    file: PathBuf,
    /// The kind of recipe
    #[arg(long, short, value_enum, default_value_t)]
    template: Starter,
}

/// A recipe to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Starter {
    /// A tiny model on generated texts: runs in minutes, without a download
    #[default]
    Quickstart,
    /// Gradual pruning while fine-tuning
    Gradual,
    /// One-shot pruning of a fine-tuned model, by several criteria
    Oneshot,
    /// Sparse transfer: fine-tune a pruned model with its mask
    Transfer,
    /// Gradual pruning of a model for named entities
    Entities,
    /// Pruning and quantization of a sentence embedder on unlabelled texts, with the unpruned model as the teacher
    Embeddings,
    /// Gradual pruning of a reranker
    Rerank,
    /// Fine-tuning and pruning of a model that gives texts a score
    Scores,
    /// Fine-tuning and pruning of a model that gives a text any number of labels
    Labels,
    /// Pruning, then quantization-aware training in INT8
    Quantized,
}

impl Starter {
    fn text(self) -> &'static str {
        match self {
            Starter::Quickstart => include_str!("../../stdlib_recipes/quickstart.obert"),
            Starter::Gradual => include_str!("../../stdlib_recipes/starters/gradual.obert"),
            Starter::Oneshot => include_str!("../../stdlib_recipes/starters/oneshot.obert"),
            Starter::Transfer => include_str!("../../stdlib_recipes/starters/transfer.obert"),
            Starter::Entities => include_str!("../../stdlib_recipes/starters/entities.obert"),
            Starter::Embeddings => include_str!("../../stdlib_recipes/starters/embeddings.obert"),
            Starter::Rerank => include_str!("../../stdlib_recipes/starters/rerank.obert"),
            Starter::Scores => include_str!("../../stdlib_recipes/starters/scores.obert"),
            Starter::Labels => include_str!("../../stdlib_recipes/starters/labels.obert"),
            Starter::Quantized => include_str!("../../stdlib_recipes/starters/quantized.obert"),
        }
    }

    /// The text with the name of its recipe replaced.
    fn named(self, name: &str) -> String {
        let rename = |line: &str| match line.strip_prefix("recipe ").and_then(|rest| rest.split_once(' ')) {
            Some((_, rest)) => format!("recipe {name} {rest}\n"),
            None => format!("{line}\n"),
        };
        self.text().lines().map(rename).collect()
    }
}

pub fn run(args: &NewArgs) -> Result<i32, Error> {
    if args.file == Path::new("-") {
        print(args.template.text());
        return Ok(FINE);
    }
    let shown = args.file.display();
    // `exists` is false for a symbolic link to nothing.
    if args.file.symlink_metadata().is_ok() {
        eprint(&format!(
            "error: `{shown}` is already there\n  help: give another name, or `-` to print the recipe\n"
        ));
        return Ok(ERRORS);
    }
    if let Some(folder) = args.file.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
        eprint(&format!("error: there is no folder `{}`\n  help: make it first\n", folder.display()));
        return Ok(ERRORS);
    }
    let text = args.template.named(&recipe_name(&args.file));
    files::write_whole(&args.file, text.as_bytes())?;
    print(&format!("wrote {shown}; next: obertc check {shown}\n"));
    Ok(FINE)
}

/// The recipe's name for a file: its stem as an identifier that is no keyword.
fn recipe_name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let word: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let word = word.trim_matches('_');
    let clauses = VERBS.iter().flat_map(|v| v.clauses.iter().map(|c| c.name));
    let mut taken = VERBS.iter().map(|v| v.name).chain(KEYWORDS.iter().map(|k| k.name)).chain(clauses);
    if word.is_empty() {
        "recipe".to_owned()
    } else if word.starts_with(|c: char| c.is_ascii_digit()) || taken.any(|name| name == word) {
        format!("recipe_{word}")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_named_after_its_file() {
        let name = |file: &str| recipe_name(Path::new(file));
        assert_eq!(name("runs/squad90.obert"), "squad90");
        assert_eq!(name("8-bit model.obert"), "recipe_8_bit_model");
        assert_eq!(name("for.obert"), "recipe_for");
        assert_eq!(name("日本.obert"), "recipe");
        assert!(Starter::Gradual.named("mine").contains("\nrecipe mine for 30 epochs {\n"));
    }
}
