//! Fetches Debian packages into `.vm/` and unpacks them, without installing anything and without root.
//!
//! Invariant: a directory in the cache is complete: it is unpacked beside its place and moved there. A package comes from
//! the suite named for it: from the system's own apt where the system is that release (and its lists are fresh enough),
//! else by package lists of our own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::Kernel;
use crate::project::{Project, find_program, output, run};

/// A kernel on disk.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The image QEMU boots.
    pub(crate) image: PathBuf,
    /// The modules, `kernel/...` below it.
    pub(crate) modules: PathBuf,
    /// `uname -r`.
    pub(crate) release: String,
}

/// The kernel, fetched at the first use.
pub(crate) fn kernel(project: &Project, kernel: &Kernel) -> Result<Fetched> {
    let dir = unpacked(project, &format!("kernel-{}", kernel.name), &kernel.package, &kernel.suite, "linux-")?;
    // Debian 14 moves everything below usr.
    let tops = [dir.join("usr/lib/modules"), dir.join("lib/modules")];
    let release = tops.iter().find_map(|top| only_entry(top).map(|release| (top, release)));
    let (top, release) =
        release.with_context(|| format!("no modules in {}: remove it and try again", dir.display()))?;
    let modules = top.join(&release);
    let images = [dir.join(format!("boot/vmlinuz-{release}")), modules.join("vmlinuz")];
    let image = images.into_iter().find(|path| path.exists());
    let image = image.with_context(|| format!("no kernel image in {}: remove it and try again", dir.display()))?;
    Ok(Fetched { image, modules, release })
}

/// Busybox, static: the VM's shell tools, and what unpacks modules here.
pub(crate) fn busybox(project: &Project) -> Result<PathBuf> {
    let dir = unpacked(project, "busybox", "busybox-static", "bookworm", "busybox-static")?;
    let paths = [dir.join("bin/busybox"), dir.join("usr/bin/busybox")];
    paths.into_iter().find(|path| path.exists()).with_context(|| format!("no busybox in {}", dir.display()))
}

/// Container runtimes for the VM, which this machine need not have.
pub(crate) fn runtimes(project: &Project) -> Result<Vec<PathBuf>> {
    let packages = [("runc", "runc", "usr/sbin/runc"), ("bubblewrap", "bubblewrap", "usr/bin/bwrap")];
    let program = |(name, package, path)| Ok(unpacked(project, name, package, "bookworm", package)?.join(path));
    packages.into_iter().map(program).collect()
}

fn only_entry(dir: &Path) -> Option<String> {
    fs::read_dir(dir).ok()?.flatten().next()?.file_name().into_string().ok()
}

/// The directory into which `package`, and what it depends on by a name that begins with `family`, is unpacked.
fn unpacked(project: &Project, name: &str, package: &str, suite: &str, family: &str) -> Result<PathBuf> {
    let cache = project.cache()?;
    let dir = cache.join(name);
    // Two runs at once: the second waits here for the first one's download.
    let lock = File::create(cache.join("lock")).context("making the lock of the package cache")?;
    lock.lock().context("locking the package cache")?;
    if dir.exists() {
        return Ok(dir);
    }
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        find_program(tool).with_context(|| format!("the VM runs Debian's kernels, fetched with {tool}: not found"))?;
    }
    println!("vm: fetching {package} ({suite}) into {}", dir.display());
    let building = cache.join(format!("{name}.new"));
    if building.exists() {
        fs::remove_dir_all(&building).with_context(|| format!("removing {}", building.display()))?;
    }
    fs::create_dir(&building).with_context(|| format!("making {}", building.display()))?;
    fetch(&cache, package, suite, family, &building)
        .with_context(|| format!("fetching {package} from Debian {suite}"))?;
    fs::rename(&building, &dir).with_context(|| format!("moving {} to its place", building.display()))?;
    Ok(dir)
}

fn fetch(cache: &Path, package: &str, suite: &str, family: &str, into: &Path) -> Result<()> {
    if system_suite().as_deref() == Some(suite) {
        match (Apt { options: Vec::new(), dir: into.to_owned() }).fetch(package, family) {
            Ok(()) => return Ok(()),
            Err(error) => println!("vm: the system's apt cannot give it ({error:#}); asking Debian directly"),
        }
    }
    Apt::private(cache, suite, into)?.fetch(package, family)
}

/// The Debian release this system is, whose apt knows the packages of that suite.
fn system_suite() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"'));
    (value("ID=") == Some("debian")).then(|| value("VERSION_CODENAME=").map(str::to_owned))?
}

/// An apt: its options, and the directory that packages are fetched and unpacked into.
struct Apt {
    options: Vec<String>,
    dir: PathBuf,
}

impl Apt {
    /// One with package lists of its own, from Debian's server, checked against Debian's keys.
    fn private(cache: &Path, suite: &str, dir: &Path) -> Result<Self> {
        let home = cache.join(format!("apt-{suite}"));
        for below in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(home.join(below)).with_context(|| format!("making {}", home.display()))?;
        }
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        if !Path::new(keys).exists() {
            bail!("{keys} is missing: install the package debian-archive-keyring");
        }
        let mut sources = format!("deb [signed-by={keys}] http://deb.debian.org/debian {suite} main\n");
        if suite != "sid" {
            sources += &format!("deb [signed-by={keys}] http://deb.debian.org/debian-security {suite}-security main\n");
        }
        let list = home.join("sources.list");
        fs::write(&list, sources).with_context(|| format!("writing {}", list.display()))?;
        let options = vec![
            format!("Dir::Etc::SourceList={}", list.display()),
            String::from("Dir::Etc::SourceParts=/dev/null"),
            format!("Dir::State::Lists={}", home.join("lists").display()),
            format!("Dir::Cache={}", home.join("cache").display()),
            // Listing only: nothing is installed, so nothing is there.
            String::from("Dir::State::status=/dev/null"),
        ];
        let apt = Self { options, dir: dir.to_owned() };
        run(apt.command("apt-get").args(["update", "--quiet"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // The download user of apt cannot write to a checkout; signatures are checked all the same.
        command.current_dir(&self.dir).env("LC_ALL", "C").args(["-o", "APT::Sandbox::User="]);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }

    fn fetch(&self, package: &str, family: &str) -> Result<()> {
        let mut packages = vec![package.to_owned()];
        let mut next = 0;
        while let Some(package) = packages.get(next) {
            let text = output(self.command("apt-cache").args(["depends", "--important", package]))?;
            for found in depends(&text, family) {
                if !packages.contains(&found) {
                    packages.push(found);
                }
            }
            next += 1;
        }
        output(self.command("apt-get").arg("download").args(&packages))?;
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ending| ending == "deb") {
                run(Command::new("dpkg-deb").arg("--extract").arg(&path).arg(&self.dir))?;
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        Ok(())
    }
}

/// The packages of a family in the output of `apt-cache depends`; alternatives and virtual packages are left out.
fn depends(text: &str, family: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| name.starts_with(family)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_the_family_are_followed() {
        let text = "linux-image-6.12-cloud-amd64\n  Depends: linux-image-6.12.1-cloud-amd64\n |Depends: linux-initramfs-tool\n  \
                    Depends: <linux-image>\n  Depends: kmod\n";
        assert_eq!(depends(text, "linux-"), ["linux-image-6.12.1-cloud-amd64"]);
    }
}
