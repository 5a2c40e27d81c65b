//! Packets that leave through a device: those that this host forwards, and those of tunnels and of sockets that no cgroup
//! hook sees.
//!
//! What a socket sent was judged before; here its memory of that is asked first. Reports only packets that met a verdict.
//! Frames that are not IP pass. An IP packet inside another is judged too, one level deep.

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_sk_fullsock, bpf_sk_storage_get},
    macros::classifier,
    programs::TcContext,
};
use sentinel_common::{
    address::{Class, class},
    event::{flag, kind},
    hook,
    verdict::{Entry, State},
};

use crate::{
    emit,
    maps::{Note, SOCKETS},
    packet,
    socket::{self, Destination},
    task, verdict,
};

/// `TC_ACT_UNSPEC`: the next program or filter on the device decides.
const PASS: i32 = -1;
/// `TC_ACT_SHOT`.
const DROP: i32 = 2;
/// Where an Ethernet frame has its type, and what it carries.
const ETHER_TYPE: u32 = 12;
const ETHER_LENGTH: u32 = 14;
/// Bytes of a VLAN tag (IEEE 802.1Q).
const TAG: u32 = 4;
const VLAN: [u16; 2] = [0x8100, 0x88a8];
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Egress of a device with Ethernet frames: tcx since 6.6, before that a filter in direct-action mode. An error lets pass.
#[classifier]
fn forward(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    match ip_offset(skb) {
        Some(offset) => at(skb, offset),
        None => PASS,
    }
}

/// The same for devices whose frames are IP packets.
#[classifier]
fn forward_ip(ctx: TcContext) -> i32 {
    at(ctx.skb.skb, 0)
}

/// Offset of the IP packet in an Ethernet frame, behind at most two VLAN tags.
#[inline(always)]
fn ip_offset(skb: *mut __sk_buff) -> Option<u32> {
    let mut skipped = 0;
    for _ in 0..3 {
        let kind = u16::from_be(packet::load(skb, ETHER_TYPE + skipped)?);
        if kind == IPV4 || kind == IPV6 {
            return Some(ETHER_LENGTH + skipped);
        }
        if kind != VLAN[0] && kind != VLAN[1] {
            return None;
        }
        skipped += TAG;
    }
    None
}

#[inline(always)]
fn at(skb: *mut __sk_buff, offset: u32) -> i32 {
    let Some((to, inside)) = packet::at(skb, offset) else { return PASS };
    let state = verdict::state();
    if refused(skb, &to, &state) {
        return DROP;
    }
    if let Some(offset) = packet::carried(skb, to.protocol, inside)
        && let Some((inner, _)) = packet::at(skb, offset)
        && refused(skb, &inner, &state)
    {
        return DROP;
    }
    PASS
}

#[inline(always)]
fn refused(skb: *mut __sk_buff, to: &Destination, state: &State) -> bool {
    packet_refused(skb, to, state.epoch, state.word) != 0
}

/// A global function: the verifier looks at it once and not for each place in a frame where a packet can begin.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn packet_refused(skb: *mut __sk_buff, to: *const Destination, epoch: u64, word: u64) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(to) = (unsafe { to.as_ref() }) else { return 0 };
    let (note, state) = (note(skb), State { epoch, word });
    // What the packet hook remembers holds here too, but for canaries, whose entries are about one hook.
    if class(to.address) as u8 != Class::Loopback as u8 && super::packet::passed_before(note, to, &state) {
        return 0;
    }
    u32::from(verdict::refuses(&decide(note, to, &state)))
}

/// The verdict; reports it.
#[inline(always)]
fn decide(note: *const Note, to: &Destination, state: &State) -> Entry {
    let mut event = socket::event(kind::PACKET, hook::FORWARD, to);
    // SAFETY: if not null, the value belongs to the socket that the packet holds.
    let known = unsafe { note.as_ref() }.filter(|note| note.tgid != 0);
    if let Some(note) = known {
        task::of_note(note, &mut event.header.task);
    }
    event.header.flags |= if known.is_some() { flag::SOCKET_OWNER } else { flag::NO_TASK };
    let entry = socket::judge(&mut event, hook::FORWARD, state.word);
    if !emit::settle(hook::FORWARD, &entry) && entry.rule != 0 {
        emit::send_fixed(kind::PACKET, entry.rule, &event);
    }
    entry
}

/// The note on the packet's socket; null if it has none.
#[inline(always)]
fn note(skb: *mut __sk_buff) -> *const Note {
    // SAFETY: reads a context field; the helpers accept what the null checks let through.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return core::ptr::null();
        }
        let full = bpf_sk_fullsock(sk);
        if full.is_null() {
            return core::ptr::null();
        }
        bpf_sk_storage_get((&raw const SOCKETS).cast_mut().cast(), full.cast(), core::ptr::null_mut(), 0).cast()
    }
}
