//! What was recorded beside what comes out now.

use geoip::Opinion;
use rules::{Outcome as Events, Verb};
use serde_json::{Map, Value, json};

use crate::cli::{
    geo::verdict::Effect,
    replay::standing::{Place, Ruling, Standing},
};

/// A decision in three words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// As in the trail; a `deny` after the event may be one of two.
    pub(super) effects: Vec<String>,
    /// The rule that decides, or the exemption.
    pub(super) rule: String,
    /// Country and prefix, where it is about a destination.
    pub(super) place: Option<(String, String)>,
}

/// What comparing gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Result {
    /// The same.
    Same {
        /// As it was.
        then: Outcome,
    },
    /// Something else.
    Other {
        /// As it was.
        then: Outcome,
        /// As it comes out.
        now: Outcome,
    },
    /// It cannot be compared.
    Unfit {
        /// As it was.
        then: Outcome,
        /// Why not.
        why: String,
    },
}

impl Outcome {
    /// What the trail says.
    pub(super) fn recorded(data: &Map<String, Value>, alert: &Value) -> Self {
        let text = |path: &str| alert.pointer(path).and_then(Value::as_str).map(ToOwned::to_owned);
        let effect = data.get("effect").and_then(Value::as_str).unwrap_or_default().to_owned();
        let rule = text("/sentinel/exemption/id").filter(|_| effect == "exempt");
        let country = text("/sentinel/geo/country").unwrap_or_default();
        Self {
            rule: rule.or_else(|| text("/sentinel/rules/0/id")).unwrap_or_default(),
            effects: vec![effect],
            place: text("/sentinel/geo/prefix").map(|prefix| (country, prefix)),
        }
    }

    /// What comes out of rules and databases.
    pub(super) fn of(
        ruling: &Ruling,
        events: &Events,
        standing: &Standing,
        opinion: Option<&Opinion>,
        enforce: bool,
    ) -> Self {
        let name = |place: Place| match place {
            Place::Entry(index) => standing.policies().standing()[index].id.clone(),
            Place::Unknown => crate::standing::UNKNOWN_RULE.to_owned(),
        };
        let deny = events.decisions.iter().find(|decision| decision.verb == Verb::Deny);
        let (effects, rule): (&[&str], String) = match (ruling.exempt, ruling.decides, deny) {
            (Some(place), _, _) => (&["exempt"], name(place)),
            (None, Some((place, Effect::Refuse)), _) => (&["refused"], name(place)),
            (None, Some((place, Effect::WouldRefuse)), _) => (&["would_refuse"], name(place)),
            // The first such event passes, and the ones after it meet the entry.
            (None, _, Some(deny)) if enforce => (&["let_through", "refused"], deny.id.clone()),
            (None, _, Some(deny)) => (&["would_refuse"], deny.id.clone()),
            (None, Some((place, Effect::Alert)), None) => (&["unknown_country"], name(place)),
            (None, Some((_, Effect::Allow | Effect::Exempt)) | None, None) => (&["allowed"], String::new()),
        };
        let country = |opinion: &Opinion| opinion.countries.first().map(ToString::to_string).unwrap_or_default();
        Self {
            effects: effects.iter().map(|word| (*word).to_owned()).collect(),
            rule,
            place: opinion.map(|opinion| (country(opinion), opinion.prefix.to_string())),
        }
    }

    /// Whether what was recorded is what comes out.
    pub(super) fn agrees(&self, then: &Self) -> bool {
        let place = then.place.is_none() || then.place == self.place;
        then.effects.iter().all(|effect| self.effects.contains(effect)) && self.rule == then.rule && place
    }

    fn text(&self) -> String {
        let place = self.place.as_ref().map_or_else(String::new, |(country, prefix)| {
            format!(", {} by {prefix}", if country.is_empty() { "no known country" } else { country })
        });
        format!("{} by {}{place}", self.effects.join(" or "), if self.rule.is_empty() { "no rule" } else { &self.rule })
    }

    fn json(&self) -> Value {
        json!({ "effect": self.effects, "rule": self.rule,
            "country": self.place.as_ref().map(|(country, _)| country), "prefix": self.place.as_ref().map(|(_, prefix)| prefix) })
    }
}

impl Result {
    pub(super) const fn is_same(&self) -> bool {
        matches!(self, Self::Same { .. })
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Same { then } => format!("recorded   {}\nSAME: it comes out like that again\n", then.text()),
            Self::Other { then, now } => {
                format!("recorded   {}\nnow        {}\nNOT THE SAME\n", then.text(), now.text())
            }
            Self::Unfit { then, why } => format!("recorded   {}\nNOT COMPARED: {why}\n", then.text()),
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Same { then } => json!({ "outcome": "same", "recorded": then.json() }),
            Self::Other { then, now } => json!({ "outcome": "other", "recorded": then.json(), "now": now.json() }),
            Self::Unfit { then, why } => json!({ "outcome": "not_compared", "recorded": then.json(), "why": why }),
        }
    }
}
