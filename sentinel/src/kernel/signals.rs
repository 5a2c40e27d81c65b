//! Keeps signals away from the loading of programs.
//!
//! The verifier gives up with EAGAIN when a signal is pending. Signals that come during a load wait, and take effect
//! right after it.

/// Signals are held back on this thread while this lives.
pub struct HeldBack {
    before: libc::sigset_t,
}

impl HeldBack {
    /// Holds back SIGINT, SIGTERM and SIGHUP.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: sigset_t is plain memory that sigemptyset initialises; the calls only touch it and the mask of this
        // thread, and cannot fail with these arguments.
        unsafe {
            let mut held: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut held);
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::sigaddset(&raw mut held, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const held, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        // SAFETY: restores the mask that `new` was given.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}
