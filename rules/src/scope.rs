//! The scope of a block entry: which object it refuses, and to whom.
//!
//! Text form: an object, then optionally a subject: `destination+process`, `file`, `cidr:203.0.113.0/24+instance`.
//! A scope without a subject refuses everyone and has to be written out; the defaults always have one. Whether
//! an entry would harm the host is not judged here.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use crate::kind::Kind;

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// The destination address of the event, any port.
    Destination,
    /// The destination address and port of the event.
    DestinationPort,
    /// Every address of a network.
    Cidr(IpNet),
    /// The file of the event, by device and inode.
    File,
    /// The path of the event, whatever file is there.
    Path,
}

/// To whom it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Every process running the acting executable.
    Process,
    /// Only the acting process.
    Instance,
}

/// Object and subject of a block entry; no subject means everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// What is refused.
    pub object: Object,
    /// To whom; `None` is everyone.
    pub subject: Option<Subject>,
}

impl Scope {
    /// The scope of an entry whose rule names none.
    pub const fn default_for(kind: Kind) -> Scope {
        let object = if kind.is_network() { Object::Destination } else { Object::File };
        Scope { object, subject: Some(Subject::Process) }
    }

    /// Whether the entry's object is a network destination.
    pub const fn is_network(&self) -> bool {
        match self.object {
            Object::Destination | Object::DestinationPort | Object::Cidr(_) => true,
            Object::File | Object::Path => false,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.object {
            Object::Destination => f.write_str("destination")?,
            Object::DestinationPort => f.write_str("destination_port")?,
            Object::Cidr(net) => write!(f, "cidr:{net}")?,
            Object::File => f.write_str("file")?,
            Object::Path => f.write_str("path")?,
        }
        match self.subject {
            None => Ok(()),
            Some(Subject::Process) => f.write_str("+process"),
            Some(Subject::Instance) => f.write_str("+instance"),
        }
    }
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The part before `+` names no object.
    #[error(
        "\"{0}\" is not something to block; use destination, destination_port, cidr:ADDRESS/LENGTH, file or path, \
         and optionally +process or +instance"
    )]
    Object(String),
    /// The part after `+` names no subject.
    #[error("\"{0}\" is not a subject; use +process or +instance, or leave it out to refuse everyone")]
    Subject(String),
    /// The network after `cidr:` is wrong.
    #[error(transparent)]
    Cidr(#[from] CidrError),
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        let (object, subject) = match text.split_once('+') {
            None => (text, None),
            Some((object, "process")) => (object, Some(Subject::Process)),
            Some((object, "instance")) => (object, Some(Subject::Instance)),
            Some((_, other)) => return Err(ScopeError::Subject(other.to_owned())),
        };
        let object = match object {
            "destination" => Object::Destination,
            "destination_port" => Object::DestinationPort,
            "file" => Object::File,
            "path" => Object::Path,
            other => match other.strip_prefix("cidr:") {
                Some(net) => Object::Cidr(parse_cidr(net)?.trunc()),
                None => return Err(ScopeError::Object(other.to_owned())),
            },
        };
        Ok(Scope { object, subject })
    }
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// The address part is none.
    #[error("\"{0}\" is not an IP network; write ADDRESS/LENGTH, as in 203.0.113.0/24 or 2001:db8::/32")]
    Address(String),
    /// The length is none, or longer than the address.
    #[error("\"{text}\" has no valid prefix length; {family} takes 0 to {max}")]
    Length {
        /// What was written.
        text: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The longest prefix.
        max: u8,
    },
}

/// Reads a network; an address alone is a network of one. Host bits are kept, for the caller to notice.
pub fn parse_cidr(text: &str) -> Result<IpNet, CidrError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: std::net::IpAddr = address.parse().map_err(|_| CidrError::Address(text.to_owned()))?;
    let (family, max) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
    let bad_length = || CidrError::Length { text: text.to_owned(), family, max };
    let length = match length {
        None => max,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().map_err(|_| bad_length())?
        }
        Some(_) => return Err(bad_length()),
    };
    IpNet::new(address, length).map_err(|_| bad_length())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_of_the_contract_reads_back() {
        for text in [
            "destination",
            "destination+process",
            "destination+instance",
            "destination_port+instance",
            "cidr:203.0.113.0/24",
            "cidr:2001:db8::/32+process",
            "file",
            "file+process",
            "path",
            "path+instance",
        ] {
            assert_eq!(text.parse::<Scope>().map(|scope| scope.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn wrong_scopes_say_what_is_wrong() {
        for (text, part) in [
            ("", "not something to block"),
            ("host", "not something to block"),
            ("file+user", "not a subject"),
            ("file+", "not a subject"),
            ("cidr:10.0.0.0/33", "0 to 32"),
            ("cidr:10.0.0/8", "not an IP network"),
            ("cidr:::/129", "0 to 128"),
            ("cidr:10.0.0.0/ 8", "0 to 32"),
        ] {
            let error = text.parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn defaults_follow_the_kind() {
        assert_eq!(Scope::default_for(Kind::Send).to_string(), "destination+process");
        assert_eq!(Scope::default_for(Kind::Exec).to_string(), "file+process");
    }
}
