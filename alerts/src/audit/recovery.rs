//! Opening a trail: the first start, a clean one, and one after a crash at any byte.
//!
//! Invariants: what is cut is only what no commit had finished, the end without a newline or a hole of zeros, and it is put aside
//! first; damage anywhere else stays for `verify` to show. What was done is said in the trail itself. Not here: writing on.

use std::io::{self, Read as _};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    disk::Disk,
    keys::{self, Key, PublicKey},
    kind::Kind,
    record::{Ends, Hash, Position, Record, hex, unhex},
    trail::{Settings, Trail, fields, packed_name, segment_name},
};

/// What opening found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Opened {
    /// There was no trail: this is its first public key.
    pub first: Option<PublicKey>,
    /// What was damaged or missing, each a sentence.
    pub findings: Vec<String>,
    /// Bytes that were cut off, never committed.
    pub cut_bytes: u64,
}

/// What the last file says.
#[derive(Debug, Default)]
struct Tail {
    /// Bytes that stay.
    kept: usize,
    head: Option<Position>,
    trail: String,
    key: Option<PublicKey>,
    generation: u64,
    unsigned: u64,
    damaged: bool,
}

impl Trail {
    /// Opens the trail of a directory, or begins one.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn open(mut disk: Box<dyn Disk>, settings: Settings, host: &str, now: Timestamp) -> io::Result<(Self, Opened)> {
        let mut opened = Opened::default();
        tidy(disk.as_mut())?;
        let names = disk.list()?;
        for index in indices(&names).into_iter().rev() {
            let packed = !names.contains(&segment_name(index));
            let bytes = read(disk.as_ref(), index, packed)?;
            let tail = scan(&bytes);
            if !packed {
                cut(disk.as_mut(), index, &bytes, tail.kept, &mut opened)?;
            }
            if let Some(head) = tail.head {
                return Self::go_on(disk, settings, host, now, (index, packed, head, tail), opened);
            }
            if !packed {
                disk.remove(&segment_name(index))?;
                disk.sync_directory()?;
            }
        }
        Self::begin(disk, settings, host, now, opened)
    }

    fn begin(
        mut disk: Box<dyn Disk>,
        settings: Settings,
        host: &str,
        now: Timestamp,
        mut opened: Opened,
    ) -> io::Result<(Self, Opened)> {
        let old = Key::load(disk.as_ref(), keys::KEY);
        if let Some(old) = old.as_ref().filter(|key| key.generation > 0) {
            opened.findings.push(format!(
                "there is a signing key of generation {} and not one record: an earlier trail is missing",
                old.generation
            ));
        }
        let key = match old.filter(|key| key.generation == 0) {
            Some(key) => key,
            None => Key::new(0)?,
        };
        key.save(disk.as_mut(), keys::KEY)?;
        disk.write(keys::PUBLIC, keys::pem(&key.public()).as_bytes())?;
        disk.sync(keys::PUBLIC)?;
        opened.first = Some(key.public());
        let id = hex(&Hash::of(&[b"sentinel-audit-trail", &key.public()]).0[..16]);
        let mut trail = Self {
            disk,
            settings,
            id,
            host: host.to_owned(),
            segment: 0,
            segment_bytes: 0,
            segment_since: 0,
            head: Position::START,
            key,
            unsigned: 0,
            signed_at: now.as_second(),
            signed: None,
            buffer: String::new(),
        };
        trail.begin_segment(now)?;
        trail.say(&opened, now)?;
        Ok((trail, opened))
    }

    fn go_on(
        mut disk: Box<dyn Disk>,
        settings: Settings,
        host: &str,
        now: Timestamp,
        (segment, packed, head, tail): (u64, bool, Position, Tail),
        mut opened: Opened,
    ) -> io::Result<(Self, Opened)> {
        let (key, vouched) = match key_of(disk.as_mut(), tail.key)? {
            Some(key) => (key, true),
            None => (Key::new(tail.generation + 1)?, false),
        };
        if tail.damaged {
            opened
                .findings
                .push(format!("{} has damaged records; `sentinel audit verify` names them", segment_name(segment)));
        }
        let mut trail = Self {
            disk,
            settings,
            id: tail.trail,
            host: host.to_owned(),
            segment,
            segment_bytes: tail.kept as u64,
            segment_since: now.as_second(),
            head,
            key,
            unsigned: tail.unsigned,
            signed_at: now.as_second(),
            signed: None,
            buffer: String::new(),
        };
        if packed {
            trail.begin_segment(now)?;
        }
        if !vouched {
            opened.findings.push("the signing key that the trail names is missing".to_owned());
            trail.rekey(now)?;
        }
        trail.say(&opened, now)?;
        Ok((trail, opened))
    }

    /// A key that nothing before it has signed. `verify` will always tell.
    fn rekey(&mut self, now: Timestamp) -> io::Result<()> {
        self.key.save(self.disk.as_mut(), keys::KEY)?;
        let data = json!({ "generation": self.key.generation, "key": hex(&self.key.public()) });
        self.append(Kind::Rekey, now, fields(data));
        Ok(())
    }

    fn say(&mut self, opened: &Opened, now: Timestamp) -> io::Result<()> {
        if !opened.findings.is_empty() {
            let data = json!({ "cut_bytes": opened.cut_bytes, "findings": opened.findings });
            self.append(Kind::Recovery, now, fields(data));
            self.commit(now)?;
        }
        Ok(())
    }
}

/// Finishes or forgets what an interrupted compression left.
fn tidy(disk: &mut dyn Disk) -> io::Result<()> {
    let names = disk.list()?;
    for name in names.iter().filter(|name| name.ends_with(".tmp")) {
        disk.remove(name)?;
    }
    for index in indices(&names) {
        let (plain, packed) = (segment_name(index), packed_name(index));
        if names.contains(&plain) && names.contains(&packed) {
            // Renamed only when whole and durable; the plain one goes only when they are equal.
            let same = read(disk, index, true).is_ok_and(|bytes| disk.read(&plain).is_ok_and(|other| other == bytes));
            disk.remove(if same { &plain } else { &packed })?;
        }
    }
    Ok(())
}

/// Numbers of all segments, each once, in order.
pub(super) fn indices(names: &[String]) -> Vec<u64> {
    let number = |name: &String| name.strip_suffix(".jsonl").or(name.strip_suffix(".jsonl.gz"))?.parse().ok();
    let mut all: Vec<u64> = names.iter().filter_map(number).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The content of a segment.
pub(super) fn read(disk: &dyn Disk, index: u64, packed: bool) -> io::Result<Vec<u8>> {
    if !packed {
        return disk.read(&segment_name(index));
    }
    let bytes = disk.read(&packed_name(index))?;
    let mut content = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads what is there, up to a torn end.
fn scan(bytes: &[u8]) -> Tail {
    let mut tail = Tail::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // Zeros are no text: a file system gives them where it never wrote.
        let Some(text) = line.strip_suffix(b"\n").filter(|text| !text.contains(&0)) else { break };
        tail.kept += line.len();
        match Ends::of(text).filter(|ends| ends.holds) {
            Some(ends) => tail.take(&ends, text),
            None => tail.damaged = true,
        }
    }
    tail
}

impl Tail {
    fn take(&mut self, ends: &Ends<'_>, text: &[u8]) {
        self.head = Some(ends.position);
        self.unsigned += 1;
        let new_key = match ends.kind {
            b"segment" | b"rekey" => "key",
            b"checkpoint" => "next",
            _ => return,
        };
        let Ok(record) = serde_json::from_slice::<Record>(text) else { return };
        if new_key == "next" {
            self.unsigned = 0;
        }
        if let Some(trail) = record.data.get("trail").and_then(Value::as_str) {
            trail.clone_into(&mut self.trail);
        }
        self.key = record.data.get(new_key).and_then(Value::as_str).and_then(|key| unhex(key.as_bytes()));
        self.generation = record.data.get("generation").and_then(Value::as_u64).unwrap_or_default();
    }
}

/// Cuts off what was never committed, after putting it aside.
fn cut(disk: &mut dyn Disk, index: u64, bytes: &[u8], kept: usize, opened: &mut Opened) -> io::Result<()> {
    let rest = &bytes[kept..];
    if rest.is_empty() {
        return Ok(());
    }
    let hash = Hash::of(&[rest]);
    let aside = format!("{index:06}.cut-{}", &hash.to_string()[..16]);
    disk.write(&aside, rest)?;
    disk.sync(&aside)?;
    disk.sync_directory()?;
    disk.truncate(&segment_name(index), kept as u64)?;
    disk.sync(&segment_name(index))?;
    opened.cut_bytes += rest.len() as u64;
    opened.findings.push(format!(
        "{} ended in {} bytes that no commit had finished; they are in {aside}, SHA-256 {hash}",
        segment_name(index),
        rest.len()
    ));
    Ok(())
}

/// The private key of the public one that the trail names; ends an interrupted succession.
fn key_of(disk: &mut dyn Disk, named: Option<PublicKey>) -> io::Result<Option<Key>> {
    let fits = |key: &Key| Some(key.public()) == named;
    let next = Key::load(disk, keys::NEXT);
    if let Some(next) = next.filter(fits) {
        keys::succeed(disk)?;
        return Ok(Some(next));
    }
    if disk.list()?.iter().any(|name| name == keys::NEXT) {
        disk.remove(keys::NEXT)?;
    }
    Ok(Key::load(disk, keys::KEY).filter(fits))
}
