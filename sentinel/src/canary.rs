//! Proves hooks: a child of Sentinel's own tries what a canary entry refuses, and the hook has to do it.
//!
//! Invariants: canary entries name objects that nobody else has (a private file, a file without a name, loopback
//! ports), hold for one hook each, and are gone before events flow. What "loaded" says is never believed.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use sentinel_common::{
    address::Address,
    hook,
    verdict::{Entry, Subject, bypass, flag, limit, origin},
};
use sha2::{Digest as _, Sha256};

use crate::{
    identity::Identities,
    kernel::{
        Kernel,
        acts::{NOBODY, enter_another, trace_another},
        attach::own_cgroup,
        hooks::Hook,
        stats::Stats,
        verdicts::{Held, Place, Table, Target, Verdicts},
    },
    world::CANARY,
};

mod files;

/// Name of the hidden verb that the child runs under.
pub const VERB: &str = "canary-child";
/// Loopback address of canaries: no service listens there.
const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 83, 78, 84);
/// Ports of canaries start here; each hook has its own.
const PORT: u16 = 64_800;
const EPERM: i32 = 1;
/// `AF_ASH`, which the kernel has a number for and nothing else: nobody makes such a socket.
const UNUSED_FAMILY: u16 = 18;

/// How long a datagram over loopback may take.
const RELAY: Duration = Duration::from_millis(300);

/// What a canary showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The hook did what it must.
    Proven,
    /// It did not; why.
    Failed(String),
}

/// Runs a canary against each attached hook; results in the order of the hooks.
///
/// # Errors
///
/// If the child cannot be started or the maps not be written: nothing is then proved.
pub fn prove(
    kernel: &mut Kernel,
    verdicts: &mut Verdicts,
    stats: &Stats,
    run_dir: &Path,
    enforce: bool,
) -> Result<Vec<Option<Proof>>> {
    let mut trial = Trial::start(kernel, verdicts, stats, run_dir, enforce)?;
    let mut results = vec![None; kernel.hooks.len()];
    // Exec ends the child, and its end is what the process hooks show.
    let order = |hook: &Hook| match hook.id {
        hook::INGRESS => 0,
        hook::BPRM_CHECK => 1,
        hook::BPRM_HASH => 2,
        _ => u8::from(!hook.refuses) * 3,
    };
    for round in 0..=3 {
        if round == 2 {
            trial.child = Canary::start(kernel)?;
        }
        if round == 3 {
            trial.child.finish();
        }
        let attached: Vec<_> = kernel.hooks.iter().map(|state| (state.hook, state.attached)).collect();
        for (index, (hook, _)) in attached.into_iter().enumerate().filter(|(_, (h, on))| *on && order(h) == round) {
            let on_device = hook.id == hook::FORWARD;
            if on_device {
                kernel.watch_loopback(true)?;
            }
            let proof = trial.of(hook);
            if on_device {
                kernel.watch_loopback(false)?;
            }
            results[index] = Some(proof?);
        }
    }
    trial.end()?;
    Ok(results)
}

/// Runs a canary against hooks that are attached while others are in force; results in the order of `hooks`.
///
/// # Errors
///
/// As for [`prove`].
pub fn prove_new(
    kernel: &Kernel,
    verdicts: &mut Verdicts,
    stats: &Stats,
    run_dir: &Path,
    enforce: bool,
    hooks: &[&'static Hook],
) -> Result<Vec<Proof>> {
    let mut trial = Trial::start(kernel, verdicts, stats, run_dir, enforce)?;
    let results = hooks.iter().map(|hook| trial.of(hook)).collect::<Result<_>>();
    trial.end()?;
    results
}

struct Trial<'a> {
    verdicts: &'a mut Verdicts,
    stats: &'a Stats,
    file: PathBuf,
    directory: PathBuf,
    enforce: bool,
    /// Where a cgroup can be made; under a scope one was made for the child.
    own_cgroup: Option<PathBuf>,
    child: Canary,
}

impl<'a> Trial<'a> {
    fn start(
        kernel: &Kernel,
        verdicts: &'a mut Verdicts,
        stats: &'a Stats,
        run_dir: &Path,
        enforce: bool,
    ) -> Result<Self> {
        let file = run_dir.join("canary");
        std::fs::write(&file, b"canary").with_context(|| format!("cannot write {}", file.display()))?;
        let directory = run_dir.join("canary.d");
        // One that a crash has left would be in the way.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let own_cgroup = (!kernel.scoped()).then(|| own_cgroup(&kernel.features.cgroup2));
        Ok(Self { verdicts, stats, file, directory, enforce, own_cgroup, child: Canary::start(kernel)? })
    }

    fn end(self) -> Result<()> {
        let Self { file, directory, .. } = self;
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        std::fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))
    }

    fn of(&mut self, hook: &Hook) -> Result<Proof> {
        if hook.id == hook::INGRESS {
            self.child.ask(&format!("receive {}", SocketAddr::from((LOOPBACK, PORT + hook.id as u16))))?;
        }
        if hook.id == hook::CGROUP_MKDIR
            && let Some(parent) = &self.own_cgroup
            && let Err(error) = make_cgroup(parent)
        {
            return Ok(Proof::Failed(format!("cannot make a cgroup in {}: {error}", parent.display())));
        }
        if !hook.refuses {
            // The child's start, the files that this opened, and its end went through these.
            let runs = self.stats.hook(hook.id)?.runs;
            return Ok(if runs > 0 { Proof::Proven } else { Proof::Failed("the hook never ran".to_owned()) });
        }
        if hook.on_traces() {
            return self.of_trace(hook);
        }
        let (target, request) = self.object(hook)?;
        let place = Place::new(Table::Block, target, Subject::ANYONE);
        let before = self.stats.hook(hook.id)?.canary;
        self.verdicts.insert(&place, Held { entry: entry(hook), access: u32::MAX })?;
        let answer = self.child.ask(&request);
        self.verdicts.retain(|_, held| held.entry.rule != CANARY)?;
        let met = self.stats.hook(hook.id)?.canary > before;
        Ok(judge(answer?, met, self.enforce))
    }

    /// An entry that holds for the child and spares nobody, whom it enters.
    fn of_trace(&mut self, hook: &Hook) -> Result<Proof> {
        let (lent, limits) = (self.verdicts.lent(), self.verdicts.limits().clone());
        let before = self.stats.hook(hook.id)?.canary;
        let spared = (CANARY, u32::from(limit::EXCEPT_UID), u64::from(NOBODY), 0);
        self.verdicts.add_limits(&[spared].into_iter().collect())?;
        let canary = Entry { limits: limit::EXCEPT_UID, ..entry(hook) };
        let with = lent.iter().map(|(subjects, entry)| (subjects.clone(), *entry));
        self.verdicts.set_lent(&with.chain([("canary".to_owned(), canary)]).collect())?;
        let answer = self.child.ask(if hook.id == hook::BPRM_TRACED { "traced" } else { "enter" });
        self.verdicts.set_lent(&lent)?;
        self.verdicts.keep_limits(&limits)?;
        let met = self.stats.hook(hook.id)?.canary > before;
        Ok(judge(answer?, met, self.enforce))
    }

    /// What the hook is to refuse, and how to try it.
    fn object(&self, hook: &Hook) -> Result<(Target, String)> {
        if let Some(object) = files::object(hook.id, &self.directory, &self.child.image_path())? {
            return Ok(object);
        }
        let port = PORT + hook.id as u16;
        let v4 = SocketAddr::from((LOOPBACK, port));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        Ok(match hook.id {
            hook::FILE_OPEN => (file_target(&self.file)?, format!("open {}", self.file.display())),
            hook::BPRM_CHECK => (file_target(&self.child.image_path())?, "exec".to_owned()),
            hook::BPRM_HASH => (Target::Hash(Sha256::digest(elf()).into()), "exec".to_owned()),
            hook::SOCKET_CONNECT | hook::CONNECT4 => (network_target(v4), format!("connect {v4}")),
            hook::CONNECT6 => (network_target(v6), format!("connect {v6}")),
            hook::SENDMSG6 => (network_target(v6), format!("send {v6}")),
            hook::FORWARD => (network_target(v4), format!("relay {v4}")),
            hook::SOCKET_CREATE => {
                let target = Target::Bypass { kind: bypass::FAMILY, number: u32::from(UNUSED_FAMILY) };
                (target, format!("socket {UNUSED_FAMILY}"))
            }
            _ => (network_target(v4), format!("send {v4}")),
        })
    }
}

/// Makes a cgroup that nobody uses, and removes it.
fn make_cgroup(parent: &Path) -> std::io::Result<()> {
    let directory = parent.join(format!("sentinel-canary-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    std::fs::remove_dir(&directory)
}

/// A refusal in enforce mode; in monitor mode the would-block verdict, and no refusal.
fn judge(errno: i32, met: bool, enforce: bool) -> Proof {
    match (met, errno == EPERM) {
        (true, refused) if refused == enforce => Proof::Proven,
        (true, _) if enforce => Proof::Failed(format!("the verdict was met but not carried out (errno {errno})")),
        (true, _) => Proof::Failed("it refused although this is monitor mode".to_owned()),
        (false, _) => Proof::Failed(format!("the hook did not meet the canary (errno {errno})")),
    }
}

fn entry(hook: &Hook) -> Entry {
    Entry { rule: CANARY, hook: hook.id, origin: origin::STANDING, flags: flag::CANARY, ..Entry::NONE }
}

fn file_target(path: &Path) -> Result<Target> {
    let id = Identities::read().of(path).with_context(|| format!("cannot look at the canary {}", path.display()))?;
    Ok(Target::File { dev: id.dev, ino: id.ino })
}

fn network_target(to: SocketAddr) -> Target {
    let address = match to {
        SocketAddr::V4(to) => Address::from_v4((*to.ip()).into()).octets(),
        SocketAddr::V6(to) => to.ip().octets(),
    };
    Target::Destination { address, port: Some(to.port()) }
}

/// The child.
struct Canary {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    image: std::os::fd::OwnedFd,
    cgroup: Option<PathBuf>,
}

impl Canary {
    fn start(kernel: &Kernel) -> Result<Self> {
        let image = image()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("sentinel").arg(VERB).arg(image.as_raw_fd().to_string());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the canary")?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("the canary has no pipes")?;
        let cgroup = kernel.scope_directory().map(|scope| scope.join(format!("sentinel-canary-{}", child.id())));
        if let Some(directory) = &cgroup {
            // A cgroup of its own below the scope: one that has controllers for its children takes no processes itself.
            std::fs::create_dir(directory)
                .and_then(|()| std::fs::write(directory.join("cgroup.procs"), child.id().to_string()))
                .with_context(|| format!("cannot put the canary into {}", directory.display()))?;
        }
        let mut canary = Self { child, input, output: BufReader::new(output), image, cgroup };
        canary.ask("ready")?;
        Ok(canary)
    }

    /// Path by which this process can look at the child's image.
    fn image_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.image.as_raw_fd()).into()
    }

    /// Sends a request; the errno of the attempt, 0 for success.
    fn ask(&mut self, request: &str) -> Result<i32> {
        writeln!(self.input, "{request}").context("the canary is gone")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer).context("the canary does not answer")?;
        if answer.is_empty() && request == "exec" {
            return Ok(0); // it became the image, which says nothing and ends
        }
        answer.trim().parse().with_context(|| format!("the canary answered {answer:?}"))
    }

    /// Ends the child and removes its cgroup; done once.
    fn finish(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            tracing::warn!("the canary did not end: {error}");
        }
        if let Some(directory) = self.cgroup.take()
            && let Err(error) = std::fs::remove_dir(&directory)
        {
            tracing::warn!("cannot remove {}: {error}", directory.display());
        }
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The smallest program: it ends at once with status 0. An ELF file with one segment.
fn image() -> Result<std::os::fd::OwnedFd> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let fd = memfd_create("sentinel-canary", MemfdFlags::empty()).context("cannot make the canary's image")?;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    std::fs::write(&path, elf()).context("cannot write the canary's image")?;
    Ok(fd)
}

fn elf() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    #[cfg(target_arch = "x86_64")]
    const CODE: &[u8] = &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]; // exit(0)
    #[cfg(target_arch = "x86_64")]
    const MACHINE: u16 = 62;
    #[cfg(target_arch = "aarch64")]
    const CODE: &[u8] = &[0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4]; // exit(0)
    #[cfg(target_arch = "aarch64")]
    const MACHINE: u16 = 183;
    let size = HEADERS + CODE.len() as u64;
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2, 0]); // executable
    file.extend(MACHINE.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    [BASE + HEADERS, 64, 0].iter().for_each(|word| file.extend(word.to_le_bytes()));
    file.extend(0_u32.to_le_bytes());
    [64_u16, 56, 1, 0, 0, 0].iter().for_each(|half| file.extend(half.to_le_bytes()));
    [1_u32, 5].iter().for_each(|word| file.extend(word.to_le_bytes())); // load, read and execute
    [0, BASE, BASE, size, size, 0x1000].iter().for_each(|word: &u64| file.extend(word.to_le_bytes()));
    file.extend(CODE);
    file
}

/// The child's side: a line is a request, the answer is the errno.
#[must_use]
pub fn child(image: &str) -> ExitCode {
    let mut lines = std::io::stdin().lock().lines();
    while let Some(Ok(line)) = lines.next() {
        let errno = attempt(&line, image).err().map_or(0, |error| error.raw_os_error().unwrap_or(-1));
        println!("{errno}");
    }
    ExitCode::SUCCESS
}

fn attempt(request: &str, image: &str) -> std::io::Result<()> {
    let (verb, object) = request.split_once(' ').unwrap_or((request, ""));
    let address = || object.parse::<SocketAddr>().map_err(std::io::Error::other);
    if let Some(name) = verb.strip_prefix("change-") {
        return files::attempt(name, Path::new(object), image);
    }
    match verb {
        "open" => std::fs::File::open(object).map(drop),
        "connect" => TcpStream::connect(address()?).map(drop),
        "send" => {
            let to = address()?;
            let any: SocketAddr =
                if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
            UdpSocket::bind(any)?.send_to(b"", to).map(drop)
        }
        "receive" => receive(address()?),
        "relay" => relay(address()?),
        "socket" => {
            use rustix::net::{AddressFamily, SocketType, socket};
            let family = object.parse().map_err(std::io::Error::other)?;
            Ok(socket(AddressFamily::from_raw(family), SocketType::RAW, None).map(drop)?)
        }
        "enter" => enter_another(),
        "traced" => trace_another(image.parse().map_err(std::io::Error::other)?),
        "exec" => Err(Command::new(format!("/proc/self/fd/{image}")).exec()),
        _ => Ok(()),
    }
}

/// Sends itself a datagram. A device drops without telling the sender: that nothing comes is then what EPERM is elsewhere.
fn relay(at: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(at)?;
    socket.set_read_timeout(Some(RELAY))?;
    socket.send_to(b"canary", at)?;
    socket.recv(&mut [0; 32]).map(drop).map_err(|_| std::io::Error::from_raw_os_error(EPERM))
}

/// Receives a datagram that says it comes from port 53, and no DNS message. A raw socket sends it: port 53 itself may be
/// taken, and its owner is not to notice.
fn receive(at: SocketAddr) -> std::io::Result<()> {
    use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
    let socket_of_ours = UdpSocket::bind(at)?;
    socket_of_ours.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut datagram = [0; 20];
    datagram[1] = 53;
    datagram[2..4].copy_from_slice(&at.port().to_be_bytes());
    datagram[5] = datagram.len() as u8; // no checksum
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP))?;
    sendto(&raw, &datagram, SendFlags::empty(), &at)?;
    socket_of_ours.recv(&mut [0; 32]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_behaviour_is_a_proof() {
        assert_eq!(judge(EPERM, true, true), Proof::Proven);
        assert_eq!(judge(111, true, false), Proof::Proven);
        for (errno, met, enforce) in [(0, true, true), (EPERM, true, false), (EPERM, false, true), (0, false, false)] {
            assert!(matches!(judge(errno, met, enforce), Proof::Failed(_)), "{errno} {met} {enforce}");
        }
    }

    #[test]
    fn the_image_runs_and_ends_well() {
        let fd = image().unwrap();
        let status = Command::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).status().unwrap();
        assert!(status.success());
    }
}
