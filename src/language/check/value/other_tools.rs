//! Settings and values as SparseML, Hugging Face and PyTorch write them, with what to write instead.

use crate::diag::{Code, Diagnostic, agreeing};
use crate::language::resolve::Bound;
use crate::language::syntax::ast::Setting;
use crate::language::vocab::choices::DataSets;
use crate::language::vocab::{self, Body, Statement, Type};

use super::Evaluator;

/// SparseML's three settings for `sparsity`.
const SPARSITY: [&str; 3] = ["init_sparsity", "final_sparsity", "inter_func"];

impl Evaluator<'_> {
    /// Reports `init_sparsity`, `final_sparsity` and `inter_func` of one block together, with the `sparsity` line
    /// that replaces them. Returns whether both ends were given and the three are reported.
    pub fn sparsity_of_three(&mut self, given: &[Bound<Setting>], settings: &[vocab::Setting]) -> bool {
        let is_sparsity = |s: &vocab::Setting| s.name == "sparsity" && s.formerly.contains(&SPARSITY[0]);
        if !settings.iter().any(is_sparsity) {
            return false;
        }
        let find = |word: &str| given.iter().position(|s| s.node.key.is_word(word));
        let [Some(from), Some(to), shape] = SPARSITY.map(find) else { return false };
        let value = |at: usize| unquoted(self.sources.slice(given[at].node.value.span));
        let shape_word = shape.map_or("", |at| value(at));
        let line = format!("sparsity: {} -> {} {shape_word}", value(from), value(to)).trim_end().to_owned();
        let mut places: Vec<usize> = [Some(from), Some(to), shape].into_iter().flatten().collect();
        places.sort_unstable();
        let (first, last) = (&given[places[0]].node, &given[places[places.len() - 1]].node);
        let whole = first.span.to(last.span);
        let mut diagnostic = Diagnostic::error(
            Code::UnknownSetting,
            "SparseML's sparsities and their function are one setting here",
            first.key.span,
            "given in parts",
        )
        .help(format!("write `{line}`"));
        for at in &places[1..] {
            diagnostic = diagnostic.and_at(given[*at].node.key.span, "and here");
        }
        let adjacent = places.windows(2).all(|p| p[1] == p[0] + 1);
        if adjacent && !self.sources.slice(whole).contains('#') {
            diagnostic = diagnostic.fix(whole, line);
        }
        self.findings.push(diagnostic);
        self.attempted.push("sparsity");
        true
    }
}

/// Whether this is one of SparseML's three settings for `sparsity`.
pub fn is_part_of_sparsity(word: &str) -> bool {
    SPARSITY.contains(&word)
}

/// The line `name: value` that replaces a setting which another tool calls `word`, and whether the line is
/// complete.
pub fn translated_setting(word: &str, name: &str, value: &str) -> (String, bool) {
    let value = unquoted(value);
    let is_false = value.eq_ignore_ascii_case("false");
    match word {
        "init_sparsity" => (format!("sparsity: {value} -> … cubic"), false),
        "final_sparsity" => (format!("sparsity: … -> {value} cubic"), false),
        "inter_func" => (format!("sparsity: … -> … {value}"), false),
        "global_sparsity" => (format!("rank: {}", if is_false { "layer" } else { "global" }), true),
        "mask_type" | "mask_structure" => match translated_pattern(value) {
            Some(pattern) => (format!("pattern: {pattern}"), true),
            None => (format!("pattern: {value}"), value == "unstructured"),
        },
        // SparseML gives a mapping; a number alone is what it would hold.
        "grad_sampler_kwargs" if value.parse::<u32>().is_err() => (format!("{name}: …"), false),
        "disable_quantization_observer_epoch" => (format!("{name}: after {}", epochs(value)), true),
        "group_by_length" => (format!("batches: {}", if is_false { "shuffled" } else { "bucketed" }), true),
        "metric_for_best_model" => (format!("keep: best({value})"), true),
        "load_best_model_at_end" => ("keep: best(…)".to_owned(), false),
        "weight_bits" | "bits" | "num_bits" if ["4", "8"].contains(&value) => {
            (format!("{name}: int{value}"), true)
        }
        "activation_bits" if value == "8" => (format!("{name}: uint8(asymmetric)"), true),
        "weight_bits" | "bits" | "num_bits" => (format!("{name}: int8` or `int4"), false),
        "activation_bits" => (format!("{name}: uint8(asymmetric)"), false),
        "input_activations" => (format!("{name}: …"), false),
        _ => (format!("{name}: {value}"), true),
    }
}

/// The pattern that other tools write as `4block`, `block4`, `[1, 4]` or `2:4`.
pub fn translated_pattern(text: &str) -> Option<String> {
    let text: String = unquoted(text).chars().filter(|c| !c.is_whitespace()).collect();
    if let Some((keep, of)) = text.split_once(':') {
        let (keep, of) = (keep.parse::<u32>().ok()?, of.parse::<u32>().ok()?);
        return Some(format!("n_of_m({keep}, {of})"));
    }
    let size = text
        .strip_prefix("[1,")
        .and_then(|rest| rest.strip_suffix(']'))
        .or_else(|| text.strip_prefix("block"))
        .or_else(|| text.strip_suffix("block").or_else(|| text.strip_suffix("-block")))?;
    let size: u32 = size.trim_matches(['-', '_']).parse().ok()?;
    Some(format!("blocks(1, {size})"))
}

fn epochs(value: &str) -> String {
    with_unit(value, "epoch", "epochs")
}

fn with_unit(value: &str, one: &str, many: &str) -> String {
    format!("{value} {}", agreeing(&value.parse().unwrap_or(0.0), one, many))
}

/// Help for settings of other tools that belong elsewhere in a recipe, or are not needed.
pub fn help_elsewhere(word: &str, value: &str) -> Option<String> {
    let value = unquoted(value);
    Some(match word {
        "lr" | "learning_rate" | "init_lr" | "max_lr" | "peak_lr" => {
            format!(
                "learning rates have a block of their own: `lr {{ 0..100% of run: {value} -> 0 linear }}`"
            )
        }
        "epochs" | "epoch" | "num_epochs" | "num_train_epochs" | "max_epochs" => {
            format!("the length comes after the name: `recipe NAME for {} {{ … }}`", epochs(value))
        }
        "steps" | "max_steps" => {
            format!(
                "the length comes after the name: `recipe NAME for {} {{ … }}`",
                with_unit(value, "step", "steps")
            )
        }
        "start_epoch" | "end_epoch" => "write `over 2..26 epochs` after the parameters".to_owned(),
        "update_frequency" => format!("write `every {}` after the window", epochs(value)),
        "optimizer" | "optim" => "AdamW is the only optimizer; remove this".to_owned(),
        "warmup" | "warmup_steps" | "warmup_ratio" => "a warmup is the first piece of `lr`: \
             `lr { 0..10% of run: 0 -> 5e-5, 10%..100% of run: 5e-5 -> 0 }`"
            .to_owned(),
        "seed" => "`seed` belongs in the recipe, outside its stages and blocks".to_owned(),
        "batch" | "batch_size" => "`batch` belongs in the recipe or in a stage".to_owned(),
        "model" | "data" => format!("`{word}` belongs in the recipe, outside its stages"),
        "device" | "no_cuda" | "use_cpu" => "the flag `--device` of `obertc run` chooses it".to_owned(),
        "fp16" | "bf16" | "amp" | "mixed_precision" => {
            "write `train { precision: bf16 }`, for devices that have it".to_owned()
        }
        "shuffle" => "examples are shuffled for every epoch; remove this".to_owned(),
        "factor" => "`factor` belongs in the block of `lr`".to_owned(),
        "target" => "`target PARAMS: 80%` belongs in the block of `prune`".to_owned(),
        _ => match vocab::verb(word) {
            Some(verb) => format!("`{word}` is a verb, without a colon: `{}`", verb.form),
            None => owner_of(word, value)?,
        },
    })
}

/// The statement that replaces a setting of another tool in a recipe or stage, if it is complete.
pub fn replacement_statement(word: &str, value: &str, owner: &str) -> Option<String> {
    if !["recipe", "stage", "branch", "template"].contains(&owner) {
        return None;
    }
    let value = unquoted(value);
    match word {
        "lr" | "learning_rate" | "init_lr" | "max_lr" | "peak_lr" => {
            Some(format!("lr {{ 0..100% of run: {value} -> 0 linear }}"))
        }
        "fp16" | "bf16" | "amp" | "mixed_precision" if value.eq_ignore_ascii_case("true") => {
            Some("train { precision: bf16 }".to_owned())
        }
        _ => {
            let Body::Settings(settings) = vocab::verbs::Train::VERB.body else { return None };
            let setting = settings.iter().find(|s| s.name == word || s.formerly.contains(&word))?;
            let line = if setting.name == word {
                format!("{word}: {value}")
            } else {
                let (line, whole) = translated_setting(word, setting.name, value);
                whole.then_some(line)?
            };
            Some(format!("train {{ {line} }}"))
        }
    }
}

/// Help that names the verb or choice to which a setting belongs.
fn owner_of(word: &str, value: &str) -> Option<String> {
    let is_it = |s: &&vocab::Setting| s.name == word || s.formerly.contains(&word);
    let written = |s: &vocab::Setting| match s.name == word {
        true => format!("{word}: {value}"),
        false => translated_setting(word, s.name, value).0,
    };
    for verb in vocab::VERBS {
        let (Body::Settings(settings) | Body::PruneSettings(settings)) = verb.body else { continue };
        if let Some(setting) = settings.iter().find(is_it) {
            let place = verb.name;
            let form = match verb.operand {
                None if verb.clauses.is_empty() => format!("{place} {{ {} }}", written(setting)),
                _ => format!("{place} … {{ {} }}", written(setting)),
            };
            return Some(format!("it belongs in the block of `{place}`: `{form}`"));
        }
        for (choice, owner) in settings.iter().flat_map(choices) {
            if let Some(argument) = choice.arguments.iter().find(is_it) {
                let form = format!("{owner}: {}({})", choice.name, written(argument));
                return Some(format!("it belongs in parentheses: `{form}`"));
            }
        }
    }
    let argument =
        DataSets::CHOICES.iter().find_map(|data| Some((data.name, data.arguments.iter().find(is_it)?)));
    argument.map(|(data, s)| format!("it belongs in parentheses: `data: {data}({})`", written(s)))
}

/// The choices of a setting, each with the setting's name.
fn choices(setting: &vocab::Setting) -> impl Iterator<Item = (&'static vocab::Choice, &'static str)> {
    let name = setting.name;
    let choices = if let Type::Choice(choices) = setting.ty { choices } else { &[] };
    choices.iter().map(move |choice| (choice, name))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_others_are_understood() {
        for text in ["4block", "block4", "\"4-block\"", "[1, 4]"] {
            assert_eq!(translated_pattern(text).as_deref(), Some("blocks(1, 4)"), "{text}");
        }
        assert_eq!(translated_pattern("2:4").as_deref(), Some("n_of_m(2, 4)"));
        assert_eq!(translated_pattern("unstructured"), None);
    }
}
