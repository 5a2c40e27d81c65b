//! What was sent on a connection whose protocol confirms nothing, kept for a while.
//!
//! A stream socket takes bytes and says nothing about who has read them: when the other side dies, up to a full receive
//! buffer dies with it. So the newest bytes are kept, and sent once more on the next connection.
//!
//! Invariants: bounded in bytes and in age; what is kept is whole batches of lines, in order.
//!
//! Not here: connections.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

/// More than the largest receive buffer that Linux gives by itself (`net.ipv4.tcp_rmem`: 6 MiB).
const BYTES: usize = 8 << 20;
/// A reader that lives has read what is older.
const AGE: Duration = Duration::from_secs(600);

/// Sent text, oldest first.
#[derive(Default)]
pub(super) struct Window {
    sent: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Window {
    /// Keeps what was just sent.
    pub(super) fn sent(&mut self, text: Vec<u8>) {
        self.bytes += text.len();
        self.sent.push_back((Instant::now(), text));
        self.forget();
    }

    /// What a new connection has to hear first.
    pub(super) fn again(&mut self) -> impl Iterator<Item = &Vec<u8>> {
        self.forget();
        self.sent.iter().map(|(_, text)| text)
    }

    fn forget(&mut self) {
        while let Some((time, text)) = self.sent.front() {
            if self.bytes <= BYTES && time.elapsed() <= AGE {
                return;
            }
            self.bytes -= text.len();
            self.sent.pop_front();
        }
    }
}

/// Whether the other side has closed or reset the connection. What it may have said is thrown away.
pub(super) fn is_gone(socket: impl AsFd) -> bool {
    let mut bytes = [0_u8; 512];
    loop {
        match recv(&socket, &mut bytes, RecvFlags::DONTWAIT).map_err(io::Error::from) {
            Ok((0, _)) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_and_keeps_the_newest() {
        let mut window = Window::default();
        for number in 0..20_u8 {
            window.sent(vec![number; 1 << 20]);
        }
        let kept: Vec<u8> = window.again().map(|text| text[0]).collect();
        assert_eq!(kept, (12..20).collect::<Vec<u8>>());
    }
}
