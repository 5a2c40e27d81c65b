//! Whom a standing entry applies to.
//!
//! A filter holds several lists; a process and flow match it when every list that is not empty has a match.
//! Matching itself is done where the facts are, in the kernel or the pipeline.

use crate::standing::PathPattern;
use crate::vocabulary::words;

words! {
    /// A transport protocol.
    Protocol: "protocol" {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// ICMP and ICMPv6.
        Icmp = "icmp",
        /// SCTP.
        Sctp = "sctp",
    }
}

/// A filter on processes and flows; empty lists ask nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subjects {
    /// The acting executable is one of these.
    pub executables: Vec<PathPattern>,
    /// The effective user is one of these.
    pub uids: Vec<u32>,
    /// The control group is one of these or below (absolute, as `/system.slice/backup.service`).
    pub cgroups: Vec<String>,
    /// The container id starts with one of these, or its name is one of these.
    pub containers: Vec<String>,
    /// The destination port is one of these.
    pub ports: Vec<u16>,
    /// The transport is one of these.
    pub protocols: Vec<Protocol>,
}

impl Subjects {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.executables.is_empty()
            && self.uids.is_empty()
            && self.cgroups.is_empty()
            && self.containers.is_empty()
            && self.ports.is_empty()
            && self.protocols.is_empty()
    }
}
