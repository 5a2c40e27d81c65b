//! The boot image: a small merged-/usr system whose init is sentinel-tests.
//!
//! Contract with `sentinel-tests` as init: `/etc/vm/argv` is the command, words ended by NUL; `/etc/vm/modules` the module
//! files to load at boot, in order; further ones are there for modprobe. Dynamic programs come with the libraries that this machine would load for them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{
    cpio::Archive,
    fetch::{self, Fetched},
    modules,
};
use crate::project::{Project, find_program, output, succeeds};

/// Programs of this machine that the VM has too, where this machine has them.
const PROGRAMS: [&str; 10] = ["ip", "tc", "ss", "nft", "bpftool", "bash", "dash", "strace", "mkfs.ext4", "mkfs.btrfs"];

const DIRECTORIES: [&str; 21] = [
    "proc",
    "sys",
    "dev",
    "tmp",
    "run",
    "root",
    "home",
    "mnt",
    "opt",
    "srv",
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "usr/local/bin",
    "var/lib",
    "var/log",
    "var/tmp",
    "etc/cron.d",
    "etc/systemd/system",
    "root/.ssh",
];

/// Small files of /etc: name, permissions, content.
const FILES: [(&str, u32, &str); 7] = [
    (
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:web:/var/www:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    ),
    ("etc/group", 0o644, "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n"),
    ("etc/shadow", 0o640, "root:*:20000:0:99999:7:::\nwww-data:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n"),
    ("etc/hosts", 0o644, "127.0.0.1 localhost vm\n::1 localhost\n"),
    ("etc/resolv.conf", 0o644, "nameserver 127.0.0.1\n"),
    ("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/os-release", 0o644, "ID=sentinel-vm\nPRETTY_NAME=\"Sentinel test VM\"\n"),
];

/// Writes the image to `path`.
pub(crate) fn write(
    project: &Project,
    kernel: &Fetched,
    command: &[String],
    add: &[PathBuf],
    path: &Path,
) -> Result<()> {
    let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut image = Image { archive: Archive::new(BufWriter::new(file)), libraries: BTreeSet::new() };
    let busybox = fetch::busybox(project)?;
    image.skeleton()?;
    image.own_programs(project, path)?;
    let runtimes = fetch::runtimes(project)?;
    for program in PROGRAMS.iter().filter_map(|name| find_program(name)).chain(runtimes).chain(add.iter().cloned()) {
        image.program(&program)?;
    }
    image.busybox(&busybox)?;
    image.modules(project, kernel, &busybox)?;
    let argv: String = command.iter().map(|word| format!("{word}\0")).collect();
    image.archive.file("etc/vm/argv", 0o644, argv.as_bytes())?;
    image.archive.finish()
}

struct Image {
    archive: Archive<BufWriter<File>>,
    libraries: BTreeSet<PathBuf>,
}

impl Image {
    fn skeleton(&mut self) -> Result<()> {
        for name in DIRECTORIES {
            self.archive.directory(name)?;
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            self.archive.link(name, &format!("usr/{name}"))?;
        }
        for (name, permissions, content) in FILES {
            self.archive.file(name, permissions, content.as_bytes())?;
        }
        // The kernel opens it before init runs.
        self.archive.device("dev/console", 5, 1)
    }

    /// Sentinel and its tests, without debug information, and init as a link to the latter.
    fn own_programs(&mut self, project: &Project, beside: &Path) -> Result<()> {
        for name in ["sentinel", "sentinel-tests"] {
            let built = project.release(name);
            ensure!(built.exists(), "{} is missing: run cargo xtask vm, which builds it", built.display());
            let stripped = beside.with_file_name(format!("{name}.stripped"));
            let strip = Command::new("strip").arg("-o").arg(&stripped).arg(&built).output();
            let small = strip.is_ok_and(|output| output.status.success());
            let content = fs::read(if small { &stripped } else { &built });
            let content = content.with_context(|| format!("reading {}", built.display()))?;
            self.archive.file(&format!("usr/bin/{name}"), 0o755, &content)?;
            self.libraries_of(&built)?;
        }
        self.archive.link("init", "usr/bin/sentinel-tests")
    }

    /// A program of this machine with its libraries.
    fn program(&mut self, path: &Path) -> Result<()> {
        let base = path.file_name().and_then(|name| name.to_str());
        let name = format!("usr/bin/{}", base.with_context(|| format!("{} has no usable name", path.display()))?);
        if self.archive.contains(&name) {
            return Ok(());
        }
        let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        self.archive.file(&name, 0o755, &content)?;
        self.libraries_of(path)
    }

    fn libraries_of(&mut self, program: &Path) -> Result<()> {
        // ldd fails on static programs, which need nothing.
        let mut ldd = Command::new("ldd");
        if !succeeds(ldd.arg(program)) {
            return Ok(());
        }
        let text = output(&mut ldd)?;
        let missing: Vec<&str> = text.lines().filter(|line| line.contains("not found")).map(str::trim).collect();
        ensure!(missing.is_empty(), "{} cannot run on this machine: {}", program.display(), missing.join(", "));
        for library in libraries(&text) {
            if self.libraries.insert(library.clone()) {
                let content = fs::read(&library).with_context(|| format!("reading {}", library.display()))?;
                self.archive.file(&merged(&library), 0o755, &content)?;
            }
        }
        Ok(())
    }

    /// Busybox, and a link for each of its tools that is not there in full.
    fn busybox(&mut self, busybox: &Path) -> Result<()> {
        let content = fs::read(busybox).with_context(|| format!("reading {}", busybox.display()))?;
        self.archive.file("usr/bin/busybox", 0o755, &content)?;
        for tool in output(Command::new(busybox).arg("--list"))?.lines() {
            // The kernel calls /sbin/modprobe.
            let dir = if tool == "modprobe" { "usr/sbin" } else { "usr/bin" };
            let name = format!("{dir}/{tool}");
            if !self.archive.contains(&name) {
                let shell = tool == "sh" && self.archive.contains("usr/bin/dash");
                self.archive.link(&name, if shell { "dash" } else { "/usr/bin/busybox" })?;
            }
        }
        Ok(())
    }

    fn modules(&mut self, project: &Project, kernel: &Fetched, busybox: &Path) -> Result<()> {
        let path = project.root.join("tests/vm/modules.txt");
        let list = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut absent = Vec::new();
        let modules = modules::closure(kernel, busybox, &list, &mut |name| absent.push(name.to_owned()))?;
        if !absent.is_empty() {
            println!("vm: built in or absent in {}: {}", kernel.release, absent.join(" "));
        }
        let dir = format!("usr/lib/modules/{}", kernel.release);
        let (mut order, mut dependencies, mut aliases) = (String::new(), String::new(), String::new());
        for module in modules {
            let name = format!("{dir}/{}.ko", module.name);
            self.archive.file(&name, 0o644, &module.content)?;
            if module.at_boot {
                order += &format!("/{name}\n");
            }
            let needs: Vec<String> = module.dependencies().iter().map(|name| format!("{name}.ko")).collect();
            dependencies += &format!("{}.ko: {}\n", module.name, needs.join(" "));
            for alias in module.aliases() {
                aliases += &format!("alias {alias} {}\n", module.name);
            }
        }
        // For modprobe, which the kernel itself calls when a device type or protocol is first used.
        self.archive.file(&format!("{dir}/modules.dep"), 0o644, dependencies.as_bytes())?;
        self.archive.file(&format!("{dir}/modules.alias"), 0o644, aliases.as_bytes())?;
        self.archive.file("etc/vm/modules", 0o644, order.as_bytes())
    }
}

/// The files in the output of ldd.
fn libraries(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    text.lines().filter_map(path).collect()
}

/// Where a file of this machine goes in a system whose /bin, /sbin, /lib and /lib64 are links into /usr.
fn merged(path: &Path) -> String {
    let name = path.to_string_lossy().trim_start_matches('/').to_owned();
    let top = name.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&top) { format!("usr/{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd_and_go_below_usr() {
        let text = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        let found: Vec<String> = libraries(text).iter().map(|path| merged(path)).collect();
        assert_eq!(found, ["usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(merged(Path::new("/usr/lib/llvm-22/lib/libLLVM.so")), "usr/lib/llvm-22/lib/libLLVM.so");
    }
}
