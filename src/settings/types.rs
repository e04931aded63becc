//! The types of values.

/// The type of a value in a recipe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// A fraction of a whole: `90%` or `0.9`.
    Ratio,
    /// A learning rate or another small positive number: `8e-5`.
    Rate,
    /// A plain number.
    Number,
    /// A whole number above zero.
    Count,
    /// A whole number, zero included.
    Whole,
    /// A length of time: `4 epochs`, `500 steps`, `10% of run`.
    Duration,
    /// A start and an end: `2..26 epochs`.
    Span,
    /// Two numbers: `85.0 .. 100`.
    Interval,
    /// An amount of memory: `2 GiB`.
    Bytes,
    /// Text in quotes.
    Text,
    /// `true` or `false`.
    Bool,
    /// Parameters of the model: a name, `params("…")`, `re"…"`, a list, `a except b`.
    Params,
    /// One of several words, some with arguments.
    Choice(&'static [Choice]),
    /// Several words in a list.
    Names,
    /// Several whole numbers in a list: `[0, 2, 4]`.
    Indices,
    /// A dampening λ, which may be raised where it is too small: `1e-7`, `1e-7 or raise`.
    Damp,
    /// A time from the start of a window: `after 3 epochs`.
    After,
    /// A sparsity, constant or rising: `80%`, `70% -> 90% cubic`.
    Sparsity,
    /// A learning rate over a piece of time: `8e-5`, `8e-5 -> 8e-6 linear repeating 4 epochs`.
    Rates,
    /// A model: a name or folder in quotes, or `bert(…)` for a new one.
    Model,
    /// A data set: `squad`, or `builtin_reading(…)`.
    Data,
    /// The name of an earlier stage.
    Stage,
    /// The name of a template.
    Template,
    /// A new name, which the statement declares.
    NewName,
    /// A teacher: `teacher`, `self`, an earlier stage, or a model in quotes.
    Teacher,
}

/// One of the words that a value of [`Type::Choice`] may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The word.
    pub name: &'static str,
    /// Its arguments; a recipe may leave out their names and give them in this order.
    pub arguments: &'static [Setting],
    /// One line of documentation.
    pub doc: &'static str,
}

/// A setting of a verb or an argument of a choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The name before the colon.
    pub name: &'static str,
    /// The type of the value.
    pub ty: Type,
    /// The default, as a user would write it; `None` if there is none.
    pub default: Option<&'static str>,
    /// Whether a value must be given.
    pub required: bool,
    /// The names of this setting in SparseML and other tools.
    pub formerly: &'static [&'static str],
    /// One line of documentation.
    pub doc: &'static str,
}

impl Setting {
    /// A setting without a default that may be left out.
    pub const fn optional(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Setting { name, ty, default: None, required: false, formerly: &[], doc }
    }

    /// A setting that must be given.
    pub const fn required(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Setting { name, ty, default: None, required: true, formerly: &[], doc }
    }
}

impl Choice {
    /// A word without arguments.
    pub const fn word(name: &'static str, doc: &'static str) -> Self {
        Choice { name, arguments: &[], doc }
    }
}

impl Type {
    /// Describes a value of this type, for messages.
    pub fn described(self) -> String {
        match self {
            Type::Ratio => "a ratio such as `90%`".into(),
            Type::Rate => "a rate such as `8e-5`".into(),
            Type::Number => "a number".into(),
            Type::Count => "a whole number above zero".into(),
            Type::Whole => "a whole number".into(),
            Type::Duration => "a time such as `4 epochs` or `500 steps`".into(),
            Type::Span => "a window such as `2..26 epochs`".into(),
            Type::Interval => "a range such as `85.0 .. 100`".into(),
            Type::Bytes => "an amount of memory such as `2 GiB`".into(),
            Type::Text => "text in quotes".into(),
            Type::Bool => "`true` or `false`".into(),
            Type::Params => "parameters, such as `params(\"bert.encoder.**.weight\")`".into(),
            Type::Choice(choices) => one_of(choices),
            Type::Names => "a list of names such as `[first, second]`".into(),
            Type::Indices => "a list of whole numbers such as `[0, 2, 4]`".into(),
            Type::Damp => "a dampening such as `1e-7` or `1e-7 or raise`".into(),
            Type::After => "a time such as `after 3 epochs`".into(),
            Type::Sparsity => "a sparsity such as `80%` or `70% -> 90% cubic`".into(),
            Type::Rates => "a learning rate such as `8e-5` or `8e-5 -> 8e-6 linear`".into(),
            Type::Model => "a model: its name or folder in quotes, or `bert(…)` for a new one".into(),
            Type::Data => "a data set such as `squad`".into(),
            Type::Stage => "the name of an earlier stage".into(),
            Type::Template => "the name of a template".into(),
            Type::NewName => "a name".into(),
            Type::Teacher => "`teacher`, `self`, an earlier stage, or a model in quotes".into(),
        }
    }
}

impl Type {
    /// How to write a value of this type, for help lines.
    pub fn example(self) -> String {
        match self {
            Type::Ratio => "write it as `90%` or `0.9`".into(),
            Type::Rate => "write it as `8e-5`".into(),
            Type::Number => "write it as `0.01`".into(),
            Type::Count | Type::Whole => "write it as `16`".into(),
            Type::Duration => "write it as `4 epochs`, `500 steps` or `10% of run`".into(),
            Type::Span => "write it as `2..26 epochs` or `10%..90% of run`".into(),
            Type::Interval => "write it as `85.0 .. 100`".into(),
            Type::Bytes => "write it as `2 GiB`".into(),
            Type::Text => "write it as `\"text\"`".into(),
            Type::Bool => "write `true` or `false`".into(),
            Type::Params => {
                "name a set such as `encoder_linears`, or write `params(\"bert.encoder.**.weight\")`".into()
            }
            Type::Choice(choices) => format!("write {}", one_of(choices)),
            Type::Names => "write it as `[first, second]`".into(),
            Type::Indices => "write it as `[0, 2, 4]`".into(),
            Type::Damp => "write it as `1e-7` or `1e-7 or raise`".into(),
            Type::After => "write it as `after 3 epochs`".into(),
            Type::Sparsity => "write it as `80%` or `70% -> 90% cubic`".into(),
            Type::Rates => "write it as `8e-5` or `8e-5 -> 8e-6 linear`".into(),
            Type::Model => "write its name or folder in quotes".into(),
            Type::Data => "write it as `squad`".into(),
            Type::Stage | Type::Template | Type::NewName => "write a name".into(),
            Type::Teacher => "write `teacher`, `self`, or the name of an earlier stage".into(),
        }
    }
}

fn one_of(choices: &[Choice]) -> String {
    let words: Vec<String> = choices
        .iter()
        .map(|c| if c.arguments.is_empty() { format!("`{}`", c.name) } else { format!("`{}(…)`", c.name) })
        .collect();
    match words.as_slice() {
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
        [] => "nothing".into(),
    }
}
