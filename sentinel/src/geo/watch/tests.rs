//! Every way in which a file is replaced is noticed, soon and once.

use std::os::unix::fs::symlink;

use super::*;

const ONE: &str = "203.0.113.0,203.0.113.255,IR\n";
const TWO: &str = "203.0.113.0,203.0.113.255,IR\n198.51.100.0,198.51.100.255,IR\n";

struct Lab {
    folder: PathBuf,
    watch: Option<Watch>,
}

impl Lab {
    /// `geo.csv` is a file, or leads through two links into `one/`.
    fn new(name: &str, linked: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("sentinel-geowatch-{name}-{}", std::process::id()));
        for sub in ["one", "two"] {
            fs::create_dir_all(folder.join(sub)).unwrap();
        }
        fs::write(folder.join("one/geo.csv"), ONE).unwrap();
        fs::write(folder.join("two/geo.csv"), TWO).unwrap();
        if linked {
            symlink("one", folder.join("data")).unwrap();
            symlink("data/geo.csv", folder.join("geo.csv")).unwrap();
        } else {
            fs::copy(folder.join("one/geo.csv"), folder.join("geo.csv")).unwrap();
        }
        let wanted = Wanted { files: vec![folder.join("geo.csv")], ..Wanted::default() };
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        let (data, _) = GeoData::load(&wanted, None, now).unwrap();
        let (table, _) = ClassTable::build(&data.votes).unwrap();
        let watch = Watch::start(InForce { wanted, updater: None, data, table: Some(Arc::new(table)) }).unwrap();
        Self { folder, watch: Some(watch) }
    }

    /// What comes within a time that is shorter than the looks without being told.
    fn next(&mut self) -> Option<Renewed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let watch = self.watch.as_mut().unwrap();
        runtime.block_on(async { tokio::time::timeout(POLL / 2, watch.next()).await.ok() })
    }

    fn renewed(&mut self) {
        let renewed = self.next().expect("the change is noticed");
        assert!(matches!(&renewed.news[..], [(_, News::Replaced(_))]), "{:?}", renewed.news);
        assert!(renewed.table.is_some());
        assert!(self.next().is_none(), "and noticed once");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.watch = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_file_renamed_over() {
    let mut lab = Lab::new("rename", false);
    std::thread::sleep(DEBOUNCE);
    // Now, not when the laboratory was set up: a file that is older than the one in force is refused.
    fs::write(lab.folder.join("two/geo.csv"), TWO).unwrap();
    fs::rename(lab.folder.join("two/geo.csv"), lab.folder.join("geo.csv")).unwrap();
    lab.renewed();
}

#[test]
fn a_file_written_in_pieces() {
    use std::io::Write as _;
    let mut lab = Lab::new("pieces", false);
    std::thread::sleep(DEBOUNCE);
    let mut file = fs::OpenOptions::new().append(true).open(lab.folder.join("geo.csv")).unwrap();
    for piece in ["198.51.", "100.0,198.51.100", ".255,IR\n"] {
        file.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(DEBOUNCE / 4);
    }
    lab.renewed();
}

#[test]
fn a_link_swapped_in_the_middle() {
    let mut lab = Lab::new("link", true);
    std::thread::sleep(DEBOUNCE);
    fs::write(lab.folder.join("two/geo.csv"), TWO).unwrap();
    symlink("two", lab.folder.join("next")).unwrap();
    fs::rename(lab.folder.join("next"), lab.folder.join("data")).unwrap();
    lab.renewed();
    // The directory that it leads to now is watched too.
    fs::write(lab.folder.join("two/geo.csv"), format!("{TWO}192.0.2.0,192.0.2.255,IR\n")).unwrap();
    lab.renewed();
}

#[test]
fn what_a_reload_overtook_is_dropped() {
    let mut lab = Lab::new("overtaken", false);
    let old = GeoData::load(
        &Wanted { files: vec![lab.folder.join("geo.csv")], ..Wanted::default() },
        None,
        u64::try_from(jiff::Timestamp::now().as_second()).unwrap(),
    );
    fs::rename(lab.folder.join("two/geo.csv"), lab.folder.join("geo.csv")).unwrap();
    std::thread::sleep(DEBOUNCE * 3);
    let wanted = Wanted::default();
    let (data, _) = old.unwrap();
    // A reload that no longer wants the file: what was read of it must not come.
    let empty = GeoData { files: Vec::new(), ..data };
    lab.watch.as_mut().unwrap().in_force(InForce { wanted, updater: None, data: empty, table: None });
    assert!(lab.next().is_none());
}
