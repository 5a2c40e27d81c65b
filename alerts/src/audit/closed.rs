//! Closed segments: compressed when there is time, removed when they are too old.
//!
//! Invariants: a plain file goes only when its compressed form is durable; a removal is in the trail, signed, before it happens.

use std::io::{self, Write as _};

use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde_json::json;

use super::{
    kind::Kind,
    record::{Ends, Record},
    recovery::{indices, read},
    trail::{Trail, fields, packed_name, segment_name},
};

impl Trail {
    /// Compresses one closed segment. Whether there was one.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn pack_one(&mut self) -> io::Result<bool> {
        let names = self.disk.list()?;
        let plain = |index: &u64| *index < self.segment && names.contains(&segment_name(*index));
        let Some(index) = indices(&names).into_iter().find(plain) else { return Ok(false) };
        let bytes = self.disk.read(&segment_name(index))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&bytes)?;
        let (packed, new) = (packed_name(index), format!("{}.tmp", packed_name(index)));
        self.disk.write(&new, &encoder.finish()?)?;
        self.disk.sync(&new)?;
        self.disk.rename(&new, &packed)?;
        self.disk.sync_directory()?;
        self.disk.remove(&segment_name(index))?;
        self.disk.sync_directory()?;
        Ok(true)
    }

    /// Removes the oldest segment if it is too old. Whether it was.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn drop_one(&mut self, now: Timestamp) -> io::Result<bool> {
        let Some(keep) = self.settings.keep_seconds else { return Ok(false) };
        let names = self.disk.list()?;
        let Some(index) = indices(&names).first().copied().filter(|index| *index < self.segment) else {
            return Ok(false);
        };
        let packed = !names.contains(&segment_name(index));
        let bytes = read(self.disk.as_ref(), index, packed)?;
        let Some((last, ends)) = last_record(&bytes) else { return Ok(false) };
        let ended: Option<Timestamp> = last.at.parse().ok();
        if ended.is_none_or(|ended| now.as_second() - ended.as_second() < keep) {
            return Ok(false);
        }
        let data = json!({
            "head": ends.position.hash.to_string(), "seq": ends.position.seq, "segment": index, "until": last.at,
        });
        self.append(Kind::Retention, now, fields(data));
        self.commit(now)?;
        self.checkpoint(now)?;
        self.disk.remove(&if packed { packed_name(index) } else { segment_name(index) })?;
        self.disk.sync_directory()?;
        Ok(true)
    }
}

fn last_record(bytes: &[u8]) -> Option<(Record, Ends<'_>)> {
    let line = bytes.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    Some((serde_json::from_slice(line).ok()?, Ends::of(line)?))
}
