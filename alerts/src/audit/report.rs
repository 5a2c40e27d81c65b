//! The report for an auditor: what was in force, how much of the time, what was refused, what was let through and why.
//!
//! A [`Builder`] reads the records of one or several trails in order and makes a [`Report`], a value that a renderer turns into
//! HTML, PDF, Markdown, CSV or JSON. Invariants: the same records, period and seed give the same bytes; every figure comes from
//! records, and a time about which no record speaks is called unknown. Not here: whether the records are genuine (`verify`),
//! signing, files.

mod build;
mod coverage;
mod decisions;
mod document;
mod exemptions;
mod html;
mod in_force;
mod markdown;
mod model;
mod pdf;
mod sample;
mod style;
mod svg;
mod table;
mod world;

pub use build::Builder;
pub use decisions::{Counts, Row};
pub use model::{Exemption, HostCoverage, Interval, Period, Report, Span, State, TrailFacts};

/// What a report can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One file, with charts, for reading and printing.
    Html,
    /// For filing.
    Pdf,
    /// For other programs.
    Json,
    /// The decisions, a line each.
    Csv,
    /// For tickets and wikis.
    Markdown,
}

/// The report as bytes.
#[must_use]
pub fn render(report: &Report, format: Format) -> Vec<u8> {
    match format {
        Format::Html => html::html(report).into_bytes(),
        Format::Pdf => pdf::pdf(report),
        Format::Json => {
            // The model has string keys and no numbers that JSON lacks.
            let text = serde_json::to_string_pretty(report).unwrap_or_default();
            (text + "\n").into_bytes()
        }
        Format::Csv => table::csv(report).into_bytes(),
        Format::Markdown => markdown::markdown(report).into_bytes(),
    }
}

/// What a report's signature is for.
pub const PURPOSE: &str = "sentinel-audit-report-v1";
