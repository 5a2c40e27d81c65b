//! The operation of `act` that changes the words of a call while the kernel works on them.
//!
//! Invariant: what was opened is told by the file itself, not by the name that was asked for.

use std::{
    fs::{self, File},
    hint, io,
    os::{
        fd::{FromRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    act_ops::{Done, Kept},
    sys::{c_path, check},
};

/// Performs the operation if it is this module's.
pub(super) fn perform(words: &[&str], _kept: &mut Kept) -> Done {
    Ok(match words {
        ["race-open", good, bad, times] => Some(race(good, bad, times.parse()?)),
        _ => None,
    })
}

/// How long a race may take: with one processor the other thread has its turns seldom.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a path whose last letter another thread changes all the time, until each file was come to so many times or patience is at
/// its end, and prints how many opens gave which: `raced good=N bad=N refused=N other=N`.
fn race(good: &str, bad: &str, times: u32) -> io::Result<()> {
    let (Some(one), Some(other)) = (good.bytes().last(), bad.bytes().last()) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    let forbidden = fs::metadata(bad).map(|file| (file.dev(), file.ino()))?;
    let text = c_path(good)?;
    let letters: Vec<AtomicU8> = text.as_bytes_with_nul().iter().map(|byte| AtomicU8::new(*byte)).collect();
    let last = good.len() - 1;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                letters[last].store(other, Ordering::Relaxed);
                for _ in 0..50 {
                    hint::spin_loop();
                }
                letters[last].store(one, Ordering::Relaxed);
            }
        });
        let counts = tries(&letters, forbidden, times);
        done.store(true, Ordering::Relaxed);
        let [good, bad, refused, other] = counts?;
        println!("raced good={good} bad={bad} refused={refused} other={other}");
        Ok(())
    })
}

fn tries(letters: &[AtomicU8], forbidden: (u64, u64), times: u32) -> io::Result<[u32; 4]> {
    let [mut good, mut bad, mut refused, mut other] = [0; 4];
    let end = Instant::now() + PATIENCE;
    while (good < times || bad + refused < times) && Instant::now() < end {
        // SAFETY: the bytes end with a NUL, which nobody changes, and live until the call returns.
        let opened = check(unsafe { libc::open(letters.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) });
        match opened {
            Ok(fd) => {
                // SAFETY: the kernel just returned this descriptor; nothing else owns it.
                let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) }).metadata()?;
                let count = if (file.dev(), file.ino()) == forbidden { &mut bad } else { &mut good };
                *count += 1;
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => refused += 1,
            Err(_) => other += 1,
        }
    }
    Ok([good, bad, refused, other])
}
