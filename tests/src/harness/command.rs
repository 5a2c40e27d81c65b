//! Children of a scenario: built, placed in a cgroup and a namespace, waited for with a limit.
//!
//! Invariant: no wait is endless, and a child whose handle is dropped is killed and reaped.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _, unix::process::ExitStatusExt as _},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use super::{cgroup::Cgroup, net::NetNs, sys};

/// How long a child may take unless the scenario says otherwise; generous, since the VM is emulated.
const LIMIT: Duration = Duration::from_secs(60);

/// A command being put together.
pub struct Run {
    command: Command,
    label: String,
    limit: Duration,
    uid: Option<u32>,
}

impl Run {
    /// A command that runs `program` with no arguments.
    pub fn new(program: &Path) -> Self {
        let label = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { command: Command::new(program), label, limit: LIMIT, uid: None }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.label.push(' ');
        self.label.push_str(&arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<std::ffi::OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Run::arg)
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Allows more or less time.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs as this user (and group) instead of root.
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Starts the child inside `cgroup`: it is a member before its first instruction.
    pub fn cgroup(mut self, cgroup: &Cgroup) -> Self {
        let procs = sys::c_path(cgroup.path().join("cgroup.procs"));
        // SAFETY: between fork and exec the closure only opens, writes and closes one file, all async-signal-safe;
        // the path was made before the fork.
        unsafe {
            self.command.pre_exec(move || {
                let Ok(path) = &procs else { return Err(std::io::ErrorKind::InvalidInput.into()) };
                let fd = sys::check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC))?;
                let written = sys::check_size(libc::write(fd, c"0".as_ptr().cast(), 1));
                libc::close(fd);
                written.map(|_| ())
            });
        }
        self
    }

    /// Starts the child inside the network namespace `netns`.
    pub fn netns(mut self, netns: &NetNs) -> Self {
        let fd = netns.fd();
        // SAFETY: the closure makes one async-signal-safe system call on a descriptor that it keeps open.
        unsafe {
            self.command.pre_exec(move || {
                sys::check(libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET))?;
                Ok(())
            });
        }
        self
    }

    /// Starts the child; its input and outputs are pipes.
    pub fn start(mut self) -> Result<Running> {
        if let Some(uid) = self.uid {
            // SAFETY: the closure makes two async-signal-safe system calls. It is added last, because joining a
            // cgroup and a namespace needs root.
            unsafe {
                self.command.pre_exec(move || {
                    sys::check(libc::setgid(uid))?;
                    sys::check(libc::setuid(uid))?;
                    Ok(())
                });
            }
        }
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().with_context(|| format!("starting `{}`", self.label))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        let out_reader = std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')).map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        let err_reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read before an error is still the best account of what happened.
            if let Some(mut pipe) = stderr {
                let _ = pipe.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdin = child.stdin.take();
        Ok(Running {
            child,
            label: self.label,
            limit: self.limit,
            stdin,
            lines,
            seen: Vec::new(),
            readers: Some((out_reader, err_reader)),
        })
    }

    /// Runs the child to its end.
    pub fn outcome(self) -> Result<Outcome> {
        self.start()?.finish()
    }

    /// Runs an act child to its end and gives the errno of its only operation, 0 for success.
    pub fn errno(self) -> Result<i32> {
        let outcome = self.outcome()?;
        match outcome.errnos().as_slice() {
            [one] => Ok(*one),
            other => bail!("expected one `errno=` line, found {}: {outcome:?}", other.len()),
        }
    }

    /// Runs the child to its end; anything but exit status 0 is an error. Gives its standard output.
    pub fn success(self) -> Result<String> {
        let label = self.label.clone();
        let outcome = self.outcome()?;
        if outcome.code != Some(0) {
            bail!("`{label}` failed: {outcome:?}");
        }
        Ok(outcome.stdout)
    }
}

/// A child that was started.
pub struct Running {
    child: Child,
    label: String,
    limit: Duration,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Vec<String>,
    readers: Option<(JoinHandle<()>, JoinHandle<String>)>,
}

impl Running {
    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the child's standard input (an act child waits for one at `wait`).
    pub fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().with_context(|| format!("the input of `{}` is closed", self.label))?;
        writeln!(stdin, "{line}").with_context(|| format!("writing to `{}`", self.label))
    }

    /// The next line of standard output.
    pub fn next_line(&mut self) -> Result<String> {
        match self.lines.recv_timeout(self.limit) {
            Ok(line) => {
                self.seen.push(line.clone());
                Ok(line)
            }
            Err(RecvTimeoutError::Timeout) => Err(anyhow!("`{}` printed nothing in {:?}", self.label, self.limit)),
            Err(RecvTimeoutError::Disconnected) => Err(anyhow!("`{}` ended without printing more", self.label)),
        }
    }

    /// Waits for a line that contains `part`.
    pub fn wait_line(&mut self, part: &str) -> Result<String> {
        loop {
            let line = self.next_line().with_context(|| format!("waiting for `{part}`"))?;
            if line.contains(part) {
                return Ok(line);
            }
        }
    }

    /// The errno of the operation an act child performs next.
    pub fn next_errno(&mut self) -> Result<i32> {
        let line = self.wait_line("errno=")?;
        parse_errno(&line).with_context(|| format!("no errno in `{line}`"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        sys::kill(self.pid(), signal).with_context(|| format!("signalling `{}`", self.label))
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Closes its input and waits for the end.
    pub fn finish(mut self) -> Result<Outcome> {
        self.stdin = None;
        let status = self.wait()?;
        let stderr = match self.readers.take() {
            Some((out, err)) => {
                // A grandchild may hold the pipes open longer; what arrived so far is what counts then.
                let end = Instant::now() + Duration::from_secs(2);
                while !(out.is_finished() && err.is_finished()) && Instant::now() < end {
                    std::thread::sleep(Duration::from_millis(2));
                }
                if err.is_finished() { err.join().unwrap_or_default() } else { String::from("(still open)") }
            }
            None => String::new(),
        };
        self.seen.extend(self.lines.try_iter());
        let stdout = self.seen.iter().fold(String::new(), |text, line| text + line + "\n");
        Ok(Outcome { code: status.code(), signal: status.signal(), stdout, stderr })
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + self.limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("`{}` did not end in {:?}", self.label, self.limit);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the child has been reaped already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a child ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit status, none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The errno of each operation of an act child, in order, 0 for success.
    pub fn errnos(&self) -> Vec<i32> {
        self.stdout.lines().filter_map(parse_errno).collect()
    }
}

fn parse_errno(line: &str) -> Option<i32> {
    line.strip_prefix("errno=")?.split(' ').next()?.parse().ok()
}
