//! Opening: the embedded data, CSV files, Sentinel's own format, and everything that is no database.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::support::{country, ip, scratch, write};
use geoip::{Coverage, Database, GeoError, Schema, Source, Unencoded, encode};

#[test]
fn the_embedded_data_is_whole_and_says_what_it_is() {
    let database = Database::embedded().unwrap();
    let info = database.info();
    assert_eq!(
        (info.database_type.as_str(), info.schema, &info.source),
        ("ipfire-country", Schema::Binary, &Source::Embedded)
    );
    assert_eq!((info.v4_entries, info.v6_entries), (395_366, 281_230));
    // 2026-09-23 04:35:31 UTC.
    assert_eq!(info.build, 1_790_138_131);
    assert_eq!(info.age_days(info.build + 45 * 86_400), 45);
    assert_eq!(info.sha256.len(), 64);
    assert!(info.licence.is_some_and(|line| line.contains("CC BY-SA 4.0") && line.contains("IPFire")));
    for (address, code) in [("175.45.176.1", "KP"), ("5.160.0.1", "IR"), ("152.206.0.1", "CU"), ("2a02:6b8::1", "RU")] {
        assert_eq!(database.lookup(ip(address)).country, Some(country(code)), "{address}");
    }
    assert_eq!(database.lookup(ip("203.0.113.1")).coverage, Coverage::Unknown);
}

#[test]
fn the_checksum_is_that_of_the_file() {
    let database = Database::open(&write("checksum.csv", "16777216,16777216,IR\r\n\n\n")).unwrap();
    // As sha256sum gives it.
    assert_eq!(database.info().sha256, "370ad6daaddd0c5a2e0effa5791e14318d683f9fa218acafb91e600ccbb0f5b9");
}

#[test]
fn a_laboratory_database_is_three_words_a_line() {
    let database =
        Database::open(&write("lab.csv", "203.0.113.0,203.0.113.255,IR\n2001:db8::,2001:db8::ffff,KP\n")).unwrap();
    assert_eq!(database.lookup(ip("203.0.113.77")).country, Some(country("IR")));
    assert_eq!(database.lookup(ip("203.0.113.77")).prefix.to_string(), "203.0.113.0/24");
    assert_eq!(database.lookup(ip("2001:db8::1")).prefix.to_string(), "2001:db8::/112");
    assert_eq!((database.info().v4_entries, database.info().v6_entries), (1, 1));
    assert_eq!((database.info().schema, database.info().licence), (Schema::Csv, None));
    assert_eq!(database.info().source, Source::File(scratch("lab.csv")));
}

#[test]
fn a_csv_file_is_as_old_as_its_last_change() {
    let path = write("dated.csv", "1.0.0.0,1.0.0.255,IR\n");
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
    assert_eq!(Database::open(&path).unwrap().info().build, 1_600_000_000);
    let error = Database::open_at(&path, 1_500_000_000).unwrap_err();
    assert!(matches!(error, GeoError::FutureBuild { .. }), "{error}");
}

#[test]
fn sentinel_s_own_format_can_be_opened_too_and_damage_is_refused() {
    let data = Unencoded {
        database_type: "own".into(),
        build: 1_700_000_000,
        v4: vec![(0x0100_0000, Some(country("AU"))), (0x0100_0100, None)],
        v6: Vec::new(),
    };
    let mut bytes = encode(&data);
    let database = Database::open(&write("own.bin", &bytes)).unwrap();
    assert_eq!(database.lookup(ip("1.0.0.255")).country, Some(country("AU")));
    assert_eq!(database.lookup(ip("2001:db8::1")).coverage, Coverage::NoIpv6);
    bytes[20] ^= 1;
    let error = Database::open(&write("own-damaged.bin", &bytes)).unwrap_err();
    assert!(matches!(error, GeoError::Binary { .. }), "{error}");
}

#[test]
fn what_is_no_database_is_refused_with_the_name_and_the_next_step() {
    let directory = scratch("a-directory");
    fs::create_dir_all(&directory).unwrap();
    let cases = [
        (scratch("missing.mmdb"), "missing.mmdb cannot be read"),
        (directory, "not a regular file"),
        ("/dev/zero".into(), "not a regular file"),
        (write("nothing", ""), "describes no network"),
        (write("comments.csv", "# nothing\n"), "describes no network"),
        (write("unknown.csv", "1,2,??\n"), "gives no address a country"),
        (write("noise", [0xff, 0x00, 0xfe, 0x80]), "is no geo database"),
        (write("prose.txt", "Hello, world\n"), "line 1: 2 comma-separated fields"),
        (write("wrong.csv", "1,2,IR\n3,4,Iran\n"), "line 2: \"Iran\" is not a country code"),
    ];
    for (path, part) in cases {
        let error = Database::open(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(&path.display().to_string()), "{error}");
        assert!(error.starts_with("The ") && error.ends_with('.'), "{error}");
    }
}
