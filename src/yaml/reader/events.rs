//! Builds the tree from the parser's events.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, Parser, Placement, ScalarStyle, ScanError};

use crate::diag::{Code, Diagnostic, FileId, Findings, Span};

use super::tree::{Comment, Document, Entry, Node, Tag, Value};

/// The deepest nesting. Recipes nest about five deep, so this stops hostile input early.
const MAX_DEPTH: usize = 64;
/// The most nodes if every alias were a copy, and the most entries that merges add.
const MAX_NODES: u64 = 1_000_000;
/// The longest YAML in bytes.
const MAX_BYTES: usize = 16 << 20;

/// Parses the YAML at `range` of a file. `None` where a diagnostic was made.
pub(crate) fn read(
    file: FileId,
    text: &str,
    range: Range<usize>,
    findings: &mut Findings,
) -> Option<Document> {
    let yaml = &text[range.clone()];
    if yaml.len() > MAX_BYTES {
        findings.push(
            Diagnostic::error(
                Code::YamlTooMuch,
                format!("{} bytes of YAML; a recipe has at most {MAX_BYTES}", yaml.len()),
                Span::new(file, range.start..range.start + 1),
                "starts here",
            )
            .help("check that this is the right file"),
        );
        return None;
    }
    let mut builder = Builder {
        file,
        base: range.start,
        text: yaml,
        open: Vec::new(),
        anchors: HashMap::new(),
        comments: Vec::new(),
        root: None,
        merged: 0,
        failed: None,
    };
    for next in Parser::new_from_str(yaml) {
        match next {
            Ok((event, span)) => builder.event(event, &span, findings),
            Err(error) => builder.failed = Some(builder.malformed(&error)),
        }
        if let Some(failure) = builder.failed.take() {
            findings.push(failure);
            return None;
        }
    }
    let nothing = Value::Scalar { text: String::new(), plain: true };
    let empty = Node::new(nothing, Span::new(file, range.start..range.start), None, 1);
    Some(Document { root: builder.root.unwrap_or_else(|| Rc::new(empty)), comments: builder.comments })
}

/// A list or mapping that has not ended yet.
struct Open {
    items: Vec<Rc<Node>>,
    map: bool,
    span: Span,
    tag: Option<Tag>,
    anchor: usize,
}

struct Builder<'a> {
    file: FileId,
    base: usize,
    text: &'a str,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    comments: Vec<Comment>,
    root: Option<Rc<Node>>,
    merged: u64,
    failed: Option<Diagnostic>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, at: &granit_parser::Span, findings: &mut Findings) {
        let span = self.span(at);
        match event {
            Event::Comment(text, placement) => {
                let trailing = placement == Placement::Right;
                self.comments.push(Comment { text: text.trim_end().to_owned(), span, trailing });
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let line = self.line_before(span);
                self.failed = Some(
                    Diagnostic::error(Code::YamlSecondDocument, "a second document starts", line, "here")
                        .help("a recipe is one document: remove one, or save them as two files"),
                );
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                // The parser reports an empty value as `~`.
                let nothing = plain && span.start == span.end;
                let text = if nothing { String::new() } else { text.into_owned() };
                let tag = self.tag(tag.as_deref(), at);
                self.add(Node::new(Value::Scalar { text, plain }, span, tag, 1), anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(false, anchor, self.tag(tag.as_deref(), at), span)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.begin(true, anchor, self.tag(tag.as_deref(), at), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span, findings),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => {}
        }
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let range = at.byte_range().unwrap_or(0..0);
        Span::new(self.file, range.start + self.base..range.end + self.base)
    }

    /// The `---` before a document, whose span from the parser starts after it.
    fn line_before(&self, span: Span) -> Span {
        let end = floor(self.text, (span.start as usize).saturating_sub(self.base) + 3);
        let at = self.text[..end].rfind("---").unwrap_or(end);
        Span::new(self.file, at + self.base..(at + 3).min(self.text.len()) + self.base)
    }

    fn tag(&self, tag: Option<&granit_parser::Tag>, at: &granit_parser::Span) -> Option<Tag> {
        let tag = tag?;
        let start = at.tag_start().and_then(|m| m.byte_offset()).unwrap_or(0);
        let written = self.text.get(start..).unwrap_or("");
        let end = written.find(|c: char| c.is_whitespace()).unwrap_or(written.len());
        let name = if tag.handle() == "!" { tag.suffix().to_owned() } else { written[..end].to_owned() };
        Some(Tag { name, span: Span::new(self.file, start + self.base..start + end + self.base) })
    }

    fn begin(&mut self, map: bool, anchor: usize, tag: Option<Tag>, span: Span) {
        if self.open.len() >= MAX_DEPTH {
            let at = Span { end: span.start.saturating_add(1), ..span };
            self.failed = Some(
                Diagnostic::error(
                    Code::YamlTooMuch,
                    format!("nested more than {MAX_DEPTH} deep"),
                    at,
                    "here",
                )
                .help("a recipe needs no nesting beyond the fields of its modifiers"),
            );
            return;
        }
        self.open.push(Open { items: Vec::new(), map, span, tag, anchor });
    }

    fn end(&mut self, span: Span, findings: &mut Findings) {
        let Some(open) = self.open.pop() else { return };
        let expanded = open.items.iter().fold(1u64, |sum, n| sum.saturating_add(n.expanded));
        // A block collection has no closing token: the parser's span is that of the next token.
        let bracket =
            (span.start as usize).checked_sub(self.base).and_then(|at| self.text.as_bytes().get(at));
        let closes = span.start < span.end && matches!(bracket, Some(b']' | b'}'));
        let end = open.items.last().filter(|_| !closes).map_or(span.end, |last| last.place.end);
        let whole = Span { end: end.max(open.span.end), ..open.span };
        let value =
            if open.map { Value::Map(self.entries(&open.items, findings)) } else { Value::List(open.items) };
        self.add(Node::new(value, whole, open.tag, expanded), open.anchor);
    }

    fn add(&mut self, node: Node, anchor: usize) {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node);
    }

    fn attach(&mut self, node: Rc<Node>) {
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.failed = Some(
                Diagnostic::error(Code::YamlMalformed, "this alias is inside its own anchor", span, "here")
                    .help("a value cannot contain itself"),
            );
            return;
        };
        let before: u64 =
            self.open.iter().flat_map(|o| &o.items).fold(0, |sum, n| sum.saturating_add(n.expanded));
        if before.saturating_add(node.expanded) > MAX_NODES {
            self.failed = Some(
                Diagnostic::error(
                    Code::YamlTooMuch,
                    format!("aliases expand to more than {MAX_NODES} values"),
                    span,
                    "the limit is exceeded here",
                )
                .and_at(Span { end: node.span.start.saturating_add(1), ..node.span }, "its anchor")
                .help("write the values without aliases"),
            );
            return;
        }
        self.attach(Rc::new(node.aliased(span)));
    }

    /// Pairs keys and values to entries. `<<` adds the entries of other mappings whose keys are not given.
    fn entries(&mut self, items: &[Rc<Node>], findings: &mut Findings) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut merges = Vec::new();
        for pair in items.chunks_exact(2) {
            let entry = Entry { key: pair[0].clone(), value: pair[1].clone() };
            let Some(key) = entry.key.text().map(str::to_owned) else {
                findings.push(
                    Diagnostic::error(
                        Code::YamlMalformed,
                        "a key must be a scalar",
                        entry.key.span,
                        "a list or mapping",
                    )
                    .help("as `start_epoch: 0`"),
                );
                continue;
            };
            if key == "<<" {
                merges.push(entry);
                continue;
            }
            if let Some(first) = seen.get(&key) {
                let message = format!("`{key}` is given twice");
                let diagnostic = Diagnostic::error(Code::YamlKeyTwice, message, entry.key.span, "again");
                findings.push(diagnostic.and_at(*first, "first").help(twice(&key)));
                continue;
            }
            seen.insert(key, entry.key.span);
            entries.push(entry);
        }
        for merge in merges {
            merge.value.mark.used();
            for source in merged(&merge.value) {
                for entry in source.entries() {
                    self.merged += 1;
                    let key = entry.key.text().unwrap_or("");
                    if !seen.contains_key(key) {
                        seen.insert(key.to_owned(), entry.key.span);
                        entries.push(entry.clone());
                    }
                }
            }
            if self.merged > MAX_NODES {
                self.failed = Some(
                    Diagnostic::error(
                        Code::YamlTooMuch,
                        "merges add too many values",
                        merge.key.span,
                        "here",
                    )
                    .help("write the values without aliases"),
                );
                break;
            }
            if let Some(other) = merged(&merge.value).into_iter().find(|n| !matches!(n.value, Value::Map(_)))
            {
                let message = "`<<` merges mappings only";
                let diagnostic = Diagnostic::error(Code::YamlMalformed, message, other.span, "not a mapping");
                findings.push(diagnostic.help("as `<<: *name`, where `&name` is the anchor of a mapping"));
            }
        }
        entries
    }

    fn malformed(&self, error: &ScanError) -> Diagnostic {
        let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        let line_start = self.text[..floor(self.text, at)].rfind('\n').map_or(0, |n| n + 1);
        let indent = &self.text[line_start..];
        let tab = indent.len() - indent.trim_start_matches([' ', '\t']).len();
        let tab = self.text[line_start..line_start + tab].find('\t');
        let (at, label, help) = match tab {
            Some(tab) => {
                (line_start + tab, "a tab".to_owned(), "indent with spaces; YAML forbids tabs there")
            }
            None => (
                floor(self.text, at),
                "here".to_owned(),
                "check the indentation, quotes and brackets around this place",
            ),
        };
        let length = self.text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        let span = Span::new(self.file, at + self.base..at + length + self.base);
        Diagnostic::error(Code::YamlMalformed, format!("invalid YAML: {}", error.info()), span, label)
            .help(help)
    }
}

/// The help for a key that is given twice.
fn twice(key: &str) -> &'static str {
    if key.ends_with("Modifier") {
        "put one into a separate group; SparseML keeps the last and ignores the first silently"
    } else if key.contains("modifiers") {
        "give one another key with `modifiers` in it; PyYAML keeps the last group and ignores the first"
    } else {
        "remove one; PyYAML keeps the last silently"
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The mappings of a merge: one, or a list of them.
fn merged(value: &Rc<Node>) -> Vec<Rc<Node>> {
    match &value.value {
        Value::List(items) => items.clone(),
        _ => vec![value.clone()],
    }
}
