//! The report as PDF: text in a font that every reader has, charts as lines and areas, one content stream a page.
//!
//! Invariants: no date and no id, so that the same report gives the same bytes; text is text, so it can be searched and copied.
//! Letters beyond Latin-1 are shown as a question mark; the HTML form has them. Not here: what is said (`document`).

mod file;
mod page;

use super::{
    document::{Block, sections},
    model::{HostCoverage, Report, State},
    svg, world,
};
use page::{BOLD, Color, LEFT, Layout, PLAIN, WIDTH};

const INK: Color = (0.11, 0.12, 0.14);

/// The whole file.
pub(super) fn pdf(report: &Report) -> Vec<u8> {
    let title = format!("Sentinel: evidence report, {} to {}", report.period.from, report.period.to);
    let mut layout = Layout::new(&title);
    layout.text(BOLD, 16.0, &title);
    for (index, section) in sections(report).iter().enumerate() {
        // The short parts at the beginning share a page.
        if index > 2 {
            layout.new_page();
        }
        layout.space(8.0);
        layout.text(BOLD, 13.0, section.title);
        section.blocks.iter().for_each(|block| draw(&mut layout, report, block));
    }
    file::write(&title, &layout.finish())
}

fn draw(layout: &mut Layout, report: &Report, block: &Block) {
    match block {
        Block::Text(text) => layout.text(PLAIN, 9.5, text),
        Block::Statement(text) => layout.text(BOLD, 10.5, text),
        Block::Items(items) => items.iter().for_each(|item| layout.text(PLAIN, 9.5, &format!("- {item}"))),
        Block::Table { caption, head, rows } => layout.table(caption, head, rows),
        Block::Timeline => timeline(layout, report),
        Block::Map => map(layout, report),
        Block::Bars => bars(layout, report),
    }
}

const fn color(state: State) -> Color {
    match state {
        State::Enforcing => (0.10, 0.50, 0.22),
        State::Partial => (0.75, 0.53, 0.0),
        State::Monitoring => (0.04, 0.41, 0.85),
        State::Off => (0.81, 0.13, 0.18),
        State::Unknown => (0.55, 0.58, 0.62),
    }
}

fn timeline(layout: &mut Layout, report: &Report) {
    layout.need(20.0 * report.hosts.len() as f64 + 40.0);
    let mut x = LEFT;
    let top = layout.take(14.0);
    for state in State::ALL {
        layout.area(color(state), (x, top + 2.0, 9.0, 9.0));
        layout.label(INK, (x + 13.0, top + 3.0), 8.5, state.as_str());
        x += 90.0;
    }
    report.hosts.iter().for_each(|host| band(layout, report, host));
}

fn band(layout: &mut Layout, report: &Report, host: &HostCoverage) {
    let bottom = layout.take(20.0);
    let whole = (report.period.to.as_millisecond() - report.period.from.as_millisecond()).max(1) as f64;
    let place =
        |at: jiff::Timestamp| (at.as_millisecond() - report.period.from.as_millisecond()) as f64 / whole * WIDTH;
    for span in &host.timeline {
        let (from, to) = (place(span.from), place(span.to));
        layout.area(color(span.state), (LEFT + from, bottom + 3.0, (to - from).max(0.4), 14.0));
    }
    layout.label((1.0, 1.0, 1.0), (LEFT + 4.0, bottom + 7.0), 9.0, &host.host);
}

fn map(layout: &mut Layout, report: &Report) {
    const SHADES: [Color; 5] =
        [(0.90, 0.91, 0.92), (0.96, 0.78, 0.72), (0.93, 0.54, 0.44), (0.81, 0.29, 0.21), (0.55, 0.10, 0.07)];
    let scale = WIDTH / f64::from(world::SIZE.0);
    let height = f64::from(world::SIZE.1) * scale;
    layout.need(height + 30.0);
    let bottom = layout.take(height + 8.0);
    let listed = svg::listed(report);
    let mut all: Vec<(bool, &str, &str)> =
        world::countries().map(|(code, path)| (listed.contains(code), code, path)).collect();
    all.sort_by_key(|(listed, code, _)| (*listed, *code));
    for (listed, code, path) in all {
        let line = if listed { INK } else { (1.0, 1.0, 1.0) };
        let width = if listed { 0.9 } else { 0.3 };
        for ring in world::rings(path) {
            let points: Vec<(f64, f64)> = ring
                .into_iter()
                .map(|(x, y)| (LEFT + f64::from(x) * scale, bottom + height - f64::from(y) * scale))
                .collect();
            layout.shape(SHADES[svg::shade(report, code)], line, width, &points);
        }
    }
    layout.text(
        PLAIN,
        8.5,
        "Outlined: on a list in the period. The darker, the more decisions (1, 10, 100, 1000 and more).",
    );
}

fn bars(layout: &mut Layout, report: &Report) {
    let all = svg::ranking(report);
    let Some((_, most)) = all.first() else { return };
    for (code, acted) in &all {
        let bottom = layout.take(14.0);
        layout.label(INK, (LEFT, bottom + 4.0), 9.0, code);
        let width = *acted as f64 / *most as f64 * (WIDTH - 120.0);
        layout.area(color(State::Off), (LEFT + 30.0, bottom + 2.0, width, 10.0));
        layout.label(INK, (LEFT + 36.0 + width, bottom + 4.0), 9.0, &acted.to_string());
    }
}
