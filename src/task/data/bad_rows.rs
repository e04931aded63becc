//! Unusable rows: an error that shows the first and counts all, or left out with a note (`--skip-bad`).

use crate::diag::{Code, Diagnostic, Sources, agreeing, counted};

use super::table::Table;

/// The number of rows or questions that a message lists.
const LISTED: usize = 3;

/// Handles the unusable rows of a table.
pub struct BadRows<'a> {
    table: &'a Table,
    skip: bool,
}

impl<'a> BadRows<'a> {
    /// Unusable rows are left out if `skip`, otherwise an error.
    pub fn new(table: &'a Table, skip: bool) -> Self {
        BadRows { table, skip }
    }

    /// Handles rows with more or fewer cells than there are columns: lines and numbers of cells. `known` says that the
    /// data set is known to have such rows.
    ///
    /// # Errors
    /// They are neither known nor skipped.
    pub fn uneven(
        &self,
        rows: &[(usize, usize)],
        known: bool,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<(), Diagnostic> {
        let Some((first, cells)) = rows.first() else { return Ok(()) };
        let (path, columns) = (self.table.path().display(), self.table.columns().len());
        let count = rows.len();
        if known || self.skip {
            let lines: Vec<usize> = rows.iter().map(|(line, _)| *line).collect();
            let place = self.listed(&lines);
            let rows = counted(count, "row", "rows");
            let (have, are) = (agreeing(&count, "has", "have"), agreeing(&count, "is", "are"));
            notes.push(format!("{rows} of `{path}` {have} more or fewer cells than there are columns and {are} left out: {place}"));
            return Ok(());
        }
        let more = match count - 1 {
            0 => String::new(),
            more => {
                let others = counted(more, "other row does", "other rows do");
                format!(" ({others} not have {columns} either)")
            }
        };
        let message = format!("line {first} of `{path}` has {cells} cells in place of {columns}{more}");
        let help = match cells > &columns {
            true => {
                "is a separator within a text? quote that cell, with the quote directly after the separator; or leave such rows out: `--skip-bad`"
            }
            false => {
                "was the file cut off? every row needs as many cells as the first; `--skip-bad` leaves others out"
            }
        };
        Err(self.table.error(Code::RowUnusable, message, *first, "this row", sources).help(help))
    }

    /// Handles rows with one kind of fault.
    ///
    /// # Errors
    /// They are not skipped.
    pub fn unusable(
        &self,
        lines: &[usize],
        what: &str,
        help: &str,
        sources: &mut Sources,
        notes: &mut Vec<String>,
    ) -> Result<(), Diagnostic> {
        let Some(first) = lines.first() else { return Ok(()) };
        let (path, unit) = (self.table.path().display(), self.table.unit());
        if self.skip {
            let (count, place) = (lines.len(), self.listed(lines));
            let rows = counted(count, "row", "rows");
            let why = agreeing(&count, "is left out because it", "are left out because each");
            notes.push(format!("{rows} of `{path}` {why} {what}: {place}"));
            return Ok(());
        }
        let more = match lines.len() - 1 {
            0 => String::new(),
            more => format!(" (and {})", counted(more, "other row", "other rows")),
        };
        let message = format!("{unit} {first} of `{path}` {what}{more}");
        Err(self
            .table
            .error(Code::RowUnusable, message, *first, "this row", sources)
            .help(format!("{help}; or leave such rows out: `--skip-bad`")))
    }

    fn listed(&self, lines: &[usize]) -> String {
        listed(self.table.unit(), lines.iter().map(usize::to_string))
    }
}

/// `lines 3, 8, 9 and more`.
pub(super) fn listed(unit: &str, items: impl ExactSizeIterator<Item = String>) -> String {
    let count = items.len();
    let shown: Vec<String> = items.take(LISTED).collect();
    let more = if count > LISTED { " and more" } else { "" };
    let several = agreeing(&count, "", "s");
    format!("{unit}{several} {}{more}", shown.join(", "))
}
