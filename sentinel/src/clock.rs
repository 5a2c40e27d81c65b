//! The kernel's boot clock, and wall-clock times for it.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// The boot clock in nanoseconds, as kernel programs read it.
#[must_use]
pub fn boot_now() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Boot-clock time after a number of seconds; 0, which is no end, for 0 seconds.
#[must_use]
pub fn boot_after(seconds: u64) -> u64 {
    if seconds == 0 { 0 } else { boot_now().saturating_add(seconds.saturating_mul(1_000_000_000)) }
}

/// Wall-clock time of a boot-clock time, by the present difference of the clocks.
#[must_use]
pub fn wall(boot: u64) -> Timestamp {
    let ahead = i128::from(boot) - i128::from(boot_now());
    let nanoseconds = Timestamp::now().as_nanosecond() + ahead;
    // Microseconds: the difference of the clocks is not known any finer.
    Timestamp::from_microsecond((nanoseconds / 1000) as i64).unwrap_or(Timestamp::UNIX_EPOCH)
}
