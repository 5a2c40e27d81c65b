//! Packets on their way out: the last ring, after every address rewrite.
//!
//! Sees what no socket hook sees: raw sockets, sockets connected before start, replies. It reports
//! only packets that met a verdict.

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_get_socket_uid, bpf_sk_fullsock, bpf_sk_storage_get, bpf_skb_load_bytes},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use sentinel_common::{
    address::Address,
    event::{flag, kind},
    hook,
    verdict::Entry,
};

use super::{CGROUP_PASS, CGROUP_REFUSE};
use crate::{
    emit,
    maps::{Note, SOCKETS},
    socket::{self, AF_INET, AF_INET6, Destination},
    task, verdict,
};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const SCTP: u8 = 132;

/// `BPF_CGROUP_INET_EGRESS`, since 4.10: data starts at the network header.
#[cgroup_skb]
fn egress(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    let Some(to) = destination(skb) else {
        emit::count_hook(hook::EGRESS, |s| &mut s.errors);
        return CGROUP_PASS;
    };
    let note = note(skb);
    let mut event = socket::event(kind::PACKET, hook::EGRESS, &to);
    if note.is_null() {
        // The user is known all the same; zero would be root.
        // SAFETY: the helper takes the context that this program was given.
        event.header.task.uid = unsafe { bpf_get_socket_uid(skb) };
    } else {
        // SAFETY: a note, once found, belongs to the socket that the packet holds.
        task::of_note(unsafe { &*note }, &mut event.header.task);
    }
    let entry = socket::judge(&mut event, hook::EGRESS);
    if !emit::settle(hook::EGRESS, &entry) && entry.rule != 0 {
        event.header.flags |= if note.is_null() { flag::NO_TASK } else { flag::SOCKET_OWNER };
        if note.is_null() || first_report(note, &entry) {
            emit::send_fixed(kind::PACKET, entry.rule, &event);
        } else {
            emit::suppressed(kind::PACKET);
        }
    }
    if verdict::refuses(&entry) { CGROUP_REFUSE } else { CGROUP_PASS }
}

/// Whether this socket's verdict by this rule has not been reported yet; marks it as reported.
#[inline(always)]
fn first_report(note: *mut Note, entry: &Entry) -> bool {
    // SAFETY: the caller found the note not null.
    let note = unsafe { &mut *note };
    let first = note.reported != entry.rule || note.reported_generation != entry.generation;
    note.reported = entry.rule;
    note.reported_generation = entry.generation;
    first
}

/// What connect time left on the packet's socket; null if nothing.
#[inline(always)]
fn note(skb: *mut __sk_buff) -> *mut Note {
    // SAFETY: reads a context field; the helpers accept what the null checks let through.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return core::ptr::null_mut();
        }
        let full = bpf_sk_fullsock(sk);
        if full.is_null() {
            return core::ptr::null_mut();
        }
        let map = (&raw const SOCKETS).cast_mut().cast();
        bpf_sk_storage_get(map, full.cast(), core::ptr::null_mut(), 0).cast()
    }
}

/// Bytes of a packet from an offset; `None` if there are not so many.
#[inline(always)]
pub(super) fn load<T: Copy + Default>(skb: *mut __sk_buff, offset: u32) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper writes the value's bytes or fails.
    let failed = unsafe { bpf_skb_load_bytes(skb.cast(), offset, (&raw mut value).cast(), size_of::<T>() as u32) };
    if failed == 0 { Some(value) } else { None }
}

/// Destination of an IP packet. IPv6 extension headers are not followed: the port is then 0.
#[inline(always)]
fn destination(skb: *mut __sk_buff) -> Option<Destination> {
    let first: u8 = load(skb, 0)?;
    let (address, family, protocol, transport): (Address, u16, u8, u32) = match first >> 4 {
        4 => (Address::from_v4(u32::from_be(load(skb, 16)?)), AF_INET, load(skb, 9)?, u32::from(first & 15) * 4),
        6 => (load(skb, 24)?, AF_INET6, load(skb, 6)?, 40),
        _ => return None,
    };
    let has_port = protocol == TCP || protocol == UDP || protocol == SCTP;
    let port: [u8; 2] = if has_port { load(skb, transport + 2).unwrap_or_default() } else { [0; 2] };
    Some(Destination { address, port: u16::from_be_bytes(port), family, socket_type: 0, protocol: u16::from(protocol) })
}
