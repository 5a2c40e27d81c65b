//! Signatures, keys and the beginnings of files, as a verifier follows them.

use serde_json::Value;

use super::{Expect, Problem, Verdict};
use crate::audit::{
    keys::{self, PublicKey},
    record::{self, Ends, Hash, Position, Record, unhex},
    trail::CHECKPOINT,
};

/// The key in force, and what the trail has said so far.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    key: Option<(u64, PublicKey)>,
    /// Before the first record that is there.
    before: Option<Position>,
}

impl Signatures {
    pub(super) fn start(&mut self, first: u64, prev: Hash) {
        self.before = Some(Position { seq: first.saturating_sub(1), hash: prev });
    }

    /// Looks at a record that follows; what is wrong with it.
    pub(super) fn record(
        &mut self,
        ends: &Ends<'_>,
        text: &[u8],
        begins: bool,
        expect: &Expect,
        verdict: &mut Verdict,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        if begins && ends.kind != b"segment" {
            problems.push(Problem::NoBeginning);
        }
        if !matches!(ends.kind, b"segment" | b"checkpoint" | b"rekey" | b"retention") || !ends.holds {
            return problems;
        }
        let problem = match serde_json::from_slice::<Record>(text) {
            Ok(record) => self.special(ends, &record, expect, verdict),
            Err(_) => Some(Problem::Malformed),
        };
        problems.extend(problem);
        problems
    }

    fn special(&mut self, ends: &Ends<'_>, record: &Record, expect: &Expect, verdict: &mut Verdict) -> Option<Problem> {
        let word = |name: &str| record.data.get(name).and_then(Value::as_str);
        if let Some(other) = word("trail") {
            let trail = verdict.trail.get_or_insert_with(|| other.to_owned());
            if trail != other {
                return Some(Problem::OtherTrail { other: other.to_owned() });
            }
        }
        if ends.kind == b"retention" {
            self.retention(record, verdict);
            return None;
        }
        let generation = record.data.get("generation").and_then(Value::as_u64);
        let public = word("key").and_then(|key| unhex(key.as_bytes()));
        let (Some(generation), Some(public)) = (generation, public) else { return Some(Problem::Malformed) };
        match ends.kind {
            b"segment" => self.segment((generation, public), expect, verdict),
            b"rekey" => {
                self.take((generation, public), expect, verdict);
                Some(Problem::Rekeyed)
            }
            _ => self.checkpoint((generation, public), ends, record, expect, verdict),
        }
    }

    fn segment(&mut self, key: (u64, PublicKey), expect: &Expect, verdict: &mut Verdict) -> Option<Problem> {
        match self.key {
            None => {
                verdict.root = Some(key);
                self.take(key, expect, verdict);
                None
            }
            Some(known) if known == key => None,
            Some((generation, _)) => Some(Problem::Key { generation }),
        }
    }

    fn checkpoint(
        &mut self,
        key: (u64, PublicKey),
        ends: &Ends<'_>,
        record: &Record,
        expect: &Expect,
        verdict: &mut Verdict,
    ) -> Option<Problem> {
        let next = record.data.get("next").and_then(Value::as_str).and_then(|next| unhex(next.as_bytes()));
        let Some(next) = next else { return Some(Problem::Malformed) };
        let from = verdict.signed.map_or_else(|| verdict.first.map_or(1, |first| first.seq), |signed| signed + 1);
        let (generation, public) = self.key.unwrap_or(key);
        let right = key == (generation, public) && signature_holds(&public, ends, record);
        if !right {
            // What follows is looked at by the key that it names: one fault is told once.
            self.take((key.0 + 1, next), expect, verdict);
            return Some(Problem::Signature { generation, from, to: ends.position.seq });
        }
        self.take((generation + 1, next), expect, verdict);
        verdict.checkpoints += 1;
        verdict.signed = Some(ends.position.seq);
        None
    }

    fn take(&mut self, key: (u64, PublicKey), expect: &Expect, verdict: &mut Verdict) {
        self.key = Some(key);
        if expect.key == Some(key.1) {
            verdict.key_found.get_or_insert(key.0);
        }
    }

    /// A removal that explains why the trail begins where it does.
    fn retention(&self, record: &Record, verdict: &mut Verdict) {
        let seq = record.data.get("seq").and_then(Value::as_u64);
        let head = record.data.get("head").and_then(Value::as_str).and_then(|head| head.parse().ok());
        if let (Some(seq), Some(hash)) = (seq, head)
            && self.before == Some(Position { seq, hash })
        {
            verdict.retained_from = Some(seq + 1);
        }
    }

    /// What can be said only at the end.
    pub(super) fn finish(&self, expect: &Expect, verdict: &mut Verdict) -> Vec<Problem> {
        let Some(first) = verdict.first else { return vec![Problem::Empty] };
        let mut problems = Vec::new();
        let start = self.before.unwrap_or(Position::START);
        if start != Position::START && verdict.retained_from.is_none() {
            problems.push(Problem::NoAnchor { first: first.seq });
        }
        if expect.key.is_some() && verdict.key_found.is_none() {
            problems.push(Problem::OtherKey);
        }
        if let Some(head) = expect.head.filter(|_| verdict.head_found.is_none()) {
            problems.push(Problem::NoHead(head));
        }
        if let (Some((ours, _)), Some((theirs, _))) = (expect.current, self.key)
            && ours > theirs
        {
            problems.push(Problem::Behind { key: ours, trail: theirs });
        }
        problems
    }
}

/// Whether the signature is of this key over the record without it.
fn signature_holds(public: &PublicKey, ends: &Ends<'_>, record: &Record) -> bool {
    let mut data = record.data.clone();
    let Some(Value::String(signature)) = data.remove("signature") else { return false };
    let before = Position { seq: ends.position.seq - 1, hash: ends.prev };
    let head_is_prev = data.get("head").and_then(Value::as_str) == Some(&ends.prev.to_string());
    let signed = record::body(before, &record.at, &record.kind, &data);
    head_is_prev && keys::verifies(public, CHECKPOINT, signed.as_bytes(), &signature)
}
