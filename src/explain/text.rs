//! Layout of pages for a terminal.

/// The longest line of prose, in characters.
const WIDTH: usize = 100;

/// A page under construction.
pub(crate) struct Text {
    out: String,
    color: bool,
}

impl Text {
    /// An empty page, with ANSI colours or without.
    pub(crate) fn new(color: bool) -> Self {
        Text { out: String::new(), color }
    }

    /// Adds a heading.
    pub(crate) fn heading(&mut self, text: &str) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        let text = if self.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
        self.out.push_str(&format!("{text}\n\n"));
    }

    /// Adds a rule between two pages.
    pub(crate) fn rule(&mut self) {
        self.out.push_str(&format!("{}\n\n", "─".repeat(WIDTH)));
    }

    /// Adds a paragraph, wrapped.
    pub(crate) fn prose(&mut self, text: &str) {
        self.wrapped(text, "", "");
        self.out.push('\n');
    }

    /// Adds code, indented.
    pub(crate) fn code(&mut self, code: &str) {
        for line in code.lines() {
            let line = format!("    {line}");
            self.out.push_str(line.trim_end());
            self.out.push('\n');
        }
        self.out.push('\n');
    }

    /// Adds a name and its paragraphs: the first beside it, the others below.
    pub(crate) fn row(&mut self, name: &str, column: usize, paragraphs: &[String]) {
        let indent = " ".repeat(column + 4);
        let first = format!("  {name:<column$}  ");
        let first = if name.chars().count() > column {
            self.out.push_str(&format!("  {name}\n"));
            indent.clone()
        } else {
            first
        };
        for (i, paragraph) in paragraphs.iter().filter(|p| !p.is_empty()).enumerate() {
            self.wrapped(paragraph, if i == 0 { &first } else { &indent }, &indent);
        }
    }

    /// Adds rows with a common width of names, and a blank line.
    pub(crate) fn rows(&mut self, rows: &[(String, Vec<String>)]) {
        let widest = rows.iter().map(|(name, _)| name.chars().count()).filter(|n| *n <= 26).max();
        for (name, paragraphs) in rows {
            self.row(name, widest.unwrap_or(8).max(8), paragraphs);
        }
        self.out.push('\n');
    }

    /// The page with one newline at its end.
    pub(crate) fn finish(self) -> String {
        format!("{}\n", self.out.trim_end())
    }

    fn wrapped(&mut self, text: &str, first: &str, indent: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.out.push_str(&format!("{}\n", line.trim_end()));
                line = indent.to_owned();
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.out.push_str(&format!("{}\n", line.trim_end()));
    }
}
