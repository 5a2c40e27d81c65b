//! Packets on their way out: the last ring, after every address rewrite.
//!
//! Sees what no socket hook sees: raw sockets, sockets connected before start, replies. It reports
//! only packets that met a verdict. A flow that no entry is about is remembered on its socket, by destination and state,
//! so that its next packet costs one look-up; any change of a verdict map makes that memory void.

use core::ptr::{read_volatile as read, write_volatile as write};

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_get_socket_uid, bpf_sk_fullsock, bpf_sk_storage_get},
    macros::cgroup_skb,
    programs::SkBuffContext,
};
use sentinel_common::{
    event::{Network, flag, kind},
    hook,
    verdict::{Entry, State},
};

use super::{CGROUP_PASS, cgroup_answer};
use crate::{
    atomic, emit,
    maps::{Note, SOCKETS},
    packet,
    socket::{self, Destination},
    task, verdict,
};

/// `BPF_SK_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;

/// `BPF_CGROUP_INET_EGRESS`, since 4.10: data starts at the network header.
#[cgroup_skb]
fn egress(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    let Some(to) = packet::destination(skb) else {
        emit::count_hook(hook::EGRESS, |s| &mut s.errors);
        return CGROUP_PASS;
    };
    let note = note(skb);
    if passed_before(note, &to, &verdict::state()) {
        emit::count_hook(hook::EGRESS, |s| &mut s.runs);
        return CGROUP_PASS;
    }
    let mut event = socket::event(kind::PACKET, hook::EGRESS, &to);
    // The user is known whatever else is; zero would be root.
    // SAFETY: the helper takes the context that this program was given.
    event.header.task.uid = unsafe { bpf_get_socket_uid(skb) };
    cgroup_answer(leaving_refused(&mut event, note) != 0)
}

/// Whether the last packet of this socket went to the same place and no entry was about it.
#[inline(always)]
pub(super) fn passed_before(note: *const Note, to: &Destination, state: &State) -> bool {
    if note.is_null() {
        return false;
    }
    // Another CPU may be writing for a packet of the same socket: half of one address and half of another is none.
    // SAFETY: not null, so a value that belongs to the socket that the packet holds; volatile keeps the order.
    unsafe {
        let turn = read(&raw const (*note).turn);
        if read(&raw const (*note).busy) != 0 {
            return false;
        }
        let same = read(&raw const (*note).passed_epoch) == state.epoch
            && read(&raw const (*note).passed.high) == to.address.high
            && read(&raw const (*note).passed.low) == to.address.low
            && read(&raw const (*note).passed_port) == to.port
            && read(&raw const (*note).passed_protocol) == to.protocol;
        same && read(&raw const (*note).busy) == 0 && read(&raw const (*note).turn) == turn
    }
}

/// The verdict by the tables; reports it. 1: it refuses.
///
/// A global function: the verifier looks at it once and not for each form of packet.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn leaving_refused(event: *mut Network, note: *mut Note) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(event) = (unsafe { event.as_mut() }) else { return 0 };
    task::of_owner(note, &mut event.header);
    let State { epoch, word, .. } = verdict::state();
    let entry = socket::judge(event, word);
    if !emit::settle(hook::EGRESS, &entry) {
        if entry.rule == 0 {
            remember(note, event, epoch);
        } else {
            report(note, &entry, event, epoch);
        }
    }
    u32::from(verdict::refuses(&entry))
}

/// Makes the next packet to the same place pass at once, until something changes. Only what no entry is about: an
/// exemption can expire.
#[inline(always)]
fn remember(note: *mut Note, event: &Network, epoch: u64) {
    if note.is_null() {
        return;
    }
    // SAFETY: as in `passed_before`. One CPU writes at a time; the others do without.
    unsafe {
        if atomic::exchange(&raw mut (*note).busy, 1) != 0 {
            return;
        }
        write(&raw mut (*note).turn, (*note).turn.wrapping_add(1));
        write(&raw mut (*note).passed.high, event.given.high);
        write(&raw mut (*note).passed.low, event.given.low);
        write(&raw mut (*note).passed_port, event.port);
        write(&raw mut (*note).passed_protocol, event.protocol);
        write(&raw mut (*note).passed_epoch, epoch);
        atomic::exchange(&raw mut (*note).busy, 0);
    }
}

/// Reports a verdict, unless it is the one reported last for this socket, about the same destination.
#[inline(always)]
fn report(note: *mut Note, entry: &Entry, event: &mut Network, epoch: u64) {
    // SAFETY: as in `passed_before`.
    let Some(note) = (unsafe { note.as_mut() }) else {
        emit::send_fixed(kind::PACKET, entry.rule, event);
        return;
    };
    let first = note.reported != entry.rule
        || note.reported_generation != entry.generation
        || note.reported_to != event.destination;
    note.reported = entry.rule;
    note.reported_generation = entry.generation;
    note.reported_to = event.destination;
    if !first {
        emit::suppressed(kind::PACKET);
        return;
    }
    if note.asked_epoch == epoch && verdict::refuses(entry) {
        if note.asked == event.destination {
            event.header.flags |= flag::DISAGREES;
        } else {
            event.header.flags |= flag::REWRITTEN;
            event.given = note.asked;
        }
    }
    emit::send_fixed(kind::PACKET, entry.rule, event);
}

/// The note on the packet's socket, made if there is none; null if the socket cannot have one.
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
        bpf_sk_storage_get(map, full.cast(), core::ptr::null_mut(), CREATE).cast()
    }
}
