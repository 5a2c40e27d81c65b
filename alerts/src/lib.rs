//! The alert, the formats it is written in, and the sinks it goes to.
//!
//! The path of an alert: the daemon fills in [`AlertParts`], the [`Sequencer`] makes an [`Alert`] of them, a pure
//! function such as [`to_ecs_line`] turns that into one line of text, and a [`SinkSet`] delivers the line.
//!
//! Invariants: an alert is never changed once it is made; a format is a pure function of the alert; `send` never waits
//! for a sink; a line that is not delivered is counted where it is lost, with its cause.
//!
//! Not here: how an event is built or decided (the daemon and `rules`), and what a country is (`geoip`). This crate
//! knows neither of them.
#![forbid(unsafe_code)]

mod alert;
pub mod audit;
mod formats;
mod redact;
mod sequence;
mod sinks;
mod terms;

pub use alert::{
    Alert, AlertParts, EntryWritten, Exemption, Geo, GeoDatabase, GeoVote, ListRef, MAX_ANCESTORS, RuleHit, Technique,
};
pub use formats::{
    ECS_VERSION, Facility, Format, OCSF_VERSION, SCHEMA_VERSION, join_facts, to_cef, to_ecs_line, to_falco, to_ocsf,
    to_rfc5424,
};
pub use redact::{PatternError, REDACTED, Redactor};
pub use sequence::Sequencer;

/// JSON Schema of the object `sentinel`, in force as long as [`SCHEMA_VERSION`] is 1.
pub const ALERT_SCHEMA: &str = include_str!("../schema/sentinel-1.json");
pub use sinks::{DEFAULT_QUEUE_BYTES, Lost, Sink, SinkError, SinkSet, SinkState, SinkStatus};
pub use terms::{Action, DecidedIn, Decision, Effect, Mode, Severity, UnknownTerm, Verb};
