//! Runs QEMU: the kernel's console to a file, the command's output to us.
//!
//! Invariant: QEMU never outlives this process, and is ended when the time is over. Only the line `@@vm-exit N`, which init
//! writes last, makes a status.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::project::find_program;

const PROGRAM: &str = "qemu-system-x86_64";
const STATUS: &str = "@@vm-exit ";
/// Everything but what an emulation pays for at every look-up of a page or entry into the kernel, and nothing here is about.
const PROCESSOR: &str = "max,la57=off,smap=off,smep=off,umip=off,pku=off,mpx=off";
const KERNEL_OPTIONS: &str =
    "console=ttyS0 panic=-1 oops=panic random.trust_cpu=on mitigations=off transparent_hugepage=never";

/// A machine to boot once.
pub(crate) struct Machine {
    /// The kernel image.
    pub(crate) kernel: PathBuf,
    /// The boot image.
    pub(crate) initrd: PathBuf,
    /// Where the kernel's messages go.
    pub(crate) console: PathBuf,
    /// What it has as disks, in order.
    pub(crate) disks: Vec<Disk>,
    /// Count instructions on one processor instead of running as fast as it goes.
    pub(crate) icount: bool,
    /// Processors, where instructions are not counted.
    pub(crate) processors: u32,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

/// A disk of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// The raw image.
    pub(crate) image: PathBuf,
    /// Whether what the machine writes goes to the image; else it is gone with the machine.
    pub(crate) keep: bool,
}

impl Disk {
    fn option(&self) -> String {
        let file = self.image.display().to_string().replace(',', ",,");
        let snapshot = if self.keep { "off" } else { "on" };
        // The machine's cache is enough: what a crash of this host leaves is thrown away.
        format!("file={file},format=raw,if=virtio,cache=unsafe,snapshot={snapshot}")
    }
}

impl Machine {
    /// Boots it and hands over the command's output line by line; gives the command's exit status.
    pub(crate) fn run(&self, line: &mut dyn FnMut(&str)) -> Result<i32> {
        let mut qemu = Guard(self.start()?);
        let pipe = qemu.0.stdout.take().context("QEMU has no output")?;
        let (sender, lines) = channel();
        // Ends with the pipe, that is with QEMU.
        std::thread::spawn(move || {
            for text in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&text).trim_end_matches('\r').to_owned();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        let end = Instant::now() + self.timeout;
        let mut status = None;
        let mut blank = false;
        loop {
            let text = match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(text) => text,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the VM did not finish in {:?} (see --timeout){}", self.timeout, self.console_tail())
                }
            };
            if let Some(number) = text.strip_prefix(STATUS) {
                status = number.trim().parse().ok();
                continue;
            }
            // Init puts an empty line before the status, in case the command's last line has no end.
            if std::mem::replace(&mut blank, text.is_empty()) {
                line("");
            }
            if !text.is_empty() {
                line(&text);
            }
        }
        let ended = qemu.0.wait().context("waiting for QEMU")?;
        status.with_context(|| format!("the VM ended without a status (QEMU: {ended}){}", self.console_tail()))
    }

    fn start(&self) -> Result<Child> {
        let program = find_program(PROGRAM)
            .with_context(|| format!("{PROGRAM} is not installed: cargo xtask setup installs it"))?;
        let mut command = Command::new(program);
        command.args(["-M", "q35", "-cpu", PROCESSOR, "-m", "2G", "-nodefaults", "-no-reboot"]);
        command.args(["-display", "none", "-monitor", "none"]);
        // One thread for all processors: with one each, QEMU now and then runs code that another processor has just changed, and
        // the kernel, which changes its own code when programs are attached, dies of a breakpoint that is gone. It costs no
        // time: as many machines run at once as the host has processors.
        command.args(["-accel", "tcg,thread=single"]);
        if self.icount {
            command.args(["-icount", "shift=0,sleep=off", "-smp", "1"]);
        } else {
            command.args(["-smp", &self.processors.to_string()]);
        }
        command.args(["-serial", &format!("file:{}", self.console.display()), "-serial", "stdio"]);
        for disk in &self.disks {
            command.args(["-drive", &disk.option()]);
        }
        // Where QEMU keeps what a disk does not.
        command.env("TMPDIR", self.initrd.parent().unwrap_or(Path::new("/tmp")));
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initrd);
        command.args(["-append", KERNEL_OPTIONS]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: the closure makes one async-signal-safe system call.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        command.spawn().with_context(|| format!("starting {PROGRAM}"))
    }

    /// The last of what the kernel said, for an error message.
    fn console_tail(&self) -> String {
        tail(&self.console)
    }
}

fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(40);
    format!("; the kernel's last lines:\n{}", lines[from..].join("\n"))
}

/// QEMU, ended with its handle.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when it has ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
