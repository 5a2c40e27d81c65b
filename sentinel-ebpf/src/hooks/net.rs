//! Connect and send: LSM hooks where there are any, and the cgroup hooks, which see the address last.
//!
//! One connect is one event: the LSM hook reports it, the cgroup hook only when there is no LSM hook
//! or when it refuses what the LSM hook let pass.

use aya_ebpf::{
    macros::{cgroup_sock_addr, lsm},
    programs::{LsmContext, SockAddrContext},
};
use sentinel_common::{
    address::Address,
    event::{Network, kind},
    hook,
    repeat::every,
    verdict::{BypassKey, State, bypass},
};

use super::{cgroup_answer, lsm_answer, refused_before};
use crate::{
    emit,
    maps::{Note, SOCKETS, config},
    repeat::{self, Asked, Seen, pair},
    socket::{self, AF_INET, AF_INET6, Destination, SOCK_STREAM},
    task::{self, Object, field},
    verdict::{self, Question},
};

/// `sendmsg` flag: send data in the SYN, which connects without `connect`.
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// `int socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`, since 2.6; BPF
/// since 5.7. The address is the kernel's copy.
#[lsm(hook = "socket_connect")]
fn socket_connect(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(3);
    if previous != 0 {
        return refused_before(previous);
    }
    if !task::in_scope() {
        return 0;
    }
    let sk = field!(ctx.arg::<Object>(0), socket_sk, Object);
    if sk.is_null() {
        return 0;
    }
    let address: Object = ctx.arg(1);
    match socket::destination(sk, address as u64, ctx.arg::<i32>(2) as u32, false) {
        Some(to) => lsm_verdict(kind::CONNECT, hook::SOCKET_CONNECT, &to),
        None => 0,
    }
}

/// `int socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`, since 2.6; BPF since 5.7.
///
/// Only messages that name a destination; the others go where connect was asked about.
#[lsm(hook = "socket_sendmsg")]
fn socket_sendmsg(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(3);
    let message: Object = ctx.arg(1);
    let name = field!(message, msghdr_msg_name, Object);
    if previous != 0 {
        return refused_before(previous);
    }
    if name.is_null() || !task::in_scope() {
        return 0;
    }
    let sk = field!(ctx.arg::<Object>(0), socket_sk, Object);
    if sk.is_null() {
        return 0;
    }
    let fast_open = field!(message, msghdr_msg_flags, u32) & MSG_FASTOPEN != 0;
    match socket::destination(sk, name as u64, field!(message, msghdr_msg_namelen, u32), true) {
        Some(to) if to.socket_type != SOCK_STREAM => lsm_verdict(kind::SEND, hook::SOCKET_SENDMSG, &to),
        Some(to) if fast_open => lsm_verdict(kind::CONNECT, hook::SOCKET_SENDMSG, &to),
        Some(_) | None => 0,
    }
}

/// `int socket_create(int family, int type, int protocol, int kern)`, since 2.6; BPF since 5.7.
///
/// Reports only families that have an entry; the kernel's own sockets pass.
#[lsm(hook = "socket_create")]
fn socket_create(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(4);
    if previous != 0 {
        return refused_before(previous);
    }
    let by_kernel: i32 = ctx.arg(3);
    if by_kernel != 0 || !task::in_scope() {
        return 0;
    }
    let mut event = Network {
        header: emit::header(kind::SOCKET, hook::SOCKET_CREATE, size_of::<Network>()),
        family: ctx.arg::<i32>(0) as u16,
        socket_type: ctx.arg::<i32>(1) as u16,
        protocol: ctx.arg::<i32>(2) as u16,
        ..Network::default()
    };
    task::current(&mut event.header.task);
    let question = Question { hook: hook::SOCKET_CREATE, task: &event.header.task, port: 0, protocol: event.protocol };
    let by_family = BypassKey { kind: bypass::FAMILY, number: u32::from(event.family) };
    let by_protocol = BypassKey { kind: bypass::PROTOCOL, number: u32::from(event.protocol) };
    let mut entry = verdict::bypass(&question, by_family);
    if entry.rule == 0 {
        entry = verdict::bypass(&question, by_protocol);
    }
    if !emit::settle(hook::SOCKET_CREATE, &entry) && entry.rule != 0 {
        event.header.verdict = verdict::record(&entry);
        if !emit::suppress_own(kind::SOCKET, &event.header.task) {
            emit::send_acting(kind::SOCKET, entry.rule, &event);
        }
    }
    lsm_answer(verdict::refuses(&entry))
}

#[inline(always)]
fn lsm_verdict(kind: u16, hook: u32, to: &Destination) -> i32 {
    let state = verdict::state();
    let keep = is_kept(kind, &state);
    if keep && asked(hook, to, &state).seen() == Seen::Repeat {
        repeat::count(kind, hook);
        return 0;
    }
    let mut event = socket::event(kind, hook, to);
    task::current(&mut event.header.task);
    let entry = socket::judge(&mut event, state.word);
    if !emit::settle(hook, &entry) {
        report(&raw const event, entry.rule, u32::from(keep) * KEEP, state.epoch, state.seconds);
    }
    lsm_answer(verdict::refuses(&entry))
}

/// What tells this connect or send from others of the process.
#[inline(always)]
fn asked(hook: u32, to: &Destination, state: &State) -> Asked {
    let ends = pair(u32::from(to.port), u32::from(to.protocol));
    let socket = pair(u32::from(to.family), u32::from(to.socket_type));
    Asked::new(hook, [to.address.high, to.address.low, ends, socket, 0, 0], state)
}

/// Whether repeats of such events are told apart.
#[inline(always)]
fn is_kept(kind: u16, state: &State) -> bool {
    repeat::asked(state, if kind == kind::SEND { every::SEND } else { every::CONNECT })
}

/// `BPF_CGROUP_INET4_CONNECT`, since 4.17: connect on an IPv4 socket, and TCP Fast Open.
#[cgroup_sock_addr(connect4)]
fn connect4(ctx: SockAddrContext) -> i32 {
    cgroup_verdict(&ctx, kind::CONNECT, hook::CONNECT4, hook::SOCKET_CONNECT, AF_INET)
}

/// `BPF_CGROUP_INET6_CONNECT`, since 4.17: also v4-mapped destinations.
#[cgroup_sock_addr(connect6)]
fn connect6(ctx: SockAddrContext) -> i32 {
    cgroup_verdict(&ctx, kind::CONNECT, hook::CONNECT6, hook::SOCKET_CONNECT, AF_INET6)
}

/// `BPF_CGROUP_UDP4_SENDMSG`, since 4.18: UDP sends that name a destination.
#[cgroup_sock_addr(sendmsg4)]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    cgroup_verdict(&ctx, kind::SEND, hook::SENDMSG4, hook::SOCKET_SENDMSG, AF_INET)
}

/// `BPF_CGROUP_UDP6_SENDMSG`, since 4.18.
#[cgroup_sock_addr(sendmsg6)]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    cgroup_verdict(&ctx, kind::SEND, hook::SENDMSG6, hook::SOCKET_SENDMSG, AF_INET6)
}

#[inline(always)]
fn cgroup_verdict(ctx: &SockAddrContext, kind: u16, hook: u32, reporter: u32, family: u16) -> i32 {
    let to = cgroup_destination(ctx, family);
    let mut event = socket::event(kind, hook, &to);
    task::current(&mut event.header.task);
    let state = verdict::state();
    let entry = socket::judge(&mut event, state.word);
    let canary = emit::settle(hook, &entry);
    let reports = config!(attached) & (1 << reporter) == 0 || verdict::refuses(&entry);
    if !canary {
        // SAFETY: the map makes room for the note of this context's socket, or answers null.
        remember(unsafe { SOCKETS.get_or_insert_ptr_mut(ctx, None) }, &raw const event, state.epoch);
        if reports {
            let keep = u32::from(is_kept(kind, &state)) * KEEP;
            report(&raw const event, entry.rule, keep | ASK, state.epoch, state.seconds);
        }
    }
    cgroup_answer(verdict::refuses(&entry))
}

/// It is to be remembered.
const KEEP: u32 = 1;
/// The table has not been asked yet.
const ASK: u32 = 2;

/// Sends the event, unless it is Sentinel's own or a repeat about which no entry is.
///
/// A global function: the stack of the programs has no room for what is asked of the table.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn report(event: *const Network, rule: u32, how: u32, epoch: u64, seconds: u64) -> u32 {
    // SAFETY: callers pass a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(event) = (unsafe { event.as_ref() }) else { return 0 };
    let kind = event.header.kind;
    let (port, family, socket_type, protocol) = (event.port, event.family, event.socket_type, event.protocol);
    let to = Destination { address: event.given, port, family, socket_type, protocol };
    let asked = asked(u32::from(event.header.hook), &to, &State { word: 0, epoch, seconds });
    let keep = rule == 0 && how & KEEP != 0;
    if keep && how & ASK != 0 && asked.seen() == Seen::Repeat {
        emit::suppressed(kind);
    } else if (emit::suppress_own(kind, &event.header.task) || send(kind, rule, event)) && keep {
        asked.told(0);
    }
    1
}

/// With the kind known: each is counted at its own place.
#[inline(always)]
fn send(kind: u16, rule: u32, event: &Network) -> bool {
    emit::send_acting(if kind == kind::SEND { kind::SEND } else { kind::CONNECT }, rule, event)
}

/// The destination in a cgroup hook's context. Its fields may only be read one by one.
#[inline(always)]
fn cgroup_destination(ctx: &SockAddrContext, family: u16) -> Destination {
    let at = ctx.sock_addr;
    // SAFETY: reads of context fields, which the verifier checks; volatile keeps them single.
    unsafe {
        let read = |field: *const u32| core::ptr::read_volatile(field);
        let address = if family == AF_INET {
            Address::from_v4(u32::from_be(read(&raw const (*at).user_ip4)))
        } else {
            let word = |index: usize| u64::from(u32::from_be(read(&raw const (*at).user_ip6[index])));
            Address::from_words(word(0) << 32 | word(1), word(2) << 32 | word(3))
        };
        Destination {
            address,
            port: u16::from_be(read(&raw const (*at).user_port) as u16),
            family,
            socket_type: read(&raw const (*at).type_) as u16,
            protocol: read(&raw const (*at).protocol) as u16,
        }
    }
}

/// Leaves on the socket who set it up, where it is to go, and what was already reported.
///
/// A global function: the verifier looks at it once, and the stack of the programs has no room for it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn remember(note: *mut Note, event: *const Network, epoch: u64) -> u32 {
    // SAFETY: the value belongs to the socket, which outlives the program run, and the event to the caller; null is nothing.
    let (Some(note), Some(event)) = (unsafe { note.as_mut() }, unsafe { event.as_ref() }) else { return 0 };
    let (task, verdict) = (&event.header.task, &event.header.verdict);
    note.executable = task.executable;
    note.start = task.start;
    note.cgroup = task.cgroup;
    note.tgid = task.tgid;
    note.uid = task.uid;
    note.reported = verdict.rule;
    note.reported_generation = verdict.generation;
    note.reported_to = event.destination;
    note.asked = event.destination;
    note.asked_epoch = if verdict.refused != 0 { 0 } else { epoch };
    note.passed = Address::default();
    note.passed_epoch = 0;
    note.passed_port = 0;
    note.passed_protocol = 0;
    note.busy = 0;
    note.turn = note.turn.wrapping_add(1);
    1
}
