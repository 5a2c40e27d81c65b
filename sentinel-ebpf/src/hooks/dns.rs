//! DNS answers on their way in, so that user space can name destinations.
//!
//! Invariant: this hook lets every packet pass. What it reports is advisory: whoever can send a packet from port 53 can
//! make an answer up. Names of the local link (mDNS, LLMNR) and encrypted DNS are not seen; parsing is user space's.

use aya_ebpf::{bindings::__sk_buff, macros::cgroup_skb, programs::SkBuffContext};
use sentinel_common::{
    event::{Answer, flag, kind},
    hook,
};

use super::CGROUP_PASS;
use crate::{
    emit,
    packet::{TCP, UDP, load},
    scratch::{Builder, PacketBytes},
};

/// Where DNS answers come from, in network order.
const PORT: [u8; 2] = 53_u16.to_be_bytes();
/// Bytes of the headers of the shortest packet that can come from there: UDP over IPv4.
const LEAST: usize = 28;
/// Bytes of a DNS header.
const HEADER: usize = 12;

/// `BPF_CGROUP_INET_INGRESS`, since 4.10: data starts at the network header. An error lets pass, counted.
#[cgroup_skb(ingress)]
fn ingress(ctx: SkBuffContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some((protocol, transport)) = from_dns_port(skb) {
        emit::count_hook(hook::INGRESS, |s| &mut s.runs);
        let message = if protocol == UDP { Some(transport + 8) } else { in_stream(skb, transport) };
        if let Some(offset) = message {
            report(skb, offset);
        }
    }
    CGROUP_PASS
}

/// Protocol and offset of the transport header, if the packet comes from port 53.
///
/// All that most packets cost, hence direct reads. IPv6 extension headers are not followed.
#[inline(always)]
fn from_dns_port(skb: *mut __sk_buff) -> Option<(u8, u32)> {
    let first: u8 = peek(skb, 0)?;
    let (protocol, transport): (u8, u32) = match first >> 4 {
        4 => (peek(skb, 9)?, u32::from(first & 15) * 4),
        6 => (peek(skb, 6)?, 40),
        _ => return None,
    };
    if protocol != UDP && protocol != TCP {
        return None;
    }
    let port: [u8; 2] = match transport {
        20 => peek(skb, 20)?,
        40 => peek(skb, 40)?,
        after_options => load(skb, after_options)?,
    };
    if port == PORT { Some((protocol, transport)) } else { None }
}

/// Where the message of a TCP segment starts, if the segment holds one message and nothing else.
///
/// Messages that span segments are not put together again.
#[inline(always)]
fn in_stream(skb: *mut __sk_buff, transport: u32) -> Option<u32> {
    let words: u8 = load(skb, transport + 12)?;
    let prefix = transport + u32::from(words >> 4) * 4;
    let length: [u8; 2] = load(skb, prefix)?;
    // SAFETY: reads a context field.
    let whole = unsafe { (*skb).len };
    let message = prefix + 2;
    if message + u32::from(u16::from_be_bytes(length)) == whole { Some(message) } else { None }
}

/// Sends the message at an offset, if it is an answer that says something.
#[inline(always)]
fn report(skb: *mut __sk_buff, offset: u32) {
    let Some(header) = load::<[u8; HEADER]>(skb, offset) else { return };
    if !says_something(&header) {
        return;
    }
    // SAFETY: reads a context field.
    let whole = unsafe { (*skb).len }.wrapping_sub(offset);
    let Some(length) = PacketBytes::of(whole, HEADER as u64) else { return };
    let Some(mut builder) = Builder::take() else {
        emit::no_scratch(kind::ANSWER);
        return;
    };
    if builder.append_packet(skb, offset, length) {
        let mut event = Answer {
            header: emit::header(kind::ANSWER, hook::INGRESS, 0),
            message: length.get() as u16,
            pad: 0,
            whole,
        };
        event.header.flags |= flag::NO_TASK;
        emit::send_built(kind::ANSWER, 0, &mut builder, &mut event, |e, n| e.header.length = n);
    } else {
        emit::count_hook(hook::INGRESS, |s| &mut s.errors);
    }
    builder.release();
}

/// A response, without an error, with answers.
#[inline(always)]
fn says_something(header: &[u8; HEADER]) -> bool {
    header[2] & 0x80 != 0 && header[3] & 0x0f == 0 && (header[6] | header[7]) != 0
}

/// Bytes of the packet's linear part; `None` if it ends before [`LEAST`] or before them.
///
/// Never compared with the end at less: of `data < data_end`, which the compiler makes of the first byte's comparison, the
/// verifier learns nothing.
#[inline(always)]
fn peek<T: Copy>(skb: *mut __sk_buff, offset: usize) -> Option<T> {
    let end = offset + size_of::<T>();
    let needed = if end < LEAST { LEAST } else { end };
    // SAFETY: reads context fields; the verifier holds the access to the comparison with the end.
    unsafe {
        let start = (*skb).data as usize;
        if start + needed > (*skb).data_end as usize {
            return None;
        }
        Some(((start + offset) as *const T).read_unaligned())
    }
}
