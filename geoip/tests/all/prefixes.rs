//! Compiled prefixes against look-ups: the same addresses, as few prefixes as possible.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::support::{countries, csv, ip};
use geoip::{CountrySet, Coverage, Database, Prefix4, Prefix6, PrefixSet, SPECIAL_V4, SPECIAL_V6};
use proptest::prelude::*;

/// Whether the address belongs into the set, by look-up alone.
fn wanted(database: &Database, address: IpAddr, set: &CountrySet, include_unknown: bool) -> bool {
    let found = database.lookup(address);
    match found.coverage {
        Coverage::Known => found.country.is_some_and(|country| set.contains(country)),
        Coverage::Unknown | Coverage::NoIpv4 | Coverage::NoIpv6 => include_unknown,
        Coverage::Special => false,
    }
}

/// Checks every address on both sides of the boundaries given and of all boundaries of the prefixes.
fn check(database: &Database, set: &CountrySet, include_unknown: bool, v4: &[u32], v6: &[u128]) -> PrefixSet {
    let prefixes = database.prefixes(set, include_unknown);
    let own4 = prefixes.v4.iter().flat_map(|prefix| <[u32; 2]>::from(prefix.bounds()));
    let own6 = prefixes.v6.iter().flat_map(|prefix| <[u128; 2]>::from(prefix.bounds()));
    for bits in v4.iter().copied().chain(own4).flat_map(|at| [at.wrapping_sub(1), at, at.wrapping_add(1)]) {
        compare(database, set, include_unknown, &prefixes, Ipv4Addr::from_bits(bits).into());
    }
    for bits in v6.iter().copied().chain(own6).flat_map(|at| [at.wrapping_sub(1), at, at.wrapping_add(1)]) {
        compare(database, set, include_unknown, &prefixes, Ipv6Addr::from_bits(bits).into());
    }
    check_minimal(&prefixes);
    prefixes
}

fn compare(database: &Database, set: &CountrySet, include_unknown: bool, prefixes: &PrefixSet, address: IpAddr) {
    assert_eq!(prefixes.contains(address), wanted(database, address, set, include_unknown), "{address}");
}

/// Sorted, disjoint, without host bits, and no two that are the halves of one prefix: then there are none to spare.
fn check_minimal(prefixes: &PrefixSet) {
    for pair in prefixes.v4.windows(2) {
        let [Prefix4 { addr, len }, next] = pair else { unreachable!() };
        assert!(pair[0].bounds().1 < next.addr, "{} overlaps {next}", pair[0]);
        let halves = *len == next.len && *len > 0 && addr ^ next.addr == 1 << (32 - len);
        assert!(!halves, "{} and {next} are one", pair[0]);
    }
    for pair in prefixes.v6.windows(2) {
        let [Prefix6 { addr, len }, next] = pair else { unreachable!() };
        assert!(pair[0].bounds().1 < next.addr, "{} overlaps {next}", pair[0]);
        let halves = *len == next.len && *len > 0 && addr ^ next.addr == 1 << (128 - len);
        assert!(!halves, "{} and {next} are one", pair[0]);
    }
    assert!(prefixes.v4.iter().all(|prefix| prefix.addr.trailing_zeros() >= u32::from(32 - prefix.len)));
    assert!(prefixes.v6.iter().all(|prefix| prefix.addr.trailing_zeros() >= u32::from(128 - prefix.len)));
}

#[test]
fn documentation_prefixes_can_be_blocked_and_special_ones_cannot() {
    let everything = "0.0.0.0,255.255.255.255,IR\n::,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,IR\n";
    let database = csv("everything.csv", everything);
    let set = countries(&["IR"]);
    let prefixes = check(&database, &set, false, &[0, u32::MAX], &[0, u128::MAX]);
    for address in ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "1.0.0.0", "255.255.255.254", "fec0::1"]
    {
        assert!(prefixes.contains(ip(address)), "{address}");
    }
    let special = [
        "0.0.0.0",
        "0.255.255.255",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.168.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "::",
        "::1",
        "::1.2.3.4",
        "::ffff:1.2.3.4",
        "64:ff9b::102:304",
        "2001:0:1::",
        "2002:102:304::",
        "fd00::1",
        "fe80::1",
        "ff02::1",
    ];
    for address in special {
        assert!(!prefixes.contains(ip(address)), "{address}");
        assert_eq!(database.lookup(ip(address)).coverage, Coverage::Special, "{address}");
    }
}

#[test]
fn special_blocks_are_left_out_to_the_last_address() {
    let database = csv("one.csv", "1.0.0.0,1.0.0.255,IR\n");
    // Everything but the special blocks, whatever the database knows.
    let prefixes = database.prefixes(&CountrySet::all(), true);
    for block in SPECIAL_V4 {
        let (first, last) = block.bounds();
        for (bits, inside) in
            [(first, true), (last, true), (first.wrapping_sub(1), false), (last.wrapping_add(1), false)]
        {
            let special =
                inside || SPECIAL_V4.iter().any(|other| (other.bounds().0..=other.bounds().1).contains(&bits));
            assert_eq!(prefixes.contains(Ipv4Addr::from_bits(bits).into()), !special, "{block}");
        }
    }
    for block in SPECIAL_V6 {
        let (first, last) = block.bounds();
        for (bits, inside) in
            [(first, true), (last, true), (first.wrapping_sub(1), false), (last.wrapping_add(1), false)]
        {
            let special =
                inside || SPECIAL_V6.iter().any(|other| (other.bounds().0..=other.bounds().1).contains(&bits));
            assert_eq!(prefixes.contains(Ipv6Addr::from_bits(bits).into()), !special, "{block}");
        }
    }
}

#[test]
fn the_embedded_data_compiles_to_exactly_what_look_ups_say() {
    let database = Database::embedded().unwrap();
    let block = countries(&["CU", "IR", "KP", "SY"]);
    let blocked = check(&database, &block, false, &[], &[]);
    let allowed = check(&database, &block.complement(), true, &[], &[]);
    // Nothing is in both, and what is in neither is special.
    assert!(blocked.v4.iter().all(|prefix| !allowed.contains(Ipv4Addr::from_bits(prefix.addr).into())));
    let size4 = |set: &PrefixSet| set.v4.iter().map(|prefix| 1_u64 << (32 - prefix.len)).sum::<u64>();
    let special: u64 = SPECIAL_V4.iter().map(|block| 1_u64 << (32 - block.len)).sum();
    assert_eq!(size4(&blocked) + size4(&allowed) + special, 1 << 32);
}

#[test]
fn every_boundary_of_the_embedded_data_is_seen_alike() {
    let database = Database::embedded().unwrap();
    // Between them the sets tell most neighbouring ranges of different countries apart; `examples/equivalence.rs` takes all.
    let by = |bit: u8| {
        let odd = |code: &[u8; 2]| (code[0].wrapping_mul(7) ^ code[1].wrapping_mul(5)) >> bit & 1 == 1;
        CountrySet::all().iter().filter(|country| odd(&country.bytes())).collect::<CountrySet>()
    };
    let mut boundaries = 0;
    for (bit, include_unknown) in [(0, false), (1, true)] {
        let set = check(&database, &by(bit), include_unknown, &[], &[]);
        boundaries += set.len();
    }
    assert!(boundaries > 700_000, "only {boundaries} prefixes checked");
}

/// Ranges as (gap before, length, country), which cannot overlap. Small numbers make boundaries meet.
fn ranges() -> impl Strategy<Value = Vec<(u64, u64, usize)>> {
    let size = prop_oneof![0_u64..6, 0_u64..5_000_000];
    prop::collection::vec((size.clone(), size, 0_usize..4), 1..30)
}

const CODES: [&str; 4] = ["IR", "CU", "DE", "??"];

/// CSV lines for the ranges from `base` on, and the boundaries of the ranges.
fn lines(ranges: &[(u64, u64, usize)], base: u128, scale: u128, show: impl Fn(u128) -> String) -> (String, Vec<u128>) {
    let (mut text, mut edges, mut next) = (String::new(), Vec::new(), base);
    for (gap, length, code) in ranges {
        let first = next + u128::from(*gap) * scale;
        let last = first + u128::from(*length) * scale;
        writeln!(text, "{},{},{}", show(first), show(last), CODES[*code]).unwrap();
        edges.extend([first, last]);
        next = last + 1;
    }
    (text, edges)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn prefixes_hold_exactly_the_wanted_addresses(
        v4 in ranges(), v6 in ranges(), base in 0_u32..0xe000_0000, scale in 0_u32..90, include_unknown: bool, which in 0_usize..4,
    ) {
        let (text4, edges4) = lines(&v4, base.into(), 1, |bits| bits.to_string());
        let v6_base = 0x2001_0db8 << 96;
        let (text6, edges6) = lines(&v6, v6_base, 1 << scale, |bits| Ipv6Addr::from_bits(bits).to_string());
        // A line that is always there: a database without any country is refused.
        let text = format!("{text6}{text4}4294967000,4294967001,IR\n");
        let database = csv("random.csv", &text);
        let set = [countries(&["IR"]), countries(&["IR", "CU"]), countries(&["IR"]).complement(), CountrySet::all()][which];
        let edges4: Vec<u32> = edges4.into_iter().map(|bits| bits as u32).collect();
        check(&database, &set, include_unknown, &edges4, &edges6);
    }
}
