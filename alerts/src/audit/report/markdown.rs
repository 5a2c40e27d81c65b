//! The report in Markdown, charts as tables.

use super::{
    document::{Block, sections},
    model::Report,
};

/// The report as one page.
pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from("# Sentinel: evidence report\n");
    for section in sections(report) {
        text += &format!("\n## {}\n", section.title);
        section.blocks.iter().for_each(|block| text += &block_text(block));
    }
    text
}

fn block_text(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("\n{}\n", escape(text)),
        Block::Statement(text) => format!("\n**{}**\n", escape(text)),
        Block::Items(items) => {
            let lines: String = items.iter().map(|item| format!("- {}\n", escape(item))).collect();
            format!("\n{lines}")
        }
        Block::Table { caption, head, rows } => {
            let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
            let rule = line(head.iter().map(|_| "---".to_owned()).collect());
            let body: String = rows.iter().map(|row| line(row.iter().map(|cell| escape(cell)).collect())).collect();
            format!(
                "\n{}\n\n{}{rule}{body}",
                escape(caption),
                line(head.iter().map(|cell| (*cell).to_owned()).collect())
            )
        }
        // What they draw is in the tables below them.
        Block::Timeline | Block::Map | Block::Bars => String::new(),
    }
}

/// Text that means nothing to Markdown or HTML.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' => out.extend(['\\', letter]),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}
