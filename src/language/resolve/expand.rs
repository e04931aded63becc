//! Expansion of templates: the settings and statements of each stage, including those it inherits.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::language::syntax::ast::{Block, Entry, Expr, Item, Member, Parameter, Setting, Spanned, Word};
use crate::language::vocab::{Place, verb};

use super::bound::{Bound, BoundRecipe, BoundStage, StageKind};
use super::extension::Extension;
use super::head::{Head, head};
use super::names::{Names, ScopeId, Symbol, parameter_symbol};
use super::placement::{allowed_in, misplaced};

/// Finds the recipe of the main file and expands its templates.
pub fn expand(names: &mut Names, findings: &mut Findings) -> Option<BoundRecipe> {
    let module = names.main_module();
    let start = Span::new(module.id, 0..0);
    let mut recipes: Vec<Entry> = Vec::new();
    for item in module.file.items.clone() {
        match item {
            Item::Entry(entry) if entry.verb.value == "recipe" => recipes.push(entry),
            Item::Entry(entry) if entry.verb.value != "template" => {
                findings.push(misplaced(&entry, Place::File))
            }
            Item::Edition(edition) if edition.value.as_whole() != Some(EDITION) => findings.push(
                Diagnostic::error(
                    Code::UnsupportedEdition,
                    "this edition is unknown",
                    edition.span,
                    "unknown",
                )
                .help(format!("the only edition so far is {EDITION}"))
                .fix(edition.span, EDITION.to_string()),
            ),
            _ => {}
        }
    }
    let mut recipes = recipes.into_iter();
    let Some(entry) = recipes.next() else {
        if !findings.has_errors() {
            findings.push(
                Diagnostic::error(Code::NoRecipe, "this file holds no recipe", start, "the file")
                    .help("write `recipe NAME for 30 epochs { … }`"),
            );
        }
        return None;
    };
    for other in recipes {
        findings.push(
            Diagnostic::error(Code::SeveralRecipes, "a file holds one recipe", other.head, "a second recipe")
                .and_at(entry.head, "the first")
                .help("move it into a file of its own; shared parts go into a `template`"),
        );
    }
    let scope = names.main();
    let mut expander = Expander { names, findings, open: Vec::new() };
    expander.recipe(entry, scope)
}

const EDITION: i64 = 2026;

struct Expander<'a> {
    names: &'a mut Names,
    findings: &'a mut Findings,
    /// The templates being expanded, for the detection of cycles.
    open: Vec<String>,
}

/// The settings and statements of a stage or template, including inherited ones.
#[derive(Default)]
struct Content {
    settings: Vec<Bound<Setting>>,
    entries: Vec<Bound<Entry>>,
    length: Option<Bound<Expr>>,
    extends: Option<Extension>,
}

impl Expander<'_> {
    fn recipe(&mut self, entry: Entry, scope: ScopeId) -> Option<BoundRecipe> {
        let head = head(&entry, self.findings);
        let name = head.name.clone()?;
        let content = self.content(&entry, &head, scope)?;
        let (stages, entries): (Vec<_>, Vec<_>) = content
            .entries
            .into_iter()
            .partition(|e| matches!(e.node.verb.value.as_str(), "stage" | "branch"));
        if stages.is_empty() {
            let (recipe, stage): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|e| matches!(e.node.verb.value.as_str(), "expect"));
            let only = BoundStage {
                name: name.clone(),
                kind: StageKind::Stage,
                length: content.length,
                doc: String::new(),
                settings: Vec::new(),
                entries: allowed_in(stage, Place::Stage, self.names, self.findings),
                extends: content.extends.clone(),
                head: entry.head,
            };
            return Some(BoundRecipe {
                name,
                doc: entry.doc,
                settings: content.settings,
                entries: recipe,
                stages: vec![only],
                extends: content.extends,
                head: entry.head,
            });
        }
        if let Some(length) = &content.length {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedStatement,
                    "a recipe of stages has no length of its own",
                    length.node.span,
                    "not allowed here",
                )
                .and_at(stages[0].node.head, "it has stages")
                .help("give each stage its own `for`"),
            );
        }
        let stages: Vec<Option<BoundStage>> = stages.into_iter().map(|s| self.stage(s)).collect();
        let stages = stages.into_iter().collect::<Option<Vec<BoundStage>>>()?;
        let entries = allowed_in(entries, Place::Recipe, self.names, self.findings);
        Some(BoundRecipe {
            name,
            doc: entry.doc,
            settings: content.settings,
            entries,
            stages,
            extends: content.extends,
            head: entry.head,
        })
    }

    fn stage(&mut self, bound: Bound<Entry>) -> Option<BoundStage> {
        let entry = bound.node;
        let head = head(&entry, self.findings);
        let name = head.name.clone()?;
        let kind = if entry.verb.value == "branch" {
            StageKind::Branch(head.from.clone())
        } else {
            StageKind::Stage
        };
        let content = self.content(&entry, &head, bound.scope)?;
        Some(BoundStage {
            name,
            kind,
            length: content.length,
            doc: entry.doc,
            settings: content.settings,
            entries: allowed_in(content.entries, Place::Stage, self.names, self.findings),
            extends: content.extends,
            head: entry.head,
        })
    }

    /// The content of a statement: its own, overriding that of its template.
    fn content(&mut self, entry: &Entry, head: &Head, scope: ScopeId) -> Option<Content> {
        let own = Self::members(entry.body.as_ref());
        let mut content = match &head.extends {
            None => Content::default(),
            Some(template) => {
                let settings: Vec<Bound<Setting>> =
                    own.settings.iter().map(|s| Bound { node: s.clone(), scope }).collect();
                let mut extension = Extension::new(template.clone());
                // Without its template the stage cannot be checked.
                let content = self.template(template, scope, settings, &mut extension)?;
                Content { extends: Some(extension), ..content }
            }
        };
        if head.extends.is_none() {
            content.settings = own.settings.into_iter().map(|node| Bound { node, scope }).collect();
        }
        for parameter in own.parameters {
            let message = "`param` belongs at the top of a file or in a template";
            let diagnostic = Diagnostic::error(Code::MisplacedStatement, message, parameter.span, "not here");
            self.findings.push(diagnostic.help("move it above the recipe"));
        }
        content.overlay(own.entries, scope);
        if let Some(length) = &head.length {
            content.length = Some(Bound { node: length.clone(), scope });
        }
        Some(content)
    }

    /// The content of a template, with its parameters bound by `settings`. Settings that are no parameters of
    /// the template are passed on.
    fn template(
        &mut self,
        name: &Word,
        from: ScopeId,
        settings: Vec<Bound<Setting>>,
        extension: &mut Extension,
    ) -> Option<Content> {
        let Some((entry, home)) = self.names.template(&name.value, from) else {
            if self.names.may_be_failed_import(&name.value) {
                return None;
            }
            let visible = self.names.visible_templates(from);
            let near = nearest(&name.value, visible.iter().copied());
            let otherwise = || match visible.as_slice() {
                [] => "import one, as `use std.obert.gradual`".to_owned(),
                all => format!("the templates here are `{}`", all.join("`, `")),
            };
            let message = format!("there is no template `{}`", name.value);
            let diagnostic = Diagnostic::error(Code::UnknownTemplate, message, name.span, "unknown");
            self.findings.push(diagnostic.did_you_mean(name.span, near, otherwise));
            return None;
        };
        if self.open.contains(&name.value) {
            let cycle = self.open.join(" → ");
            let message = format!("templates extend each other in a cycle: {cycle} → {}", name.value);
            let diagnostic = Diagnostic::error(Code::ExtendsCycle, message, name.span, "closes the cycle");
            self.findings.push(diagnostic.help("remove one `extends`"));
            return None;
        }
        self.open.push(name.value.clone());
        let content = self.template_content(&entry, home, settings, extension);
        self.open.pop();
        content
    }

    fn template_content(
        &mut self,
        entry: &Entry,
        home: ScopeId,
        settings: Vec<Bound<Setting>>,
        extension: &mut Extension,
    ) -> Option<Content> {
        let head = head(entry, self.findings);
        let own = Self::members(entry.body.as_ref());
        extension.templates.push(entry.span);
        extension.length = extension.length.or(head.length.as_ref().map(|l| l.span));
        let mut left = settings;
        let mut symbols = Vec::new();
        for parameter in &own.parameters {
            let symbol = self.bind(parameter, home, &mut left);
            if let Some((value, _)) = &symbol.value {
                extension.given.push((symbol.name.clone(), value.span));
            }
            extension.parameters.push(symbol.name.clone());
            symbols.push(symbol);
        }
        let scope = self.names.nested(home, symbols);
        let mut content = match &head.extends {
            None => Content { settings: left, ..Content::default() },
            Some(parent) => {
                let mut passed: Vec<Bound<Setting>> =
                    own.settings.iter().map(|s| Bound { node: s.clone(), scope }).collect();
                override_settings(&mut passed, left);
                self.template(parent, home, passed, extension)?
            }
        };
        if head.extends.is_none() {
            let mut merged: Vec<Bound<Setting>> =
                own.settings.into_iter().map(|node| Bound { node, scope }).collect();
            override_settings(&mut merged, content.settings);
            content.settings = merged;
        }
        content.overlay(own.entries, scope);
        if let Some(length) = head.length {
            content.length = Some(Bound { node: length, scope });
        }
        Some(content)
    }

    /// Binds a parameter of a template to the value of a setting, which is removed from `left`, or to its
    /// default.
    fn bind(&mut self, parameter: &Parameter, home: ScopeId, left: &mut Vec<Bound<Setting>>) -> Symbol {
        let mut symbol = parameter_symbol(parameter, home, self.findings);
        symbol.parameter = None;
        let position = left.iter().position(|s| s.node.key.is_word(&symbol.name));
        if let Some(given) = position.map(|at| left.remove(at)) {
            if let Some(again) = left.iter().position(|s| s.node.key.is_word(&symbol.name)) {
                let again = left.remove(again);
                self.findings.push(
                    Diagnostic::error(
                        Code::DuplicateSetting,
                        format!("`{}` is given twice", symbol.name),
                        again.node.span,
                        "given again",
                    )
                    .and_at(given.node.span, "first given here")
                    .help("remove one of them"),
                );
            }
            symbol.value = Some((given.node.value, given.scope));
        }
        symbol
    }

    fn members(body: Option<&Block>) -> Members {
        let mut members = Members::default();
        for member in body.map_or(&[][..], |b| &b.members) {
            match member {
                Member::Parameter(parameter) => members.parameters.push(parameter.clone()),
                Member::Setting(setting) => members.settings.push(setting.clone()),
                Member::Entry(entry) => members.entries.push(entry.clone()),
            }
        }
        members
    }
}

#[derive(Default)]
struct Members {
    parameters: Vec<Parameter>,
    settings: Vec<Setting>,
    entries: Vec<Entry>,
}

impl Content {
    /// Adds statements; one that is allowed only once replaces the template's.
    fn overlay(&mut self, entries: Vec<Entry>, scope: ScopeId) {
        let inherited = self.entries.len();
        let mut replaced = vec![false; inherited];
        for entry in entries {
            let once = verb(&entry.verb.value).is_some_and(|v| !v.repeats);
            let position = self.entries[..inherited]
                .iter()
                .position(|e| once && e.node.verb.value == entry.verb.value)
                .filter(|at| !replaced[*at]);
            match position {
                Some(at) => {
                    replaced[at] = true;
                    self.entries[at] = Bound { node: entry, scope };
                }
                None => self.entries.push(Bound { node: entry, scope }),
            }
        }
    }
}

fn override_settings(base: &mut Vec<Bound<Setting>>, over: Vec<Bound<Setting>>) {
    let key = |s: &Bound<Setting>| s.node.key.as_word().map(|w: &Spanned<String>| w.value.clone());
    let given: Vec<Option<String>> = over.iter().map(&key).collect();
    base.retain(|s| !given.contains(&key(s)));
    base.extend(over);
}
