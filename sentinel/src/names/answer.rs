//! Reads one DNS message: the name that was asked for, and its addresses.
//!
//! Invariant: the bytes are hostile. A message is taken as a whole or not at all, unless the kernel cut it, and work is
//! linear in its length. Aliases are followed from the question; records that it does not lead to are left out.

use domain::{
    base::{
        Message, ParsedName,
        iana::{Class, Opcode},
        message::RecordSection,
        wire::ParseError,
    },
    rdata::{A, Aaaa, Cname},
};
use sentinel_common::address::Address;
use thiserror::Error;

/// Longest name, as text.
const NAME: usize = 253;
/// Most aliases that are followed.
const ALIASES: usize = 16;

/// A message that is no DNS answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// Not even a header.
    #[error("{0} bytes are no DNS message")]
    Short(usize),
    /// A query, or an error, or no lookup.
    #[error("the message is no answer to a lookup")]
    NoAnswer,
    /// A part of it is wrong.
    #[error("{0}")]
    Part(#[from] ParseError),
    /// A name without end.
    #[error("a name has more than {NAME} characters")]
    Name,
}

/// What a message says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The name that was asked for: lower case, every byte but letters, digits, `-` and `_` as `\\DDD`.
    pub(super) name: String,
    /// Its addresses, as given, and for how many seconds they hold.
    pub(super) addresses: Vec<(Address, u32)>,
}

/// A record that matters.
struct Record {
    owner: String,
    seconds: u32,
    data: Data,
}

enum Data {
    Address(Address),
    Alias(String),
}

/// Reads a message; of one that was cut, what is whole.
pub(super) fn read(bytes: &[u8], cut: bool) -> Result<Answer, Malformed> {
    let message = Message::from_slice(bytes).map_err(|_| Malformed::Short(bytes.len()))?;
    let header = message.header();
    if !header.qr() || header.opcode() != Opcode::QUERY || message.is_error() {
        return Err(Malformed::NoAnswer);
    }
    let name = text(message.sole_question()?.qname())?;
    let records = records(message.answer()?, cut)?;
    let (owners, seconds) = aliases(&name, &records);
    let addresses = records.iter().filter_map(|record| match record.data {
        Data::Address(address) if owners.contains(&record.owner.as_str()) => {
            Some((address, seconds.min(record.seconds)))
        }
        Data::Address(_) | Data::Alias(_) => None,
    });
    let addresses = if name.is_empty() { Vec::new() } else { addresses.collect() };
    Ok(Answer { name, addresses })
}

fn records(section: RecordSection<'_, [u8]>, cut: bool) -> Result<Vec<Record>, Malformed> {
    let mut records = Vec::new();
    for parsed in section {
        let record = match parsed {
            Ok(parsed) => record(&parsed),
            Err(error) => Err(error.into()),
        };
        match record {
            Ok(record) => records.extend(record),
            Err(_) if cut => break,
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// A record, if it is an address or an alias.
fn record(parsed: &domain::base::record::ParsedRecord<'_, [u8]>) -> Result<Option<Record>, Malformed> {
    if parsed.class() != Class::IN {
        return Ok(None);
    }
    let data = if let Some(record) = parsed.to_record::<A>()? {
        Data::Address(Address::from_v4(record.data().addr().into()))
    } else if let Some(record) = parsed.to_record::<Aaaa>()? {
        Data::Address(Address::from_octets(record.data().addr().octets()))
    } else if let Some(record) = parsed.to_record::<Cname<ParsedName<&[u8]>>>()? {
        Data::Alias(text(record.data().cname())?)
    } else {
        return Ok(None);
    };
    Ok(Some(Record { owner: text(&parsed.owner())?, seconds: parsed.ttl().as_secs(), data }))
}

/// The names that a name stands for, itself first, and for how many seconds.
fn aliases<'a>(name: &'a str, records: &'a [Record]) -> (Vec<&'a str>, u32) {
    let (mut owners, mut seconds) = (vec![name], u32::MAX);
    let mut last = name;
    while owners.len() <= ALIASES {
        let next = records.iter().find_map(|record| match &record.data {
            Data::Alias(target) if record.owner == last => Some((target.as_str(), record.seconds)),
            Data::Alias(_) | Data::Address(_) => None,
        });
        let Some((target, life)) = next else { break };
        owners.push(target);
        seconds = seconds.min(life);
        last = target;
    }
    (owners, seconds)
}

/// A name as text that is safe to print and to compare; the root is empty.
fn text<Octets: AsRef<[u8]>>(name: &ParsedName<Octets>) -> Result<String, Malformed> {
    let mut text = String::new();
    for label in name.iter().filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label.as_slice() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(byte.to_ascii_lowercase().into()),
                other => text.push_str(&format!("\\{other:03}")),
            }
        }
    }
    if text.len() > NAME { Err(Malformed::Name) } else { Ok(text) }
}
