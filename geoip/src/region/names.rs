//! Regions that databases call by many names, or count to another country, and their ISO 3166-2 codes.
//!
//! They are the regions under embargo: Crimea is `UA-43` whether a source says UA with code 43, RU with "Respublika Krym",
//! or nothing but "Crimea". Invariant: only sources that put the place into Ukraine, Russia or no country are believed, since
//! the same names occur elsewhere. Not here: names of other regions; those are known by their code alone.

use super::Region;
use crate::country::Country;

/// Codes after the hyphen, and what is left of the names in use once [`core`] has stripped them.
const NAMES: [(&str, &[&str]); 6] = [
    ("43", &["crimea", "crimean", "crimee", "krim", "krym", "krymu", "qirim", "крим", "крым"]),
    ("40", &["sevastopol", "sebastopol", "sevastopil", "sevastopolska", "sewastopol", "севастополь"]),
    ("14", &["donetsk", "donetska", "donetskaya", "donezk", "dnr", "dpr", "донецьк", "донецька", "донецк", "донецкая"]),
    (
        "09",
        &[
            "luhansk",
            "luhanska",
            "lugansk",
            "luganska",
            "luganskaya",
            "lnr",
            "lpr",
            "луганськ",
            "луганська",
            "луганск",
            "луганская",
        ],
    ),
    ("65", &["kherson", "khersonska", "khersonskaya", "cherson", "херсон", "херсонська", "херсонская"]),
    (
        "23",
        &[
            "zaporizhzhia",
            "zaporizhia",
            "zaporizhzhya",
            "zaporizhya",
            "zaporizhzha",
            "zaporizka",
            "zaporizhska",
            "zaporizhzhska",
            "zaporizhzhe",
            "zaporizhe",
            "zaporozhye",
            "zaporozhe",
            "zaporozhskaya",
            "saporischschja",
            "запоріжжя",
            "запорізька",
            "запорожье",
            "запорожская",
        ],
    ),
];

/// Words that say what kind of place it is.
const KINDS: [&str; 28] = [
    "autonomous",
    "avtonomna",
    "avtonomnaya",
    "autonome",
    "republic",
    "respublika",
    "republik",
    "republique",
    "peoples",
    "people",
    "oblast",
    "oblasts",
    "oblasti",
    "region",
    "province",
    "city",
    "misto",
    "gorod",
    "municipality",
    "federal",
    "of",
    "de",
    "the",
    "ar",
    "s",
    "область",
    "республика",
    "місто",
];

/// Codes that sources invent for places that ISO 3166-2 has under Ukraine.
const INVENTED: [(&str, &str); 2] = [("CR", "43"), ("SEV", "40")];

const UKRAINE: [u8; 2] = *b"UA";
const RUSSIA: [u8; 2] = *b"RU";

/// Whether sources that count a place to this country (or to none) may mean one of the regions here.
fn contested(country: Option<Country>) -> bool {
    country.is_none_or(|country| [UKRAINE, RUSSIA].contains(&country.bytes()))
}

/// The region that a name means, where the name is one of those here.
pub(crate) fn by_name(country: Option<Country>, name: &str) -> Option<Region> {
    if !contested(country) {
        return None;
    }
    let core = core(name);
    let (code, _) = NAMES.iter().find(|(_, names)| names.contains(&core.as_str()))?;
    ukrainian(code)
}

/// The region that a code of a source means: in full (`UA-43`) or as the part behind the hyphen (`43`).
pub(crate) fn by_code(country: Option<Country>, code: &str) -> Option<Region> {
    let region = code.parse().ok().or_else(|| Region::new(country?, code))?;
    Some(canonical(region))
}

/// The regions of this list: those whose loss from a database is worth refusing it.
pub(crate) fn all() -> impl Iterator<Item = Region> {
    NAMES.iter().filter_map(|(code, _)| ukrainian(code))
}

/// Invented codes become the ISO 3166-2 code of the same place.
fn canonical(region: Region) -> Region {
    let meant =
        INVENTED.iter().find(|(invented, _)| region.country.bytes() == RUSSIA && region.subdivision() == *invented);
    meant.and_then(|(_, code)| ukrainian(code)).unwrap_or(region)
}

fn ukrainian(code: &str) -> Option<Region> {
    Region::new(Country::from_bytes(UKRAINE)?, code)
}

/// A name in small letters without accents, punctuation and the words that say what kind of place it is.
fn core(name: &str) -> String {
    let plain: String = name.chars().flat_map(char::to_lowercase).filter_map(plain).collect();
    let words = plain.split_whitespace().filter(|word| !KINDS.contains(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The letter without its accent; a space for punctuation, nothing for apostrophes.
fn plain(letter: char) -> Option<char> {
    match letter {
        '\'' | '’' | '‘' | 'ʹ' | 'ʼ' | '`' | '´' | '"' => None,
        'é' | 'è' | 'ê' | 'ë' => Some('e'),
        'í' | 'ı' | 'î' | 'ï' => Some('i'),
        'á' | 'à' | 'â' => Some('a'),
        'ó' | 'ò' | 'ô' => Some('o'),
        'ž' => Some('z'),
        other if other.is_alphanumeric() => Some(other),
        _ => Some(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(country: &str, name: &str) -> Option<String> {
        by_name(country.parse().ok(), name).map(|region| region.to_string())
    }

    #[test]
    fn the_names_that_databases_use_lead_to_the_iso_code() {
        let cases = [
            ("UA-43", "UA", "Crimea"),
            ("UA-43", "RU", "Crimea"),
            ("UA-43", "UA", "Autonomous Republic of Crimea"),
            ("UA-43", "RU", "Respublika Krym"),
            ("UA-43", "UA", "Avtonomna Respublika Krym"),
            ("UA-43", "??", "République de Crimée"),
            ("UA-40", "RU", "Sebastopol City"),
            ("UA-40", "UA", "Misto Sevastopol'"),
            ("UA-40", "UA", "Sevastopol’s’ka"),
            ("UA-14", "UA", "Donetsk"),
            ("UA-14", "UA", "Donets'ka Oblast'"),
            ("UA-14", "RU", "Donetsk People's Republic"),
            ("UA-09", "RU", "Luhansk"),
            ("UA-09", "UA", "Luhans’ka Oblast’"),
            ("UA-09", "UA", "Lugansk Oblast"),
            ("UA-65", "UA", "Kherson Oblast"),
            ("UA-65", "UA", "Khersons'ka"),
            ("UA-23", "UA", "Zaporizhia"),
            ("UA-23", "UA", "Zaporizhzhya Oblast"),
            ("UA-23", "UA", "Zaporiz'ka Oblast'"),
            ("UA-23", "UA", "Запорізька область"),
        ];
        for (code, country, name) in cases {
            assert_eq!(named(country, name).as_deref(), Some(code), "{country} {name}");
        }
    }

    #[test]
    fn other_places_and_other_countries_are_not_meant() {
        for (country, name) in [
            ("UA", "Kyiv City"),
            ("UA", "Kharkivs’ka Oblast’"),
            ("RU", "Rostov"),
            ("US", "Crimea"),
            ("UA", "Oblast"),
            ("UA", ""),
        ] {
            assert_eq!(named(country, name), None, "{country} {name}");
        }
    }

    #[test]
    fn codes_come_in_full_or_without_the_country() {
        let country = "RU".parse().ok();
        let code = |country, code| by_code(country, code).map(|region| region.to_string());
        assert_eq!(code("UA".parse().ok(), "43").as_deref(), Some("UA-43"));
        assert_eq!(code(None, "ua-43").as_deref(), Some("UA-43"));
        assert_eq!(code(country, "CR").as_deref(), Some("UA-43"));
        assert_eq!(code(country, "SEV").as_deref(), Some("UA-40"));
        assert_eq!(code(country, "MOW").as_deref(), Some("RU-MOW"));
        assert_eq!(code(country, "Moscow"), None);
        assert_eq!(code(None, "43"), None);
    }

    #[test]
    fn every_name_is_in_the_form_that_is_compared() {
        for name in NAMES.iter().flat_map(|(_, names)| *names) {
            assert_eq!(core(name), *name);
        }
        assert_eq!(all().count(), NAMES.len());
    }
}
