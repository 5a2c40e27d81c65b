use proptest::prelude::*;
use sentinel_common::{address::Address, geo::class_of};

use super::*;
use crate::Database;

fn v4(ip: u32) -> Address {
    Address::from_v4(ip)
}

fn v6(ip: u128) -> Address {
    Address::from_octets(ip.to_be_bytes())
}

/// The image gives the class of the ranges at every boundary: first, last, one before, one after.
fn ensure_same(classes: &Classes, image: &TableImage) -> usize {
    let mut compared = 0;
    for pair in classes.v4.windows(2) {
        let ((start, class), (next, after)) = (pair[0], pair[1]);
        for (ip, expected) in [(start, class), (next - 1, class), (next, after)] {
            assert_eq!(class_of(image, v4(ip)), Some(expected), "{}", std::net::Ipv4Addr::from_bits(ip));
            compared += 1;
        }
    }
    for pair in classes.v6.windows(2) {
        let ((start, class), (next, after)) = (pair[0], pair[1]);
        for (ip, expected) in [(start, class), (next - 1, class), (next, after)] {
            // The v4-mapped block is asked about as IPv4.
            if ip >> 32 != 0xffff {
                assert_eq!(class_of(image, v6(ip)), Some(expected), "{}", std::net::Ipv6Addr::from_bits(ip));
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn every_boundary_of_the_embedded_data() {
    let database = Database::embedded().unwrap();
    let classes = Classes::new(&[&database], &[]).unwrap();
    let image = TableImage::new(&classes);
    assert!(ensure_same(&classes, &image) > 2_000_000);
    let at = |address: Address| class_of(&image, address).unwrap();
    assert_eq!(at(v4(u32::MAX)), classes.v4.last().unwrap().1);
    assert_eq!(at(v6(u128::MAX)), classes.v6.last().unwrap().1);
    // The whole world has to fit into 8 and 16 MiB of kernel memory; both together take less than the first.
    assert!(image.bytes() < 12 << 20, "{} bytes", image.bytes());
}

#[test]
fn a_table_that_is_not_whole_gives_nothing() {
    let database = Database::embedded().unwrap();
    let classes = Classes::new(&[&database], &[]).unwrap();
    let mut image = TableImage::new(&classes);
    image.nodes.clear();
    let divided = image.roots.iter().position(|root| root & NODE != 0).unwrap() as u32;
    assert_eq!(class_of(&image, v4(divided << 16)), None);
}

/// Ranges that cluster, so that nodes are divided deep down and at the borders of words.
fn clustered() -> impl Strategy<Value = Vec<(u128, u16)>> {
    let address = (0..4_u128, 0..128_u32, any::<u128>(), 0..3_u32).prop_map(|(base, shift, bits, fill)| {
        let base = base << 125 | 0x0db8 << 96;
        match fill {
            0 => base | 1 << shift,
            1 => base | (bits >> shift),
            _ => base.wrapping_sub(1 << shift.min(120)),
        }
    });
    proptest::collection::btree_map(address, 0..5_u16, 0..60).prop_map(|map| {
        let mut ranges: Vec<(u128, u16)> =
            std::iter::once((0, 7)).chain(map.into_iter().filter(|(a, _)| *a > 0)).collect();
        ranges.dedup_by_key(|range| range.1);
        ranges
    })
}

proptest! {
    #[test]
    fn random_ranges(v6_ranges in clustered(), picks in proptest::collection::vec(any::<u128>(), 50)) {
        let mut v4_ranges: Vec<(u32, u16)> = v6_ranges.iter().map(|(start, class)| ((start >> 96) as u32, *class)).collect();
        v4_ranges.dedup_by_key(|range| range.0);
        v4_ranges.dedup_by_key(|range| range.1);
        let classes = Classes { facts: Vec::new(), v4: v4_ranges, v6: v6_ranges };
        let image = TableImage::new(&classes);
        ensure_same(&classes, &image);
        for pick in picks {
            let index = classes.v6.partition_point(|(start, _)| *start <= pick) - 1;
            if pick >> 32 != 0xffff {
                prop_assert_eq!(class_of(&image, v6(pick)), Some(classes.v6[index].1));
            }
        }
    }
}
