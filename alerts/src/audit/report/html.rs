//! The report as one HTML file: no script, no network, nothing outside of it.

use super::{
    document::{Block, Section, sections},
    model::{Report, State},
    style::STYLE,
    svg,
};

/// The whole file.
pub(super) fn html(report: &Report) -> String {
    let title = format!("Sentinel: evidence report, {} to {}", report.period.from, report.period.to);
    let body: String = sections(report).iter().map(|section| part(report, section)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{0}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<main>\n<h1>{0}</h1>\n{body}</main>\n</body>\n</html>\n",
        escape(&title)
    )
}

fn part(report: &Report, section: &Section) -> String {
    let blocks: String = section.blocks.iter().map(|block| block_html(report, block)).collect();
    format!("<section>\n<h2>{}</h2>\n{blocks}</section>\n", escape(section.title))
}

fn block_html(report: &Report, block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Statement(text) => format!("<p class=\"statement\">{}</p>\n", escape(text)),
        Block::Items(items) => {
            let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
            format!("<ul>\n{items}</ul>\n")
        }
        Block::Table { caption, head, rows } => table(caption, head, rows),
        Block::Timeline => legend() + &svg::timeline(report),
        Block::Map => svg::map(report),
        Block::Bars => svg::bars(report),
    }
}

fn legend() -> String {
    let key = |state: &State| format!("<span class=\"key s-{0}\"></span>{0}", state.as_str());
    format!("<p>{}</p>\n", State::ALL.iter().map(key).collect::<String>())
}

fn table(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", escape(cell))).collect();
    let row = |row: &Vec<String>| {
        let cells: String = row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = rows.iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        escape(caption)
    )
}

/// Text that is nothing else to HTML, in content and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
