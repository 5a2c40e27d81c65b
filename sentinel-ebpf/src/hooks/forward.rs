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
    event::kind,
    hook,
    verdict::Entry,
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
    let carried = packet_refused(skb, offset);
    if carried == REFUSED || (carried != NOTHING && packet_refused(skb, carried) == REFUSED) { DROP } else { PASS }
}

/// The packet passes and carries no other.
const NOTHING: u32 = 0;
/// The packet is refused.
const REFUSED: u32 = u32::MAX;

/// The verdict on the IP packet at an offset: [`REFUSED`], [`NOTHING`], or the offset of the packet that it carries.
///
/// A global function: the verifier looks at it once and not for each place in a frame where a packet can begin.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn packet_refused(skb: *mut __sk_buff, offset: u32) -> u32 {
    let Some((to, inside)) = packet::at(skb, offset) else { return NOTHING };
    let note = note(skb);
    // What the packet hook remembers holds here too, but for canaries, whose entries are about one hook.
    let remembered =
        class(to.address) as u8 != Class::Loopback as u8 && super::packet::passed_before(note, &to, &verdict::state());
    if !remembered && verdict::refuses(&decide(note, &to)) {
        return REFUSED;
    }
    packet::carried(skb, to.protocol, inside).unwrap_or(NOTHING)
}

/// The verdict; reports it.
#[inline(always)]
fn decide(note: *const Note, to: &Destination) -> Entry {
    let mut event = socket::event(kind::PACKET, hook::FORWARD, to);
    task::of_owner(note, &mut event.header);
    let entry = socket::judge(&mut event, verdict::state().word);
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
