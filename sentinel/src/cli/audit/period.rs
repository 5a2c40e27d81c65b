//! `--from` and `--to`.

use anyhow::{Context as _, Result, bail};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use alerts::audit::report::Period;

/// A period of the command line; without an end it goes up to now.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Span {
    /// First moment: a date (UTC) or a time in RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// The end, which is not in it: a date (UTC) or a time in RFC 3339; default: now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

impl Span {
    /// The period that it means.
    pub(super) fn period(&self) -> Result<Period> {
        let from = moment(&self.from).context("--from")?;
        let to = self.to.as_deref().map_or_else(|| Ok(Timestamp::now()), moment).context("--to")?;
        if from >= to {
            bail!("--from {from} is not before --to {to}");
        }
        if to > Timestamp::now() {
            bail!("--to {to} is in the future, of which no trail can speak");
        }
        Ok(Period { from, to })
    }
}

fn moment(text: &str) -> Result<Timestamp> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == 10
    {
        return Ok(date.to_zoned(TimeZone::UTC)?.timestamp());
    }
    text.parse().with_context(|| format!("{text:?} is no date like 2026-03-01 and no time like 2026-03-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_utc() {
        assert_eq!(moment("2026-03-01").unwrap(), moment("2026-03-01T00:00:00Z").unwrap());
        assert_eq!(moment("2026-03-01T01:00:00+01:00").unwrap(), moment("2026-03-01").unwrap());
        for text in ["", "March", "2026-13-01", "2026-03-01 00:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
        let span = |from: &str, to: &str| Span { from: from.to_owned(), to: Some(to.to_owned()) };
        assert!(span("2020-03-02", "2020-03-01").period().is_err());
        assert!(span("2020-03-01", "2020-03-02").period().is_ok());
    }
}
