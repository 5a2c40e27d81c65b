//! The file system that the hour runs on: Debian from the machine's own apt source, made once and kept in `.vm/`.
//!
//! Invariant: an image in the cache was made from the recipe beside it; when the recipe in the checkout is another one, a new
//! image is made. Names of mirrors go into neither. Needs root for the making alone: packages run their scripts in a chroot.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::project::{Project, as_root, find_program, output, run};

/// Which packages, and what happens to them.
const PACKAGES: &str = "tests/vm/hour/packages";
const SCRIPT: &str = "tests/vm/hour/image.sh";
/// Where Debian is when this machine's apt does not say.
const MIRROR: &str = "http://deb.debian.org/debian";
/// Of the whole file system. The file is sparse.
const SIZE: &str = "3G";

/// The image, made at the first use.
pub(super) fn disk(project: &Project) -> Result<PathBuf> {
    let cache = project.cache()?;
    let (disk, made_from) = (cache.join("hour.ext4"), cache.join("hour.recipe"));
    let lock = File::create(cache.join("hour.lock")).context("making the lock of the hour's image")?;
    lock.lock().context("locking the hour's image")?;
    let recipe = Recipe::read(project)?;
    if disk.exists() && fs::read_to_string(&made_from).is_ok_and(|text| text == recipe.text) {
        return Ok(disk);
    }
    println!("hour: making the file system from Debian {}", recipe.release);
    make(project, &recipe, &disk).context("making the file system of the hour")?;
    fs::write(&made_from, &recipe.text).with_context(|| format!("writing {}", made_from.display()))?;
    Ok(disk)
}

/// What the image is made of.
#[derive(Debug, PartialEq, Eq)]
struct Recipe {
    text: String,
    release: String,
    base: Vec<String>,
    local: Vec<String>,
    source: Vec<String>,
}

impl Recipe {
    fn read(project: &Project) -> Result<Self> {
        let read = |name: &str| {
            let path = project.root.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        Self::parse(read(PACKAGES)?, &read(SCRIPT)?)
    }

    fn parse(packages: String, script: &str) -> Result<Self> {
        let mut recipe =
            Self { text: String::new(), release: String::new(), base: vec![], local: vec![], source: vec![] };
        for (number, line) in packages.lines().enumerate() {
            let mut words = line.split_whitespace().map(str::to_owned);
            let names = match words.next().as_deref() {
                None => continue,
                Some(comment) if comment.starts_with('#') => continue,
                Some("release") => {
                    recipe.release = words.next().unwrap_or_default();
                    continue;
                }
                Some("base") => &mut recipe.base,
                Some("local") => &mut recipe.local,
                Some("source") => &mut recipe.source,
                Some(other) => {
                    bail!("{PACKAGES}:{}: expected release, base, local or source, found `{other}`", number + 1)
                }
            };
            names.extend(words);
        }
        recipe.text = packages + script;
        Ok(recipe)
    }
}

fn make(project: &Project, recipe: &Recipe, disk: &Path) -> Result<()> {
    let tree = disk.with_extension("tree");
    let new = disk.with_extension("new");
    let root = |program: &str| as_root(project, program, "making a Debian file system");
    let remove = || -> Result<()> { run(root("rm")?.args(["-rf", "--one-file-system"]).arg(&tree)) };
    remove()?;
    let mirror = mirror(project, &recipe.release);
    let mut debian = root("env")?;
    debian.arg(format!("LOCAL={}", recipe.local.join(" "))).arg(format!("SOURCES={}", recipe.source.join(" ")));
    debian.args(["mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase"]);
    debian.args(["--aptopt=APT::Install-Recommends \"false\"", &format!("--include={}", recipe.base.join(","))]);
    debian.arg(format!("--customize-hook={}", project.root.join(SCRIPT).display()));
    debian.arg(&recipe.release).arg(&tree);
    debian.args(["deb", "deb-src"].map(|kind| format!("{kind} {mirror} {} main", recipe.release)));
    run(&mut debian)?;
    let format = find_program("mkfs.ext4").context("mkfs.ext4 is not installed: cargo xtask setup installs it")?;
    let format = format.to_string_lossy().into_owned();
    run(root(&format)?.args(["-q", "-F", "-L", "hour", "-d"]).arg(&tree).arg(&new).arg(SIZE))?;
    remove()?;
    // Whoever may use the cache may use the image.
    run(root("chmod")?.arg("a+r").arg(&new))?;
    fs::rename(&new, disk).with_context(|| format!("moving {} to its place", new.display()))
}

/// The mirror that this machine's apt has for the release.
fn mirror(project: &Project, release: &str) -> String {
    let mut apt = project.command("apt-get");
    apt.args(["indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]);
    let known = output(&mut apt).unwrap_or_default();
    mirror_in(&known, release).unwrap_or(MIRROR).to_owned()
}

fn mirror_in<'t>(known: &'t str, release: &str) -> Option<&'t str> {
    known.lines().find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [uri, name, "main"] if name == release => Some(uri),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipe_is_read_and_bad_lines_are_named() {
        let text = "# list\nrelease bookworm\n\nbase gcc make\nlocal nano\nbase jq\nsource zlib\n";
        let recipe = Recipe::parse(text.to_owned(), "script").unwrap();
        assert_eq!((recipe.release.as_str(), recipe.base.join(" ").as_str()), ("bookworm", "gcc make jq"));
        assert_eq!((recipe.local, recipe.source), (vec!["nano".to_owned()], vec!["zlib".to_owned()]));
        assert!(recipe.text.ends_with("script"));
        let error = Recipe::parse("base gcc\nbsae make\n".to_owned(), "").unwrap_err();
        assert!(error.to_string().starts_with("tests/vm/hour/packages:2:"), "{error}");
    }

    #[test]
    fn the_machines_mirror_is_that_of_the_release() {
        let known =
            "http://m/security/ bookworm-security main\nhttp://m/x/ bookworm contrib\nhttp://m/debian/ bookworm main\n";
        assert_eq!(mirror_in(known, "bookworm"), Some("http://m/debian/"));
        assert_eq!(mirror_in(known, "trixie"), None);
    }
}
