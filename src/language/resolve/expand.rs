//! The recipe with its templates taken over: what each stage says, wherever it was written.

use crate::diag::{Code, Diagnostic, Findings, Span, nearest};
use crate::language::syntax::ast::{Block, Entry, Expr, Item, Member, Parameter, Setting, Spanned, Word};
use crate::language::vocab::{Body, Place, verb};

use super::names::{Names, ScopeId, Symbol, parameter_symbol};

/// A statement with the scope of its names.
#[derive(Clone, Debug)]
pub struct Bound<T> {
    /// The statement.
    pub node: T,
    /// Where its names are looked up.
    pub scope: ScopeId,
}

/// What kind of stretch this is.
#[derive(Clone, Debug)]
pub enum StageKind {
    /// It is carried on.
    Stage,
    /// It is measured only; the expression names the stage it starts from.
    Branch(Option<Expr>),
}

/// A stage, a branch, or a recipe without stages.
#[derive(Clone, Debug)]
pub struct BoundStage {
    /// Its name.
    pub name: Word,
    /// Stage or branch.
    pub kind: StageKind,
    /// What `for` says.
    pub length: Option<Bound<Expr>>,
    /// Its doc comment.
    pub doc: String,
    /// Its `name: value` lines.
    pub settings: Vec<Bound<Setting>>,
    /// Its statements.
    pub entries: Vec<Bound<Entry>>,
    /// The head of the statement.
    pub head: Span,
}

/// The recipe of a file.
#[derive(Clone, Debug)]
pub struct BoundRecipe {
    /// Its name.
    pub name: Word,
    /// Its doc comment.
    pub doc: String,
    /// The settings that its stages share.
    pub settings: Vec<Bound<Setting>>,
    /// Statements outside its stages, such as `train` and `expect`.
    pub entries: Vec<Bound<Entry>>,
    /// Its stages; one of the recipe's own name when it has none.
    pub stages: Vec<BoundStage>,
    /// The head of the statement.
    pub head: Span,
}

/// Finds the one recipe of the main file and takes over its templates.
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
    open: Vec<String>,
}

/// The parts of a statement's head: `NAME extends TEMPLATE for 30 epochs`.
#[derive(Default)]
struct Head {
    name: Option<Word>,
    extends: Option<Word>,
    length: Option<Expr>,
    from: Option<Expr>,
}

/// What templates and the statement itself say together.
#[derive(Default)]
struct Content {
    settings: Vec<Bound<Setting>>,
    entries: Vec<Bound<Entry>>,
    length: Option<Bound<Expr>>,
}

impl Expander<'_> {
    fn recipe(&mut self, entry: Entry, scope: ScopeId) -> Option<BoundRecipe> {
        let head = self.head(&entry);
        let name = head.name.clone()?;
        let content = self.content(&entry, &head, scope)?;
        let (stages, entries): (Vec<_>, Vec<_>) = content
            .entries
            .into_iter()
            .partition(|e| matches!(e.node.verb.value.as_str(), "stage" | "branch"));
        if stages.is_empty() {
            let (recipe, stage): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|e| e.node.verb.value == "expect");
            let only = BoundStage {
                name: name.clone(),
                kind: StageKind::Stage,
                length: content.length,
                doc: String::new(),
                settings: Vec::new(),
                entries: self.placed(stage, Place::Stage),
                head: entry.head,
            };
            return Some(BoundRecipe {
                name,
                doc: entry.doc,
                settings: content.settings,
                entries: recipe,
                stages: vec![only],
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
        let entries = self.placed(entries, Place::Recipe);
        Some(BoundRecipe {
            name,
            doc: entry.doc,
            settings: content.settings,
            entries,
            stages,
            head: entry.head,
        })
    }

    fn stage(&mut self, bound: Bound<Entry>) -> Option<BoundStage> {
        let entry = bound.node;
        let head = self.head(&entry);
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
            entries: self.placed(content.entries, Place::Stage),
            head: entry.head,
        })
    }

    /// Reads `NAME extends TEMPLATE for TIME`; what does not fit is reported.
    fn head(&mut self, entry: &Entry) -> Head {
        let mut head = Head::default();
        let clauses: Vec<&str> =
            verb(&entry.verb.value).map_or(vec![], |v| v.clauses.iter().map(|c| c.name).collect());
        let mut operands = entry.operands.iter().peekable();
        if let Some(first) =
            operands.peek().and_then(|o| o.as_word()).filter(|w| !clauses.contains(&w.value.as_str()))
        {
            head.name = Some((*first).clone());
            operands.next();
        }
        while let Some(operand) = operands.next() {
            let word = operand.as_word().map(|w| w.value.as_str()).unwrap_or("");
            if !clauses.contains(&word) {
                let near = nearest(word, clauses.iter().copied()).map(|n| format!("did you mean `{n}`?"));
                let form = verb(&entry.verb.value).map_or("", |v| v.form);
                self.findings.push(
                    Diagnostic::error(
                        Code::StrayOperand,
                        format!("`{}` does not take this", entry.verb.value),
                        operand.span,
                        "does not fit",
                    )
                    .help(near.unwrap_or(format!("write `{form}`"))),
                );
                continue;
            }
            let mut value = Vec::new();
            while let Some(next) = operands.next_if(|o| !clauses.iter().any(|c| o.is_word(c))) {
                value.push(next.clone());
            }
            let Some(value) = Expr::phrase(value) else {
                self.missing(entry, operand.span, format!("`{word}` needs something behind it"));
                continue;
            };
            match word {
                "extends" => match value.as_word() {
                    Some(name) => head.extends = Some(name.clone()),
                    None => self.missing(entry, value.span, "`extends` needs the name of a template".into()),
                },
                "from" => head.from = Some(value),
                _ => head.length = Some(value),
            }
        }
        if head.name.is_none() {
            self.missing(entry, entry.verb.span, format!("this {} has no name", entry.verb.value));
        }
        head
    }

    fn missing(&mut self, entry: &Entry, span: Span, message: String) {
        let form = verb(&entry.verb.value).map_or("", |v| v.form);
        let diagnostic = Diagnostic::error(Code::MissingOperand, message, span, "here");
        self.findings.push(diagnostic.help(format!("write `{form}`")));
    }

    /// The statement's own content laid over that of its template.
    fn content(&mut self, entry: &Entry, head: &Head, scope: ScopeId) -> Option<Content> {
        let own = Self::members(entry.body.as_ref());
        let mut content = match &head.extends {
            None => Content::default(),
            Some(template) => {
                let settings: Vec<Bound<Setting>> =
                    own.settings.iter().map(|s| Bound { node: s.clone(), scope }).collect();
                // Without its template nothing of the stage can be judged.
                self.template(template, scope, settings)?
            }
        };
        if head.extends.is_none() {
            content.settings = own.settings.into_iter().map(|node| Bound { node, scope }).collect();
        }
        for parameter in own.parameters {
            self.findings.push(
                Diagnostic::error(
                    Code::MisplacedStatement,
                    "`param` stands at the top of a file or in a template",
                    parameter.span,
                    "not here",
                )
                .help("move it above the recipe"),
            );
        }
        content.overlay(own.entries, scope);
        if let Some(length) = &head.length {
            content.length = Some(Bound { node: length.clone(), scope });
        }
        Some(content)
    }

    /// A template's content with its parameters bound by `settings`; those settings that are no
    /// parameter of it stay settings.
    fn template(&mut self, name: &Word, from: ScopeId, settings: Vec<Bound<Setting>>) -> Option<Content> {
        let Some((entry, home)) = self.names.template(&name.value, from) else {
            let visible = self.names.visible_templates(from);
            let near = nearest(&name.value, visible.iter().copied());
            let help = match (near, visible.as_slice()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, []) => "bring one in, as `use std.obert.gradual`".to_owned(),
                (None, all) => format!("the templates here are `{}`", all.join("`, `")),
            };
            let message = format!("there is no template `{}`", name.value);
            self.findings
                .push(Diagnostic::error(Code::UnknownTemplate, message, name.span, "unknown").help(help));
            return None;
        };
        if self.open.contains(&name.value) {
            let circle = self.open.join(" → ");
            self.findings.push(
                Diagnostic::error(
                    Code::ExtendsCycle,
                    format!("templates extend each other in a circle: {circle} → {}", name.value),
                    name.span,
                    "closes the circle",
                )
                .help("let one of them stand alone"),
            );
            return None;
        }
        self.open.push(name.value.clone());
        let content = self.template_content(&entry, home, settings);
        self.open.pop();
        content
    }

    fn template_content(
        &mut self,
        entry: &Entry,
        home: ScopeId,
        settings: Vec<Bound<Setting>>,
    ) -> Option<Content> {
        let head = self.head(entry);
        let own = Self::members(entry.body.as_ref());
        let mut left = settings;
        let mut symbols = Vec::new();
        for parameter in &own.parameters {
            symbols.push(self.bind(parameter, home, &mut left));
        }
        let scope = self.names.nested(home, symbols);
        let mut content = match &head.extends {
            None => Content { settings: left, ..Content::default() },
            Some(parent) => {
                let mut passed: Vec<Bound<Setting>> =
                    own.settings.iter().map(|s| Bound { node: s.clone(), scope }).collect();
                override_settings(&mut passed, left);
                self.template(parent, home, passed)?
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

    /// A template's parameter, given by a setting or by its default.
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

    /// Keeps the statements that may stand in `place`; the others are reported.
    fn placed(&mut self, entries: Vec<Bound<Entry>>, place: Place) -> Vec<Bound<Entry>> {
        let mut kept: Vec<Bound<Entry>> = Vec::new();
        for entry in entries {
            match verb(&entry.node.verb.value) {
                Some(known) if known.places.contains(&place) => {
                    let first = kept.iter().find(|k| k.node.verb.value == known.name && !known.repeats);
                    if let Some(first) = first {
                        self.findings.push(
                            Diagnostic::error(
                                Code::DuplicateStatement,
                                format!("`{}` may stand only once here", known.name),
                                entry.node.head,
                                "a second one",
                            )
                            .and_at(first.node.head, "the first")
                            .help("join them into one"),
                        );
                        continue;
                    }
                    kept.push(entry);
                }
                _ => self.findings.push(misplaced(&entry.node, place)),
            }
        }
        kept
    }
}

#[derive(Default)]
struct Members {
    parameters: Vec<Parameter>,
    settings: Vec<Setting>,
    entries: Vec<Entry>,
}

impl Content {
    /// Adds statements; one that may stand only once takes the place of the template's.
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

/// A statement that is unknown, or known and not allowed where it stands.
fn misplaced(entry: &Entry, place: Place) -> Diagnostic {
    let word = &entry.verb.value;
    if let Some(known) = verb(word) {
        let belongs = match known.places {
            [Place::File] => "at the top of a file",
            [Place::Recipe] => "in a recipe, outside its stages",
            [Place::Recipe, ..] => "in a recipe or in a stage",
            _ if place == Place::Recipe => "in one of the recipe's stages",
            _ => "in a recipe or in a stage",
        };
        return Diagnostic::error(
            Code::MisplacedStatement,
            format!("`{word}` cannot stand here"),
            entry.verb.span,
            "not here",
        )
        .help(format!("it belongs {belongs}"));
    }
    let allowed = crate::language::vocab::VERBS.iter().filter(|v| v.places.contains(&place)).map(|v| v.name);
    let settings = crate::language::vocab::VERBS.iter().flat_map(|v| match v.body {
        Body::Statements(settings) => settings,
        _ => &[],
    });
    let near = nearest(word, allowed.clone().chain(["use", "param", "let", "edition"]));
    let is_setting = settings.clone().find(|s| s.name == word);
    let help = match (is_setting, near) {
        (Some(setting), _) => format!("`{0}` is a setting: write `{0}: …`", setting.name),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("the statements here are {}", allowed.collect::<Vec<_>>().join(", ")),
    };
    let diagnostic = Diagnostic::error(
        Code::UnknownVerb,
        format!("there is no verb `{word}`"),
        entry.verb.span,
        "unknown verb",
    )
    .help(help);
    match near.filter(|_| is_setting.is_none()) {
        Some(near) => diagnostic.fix(entry.verb.span, near),
        None => diagnostic,
    }
}
