//! The HTML page: one file, without scripts and external files.

use std::fmt::Display;

use crate::plan::svg;

/// The style sheet, for light and dark mode, wide screens and phones.
const STYLE: &str = include_str!("page.css");

/// The page. Elements are closed as in XML, so that a test can parse it.
pub fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         </body>\n</html>\n"
    )
}

/// A section with a heading; empty if its body is empty.
pub fn section(id: &str, heading: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<section id=\"{id}\">\n<h2>{heading}</h2>\n{content}</section>\n", heading = escaped(heading))
}

/// A table that scrolls where it is wider than the screen. The first column names the row; the columns from
/// `figures` on hold numbers and are right-aligned. Cells are HTML.
pub fn table(titles: &[String], rows: &[Vec<String>], figures: usize) -> String {
    let mut text = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    let class = |i: usize| if i >= figures { " class=\"figure\"" } else { "" };
    for (i, title) in titles.iter().enumerate() {
        text.push_str(&format!("<th scope=\"col\"{}>{title}</th>", class(i)));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let tag = if i == 0 { "th scope=\"row\"" } else { "td" };
            let end = if i == 0 { "th" } else { "td" };
            text.push_str(&format!("<{tag}{}>{cell}</{end}>", class(i)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table></div>\n");
    text
}

/// A list of names and values. Values are HTML.
pub fn facts(rows: &[(&str, String)]) -> String {
    let mut text = String::from("<dl class=\"facts\">\n");
    for (name, value) in rows {
        text.push_str(&format!("<div><dt>{}</dt><dd>{value}</dd></div>\n", escaped(name)));
    }
    text.push_str("</dl>\n");
    text
}

/// Preformatted text in a scrolling box.
pub fn verbatim(text: &str) -> String {
    format!("<pre>{}</pre>\n", escaped(text))
}

/// Escapes text for elements and attributes.
pub fn escaped(text: impl Display) -> String {
    svg::escaped(&text.to_string())
}
