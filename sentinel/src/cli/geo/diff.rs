//! `sentinel geo diff`: what a new database changes, by country, and whether it would be refused.

use std::{cmp::Reverse, path::PathBuf, process::ExitCode};

use anyhow::Result;
use geoip::{Amount, Change, Comparison, Database, Place};

use super::built;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The database in force.
    old: PathBuf,
    /// The one that is to take its place.
    new: PathBuf,
    /// Show regions too, not only countries and the regions under embargo that shrink.
    #[arg(long)]
    regions: bool,
}

/// Prints the table; exit code 1 when the new database would be refused.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let comparison = geoip::compare(&Database::open(&args.old)?, &Database::open(&args.new)?);
    print!("{}", table(&comparison, args.regions));
    match comparison.refusal() {
        None => Ok(ExitCode::SUCCESS),
        Some(refusal) => {
            println!("refused: {refusal}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Countries by how much changes, the most first; `!` marks what shrinks by a fifth or more.
fn table(comparison: &Comparison, regions: bool) -> String {
    let shrunken: Vec<Place> = comparison.shrunken().map(|(place, ..)| place).collect();
    let shown = |change: &&Change| {
        let wanted = regions || matches!(change.place, Place::Country(_)) || shrunken.contains(&change.place);
        wanted && change.is_any()
    };
    let mut changes: Vec<&Change> = comparison.changes.iter().filter(shown).collect();
    changes.sort_by_key(|change| {
        (Reverse(change.v4.gained + change.v4.lost), Reverse(change.v6.gained.saturating_add(change.v6.lost)))
    });
    let mut out = String::new();
    for (word, info) in [("old", &comparison.old), ("new", &comparison.new)] {
        out += &format!("{word}  {}  {}  built {}\n", info.source, info.database_type, built(info));
    }
    out += &heading();
    for change in &changes {
        let mark = if shrunken.contains(&change.place) { "!" } else { " " };
        out += &row(&format!("{mark} {}", change.place), &change.v4, &change.v6);
    }
    let known = comparison.changes.iter().filter(|change| matches!(change.place, Place::Country(_)));
    let (v4, v6) = totals(comparison, known);
    out += &row("  total", &v4, &v6);
    let moved = format!("{} IPv4 addresses and {} IPv6 /48s", comparison.moved_v4, nets48(comparison.moved_v6));
    out += &format!("{} places change; {moved} move from one country to another\n", changes.len());
    out
}

/// Addresses that have any country, and the prefixes of all countries together.
fn totals<'a>(comparison: &Comparison, countries: impl Iterator<Item = &'a Change>) -> (Amount, Amount) {
    let (mut v4, mut v6) = (comparison.total_v4, comparison.total_v6);
    (v4.gained_prefixes, v4.lost_prefixes, v6.gained_prefixes, v6.lost_prefixes) = (0, 0, 0, 0);
    for change in countries {
        v4.gained_prefixes += change.v4.gained_prefixes;
        v4.lost_prefixes += change.v4.lost_prefixes;
        v6.gained_prefixes += change.v6.gained_prefixes;
        v6.lost_prefixes += change.v6.lost_prefixes;
    }
    (v4, v6)
}

fn heading() -> String {
    let one = |unit: &str| {
        format!(
            "{:>14} {:>14} {:>8} {:>12} {:>12} {:>15}",
            format!("{unit} old"),
            "new",
            "change",
            "gained",
            "lost",
            "prefixes + -"
        )
    };
    format!("{:<9}{}  {}\n", "  place", one("IPv4"), one("IPv6 /48"))
}

fn row(name: &str, v4: &Amount, v6: &Amount) -> String {
    let one = |amount: &Amount, show: fn(u128) -> String| {
        let prefixes = format!("{} {}", amount.gained_prefixes, amount.lost_prefixes);
        format!(
            "{:>14} {:>14} {:>8} {:>12} {:>12} {prefixes:>15}",
            show(amount.old),
            show(amount.new),
            percent(amount),
            show(amount.gained),
            show(amount.lost)
        )
    };
    format!("{name:<9}{}  {}\n", one(v4, |n| n.to_string()), one(v6, nets48))
}

/// Net change in percent.
fn percent(amount: &Amount) -> String {
    match (amount.old, amount.new) {
        (0, 0) => "-".to_owned(),
        (0, _) => "new".to_owned(),
        (old, new) => format!("{:+.1}%", (new as f64 - old as f64) / old as f64 * 100.0),
    }
}

/// IPv6 addresses as networks of 48 bits; the many small parts show as fractions.
fn nets48(addresses: u128) -> String {
    let whole = addresses >> 80;
    if whole > 0 || addresses == 0 {
        whole.to_string()
    } else {
        format!("{:.5}", addresses as f64 / (1_u128 << 80) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_percent_are_readable() {
        assert_eq!([nets48(0), nets48(3 << 80), nets48(1 << 79)], ["0", "3", "0.50000"]);
        let percent = |old, new| percent(&Amount { old, new, ..Amount::default() });
        assert_eq!(
            [percent(0, 0), percent(0, 5), percent(200, 150), percent(100, 101)],
            ["-", "new", "-25.0%", "+1.0%"]
        );
    }
}
