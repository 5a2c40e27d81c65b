//! The shipped programmes say what the facts say, and wrong files are refused with the reason.

use super::*;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn today() -> Date {
    day("2026-11-22")
}

fn shipped_one(id: &str) -> Programme {
    shipped().unwrap().into_iter().find(|programme| programme.id == id).unwrap()
}

fn places(id: &str, action: Action) -> Vec<String> {
    let programme = shipped_one(id);
    let entries = programme.in_effect(today()).filter(|entry| entry.action == action);
    entries.map(|entry| entry.place.to_string()).collect()
}

#[test]
fn the_shipped_programmes_name_the_places_under_embargo() {
    assert_eq!(places("ofac-comprehensive", Action::Block), ["CU", "IR", "KP", "UA-43", "UA-40"]);
    assert_eq!(places("ofac-comprehensive", Action::Alert), ["UA-14", "UA-09"]);
    assert_eq!(places("bis-e", Action::Block), ["CU", "IR", "KP", "SY"]);
    assert_eq!(places("eu-territorial", Action::Block), ["UA-43", "UA-40"]);
    assert_eq!(places("eu-territorial", Action::Alert), ["UA-14", "UA-09", "UA-65", "UA-23"]);
    assert_eq!(places("un", Action::Block), ["IR", "KP"]);
    let syria: Vec<String> = shipped()
        .unwrap()
        .into_iter()
        .filter(|programme| programme.entries.iter().any(|entry| entry.place.to_string() == "SY"))
        .map(|programme| programme.id)
        .collect();
    assert_eq!(syria, ["bis-e"]);
}

#[test]
fn measures_begin_when_their_instrument_says() {
    let un = shipped_one("un");
    assert!(!un.selection(day("2025-09-26"), Action::Block).countries.contains("IR".parse().unwrap()));
    assert!(un.selection(day("2025-09-27"), Action::Block).countries.contains("IR".parse().unwrap()));
    let eu = shipped_one("eu-territorial");
    assert_eq!(eu.selection(day("2022-10-05"), Action::Alert).regions.len(), 2);
    assert_eq!(eu.selection(day("2022-10-06"), Action::Alert).regions.len(), 4);
}

#[test]
fn a_review_is_overdue_after_its_day() {
    for programme in shipped().unwrap() {
        assert_eq!(programme.overdue(day("2027-02-22")).count(), 0, "{}", programme.id);
        assert_eq!(programme.overdue(day("2027-02-23")).count(), programme.entries.len(), "{}", programme.id);
    }
}

#[test]
fn policies_read_lists_by_programme() {
    let value = data(&shipped().unwrap(), today());
    let ofac = &value["ofac-comprehensive"];
    assert_eq!(ofac["authority"], "OFAC");
    assert_eq!(ofac["countries"], json!(["CU", "IR", "KP"]));
    assert_eq!(ofac["regions"], json!(["UA-40", "UA-43"]));
    assert_eq!(ofac["alert_regions"], json!(["UA-09", "UA-14"]));
    assert_eq!(ofac["version"], "2026-11-22");
    assert_eq!(ofac["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(value.as_object().unwrap().len(), 4);
    assert_eq!(value["bis-e"]["countries"], json!(["CU", "IR", "KP", "SY"]));
}

/// A right file in which one thing is replaced.
fn parse_with(old: &str, new: &str) -> Result<Programme, EmbargoError> {
    let right = r#"{
        "id": "lab", "authority": "Laboratory", "title": "A test", "citation": "None", "version": "1",
        "reviewed": "2026-01-01", "review_by": "2026-06-01",
        "countries": [
            {"code": "IR", "name": "Iran", "citation": "One", "from": "2020-01-01", "until": "2021-12-31", "action": "block"},
            {"code": "IR", "name": "Iran", "citation": "Two", "from": "2023-01-01", "action": "alert", "review_by": "2026-03-01"}
        ],
        "regions": []
    }"#;
    assert!(right.contains(old), "{old}");
    Programme::parse("lab.json", right.replacen(old, new, 1).as_bytes())
}

#[test]
fn a_place_may_come_and_go() {
    let lab = parse_with("", "").unwrap();
    let effect = |text: &str| lab.in_effect(day(text)).map(|entry| entry.citation.clone()).collect::<Vec<_>>();
    assert!(effect("2019-12-31").is_empty());
    assert_eq!(effect("2020-01-01"), ["One"]);
    assert_eq!(effect("2021-12-31"), ["One"]);
    assert!(effect("2022-01-01").is_empty());
    assert_eq!(effect("2026-01-01"), ["Two"]);
    // Its own review date wins over that of the programme.
    assert_eq!(lab.overdue(day("2026-03-02")).count(), 1);
    assert_eq!(data(&[lab], day("2026-01-01"))["lab"]["alert_countries"], json!(["IR"]));
}

#[test]
fn wrong_files_are_refused_with_the_reason() {
    let cases = [
        ("\"title\"", "\"titel\"", "unknown field `titel`"),
        ("\"action\": \"block\"", "\"action\": \"warn\"", "unknown variant `warn`"),
        ("\"action\": \"block\"", "\"note\": \"x\"", "missing field `action`"),
        ("\"code\": \"IR\"", "\"code\": \"Iran\"", "\"Iran\" is not a country code"),
        (
            "\"regions\": []",
            "\"regions\": [{\"code\": \"Crimea\", \"name\": \"x\", \"citation\": \"x\", \"from\": \"2020-01-01\", \"action\": \"alert\"}]",
            "\"Crimea\" is not a region code",
        ),
        ("2020-01-01", "2020-02-30", "\"2020-02-30\" is no date"),
        ("2020-01-01", "2020-01-01T00:00", "is no date"),
        ("2021-12-31", "2019-12-31", "until 2019-12-31 comes before from 2020-01-01"),
        ("2021-12-31", "2023-01-01", "IR has two entries for the same time"),
        ("\"id\": \"lab\"", "\"id\": \"The Lab\"", "its id \"The Lab\""),
        ("\"citation\": \"One\"", "\"citation\": \" \"", "IR: citation is empty"),
        ("2026-06-01", "2025-06-01", "does not come after"),
        ("\"version\": \"1\",", "", "missing field `version`"),
        ("]\n    }", "]", "EOF"),
    ];
    for (old, new, part) in cases {
        let error = parse_with(old, new).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("lab.json"), "{new}: {error}");
    }
    let empty =
        br#"{"id": "x", "authority": "x", "title": "x", "citation": "x", "version": "1", "reviewed": "2026-01-01",
        "review_by": "2026-02-01", "countries": [], "regions": []}"#;
    assert!(Programme::parse("empty.json", empty).unwrap_err().to_string().contains("neither countries nor regions"));
}
