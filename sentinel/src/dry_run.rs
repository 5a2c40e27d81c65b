//! Before rules are enforced on the whole host: would they cut off who is logged in, the gateway, or a resolver?
//!
//! Invariant: it only looks. Sessions count if somebody has logged in through them, by the kernel's login user id: whoever
//! merely connects from a blocked country must not be able to keep Sentinel from enforcing. Loopback is never asked about.
//!
//! Not here: sinks; those of this version are files and local sockets.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use sentinel_common::{
    address::{Address, normalise},
    verdict::{Entry, flag},
};

use crate::sockets::{
    owners::Owners,
    verdict::{Facts, Judgement, Rules},
};

/// IANA numbers.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where resolvers listen.
const DNS: u16 = 53;
/// States of TCP sockets as `/proc/net/tcp` shows them.
const ESTABLISHED: &str = "01";
const LISTEN: &str = "0A";
/// `/proc/PID/loginuid` of who has not logged in.
const NO_LOGIN: &str = "4294967295";

/// Somebody that this host must not lose.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Peer {
    what: String,
    address: IpAddr,
    port: u16,
    protocol: u8,
}

/// Whom the rules would cut off, each with the entry that does it.
#[must_use]
pub fn cut_off(rules: &Rules) -> Vec<(String, Entry)> {
    judged(rules, peers())
}

fn judged(rules: &Rules, peers: Vec<Peer>) -> Vec<(String, Entry)> {
    let refused = |peer: Peer| {
        let facts = Facts {
            address: normalised(peer.address),
            port: peer.port,
            protocol: peer.protocol,
            uid: 0,
            cgroup: None,
            owner: None,
        };
        match rules.judge(&facts) {
            Judgement::Meets(entry) if entry.flags & flag::MONITOR == 0 => {
                Some((format!("{} {}", peer.what, peer.address), entry))
            }
            Judgement::Meets(_) | Judgement::Pass | Judgement::Undecided => None,
        }
    };
    peers.into_iter().filter(|peer| !peer.address.is_loopback()).filter_map(refused).collect()
}

fn normalised(address: IpAddr) -> Address {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    normalise(Address::from_octets(octets)).0
}

fn peers() -> Vec<Peer> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let peer = |what: &str, port, protocol| {
        let what = what.to_owned();
        move |address| Peer { what: what.clone(), address, port, protocol }
    };
    let gateways = gateways_v4(&read("/proc/net/route")).into_iter().chain(gateways_v6(&read("/proc/net/ipv6_route")));
    let mut all: Vec<Peer> = gateways.map(peer("the default gateway", 0, UDP)).collect();
    all.extend(resolvers(&read("/etc/resolv.conf")).map(peer("the resolver", DNS, UDP)));
    all.extend(logins(&[read("/proc/net/tcp"), read("/proc/net/tcp6")]));
    all
}

/// The peers of connections to this host that belong to a login.
fn logins(tables: &[String]) -> Vec<Peer> {
    let sockets: Vec<Socket> = tables.iter().flat_map(|table| table.lines().filter_map(Socket::parse)).collect();
    let served: BTreeSet<u16> =
        sockets.iter().filter(|socket| socket.state == LISTEN).map(|socket| socket.local.1).collect();
    let inbound = |socket: &&Socket| socket.state == ESTABLISHED && served.contains(&socket.local.1);
    let mut inbound = sockets.iter().filter(inbound).peekable();
    if inbound.peek().is_none() {
        return Vec::new();
    }
    let owners = Owners::read();
    let logged_in = |socket: &&Socket| owners.of(socket.inode).any(|owner| has_login(owner.pid));
    let peer = |socket: &Socket| {
        let (address, port) = socket.remote;
        Peer { what: format!("the login session on port {} of", socket.local.1), address, port, protocol: TCP }
    };
    inbound.filter(logged_in).map(peer).collect()
}

fn has_login(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/loginuid")).is_ok_and(|uid| !["", NO_LOGIN].contains(&uid.trim()))
}

/// A line of `/proc/net/tcp` or `tcp6`.
struct Socket {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
    state: String,
    inode: u32,
}

impl Socket {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote) = (end(fields.get(1)?)?, end(fields.get(2)?)?);
        Some(Self { local, remote, state: (*fields.get(3)?).to_owned(), inode: fields.get(9)?.parse().ok()? })
    }
}

/// `0100007F:0016`: address in words of the machine's byte order, port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let words: Vec<[u8; 4]> = address
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<_>>()?;
    let address = match words.as_slice() {
        [v4] => IpAddr::from(*v4),
        [_, _, _, _] => IpAddr::from(<[u8; 16]>::try_from(words.concat()).ok()?),
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// Gateways of default routes in `/proc/net/route`: device, destination, gateway, ..., mask.
fn gateways_v4(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let (destination, gateway, mask) = (number(1)?, number(2)?, number(7)?);
        let is_default = destination == 0 && mask == 0 && gateway != 0;
        is_default.then(|| IpAddr::V4(Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    table.lines().filter_map(gateway).collect()
}

/// The same of `/proc/net/ipv6_route`: destination, length, source, length, gateway, ...
fn gateways_v6(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let gateway = u128::from_str_radix(fields.get(4)?, 16).ok().filter(|gateway| *gateway != 0)?;
        let is_default = u128::from_str_radix(fields.first()?, 16).ok()? == 0 && *fields.get(1)? == "00";
        is_default.then(|| IpAddr::V6(Ipv6Addr::from(gateway)))
    };
    table.lines().filter_map(gateway).collect()
}

fn resolvers(text: &str) -> impl Iterator<Item = IpAddr> {
    let address = |line: &str| {
        let address = line.trim().strip_prefix("nameserver")?.trim();
        address.split('%').next()?.parse().ok()
    };
    text.lines().filter_map(address)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_common::{hook, verdict::origin};

    use super::*;
    use crate::{
        countries::{CountryRules, CountryVerdicts},
        kernel::verdicts::{Held, Table},
        standing::network_place,
    };

    #[test]
    fn tables_of_the_kernel_are_read() {
        let line = "   1: 0100000A:0016 070200C0:D431 01 00000000:00000000 02:000AD 00000000     0        0 4711 2 0";
        let socket = Socket::parse(line).unwrap();
        assert_eq!((socket.local.1, socket.inode, socket.state.as_str()), (22, 4711, ESTABLISHED));
        assert_eq!(socket.remote, ("192.0.2.7".parse().unwrap(), 54321));
        let v6 = end("B80D0120000000000000000001000000:0035").unwrap();
        assert_eq!(v6, ("2001:db8::1".parse().unwrap(), 53));
        let route = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                     eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0\neth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
        assert_eq!(gateways_v4(route), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        let zero = "0".repeat(32);
        let route = format!(
            "{zero} 00 {zero} 00 20010db8000000000000000000000001 0 0 0 0 eth0\n{zero} 00 {zero} 00 {zero} 0 lo\n"
        );
        assert_eq!(gateways_v6(&route), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        let text = "# none\nnameserver 192.0.2.53\n nameserver fe80::1%eth0\nsearch example.org\n";
        assert_eq!(resolvers(text).count(), 2);
        assert!(Socket::parse("  sl  local_address rem_address   st").is_none());
        assert_eq!(end("zz:1"), None);
    }

    #[test]
    fn who_would_be_cut_off_is_named() {
        let entry = Entry { rule: 7, hook: hook::ANY, origin: origin::STANDING, ..Entry::NONE };
        let place = network_place(Table::Block, &"192.0.2.0/24".parse().unwrap());
        let held = Held { entry, access: u32::MAX };
        let database = Arc::new(geoip::Database::embedded().unwrap());
        let votes = geoip::Votes::new(vec![database], geoip::VoteRule::default()).unwrap();
        let countries = CountryVerdicts { rules: CountryRules::default(), geo: Arc::new(votes) };
        let all = [(place, held)];
        let rules = Rules::new(all.iter().map(|(place, held)| (place, held)), &BTreeSet::new(), Arc::new(countries), 0);
        let peer =
            |address: &str| Peer { what: "x".to_owned(), address: address.parse().unwrap(), port: 1, protocol: TCP };
        let found = judged(&rules, vec![peer("192.0.2.7"), peer("198.51.100.7"), peer("127.0.0.1")]);
        assert_eq!(found, [("x 192.0.2.7".to_owned(), entry)]);
    }
}
