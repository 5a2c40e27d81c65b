//! The formats an alert is written in, all made from one: the ECS object, which holds everything that is known.
//!
//! Invariants: a format is a pure function of the ECS object, so that it can be made long after the alert was, from what
//! the spool has kept; one line for one alert; what has no place in a format is left out or goes where that format puts
//! the rest, never into a field that means something else.
//!
//! Not here: making the ECS object of an alert (`formats/ecs.rs`), and which sink takes which format (`sinks/`).

mod cef;
mod ecs;
mod falco;
mod fields;
mod ocsf;
mod rfc5424;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

pub use cef::to_cef;
pub use ecs::{ECS_VERSION, SCHEMA_VERSION, join_facts, to_ecs_line};
pub use falco::to_falco;
pub use ocsf::{OCSF_VERSION, to_ocsf};
pub use rfc5424::{Facility, to_rfc5424};

use crate::terms::UnknownTerm;

/// The product as formats name it.
const PRODUCT: &str = "Sentinel";
/// Its version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A format of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Elastic Common Schema 9, the native one.
    #[default]
    Ecs,
    /// Open Cybersecurity Schema Framework 1.8.
    Ocsf,
    /// The JSON that Falco writes, for what reads that (Falcosidekick).
    Falco,
    /// Common Event Format, version 0.
    Cef,
}

impl Format {
    /// Every format.
    pub const ALL: &[Self] = &[Self::Ecs, Self::Ocsf, Self::Falco, Self::Cef];

    /// Its name in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Falco => "falco",
            Self::Cef => "cef",
        }
    }

    /// Whether a line of it is a JSON object.
    #[must_use]
    pub const fn is_json(self) -> bool {
        match self {
            Self::Ecs | Self::Ocsf | Self::Falco => true,
            Self::Cef => false,
        }
    }

    /// The line of an alert whose ECS line is given. What is no JSON stays as it is: it was no alert.
    #[must_use]
    pub fn line(self, ecs: &str) -> Cow<'_, str> {
        let make = match self {
            Self::Ecs => return Cow::Borrowed(ecs),
            Self::Ocsf => to_ocsf,
            Self::Falco => to_falco,
            Self::Cef => to_cef,
        };
        match serde_json::from_str::<Value>(ecs) {
            Ok(alert) => Cow::Owned(make(&alert)),
            Err(_) => Cow::Borrowed(ecs),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownTerm;

    fn from_str(word: &str) -> Result<Self, UnknownTerm> {
        Self::ALL.iter().copied().find(|format| format.as_str() == word).ok_or_else(|| UnknownTerm {
            what: "format of alerts",
            found: word.to_owned(),
            expected: Self::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}
