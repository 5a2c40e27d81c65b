//! The operation of `act` on a tun device: packets that this host then forwards as if they had come from elsewhere.
//!
//! Invariant: the device vanishes with the descriptor. The namespace must forward (`net/ipv4/ip_forward`).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    os::fd::AsRawFd as _,
};

use anyhow::Result;

use super::{
    act_net::ip,
    act_ops::{Done, Kept},
    act_raw::udp_packet,
    sys::{self, check},
};

const NAME: &[u8] = b"guest0";
/// Whom the packets come from: nobody's address, so that no rule about the host's own ones takes them away.
const GUEST_V4: &str = "10.201.0.7";
const GUEST_V6: &str = "fd00:201::7";

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _: &mut Kept) -> Done {
    Ok(Some(match words {
        ["tun-open"] => OpenOptions::new().read(true).write(true).open("/dev/net/tun").map(drop),
        ["tun", to, count] => send(ip(to)?, count.parse()?)?,
        _ => return Ok(None),
    }))
}

fn send(to: IpAddr, count: u32) -> Result<io::Result<()>> {
    let from: IpAddr = if to.is_ipv4() { GUEST_V4.parse()? } else { GUEST_V6.parse()? };
    let packet = udp_packet(to, from);
    Ok((|| {
        let mut device = open()?;
        (0..count).try_for_each(|_| device.write_all(&packet))
    })())
}

/// A tun device of this process, up.
fn open() -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: ifreq is plain old data for which all zeroes is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(NAME) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes an ifreq, which outlives the call.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    let socket = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })?;
    Ok(file)
}
