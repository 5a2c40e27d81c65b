//! Which kernel modules go into the boot image, and in which order they load.
//!
//! Invariant: a module comes after everything it depends on; dependencies are read from the modules themselves, so that no
//! depmod is needed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::fetch::Fetched;

/// A module ready to load.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its name with underscores.
    pub(crate) name: String,
    /// Loaded at boot, not only when something asks for it.
    pub(crate) at_boot: bool,
    /// The uncompressed object.
    pub(crate) content: Vec<u8>,
}

impl Module {
    /// The names of the modules it needs.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let text = self.information("depends").next().unwrap_or_default();
        text.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
    }

    /// The names under which the kernel may ask for it.
    pub(crate) fn aliases(&self) -> Vec<String> {
        self.information("alias").collect()
    }

    /// The values of a key in the module's information section.
    fn information(&self, key: &str) -> impl Iterator<Item = String> {
        let key = format!("\0{key}=").into_bytes();
        let at = |(at, part): (usize, &[u8])| (part == key).then_some(at + key.len());
        let starts: Vec<usize> = self.content.windows(key.len()).enumerate().filter_map(at).collect();
        starts.into_iter().map(|start| {
            let value = self.content[start..].split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        })
    }
}

/// The modules named in the text `list`, with what they depend on, each after that. Names without a module are told to
/// `absent`: built in, or not made for this kernel.
pub(crate) fn closure(
    kernel: &Fetched,
    busybox: &Path,
    list: &str,
    absent: &mut dyn FnMut(&str),
) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    index(&kernel.modules.join("kernel"), &mut files)?;
    let mut order = Vec::new();
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, at_boot) = line.strip_prefix("lazy ").map_or((line, true), |name| (name, false));
        if files.contains_key(name) {
            add(name, at_boot, &files, busybox, &mut order)?;
        } else {
            absent(name);
        }
    }
    Ok(order)
}

/// Adds `name` after its dependencies.
fn add(
    name: &str,
    at_boot: bool,
    files: &BTreeMap<String, PathBuf>,
    busybox: &Path,
    order: &mut Vec<Module>,
) -> Result<()> {
    if let Some(at) = order.iter().position(|module| module.name == name) {
        if at_boot && !order[at].at_boot {
            order[at].at_boot = true;
            for dependency in order[at].dependencies() {
                add(&dependency, true, files, busybox, order)?;
            }
        }
        return Ok(());
    }
    // A dependency that is no file is built in.
    let Some(path) = files.get(name) else { return Ok(()) };
    let module = Module { name: name.to_owned(), at_boot, content: read(path, busybox)? };
    for dependency in module.dependencies() {
        add(&dependency, at_boot, files, busybox, order)?;
    }
    order.push(module);
    Ok(())
}

/// Every module file below `dir` by name.
fn index(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            index(&path, files)?;
        } else if let Some((name, _)) = path.file_name().and_then(|name| name.to_str()?.split_once(".ko")) {
            files.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

fn read(path: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let tool = match path.extension().and_then(|ending| ending.to_str()) {
        Some("ko") => return fs::read(path).with_context(|| format!("reading {}", path.display())),
        Some("xz") => "xz",
        Some("gz") => "gzip",
        other => bail!("{}: modules compressed as {other:?} are not known here", path.display()),
    };
    let mut command = Command::new(busybox);
    let output = command.args([tool, "-d", "-c"]).arg(path).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("starting {}", busybox.display()))?;
    if !output.status.success() {
        bail!("decompressing {} failed ({})", path.display(), output.status);
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn information_is_read_from_the_module() {
        let content = b"ELF\0alias=rtnl-link-x\0depends=nf-tables,nf_nat\0alias=net-pf-2\0name=x\0".to_vec();
        let module = Module { name: String::from("x"), at_boot: true, content };
        assert_eq!(module.dependencies(), ["nf_tables", "nf_nat"]);
        assert_eq!(module.aliases(), ["rtnl-link-x", "net-pf-2"]);
        let module = Module { content: b"ELF\0depends=\0name=x\0".to_vec(), ..module };
        assert!(module.dependencies().is_empty() && module.aliases().is_empty());
    }

    #[test]
    fn a_module_comes_after_what_it_needs() {
        let dir = std::env::temp_dir().join(format!("xtask-modules-{}", std::process::id()));
        fs::create_dir_all(dir.join("kernel/net")).unwrap();
        fs::write(dir.join("kernel/net/top.ko"), b"\0depends=mid-dle\0").unwrap();
        fs::write(dir.join("kernel/net/mid-dle.ko"), b"\0depends=base,builtin\0").unwrap();
        fs::write(dir.join("kernel/base.ko"), b"\0depends=\0").unwrap();
        let kernel = Fetched { image: dir.join("none"), modules: dir.clone(), release: String::from("1") };
        let mut absent = Vec::new();
        let order = closure(&kernel, Path::new("busybox"), "# list\nlazy top\nbase\ngone\n", &mut |name| {
            absent.push(name.to_owned());
        });
        fs::remove_dir_all(&dir).unwrap();
        let order = order.unwrap();
        let names: Vec<(&str, bool)> = order.iter().map(|module| (module.name.as_str(), module.at_boot)).collect();
        assert_eq!(names, [("base", true), ("mid_dle", false), ("top", false)]);
        assert_eq!(absent, ["gone"]);
    }
}
