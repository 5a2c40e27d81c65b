//! The operations of `act` on packet sockets: whole frames and packets past the Internet families.
//!
//! Invariant: the frame is complete and addressed to everybody on the cable, so that it arrives unless it is refused.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Result;

use super::{
    act_net::ip,
    act_ops::{Done, Kept},
    act_raw::{near, udp_packet},
    meter::link_address,
    sys::{self, check, check_size},
};

/// The device that the frames leave by.
pub(super) const DEVICE: &str = "near0";

const PACKET_QDISC_BYPASS: libc::c_int = 20;
const BROADCAST: [u8; 6] = [0xff; 6];

/// Performs the operation if it is one of this module's.
pub(super) fn perform(words: &[&str], _: &mut Kept) -> Done {
    Ok(Some(match words {
        ["packet-socket"] => {
            sys::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(u16::to_be(libc::ETH_P_ALL as u16))).map(drop)
        }
        ["packet-dgram", to, count] => datagrams(ip(to)?, count.parse()?)?,
        ["packet-raw", to, count] => frames(ip(to)?, count.parse()?, false)?,
        ["packet-bypass", to, count] => frames(ip(to)?, count.parse()?, true)?,
        ["packet-ring", to, count] => ring(ip(to)?, count.parse()?)?,
        _ => return Ok(None),
    }))
}

/// An Ethernet frame with a UDP packet for `to`.
pub(super) fn frame(to: IpAddr) -> Result<Vec<u8>> {
    let kind = kind_of(to).to_be_bytes();
    Ok([&BROADCAST[..], &[2, 0, 0, 0, 0, 1], &kind, &udp_packet(to, near(to)?)].concat())
}

fn kind_of(to: IpAddr) -> u16 {
    (if to.is_ipv4() { libc::ETH_P_IP } else { libc::ETH_P_IPV6 }) as u16
}

/// Sends bytes to a device.
fn send(socket: &OwnedFd, bytes: &[u8], to: &libc::sockaddr_ll) -> io::Result<()> {
    let length = sys::len_of::<libc::sockaddr_ll>();
    let to: *const libc::sockaddr_ll = to;
    // SAFETY: buffer and address pointers come with their lengths and outlive the call.
    check_size(unsafe { libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, to.cast(), length) })?;
    Ok(())
}

fn datagrams(to: IpAddr, count: u32) -> Result<io::Result<()>> {
    let packet = udp_packet(to, near(to)?);
    Ok((|| {
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?;
        let mut device = link_address(DEVICE, kind_of(to))?;
        device.sll_halen = 6;
        device.sll_addr[..6].copy_from_slice(&BROADCAST);
        (0..count).try_for_each(|_| send(&socket, &packet, &device))
    })())
}

fn frames(to: IpAddr, count: u32, bypass: bool) -> Result<io::Result<()>> {
    let frame = frame(to)?;
    Ok((|| {
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        if bypass {
            sys::set_option(&socket, libc::SOL_PACKET, PACKET_QDISC_BYPASS, 1)?;
        }
        let device = link_address(DEVICE, kind_of(to))?;
        (0..count).try_for_each(|_| send(&socket, &frame, &device))
    })())
}

const SLOT: usize = 2048;
const SLOTS: usize = 8;
/// Where a frame begins in a slot: behind the header, aligned.
const DATA: usize = 32;
/// In `tp_status`.
const SEND_REQUEST: u32 = 1;

/// The same through a ring of slots in memory that is shared with the kernel (PACKET_TX_RING).
fn ring(to: IpAddr, count: usize) -> Result<io::Result<()>> {
    let frame = frame(to)?;
    Ok((|| {
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        let request = libc::tpacket_req {
            tp_block_size: (SLOT * SLOTS) as u32,
            tp_block_nr: 1,
            tp_frame_size: SLOT as u32,
            tp_frame_nr: SLOTS as u32,
        };
        sys::set_option(&socket, libc::SOL_PACKET, libc::PACKET_TX_RING, request)?;
        let memory = sys::Mapping::of(&socket, SLOT * SLOTS, 0)?;
        let device = link_address(DEVICE, kind_of(to))?;
        for slot in (0..SLOTS).cycle().take(count) {
            memory.write(slot * SLOT + DATA, &frame);
            let length = (slot * SLOT + size_of::<libc::c_ulong>(), frame.len() as u32);
            memory.write(length.0, &length.1.to_ne_bytes());
            memory.atomic(slot * SLOT).store(SEND_REQUEST, Ordering::Release);
            send(&socket, &[], &device)?;
            taken(memory.atomic(slot * SLOT))?;
        }
        Ok(())
    })())
}

/// Waits until the kernel has given the slot back; it says when the frame was wrong.
fn taken(status: &AtomicU32) -> io::Result<()> {
    for _ in 0..1000 {
        match status.load(Ordering::Acquire) {
            0 => return Ok(()),
            4 => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
            _ => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    }
    check(-1).map(drop)
}
