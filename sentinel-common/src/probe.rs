//! What user space asks the `probe` program, and what it answers: one packet, handed to a test run.
//!
//! A packet is a [`Request`], then as many addresses as it says; each is overwritten by its [`Answer`].

use crate::FileId;

/// Start of the packet: who asks, and how many addresses follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Zero: the kernel takes the start of the packet for an Ethernet header.
    pub ethernet: [u64; 2],
    /// Executable of the subject.
    pub executable: FileId,
    /// Cgroup of the subject.
    pub cgroup: u64,
    /// Effective user id of the subject.
    pub uid: u32,
    /// Addresses that follow, at most [`MOST`].
    pub count: u32,
    /// Destination port, host order.
    pub port: u16,
    /// IP protocol.
    pub protocol: u16,
    /// Always zero.
    pub pad: [u32; 3],
}

/// The verdict on one address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Number of the rule; 0: none holds.
    pub rule: u32,
    /// Class in the country table, or [`BROKEN`].
    pub class: u32,
    /// [`crate::verdict::origin`].
    pub origin: u8,
    /// [`crate::verdict::flag`] bits.
    pub flags: u8,
    /// 1: a hook would refuse.
    pub refuses: u8,
    /// Always zero.
    pub pad: [u8; 5],
}

/// No class: the table has no whole answer.
pub const BROKEN: u32 = u32::MAX;

/// Most addresses in one packet. The kernel takes a page less its own head and tail, about 3,700 bytes on x86-64.
pub const MOST: usize = 224;

/// What the program returns when all addresses are answered.
pub const ANSWERED: u32 = 0;
/// What it returns when the packet is not what it says.
pub const MALFORMED: u32 = 1;

const _: () = {
    assert!(size_of::<Request>() == 64);
    assert!(size_of::<Answer>() == 16);
};
