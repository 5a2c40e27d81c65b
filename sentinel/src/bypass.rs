//! What sends past hooks on destinations: packet sockets, AF_XDP, families that carry IP under another name, SCTP, and the
//! tun device. They are refused while a standing rule on destinations is in force.
//!
//! Invariant: the refusal is a rule like any other, with an id, alerts and named exceptions; `[egress] bypass = "allow"`
//! turns it off, and then the status says what is open.

use std::path::{Path, PathBuf};

use rules::StandingEntry;
use sentinel_common::{
    hook,
    verdict::{Entry, Subject, bypass, limit, origin},
};

use crate::{
    config::{Bypass, Config, Mode},
    identity::Identities,
    kernel::verdicts::{Held, Place, Table, Target},
    reach,
    standing::Compiled,
    world::{Numbers, Rule},
};

/// Id of the rule.
pub const RULE: &str = "egress-bypass";

/// Socket families by their number in the kernel (`include/linux/socket.h`): `packet` sees the wire directly, as does `xdp`;
/// `smc`, `rds`, `rxrpc` and `tipc` send through sockets of the kernel's own.
pub const FAMILIES: [(u32, &str); 6] =
    [(17, "packet"), (44, "xdp"), (43, "smc"), (21, "rds"), (33, "rxrpc"), (30, "tipc")];

/// SCTP (IANA), whose associations take in further addresses after they are made. The packet hook would refuse those; where
/// nobody uses SCTP, nothing is lost by refusing it whole.
const SCTP: u32 = 132;

/// `/dev/net/tun`: character device 10, 200 (`Documentation/admin-guide/devices.txt`), as the kernel writes device numbers.
const TUN: u32 = 10 << 20 | 200;

/// Programs that get the host its addresses and need packet sockets for it.
pub const DHCP_CLIENTS: [&str; 6] = [
    "/sbin/dhclient",
    "/usr/sbin/dhclient",
    "/sbin/dhcpcd",
    "/usr/sbin/dhcpcd",
    "/usr/sbin/NetworkManager",
    "/usr/lib/systemd/systemd-networkd",
];

/// Name of a family.
#[must_use]
pub fn family_name(number: u16) -> Option<&'static str> {
    FAMILIES.iter().find(|(known, _)| *known == u32::from(number)).map(|(_, name)| *name)
}

/// Adds the refusal to what is compiled, if a standing rule on destinations asks for it.
pub fn compile(
    standing: &[StandingEntry],
    config: &Config,
    generation: u32,
    numbers: &mut Numbers,
    out: &mut Compiled,
) {
    if config.bypass == Bypass::Allow || !reach::blocks_destinations(standing) {
        return;
    }
    let excepted: Vec<_> = config.bypass_except.iter().filter_map(|path| identity(path)).collect();
    let rule = numbers.give(format!("{RULE} {excepted:?}"), rule(config.mode));
    out.limits.extend(excepted.iter().map(|file| (rule, u32::from(limit::EXCEPT_EXECUTABLE), file.ino, file.dev)));
    let limits = if excepted.is_empty() { 0 } else { limit::EXCEPT_EXECUTABLE };
    let entry = Entry { rule, generation, hook: hook::ANY, origin: origin::STANDING, limits, ..Entry::NONE };
    let families = FAMILIES.iter().map(|(number, _)| Target::Bypass { kind: bypass::FAMILY, number: *number });
    let tun = Target::Bypass { kind: bypass::DEVICE, number: TUN };
    let sctp = Target::Bypass { kind: bypass::PROTOCOL, number: SCTP };
    let places = families.chain([tun, sctp]).map(|target| Place::new(Table::Block, target, Subject::ANYONE));
    out.entries.extend(places.map(|place| (place, Held { entry, access: u32::MAX })));
}

/// A program that is not installed needs no exception.
fn identity(path: &Path) -> Option<sentinel_common::FileId> {
    Identities::read().of(path).ok()
}

/// The exceptions, unless the settings name others.
#[must_use]
pub fn usual_exceptions() -> Vec<PathBuf> {
    DHCP_CLIENTS.iter().map(PathBuf::from).collect()
}

fn rule(mode: Mode) -> Rule {
    Rule {
        id: RULE.to_owned(),
        verb: alerts::Verb::Deny,
        severity: rules::Severity::High,
        title: "Sending past every rule on destinations".to_owned(),
        package: "sentinel.egress".to_owned(),
        techniques: Vec::new(),
        mode,
        exemption: None,
        list: None,
    }
}
