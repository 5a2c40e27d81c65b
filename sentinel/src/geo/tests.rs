//! Files that change, break, shrink, vanish and come back.

use super::*;

/// A directory of a test, removed with it.
struct Lab(PathBuf);

impl Lab {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sentinel-geofile-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// Replaces the file as editors do.
    fn put(&self, text: &str) {
        fs::write(self.0.join("new"), text).unwrap();
        fs::rename(self.0.join("new"), self.path()).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.0.join("geo.csv")
    }

    fn wanted(&self) -> Wanted {
        Wanted { files: vec![self.path()], ..Wanted::default() }
    }

    fn load(&self, previous: Option<&GeoData>) -> (GeoData, Vec<(PathBuf, News)>) {
        GeoData::load(&self.wanted(), previous, now()).unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

fn country(data: &GeoData, address: &str) -> Option<String> {
    data.votes.lookup(address.parse().unwrap()).countries.first().map(ToString::to_string)
}

const WHOLE: &str = "203.0.113.0,203.0.113.255,IR\n198.51.100.0,198.51.100.255,FR\n";

#[test]
fn an_unchanged_file_is_not_read_again() {
    let lab = Lab::new("same");
    lab.put(WHOLE);
    let (first, news) = lab.load(None);
    assert!(news.is_empty() && first.has_seen(&first.stamps()));
    let (second, news) = lab.load(Some(&first));
    assert_eq!((second.reads, news.len()), (1, 0));
    assert!(Arc::ptr_eq(&first.files[0].database, &second.files[0].database));
    lab.put(WHOLE);
    assert!(!second.has_seen(&second.stamps()));
    let (third, news) = lab.load(Some(&second));
    assert_eq!((third.reads, news.len()), (2, 0), "the same bytes again are no news");
}

#[test]
fn a_good_successor_takes_the_place() {
    let lab = Lab::new("good");
    lab.put(WHOLE);
    let (first, _) = lab.load(None);
    lab.put(&WHOLE.replace("113.255,IR", "113.247,IR").replace("100.255,FR", "100.255,FR\n192.0.2.0,192.0.2.255,IR"));
    let (second, news) = lab.load(Some(&first));
    assert!(matches!(&news[..], [(_, News::Replaced(_))]), "{news:?}");
    assert_eq!(country(&second, "192.0.2.1").as_deref(), Some("IR"));
    assert_eq!(country(&first, "192.0.2.1"), None);
}

#[test]
fn what_is_broken_or_smaller_or_gone_changes_nothing() {
    let lab = Lab::new("bad");
    lab.put(WHOLE);
    let (first, _) = lab.load(None);
    let shrunken = WHOLE.replace("203.0.113.255", "203.0.113.203");
    for (text, why) in [("no database", "line 1"), (shrunken.as_str(), "IR shrinks from 256"), ("", "geo.csv")] {
        lab.put(text);
        let (kept, news) = lab.load(Some(&first));
        assert!(matches!(&news[..], [(_, News::Refused(said))] if said.contains(why)), "{why}: {news:?}");
        assert!(kept.refused().unwrap().contains(why));
        assert_eq!(country(&kept, "203.0.113.255").as_deref(), Some("IR"));
        assert!(kept.has_seen(&kept.stamps()), "a refused version is not tried again and again");
        let (again, news) = lab.load(Some(&kept));
        assert!(news.is_empty() && again.refused().is_some(), "and is told once");
    }
    fs::remove_file(lab.path()).unwrap();
    let (kept, news) = lab.load(Some(&first));
    assert!(matches!(&news[..], [(_, News::Refused(said))] if said.contains("is gone")), "{news:?}");
    lab.put(WHOLE);
    let (back, news) = lab.load(Some(&kept));
    assert!(news.is_empty() && back.refused().is_none(), "{news:?}");
}

#[test]
fn what_is_accepted_is_taken() {
    let lab = Lab::new("accept");
    lab.put(WHOLE);
    let (first, _) = lab.load(None);
    lab.put("198.51.100.0,198.51.100.255,FR\n");
    let (kept, _) = lab.load(Some(&first));
    assert!(kept.refused().is_some());
    let wanted = Wanted { accept: Accept { shrunken: true, ..Accept::default() }, ..lab.wanted() };
    let (taken, news) = GeoData::load(&wanted, Some(&kept), now()).unwrap();
    assert!(matches!(&news[..], [(_, News::Replaced(_))]) && taken.refused().is_none(), "{news:?}");
    assert_eq!(country(&taken, "203.0.113.1"), None);
}

#[test]
fn what_cannot_be_put_in_force_is_refused_too() {
    let lab = Lab::new("refusing");
    lab.put(WHOLE);
    let (first, _) = lab.load(None);
    lab.put(&format!("{WHOLE}192.0.2.0,192.0.2.255,IR\n"));
    let (second, _) = lab.load(Some(&first));
    let kept = first.refusing(&second, "no room");
    assert_eq!((kept.refused().as_deref(), country(&kept, "192.0.2.1")), (Some("no room"), None));
    assert!(kept.has_seen(&kept.stamps()));
}

#[test]
fn a_file_that_was_never_in_force_must_be_usable() {
    let lab = Lab::new("first");
    assert!(GeoData::load(&lab.wanted(), None, now()).is_err());
    let (data, _) = GeoData::load(&Wanted::default(), None, now()).unwrap();
    assert!(data.files.is_empty() && data.reads == 0);
    let (again, _) = GeoData::load(&Wanted::default(), Some(&data), now()).unwrap();
    assert!(Arc::ptr_eq(&data.votes.databases()[0], &again.votes.databases()[0]));
}
