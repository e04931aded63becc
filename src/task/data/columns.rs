//! Looks up the columns of a table by name, with errors that show its header.

use crate::diag::{Code, Diagnostic, Sources, nearest};

use super::files::FileRow;
use super::table::{Content, Table};

impl Table {
    /// The first of `names` that is a column. `what` describes its content in messages.
    ///
    /// # Errors
    /// None of the names is a column, or several columns have the name.
    pub fn first_of<'a>(
        &self,
        names: &[&'a str],
        what: &str,
        sources: &mut Sources,
    ) -> Result<&'a str, Diagnostic> {
        let count = |name: &str| self.columns.iter().filter(|c| *c == name).count();
        let columns = self.columns.join(", ");
        if let Some(name) = names.iter().find(|name| count(name) > 0) {
            if count(name) == 1 {
                return Ok(name);
            }
            let message = format!("`{}` has {} columns called `{name}`", self.path.display(), count(name));
            return Err(self
                .header_error(Code::ColumnTwice, message, name, sources)
                .help("only one can be read: give the others another name"));
        }
        let wanted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
        let near = names.iter().find_map(|n| nearest(n, self.columns.iter().map(String::as_str)));
        let help = match near {
            _ if self.separator().is_some() => format!(
                "the cells seem to be separated by {}: separate them by commas in a .csv file, by tabs in a .tsv file",
                self.separator().unwrap_or_default()
            ),
            Some(near) => format!("did you mean `{near}`? its columns are {columns}"),
            None => format!("its columns are {columns}"),
        };
        let message =
            format!("`{}` has no column {} for the {what}", self.path.display(), wanted.join(" or "));
        Err(self.header_error(Code::ColumnMissing, message, "", sources).help(help))
    }

    /// The delimiter of a file that was read as one column, if its header contains another delimiter.
    fn separator(&self) -> Option<&'static str> {
        let [only] = self.columns.as_slice() else { return None };
        let known = [(';', "semicolons"), ('\t', "tabs"), (',', "commas"), ('|', "bars")];
        let is_table = matches!(self.content, Content::Delimited(_));
        known.iter().find(|(c, _)| is_table && only.contains(*c)).map(|(_, name)| *name)
    }

    /// An error that shows the header; with a `name`, its last occurrence.
    fn header_error(&self, code: Code, message: String, name: &str, sources: &mut Sources) -> Diagnostic {
        let columns = self.columns.join(", ");
        let (line, text) = match self.content {
            Content::Delimited(_) => {
                let lines = self.text.lines().enumerate();
                let mut lines = lines.filter(|(_, line)| !line.trim().is_empty());
                lines.next().map_or((1, ""), |(i, line)| (i + 1, line))
            }
            _ => (1, columns.as_str()),
        };
        let at = text.rfind(name).filter(|_| !name.is_empty());
        let bytes = at.map_or(0..text.len(), |at| at..at + name.len());
        FileRow { path: &self.path, line, text }.error_at(bytes, code, message, "the columns", sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_is_named_with_the_nearest_one_and_a_double_one_is_refused() {
        let first = |name: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mut sources = Sources::new();
            let table = Table::read(&path, &mut sources).unwrap();
            let error = table.first_of(&["label"], "label", &mut sources).unwrap_err();
            let place = sources.line_column(error.primary.unwrap().span);
            (error.code, error.help.unwrap(), (place.line, place.column))
        };
        let near = "did you mean `lable`? its columns are sentence1, lable";
        assert_eq!(first("t.tsv", "sentence1\tlable\nx\ty\n"), (Code::ColumnMissing, near.into(), (1, 1)));
        let (code, help, _) = first("t.csv", "text;label\nx;1\n");
        assert!(code == Code::ColumnMissing && help.contains("semicolons"), "{help}");
        let (code, _, place) = first("t.csv", "text,label,label\nx,1,2\n");
        assert_eq!((code, place), (Code::ColumnTwice, (1, 12)));
    }
}
