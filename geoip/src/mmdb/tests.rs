//! Hostile files: damaged bytes and trees that unfold without end. Files made on purpose are in `tests/`.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

fn file(name: &str) -> Vec<u8> {
    let path = format!("testdata/test-data/{name}.mmdb");
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn sample() -> Vec<u8> {
    file("GeoIP2-Country-Test")
}

/// A tree of 32 nodes, both sides of each leading to the next: the four billion networks of one record.
fn unfolding() -> Vec<u8> {
    let record = |number: u32| number.to_be_bytes()[1..].to_vec();
    let mut bytes: Vec<u8> = (1..32).flat_map(|next| [record(next), record(next)].concat()).collect();
    bytes.extend([record(32 + 16), record(32 + 16)].concat());
    bytes.extend([0; 16]);
    bytes.extend(b"\xe1\x4ccountry_code\x42IR");
    bytes.extend(METADATA_MARKER);
    let entries: [(&str, &[u8]); 9] = [
        ("binary_format_major_version", b"\xa1\x02"),
        ("binary_format_minor_version", b"\xa0"),
        ("build_epoch", b"\x01\x02\x01"),
        ("database_type", b"\x44Test"),
        ("description", b"\xe0"),
        ("ip_version", b"\xa1\x04"),
        ("languages", b"\x00\x04"),
        ("node_count", b"\xc1\x20"),
        ("record_size", b"\xa1\x18"),
    ];
    bytes.push(0xe9);
    for (key, value) in entries {
        bytes.push(0x40 | key.len() as u8);
        bytes.extend(key.bytes());
        bytes.extend(value);
    }
    bytes
}

#[test]
fn a_tree_that_unfolds_without_end_is_refused() {
    let error = parse_limited(Path::new("unfolding.mmdb"), &unfolding(), record::read, 10_000).err().unwrap();
    assert!(matches!(error, GeoError::TooManyNetworks { limit: 10_000, .. }), "{error}");
}

proptest! {
    #[test]
    fn damaged_files_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = sample();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse_limited(Path::new("damaged.mmdb"), &bytes, record::read, 20_000);
    }

    #[test]
    fn damaged_files_of_cities_and_as_numbers_never_panic(
        city: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let name = if city { "GeoLite2-City-Test" } else { "GeoLite2-ASN-Test" };
        let mut bytes = file(name);
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = parse_limited(Path::new("damaged.mmdb"), &bytes, if city { record::read } else { asn::read }, 20_000);
    }

    #[test]
    fn truncated_files_never_panic(end in any::<prop::sample::Index>()) {
        let bytes = sample();
        let _ = parse_limited(Path::new("short.mmdb"), &bytes[..end.index(bytes.len())], record::read, 20_000);
    }

    #[test]
    fn arbitrary_bytes_with_metadata_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let whole = sample();
        let metadata = whole.windows(METADATA_MARKER.len()).rposition(|window| window == METADATA_MARKER).unwrap();
        let _ = parse_limited(Path::new("noise.mmdb"), &[&bytes, &whole[metadata..]].concat(), record::read, 20_000);
        let _ = parse_limited(Path::new("noise.mmdb"), &[METADATA_MARKER, &bytes].concat(), asn::read, 20_000);
    }
}
