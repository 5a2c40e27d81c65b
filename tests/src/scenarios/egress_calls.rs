//! Techniques N1 to N6, N9 and N10 of the threat model as far as a socket of the Internet families sends: one scenario a row.
//!
//! Invariant: each is shown by `egress_lab::row`, so each has its control.

use super::egress_lab::{Way, one, row, some, untold};
use crate::harness::scenario::{Scenario, World};

/// The scenarios of this file.
pub(super) fn all() -> Vec<Scenario> {
    let both = |name, run| Scenario { name, world: World::Both, run };
    vec![
        both("egress-n1-io-uring", |ctx| row(ctx, &IO_URING)),
        both("egress-n2-udp-without-connect", |ctx| row(ctx, &UDP)),
        both("egress-n3-fast-open", |ctx| row(ctx, &FAST_OPEN)),
        both("egress-n4-unspec", |ctx| row(ctx, &UNSPEC)),
        both("egress-n5-v4-mapped", |ctx| row(ctx, &MAPPED)),
        both("egress-n6-v4-inside-v6", |ctx| row(ctx, &CARRIED)),
        both("egress-n9-raw-and-icmp", |ctx| row(ctx, &RAW)),
        both("egress-n10-mptcp-connect", |ctx| row(ctx, &MPTCP)),
    ]
}

pub(super) const IO_URING: [Way; 14] = [
    some("uring-connect {4}:80"),
    some("uring-connect {4}:80 async"),
    some("uring-connect {4}:80 sqpoll"),
    some("uring-connect [{6}]:80"),
    some("uring-connect [::ffff:{4}]:80"),
    one("uring-udp {4}:53"),
    one("uring-udp [{6}]:53 async"),
    one("uring-sendto {4}:53"),
    one("uring-sendto {4}:53 async"),
    one("uring-sendto [{6}]:53 sqpoll"),
    one("uring-sendmsg {4}:53"),
    one("uring-sendmsg {4}:53 sqpoll"),
    one("uring-sendmsg [{6}]:53"),
    one("uring-sendmsg [{6}]:53 async"),
];

/// The last two: the address in the call is allowed, the first hop of a source route is not.
pub(super) const UDP: [Way; 10] = [
    one("udp-connect-send {4}:53"),
    one("udp-connect-send [{6}]:53"),
    one("sendto {4}:53"),
    one("sendto [{6}]:53"),
    one("sendmsg {4}:53"),
    one("sendmsg [{6}]:53"),
    one("sendmmsg {4}:53"),
    one("sendmmsg [{6}]:53"),
    one("sendto-through 192.0.2.1:53 {4}"),
    one("sendto-through [2001:db8:900d::77]:53 {6}"),
];

pub(super) const FAST_OPEN: [Way; 6] = [
    some("fastopen {4}:80"),
    some("fastopen [{6}]:80"),
    some("fastopen [::ffff:{4}]:80"),
    some("deferred-connect {4}:80"),
    some("deferred-connect [{6}]:80"),
    some("deferred-connect [::ffff:{4}]:80"),
];

pub(super) const UNSPEC: [Way; 1] = [one("unspec {4}:53")];

pub(super) const MAPPED: [Way; 9] = [
    some("connect [::ffff:{4}]:80"),
    some("mptcp [::ffff:{4}]:80"),
    some("fastopen [::ffff:{4}]:80"),
    one("udp-connect-send [::ffff:{4}]:53"),
    one("sendto [::ffff:{4}]:53"),
    one("sendmsg [::ffff:{4}]:53"),
    one("sendmmsg [::ffff:{4}]:53"),
    one("sendto-by-v6-socket {4}:53"),
    one("udp-connect-by-v6-socket {4}:53"),
];

pub(super) const CARRIED: [Way; 20] = [
    some("connect [{nat64}]:80"),
    one("udp-connect-send [{nat64}]:53"),
    one("sendto [{nat64}]:53"),
    one("ping {nat64}"),
    one("raw-ip {nat64}"),
    some("connect [{6to4}]:80"),
    one("udp-connect-send [{6to4}]:53"),
    one("sendto [{6to4}]:53"),
    one("ping {6to4}"),
    one("raw-ip {6to4}"),
    some("connect [{teredo}]:80"),
    one("udp-connect-send [{teredo}]:53"),
    one("sendto [{teredo}]:53"),
    one("ping {teredo}"),
    one("raw-ip {teredo}"),
    some("connect [{compatible}]:80"),
    one("udp-connect-send [{compatible}]:53"),
    one("sendto [{compatible}]:53"),
    one("ping {compatible}"),
    one("raw-ip {compatible}"),
];

pub(super) const RAW: [Way; 8] = [
    one("ping {4}"),
    one("ping {6}"),
    one("ping-socket {4}"),
    untold("ping-socket {6}"),
    one("raw-ip {4}"),
    one("raw-ip {6}"),
    one("raw-udp {4}"),
    one("raw-udp {6}"),
];

pub(super) const MPTCP: [Way; 3] = [some("mptcp {4}:80"), some("mptcp [{6}]:80"), some("mptcp [::ffff:{4}]:80")];
