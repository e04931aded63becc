//! Selectors of parameters: globs, regular expressions, unions and exclusions of names.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::ParameterTable;
pub use super::glob::SelectorError;
use super::glob::{self, compile, glob_to_regex, regex_of};

/// A selection of parameters by name.
///
/// Globs and regular expressions must match the whole name. In a glob `*` matches any characters but dots, `**` any
/// text, `?` one character that is no dot, `{a,b}` either alternative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// `params("bert.encoder.**.weight")`
    Glob(String),
    /// `re"…"`
    Regex(String),
    /// A named selector, such as `encoder_linears`.
    Named(String, Box<Selector>),
    /// `[a, b]`
    Union(Vec<Selector>),
    /// `a except b`
    Except(Box<Selector>, Box<Selector>),
}

/// A compiled selector.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Matches a glob without braces.
    Glob(String),
    /// Matches a regular expression.
    One(Regex),
    /// Matches any of the matchers.
    Any(Vec<Matcher>),
    /// Matches the first and not the second.
    Without(Box<Matcher>, Box<Matcher>),
}

impl Selector {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// The first pattern that cannot be read.
    pub fn matcher(&self) -> Result<Matcher, SelectorError> {
        Ok(match self {
            Selector::Glob(glob) => match glob::alternatives(glob)? {
                Some(globs) => Matcher::Any(globs.into_iter().map(Matcher::Glob).collect()),
                None => Matcher::One(regex_of(glob)?),
            },
            Selector::Regex(regex) => Matcher::One(compile(regex)?),
            Selector::Named(_, inner) => inner.matcher()?,
            Selector::Union(list) => {
                Matcher::Any(list.iter().map(Selector::matcher).collect::<Result<_, _>>()?)
            }
            Selector::Except(from, without) => {
                Matcher::Without(Box::new(from.matcher()?), Box::new(without.matcher()?))
            }
        })
    }

    /// The indices of the parameters that match, in model order.
    ///
    /// # Errors
    /// The first pattern that cannot be read.
    pub fn select(&self, table: &ParameterTable) -> Result<Vec<usize>, SelectorError> {
        let matcher = self.matcher()?;
        Ok(table.iter().enumerate().filter(|(_, p)| matcher.matches(&p.name)).map(|(i, _)| i).collect())
    }

    /// The regular expression of a glob or regular expression, without anchors; `None` for other selectors.
    pub(crate) fn as_regex(&self) -> Option<String> {
        match self {
            Selector::Glob(glob) => glob_to_regex(glob).ok(),
            Selector::Regex(regex) => Some(regex.clone()),
            Selector::Named(_, inner) => inner.as_regex(),
            Selector::Union(_) | Selector::Except(..) => None,
        }
    }

    /// The patterns as written, without excluded ones, for suggestions.
    pub fn patterns(&self) -> Vec<&str> {
        match self {
            Selector::Glob(p) | Selector::Regex(p) => vec![p],
            Selector::Named(_, inner) => inner.patterns(),
            Selector::Union(list) => list.iter().flat_map(Selector::patterns).collect(),
            Selector::Except(from, _) => from.patterns(),
        }
    }
}

impl Matcher {
    /// Whether a parameter's name is selected.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Matcher::Glob(glob) => glob::matches(glob, name),
            Matcher::One(regex) => regex.is_match(name),
            Matcher::Any(list) => list.iter().any(|m| m.matches(name)),
            Matcher::Without(from, without) => from.matches(name) && !without.matches(name),
        }
    }
}

/// The selector as written in a recipe.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Glob(glob) => write!(f, "params(\"{glob}\")"),
            Selector::Regex(regex) => write!(f, "re\"{regex}\""),
            Selector::Named(name, _) => f.write_str(name),
            Selector::Union(list) => {
                let parts: Vec<String> = list.iter().map(Selector::to_string).collect();
                write!(f, "[{}]", parts.join(", "))
            }
            Selector::Except(from, without) => write!(f, "{from} except {without}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: Selector, name: &str) -> bool {
        selector.matcher().unwrap().matches(name)
    }

    fn glob(text: &str) -> Selector {
        Selector::Glob(text.to_owned())
    }

    #[test]
    fn one_star_is_one_segment_and_dots_are_dots() {
        assert!(matches(glob("layer.*.weight"), "layer.10.weight"));
        assert!(!matches(glob("layer.*.weight"), "layer.1.query.weight"));
        assert!(!matches(glob("layer.1"), "layer.10"));
        assert!(!matches(glob("layer.1"), "layerx1"));
        assert!(matches(glob("layer.**.weight"), "layer.1.query.weight"));
        assert!(matches(glob("a.{b.c,d}.e"), "a.b.c.e"));
    }

    #[test]
    fn regular_expressions_are_anchored_at_both_ends() {
        assert!(!matches(Selector::Regex("layer.1".into()), "layer.10"));
        assert!(matches(Selector::Regex("layer\\.(1|2)".into()), "layer.2"));
    }

    #[test]
    fn unbalanced_braces_and_broken_expressions_are_errors() {
        assert!(glob("a.{b").matcher().is_err());
        assert!(glob("a}").matcher().is_err());
        assert!(Selector::Regex("(".into()).matcher().is_err());
    }

    #[test]
    fn an_exclusion_removes() {
        let selector = Selector::Except(Box::new(glob("layer.*")), Box::new(glob("layer.3")));
        assert!(matches(selector.clone(), "layer.2"));
        assert!(!matches(selector.clone(), "layer.3"));
        assert_eq!(selector.to_string(), "params(\"layer.*\") except params(\"layer.3\")");
    }
}
