//! Charts as SVG: the timeline of each host, the world, bars. Every figure in them is in a table as well.

use std::collections::BTreeSet;

use super::{
    html::escape,
    model::{HostCoverage, Period, Report},
    world,
};

/// Width of charts.
const WIDTH: f64 = 1000.0;
/// Countries that the bars show.
const BARS: usize = 20;

/// One band for each host, and an axis.
pub(super) fn timeline(report: &Report) -> String {
    let height = 30 * report.hosts.len() + 30;
    let mut svg = format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 1000 {height}\" aria-labelledby=\"tl-t tl-d\">\
         <title id=\"tl-t\">Coverage over the period</title><desc id=\"tl-d\">One band for each host; the table below says the \
         same in words.</desc>\n"
    );
    for (index, host) in report.hosts.iter().enumerate() {
        svg += &band(host, &report.period, 30 * index);
    }
    svg += &axis(&report.period, height - 22);
    svg + "</svg>\n"
}

fn place(period: &Period, at: jiff::Timestamp) -> f64 {
    let whole = (period.to.as_millisecond() - period.from.as_millisecond()).max(1);
    (at.as_millisecond() - period.from.as_millisecond()) as f64 / whole as f64 * WIDTH
}

fn band(host: &HostCoverage, period: &Period, top: usize) -> String {
    let mut svg = String::new();
    for span in &host.timeline {
        let (from, to) = (place(period, span.from), place(period, span.to));
        // What is short must still be seen.
        let width = (to - from).max(1.0);
        let state = span.state.as_str();
        let label =
            escape(&format!("{}: {state} from {} to {}. {}", host.host, span.from, span.to, span.reasons.join("; ")));
        svg += &format!(
            "<rect class=\"s-{state}\" x=\"{from:.2}\" y=\"{}\" width=\"{width:.2}\" height=\"18\"><title>{label}</title></rect>\n",
            top + 4
        );
    }
    svg + &format!("<text class=\"lbl\" x=\"4\" y=\"{}\">{}</text>\n", top + 17, escape(&host.host))
}

fn axis(period: &Period, top: usize) -> String {
    let tick = |part: i64| {
        let whole = period.to.as_millisecond() - period.from.as_millisecond();
        let at =
            jiff::Timestamp::from_millisecond(period.from.as_millisecond() + whole * part / 4).unwrap_or(period.from);
        let text = at.strftime("%Y-%m-%d %H:%M").to_string();
        let anchor = match part {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        format!("<text class=\"axis\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>\n", part * 250, top + 14)
    };
    (0..=4).map(tick).collect()
}

/// Countries that a list in force in the period names.
pub(super) fn listed(report: &Report) -> BTreeSet<String> {
    let rules = report.listed.iter();
    rules.map(|place| place.split('-').next().unwrap_or_default().to_owned()).collect()
}

/// How strongly a country is coloured: 0 to 4.
pub(super) fn shade(report: &Report, code: &str) -> usize {
    let acted = report.by.get("country").and_then(|by| by.get(code)).map_or(0, super::Counts::acted);
    match acted {
        0 => 0,
        1..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        _ => 4,
    }
}

/// The world: what is listed, and where to things were refused.
pub(super) fn map(report: &Report) -> String {
    let (width, height) = world::SIZE;
    let listed = listed(report);
    let mut svg = format!(
        "<svg class=\"chart map\" role=\"img\" viewBox=\"0 0 {width} {height}\" aria-labelledby=\"map-t map-d\">\
         <title id=\"map-t\">Destinations of decisions</title><desc id=\"map-d\">Countries on a list are outlined; the darker, \
         the more events were refused, would have been, or were let through by an exemption. The table by country has the \
         figures.</desc>\n"
    );
    // What is outlined comes last, so that no neighbour covers the outline.
    let mut all: Vec<(bool, &str, &str)> =
        world::countries().map(|(code, path)| (listed.contains(code), code, path)).collect();
    all.sort_by_key(|(listed, code, _)| (*listed, *code));
    for (listed, code, path) in all {
        let shade = shade(report, code);
        let class = if listed { format!("c{shade} l") } else { format!("c{shade}") };
        let note = if listed || shade > 0 { format!("<title>{code}</title>") } else { String::new() };
        svg += &format!("<path id=\"map-{code}\" class=\"{class}\" d=\"{path}\">{note}</path>\n");
    }
    svg + "</svg>\n"
}

/// The countries with the most decisions, the most first.
pub(super) fn ranking(report: &Report) -> Vec<(&str, u64)> {
    let of = |(code, counts)| (String::as_str(code), super::Counts::acted(counts));
    let mut all: Vec<(&str, u64)> = report.by.get("country").into_iter().flatten().map(of).collect();
    all.retain(|(_, acted)| *acted > 0);
    all.sort_by_key(|(code, acted)| (std::cmp::Reverse(*acted), *code));
    all.truncate(BARS);
    all
}

/// The same as bars.
pub(super) fn bars(report: &Report) -> String {
    let all = ranking(report);
    let Some((_, most)) = all.first().copied() else { return String::new() };
    let height = 20 * all.len() + 4;
    let mut svg = format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 1000 {height}\" aria-labelledby=\"bar-t\"><title id=\"bar-t\">Decisions \
         by country</title>\n"
    );
    for (index, (code, acted)) in all.iter().enumerate() {
        let (top, width) = (20 * index, *acted as f64 / most as f64 * 840.0);
        svg += &format!(
            "<text class=\"axis\" x=\"0\" y=\"{}\">{}</text><rect class=\"bar\" x=\"50\" y=\"{}\" width=\"{width:.2}\" \
             height=\"14\"/><text class=\"axis\" x=\"{:.2}\" y=\"{}\">{acted}</text>\n",
            top + 14,
            escape(code),
            top + 3,
            width + 56.0,
            top + 14
        );
    }
    svg + "</svg>\n"
}
