//! The words of the recipe language as data for completion and hover in editors.

use serde::Serialize;

use super::describe::signature;
use super::entries::{Kind, Role, entries, keyword};
use crate::language::vocab::{Setting, verb};

/// A word of the language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The path to it, itself last: `["prune", "by", "obs", "damp"]`.
    pub path: Vec<&'static str>,
    /// `verb`, `clause`, `setting`, `argument`, `value`, `shape`, `keyword`, `type` or `unit`.
    pub kind: &'static str,
    /// One line of documentation.
    pub doc: String,
    /// The text to insert: a verb's form, a value with its arguments.
    pub written: String,
    /// For clauses, settings and arguments, a description of the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Its names in other tools.
    pub aliases: &'static [&'static str],
}

/// Every word of the language in the order of its declaration, verbs first.
pub fn items() -> Vec<Item> {
    entries()
        .into_iter()
        .map(|entry| {
            let name = entry.name();
            let plain = |kind, doc: &str, written: String| Item {
                path: entry.path.clone(),
                kind,
                doc: doc.to_owned(),
                written,
                value: None,
                default: None,
                required: false,
                aliases: &[],
            };
            match entry.kind {
                Kind::Verb(name) => {
                    verb(name).map_or(plain("verb", "", name.into()), |v| plain("verb", v.doc, v.form.into()))
                }
                Kind::Setting(setting, role) => {
                    of_setting(plain("", setting.doc, String::new()), setting, role)
                }
                Kind::Value(choice) => plain("value", choice.doc, signature(&choice)),
                Kind::Shape(choice) => plain("shape", choice.doc, signature(&choice)),
                Kind::Type(_, ty) => plain("type", &ty.described(), name.into()),
                Kind::Keyword(name) => keyword(name)
                    .map_or(plain("keyword", "", name.into()), |k| plain("keyword", k.doc, k.form.into())),
                Kind::Unit(_, doc) => plain("unit", doc, name.into()),
            }
        })
        .collect()
}

fn of_setting(item: Item, setting: Setting, role: Role) -> Item {
    let (kind, written) = match role {
        Role::Clause => ("clause", format!("{} ", setting.name)),
        Role::Setting => ("setting", format!("{}: ", setting.name)),
        Role::Argument => ("argument", format!("{}: ", setting.name)),
    };
    Item {
        kind,
        written,
        value: Some(setting.ty.described()),
        default: setting.default,
        required: setting.required,
        aliases: setting.formerly,
        ..item
    }
}
