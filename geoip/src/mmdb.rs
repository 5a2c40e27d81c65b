//! MaxMind DB files, whoever made them.
//!
//! Invariant: every network is visited and every distinct record decoded in full while opening; the first error refuses the
//! file. A reader that skips what it cannot read would shrink a block list without a word. Not here: the binary format, which
//! is `maxminddb`'s, and the meaning of one record (`mmdb::record`).

mod asn;
mod record;
mod region;
mod value;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use crate::address::Address;
use crate::error::GeoError;
use crate::info::Schema;
use crate::open::Parsed;
use crate::record::Record;
use crate::table::{OutOfOrder, RecordId};
use value::Value;

/// What stands before the metadata in every MMDB file.
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// Subtrees may be shared, so a small hostile file can unfold without end. The largest real databases have a fifth of this.
const MAX_NETWORKS: u64 = 64_000_000;

/// Whether the bytes are meant to be an MMDB file.
pub(crate) fn recognises(bytes: &[u8]) -> bool {
    // From the end, where the metadata is: large files are recognised at once.
    bytes.windows(METADATA_MARKER.len()).rev().any(|window| window == METADATA_MARKER)
}

/// Reads the countries and regions of the whole file.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, GeoError> {
    parse_limited(path, bytes, record::read, MAX_NETWORKS)
}

/// Reads the AS numbers of the whole file, and nothing else of it.
pub(crate) fn parse_asn(path: &Path, bytes: &[u8]) -> Result<Parsed, GeoError> {
    parse_limited(path, bytes, asn::read, MAX_NETWORKS)
}

/// Reads a record, and how it says what is looked for; `None` if it does not.
type Read = fn(&Value<'_>) -> Result<(Record, Option<Schema>), String>;

fn parse_limited(path: &Path, bytes: &[u8], read: Read, limit: u64) -> Result<Parsed, GeoError> {
    let damaged =
        |what: &str, source| GeoError::Mmdb { path: path.to_owned(), what: what.to_owned(), source: Box::new(source) };
    let reader = Reader::from_source(bytes).map_err(|source| damaged("while reading its metadata", source))?;
    let metadata = reader.metadata();
    // Until a record tells the schema; a file in which none does is refused in the end.
    let parsed = Parsed::new(metadata.database_type.clone(), Schema::CountryIsoCode, metadata.build_epoch);
    let mut walk = Walk { path, read, parsed, schema: None, seen: HashMap::new() };
    // Networks without data are counted too, else the limit would not hold. Aliases of the IPv4 tree are walked because the
    // reader takes any network for an alias that shares a record with an IPv4 space that is all one record.
    let options = WithinOptions::default().include_networks_without_data().include_aliased_networks();
    let networks = reader.networks(options).map_err(|source| damaged("while reading its search tree", source))?;
    let mut leaves = 0;
    for found in networks {
        leaves += 1;
        if leaves > limit {
            return Err(GeoError::TooManyNetworks { path: path.to_owned(), limit });
        }
        let found = found.map_err(|source| damaged("while walking its networks", source))?;
        let Some(offset) = found.offset() else { continue };
        let network = found.network().map_err(|source| damaged("while walking its networks", source))?;
        let (address, len) = (network.ip(), network.prefix());
        let record = walk.record(offset, address, len, || found.decode::<Value<'_>>())?;
        walk.place(address, len, record)
            .map_err(|OutOfOrder| walk.refuse(address, len, "its networks overlap".to_owned()))?;
    }
    // A tree with n inner nodes has n + 1 leaves, and more where subtrees are shared; fewer mean that a part is cut off.
    if leaves <= u64::from(metadata.node_count) {
        let nodes = metadata.node_count.into();
        return Err(GeoError::CutOff { path: path.to_owned(), reachable: leaves.saturating_sub(1), nodes });
    }
    walk.parsed.schema = walk.schema.unwrap_or(walk.parsed.schema);
    Ok(walk.parsed)
}

/// One pass over the networks of a file.
struct Walk<'a> {
    path: &'a Path,
    read: Read,
    parsed: Parsed,
    /// Schema of the first record that has what is looked for.
    schema: Option<Schema>,
    /// Records by their offset in the data section: millions of networks share a few hundred.
    seen: HashMap<usize, RecordId>,
}

impl Walk<'_> {
    /// The number of the record at `offset`, decoded only when it is met for the first time.
    fn record<'v>(
        &mut self,
        offset: usize,
        address: IpAddr,
        len: u8,
        decode: impl FnOnce() -> Result<Option<Value<'v>>, MaxMindDbError>,
    ) -> Result<RecordId, GeoError> {
        if let Some(id) = self.seen.get(&offset) {
            return Ok(*id);
        }
        let value = decode().map_err(|source| GeoError::Mmdb {
            path: self.path.to_owned(),
            what: format!("in the record of {address}/{len}"),
            source: Box::new(source),
        })?;
        let (record, schema) =
            (self.read)(&value.unwrap_or(Value::Other)).map_err(|what| self.refuse(address, len, what))?;
        self.schema = self.schema.or(schema);
        let id =
            self.parsed.records.intern(record).map_err(|_| {
                self.refuse(address, len, "it has more distinct records than any real database".to_owned())
            })?;
        self.seen.insert(offset, id);
        Ok(id)
    }

    fn place(&mut self, address: IpAddr, len: u8, record: RecordId) -> Result<(), OutOfOrder> {
        self.parsed.networks += 1;
        match address {
            IpAddr::V4(ip) => {
                let ip = ip.to_bits();
                self.parsed.v4.push(ip, ip.last_of_block(len), record)
            }
            IpAddr::V6(ip) => {
                let (first, last) = (ip.to_bits(), ip.to_bits().last_of_block(len));
                // A tree without an IPv4 part: a network around ::/96 is what an IPv4 look-up finds.
                if first == 0 && last >= u128::from(u32::MAX) {
                    self.parsed.v4.push(u32::MIN, u32::MAX, record)?;
                }
                self.parsed.v6.push(first, last, record)
            }
        }
    }

    fn refuse(&self, address: IpAddr, len: u8, what: String) -> GeoError {
        GeoError::Record { path: self.path.to_owned(), network: format!("{address}/{len}"), what }
    }
}

#[cfg(test)]
mod tests;
