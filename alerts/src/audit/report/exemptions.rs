//! The register of exemptions: which there were, how often they were used, and what was tried after they had ended.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{
    decisions::{Row, text},
    model::{Exemption, Period},
};

/// An exemption that ends so soon after the period is told.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Every exemption that was ever in force, by its id; the last form of each.
#[derive(Debug, Default)]
pub(super) struct Register(BTreeMap<String, Value>);

impl Register {
    pub(super) fn change(&mut self, data: &Map<String, Value>) {
        let name = data.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(now) = data.get("now").filter(|now| !now.is_null()) {
            self.0.insert(name.to_owned(), now.clone());
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn finish(self, rows: &[Row], period: &Period) -> Vec<Exemption> {
        self.0.into_iter().map(|(id, value)| exemption(id, &value, rows, period)).collect()
    }
}

fn exemption(id: String, value: &Value, rows: &[Row], period: &Period) -> Exemption {
    let expires = text(value, "/expires");
    let end: Option<Timestamp> = expires.parse().ok();
    let uses: Vec<Timestamp> = rows.iter().filter(|row| row.exemption == id).map(|row| row.at).collect();
    let late = |row: &&Row| {
        let refused = matches!(row.effect.as_str(), "refused" | "would_refuse");
        refused && end.is_some_and(|end| row.at >= end) && covers(value, row)
    };
    let state = match end {
        Some(end) if end <= period.to => "expired",
        Some(end) if end <= period.to + SOON => "expiring",
        Some(_) | None => "active",
    };
    Exemption {
        kind: text(value, "/type"),
        authority: text(value, "/authority"),
        reference: text(value, "/reference"),
        approver: text(value, "/approver"),
        expires,
        state,
        uses: uses.len() as u64,
        first_use: uses.iter().min().copied(),
        last_use: uses.iter().max().copied(),
        tried_after_end: rows.iter().filter(late).count() as u64,
        id,
    }
}

/// Whether the destination is one of those that the exemption names.
fn covers(value: &Value, row: &Row) -> bool {
    let list = |name: &str| {
        let items = value.pointer(&format!("/covers/{name}")).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str)
    };
    let ip = row.destination.parse::<std::net::IpAddr>().ok();
    let in_net = |net: &str| ip.is_some_and(|ip| net.parse::<IpNet>().is_ok_and(|net| net.contains(&ip)));
    list("countries").any(|country| country == row.country)
        || list("regions").any(|region| region == row.region)
        || list("cidrs").any(in_net)
}
