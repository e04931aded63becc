//! Writes the draft and the comments of the YAML as text.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diag::{FileId, Findings, Sources, Span, counted};
use crate::language::{format, syntax::parse_file};
use crate::yaml::reader::Comment;

use super::draft::{Draft, Line, Order, Statement};
use super::places::Places;

/// The longest block in characters that is written on one line.
const MAX_INLINE_BLOCK: usize = 76;

/// Writes a draft, formatted, and the map from its text to the YAML `file`.
pub(super) fn write(draft: &Draft, comments: &[Comment], file: FileId) -> (String, Places) {
    let mut statements: Vec<&Statement> = draft.statements.iter().collect();
    statements.sort_by_key(|s| s.order);
    let mut writer = Writer {
        out: String::new(),
        segments: Vec::new(),
        placed: CommentPlaces::of(&statements, draft, comments, file),
    };
    writer.file(draft, &statements);
    let Writer { out, segments, .. } = writer;
    let formatted = formatted(&out).unwrap_or_else(|| out.clone());
    match Places::new(&out, &formatted, &segments, draft.origin) {
        Some(places) => (formatted, places),
        None => {
            let places = Places::new(&out, &out, &segments, draft.origin);
            // invariant: a text has the same marks as itself.
            (out, places.expect("the text itself"))
        }
    }
}

/// Formats a text; `None` if it cannot be parsed, which the compiler reports later.
fn formatted(text: &str) -> Option<String> {
    let mut sources = Sources::new();
    let mut findings = Findings::new();
    let file = sources.add("", text);
    let parsed = parse_file(file, text, &mut findings);
    (!findings.has_errors()).then(|| format(text, &parsed))
}

/// Comments of the YAML by the field that they belong to.
struct CommentPlaces {
    /// Before the recipe.
    header: Vec<String>,
    /// Above the line of the field that starts at this byte.
    above: BTreeMap<u32, Vec<String>>,
    /// At the end of that line.
    behind: BTreeMap<u32, String>,
    /// After the last field.
    footer: Vec<String>,
}

impl CommentPlaces {
    fn of(statements: &[&Statement], draft: &Draft, comments: &[Comment], file: FileId) -> Self {
        let lines = statements.iter().flat_map(|s| std::iter::once(&s.head).chain(s.body.iter().flatten()));
        let mut anchors: Vec<u32> =
            lines.flat_map(|l| &l.fields).filter(|s| s.file == file).map(|s| s.start).collect();
        anchors.sort_unstable();
        anchors.dedup();
        let mut placed = CommentPlaces {
            header: Vec::new(),
            above: BTreeMap::new(),
            behind: BTreeMap::new(),
            footer: Vec::new(),
        };
        for comment in comments {
            let at = comment.span.start;
            let text = format!("# {}", comment.text.trim()).trim_end().to_owned();
            let place = anchors.partition_point(|a| *a <= at);
            let mut next = anchors.get(place).copied();
            let mut before = place.checked_sub(1).map(|p| anchors[p]);
            // A comment inside a modifier is written with one of its fields, if it has any in the recipe.
            if let Some(modifier) = draft.modifiers.iter().find(|m| m.start <= at && at < m.end) {
                let own = |a: &u32| modifier.start <= *a && *a < modifier.end;
                let (inside, above) = (before.filter(own), next.filter(own));
                match (inside, above) {
                    (None, None) => {}
                    (Some(inside), None) if !comment.trailing => {
                        placed.above.entry(inside).or_default().push(text);
                        continue;
                    }
                    (inside, above) => (before, next) = (inside, above),
                }
            }
            match (comment.trailing, before, next) {
                (false, ..) if at < draft.origin.start => placed.header.push(text),
                (true, Some(before), _) if !placed.behind.contains_key(&before) => {
                    placed.behind.insert(before, text);
                }
                (_, _, Some(next)) => placed.above.entry(next).or_default().push(text),
                (_, Some(before), None) if comment.trailing => {
                    placed.above.entry(before).or_default().push(text)
                }
                _ => placed.footer.push(text),
            }
        }
        placed
    }
}

struct Writer {
    out: String,
    segments: Vec<(Range<usize>, Span)>,
    placed: CommentPlaces,
}

impl Writer {
    fn file(&mut self, draft: &Draft, statements: &[&Statement]) {
        let header = std::mem::take(&mut self.placed.header);
        self.comments(&header);
        self.comments(&draft.notes);
        if !header.is_empty() || !draft.notes.is_empty() {
            self.out.push('\n');
        }
        self.out.push_str("edition 2026\n\n");
        if !draft.uses.is_empty() {
            let names: Vec<&str> = draft.uses.iter().copied().collect();
            self.out.push_str(&format!("use std.bert.{{{}}}\n\n", names.join(", ")));
        }
        if let Some(title) = draft.prose.lines().find_map(|l| l.strip_prefix("# ")) {
            self.out.push_str(&format!("## {}\n", title.trim()));
        }
        self.part(&format!("recipe {}", draft.name), draft.origin);
        if draft.length.count > 0 {
            self.part(&format!(" for {}", counted(draft.length.count, "epoch", "epochs")), draft.length.at);
        }
        self.out.push_str(" {\n");
        for line in &draft.settings {
            self.line(line);
            self.end(line);
        }
        for statement in statements {
            self.out.push('\n');
            self.statement(statement);
        }
        let footer = std::mem::take(&mut self.placed.footer);
        self.comments(&footer);
        self.out.push_str("}\n");
        if draft.prose.lines().count() > 1 {
            self.out.push('\n');
            let prose: Vec<String> =
                draft.prose.lines().map(|l| format!("# {l}").trim_end().to_owned()).collect();
            self.comments(&prose);
        }
    }

    fn statement(&mut self, statement: &Statement) {
        self.line(&statement.head);
        let Some(body) = &statement.body else {
            self.end(&statement.head);
            return;
        };
        let quiet = |l: &Line| {
            !l.fields.iter().any(|f| {
                self.placed.above.contains_key(&f.start) || self.placed.behind.contains_key(&f.start)
            })
        };
        let width = body.iter().flat_map(|l| &l.parts).map(|(t, _)| t.len() + 1).sum::<usize>();
        let short = matches!(statement.order, Order::Distill | Order::Train) || body.len() == 1;
        if short && width <= MAX_INLINE_BLOCK && quiet(&statement.head) && body.iter().all(quiet) {
            self.out.push_str(" { ");
            for (i, line) in body.iter().enumerate() {
                self.out.push_str(if i > 0 { ", " } else { "" });
                self.line(line);
            }
            self.out.push_str(" }\n");
            return;
        }
        self.out.push_str(" {");
        // The comment of the head follows the brace, which would otherwise be part of the comment.
        self.end(&statement.head);
        for line in body {
            self.line(line);
            self.end(line);
        }
        self.out.push_str("}\n");
    }

    /// Writes the comments above a line, and the line.
    fn line(&mut self, line: &Line) {
        for field in &line.fields {
            if let Some(above) = self.placed.above.remove(&field.start) {
                self.comments(&above);
            }
        }
        for (text, span) in &line.parts {
            self.part(text, *span);
        }
    }

    /// Writes the comment at the end of a line, and the line break.
    fn end(&mut self, line: &Line) {
        let behind: Vec<String> =
            line.fields.iter().filter_map(|f| self.placed.behind.remove(&f.start)).collect();
        let joined = behind.iter().map(|c| c.trim_start_matches("# ")).collect::<Vec<_>>().join("; ");
        if !joined.is_empty() {
            self.out.push_str(&format!("  # {joined}"));
        }
        self.out.push('\n');
    }

    fn comments(&mut self, lines: &[String]) {
        for line in lines {
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    fn part(&mut self, text: &str, span: Span) {
        let start = self.out.len();
        self.out.push_str(text);
        self.segments.push((start..self.out.len(), span));
    }
}
