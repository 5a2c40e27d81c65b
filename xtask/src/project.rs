//! Where things are in the checkout, and running commands in it.
//!
//! Invariant: every command that fails is named in the error, with what to do where that is known.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The checkout.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// Its root directory.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Project {
    /// Finds it from where this crate was built.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the xtask crate has no parent directory")?;
        if !root.join("Cargo.toml").exists() {
            bail!(
                "the checkout that xtask was built in is gone from {}: run cargo xtask again in yours",
                root.display()
            );
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root: root.to_owned(), target })
    }

    /// A file in `target/release`.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// Where kernels, images and fetched packages are kept, outside version control.
    pub(crate) fn cache(&self) -> Result<PathBuf> {
        let dir = self.root.join(".vm");
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        Ok(dir)
    }

    /// A command that runs in the root directory.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Cargo, the one that runs this program.
    pub(crate) fn cargo(&self) -> Command {
        self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }
}

/// Runs a command that prints for itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting `{}`", line_of(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line_of(command));
    }
    Ok(())
}

/// Runs a command and gives its standard output; its errors are part of the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting `{}`", line_of(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", line_of(command), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command can be started and succeeds, whatever it prints.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The command as one would type it.
pub(crate) fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A program on PATH or in the directories for administrators, which are not on every user's PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(administrators).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// `program`, through sudo where this process is not root. `what` says what root is needed for.
pub(crate) fn as_root(project: &Project, program: impl AsRef<OsStr>, what: &str) -> Result<Command> {
    if is_root() {
        return Ok(project.command(program));
    }
    let by_hand = || format!("{what} needs root: run this command as root, or install sudo and allow its use");
    let sudo = find_program("sudo").with_context(by_hand)?;
    let asks = !succeeds(Command::new(&sudo).args(["-n", "true"]));
    if asks && !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        bail!("{}; sudo wants a password and there is no terminal to ask on", by_hand());
    }
    let mut command = project.command(sudo);
    command.arg("--").arg(program.as_ref());
    Ok(command)
}
