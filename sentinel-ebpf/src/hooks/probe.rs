//! No hook: user space test-runs this program to ask what the hooks would answer, from the maps that they read.
//!
//! Invariants: it asks the same verdict function under the same state; it is attached nowhere, counts nothing and
//! reports nothing (`hook::PROBE` has no counters).

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_store_bytes, macros::classifier, programs::TcContext};
use sentinel_common::{
    address::{Address, normalise},
    event::Task,
    hook,
    probe::{ANSWERED, Answer, MALFORMED, MOST, Request},
};

use crate::{
    geo,
    packet::load,
    verdict::{self, Question},
};

/// A test run of a classifier (`BPF_PROG_TEST_RUN`), since 4.12.
#[classifier]
fn probe(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    let Some(request) = load::<Request>(skb, 0) else { return MALFORMED as i32 };
    let task = Task { executable: request.executable, cgroup: request.cgroup, uid: request.uid, ..Task::default() };
    let place = u64::from(request.port) | u64::from(request.protocol) << 16;
    let word = verdict::state().word;
    // Whether there is one more is asked in the function: the verifier knows no end of a loop whose end is read.
    let place = place | u64::from(request.count) << 32;
    for index in 0..MOST {
        match answer_at(skb, index as u32, &task, place, word) {
            ANSWERED_ONE => {}
            ANSWERED_ALL => break,
            _ => return MALFORMED as i32,
        }
    }
    ANSWERED as i32
}

/// There was an address, and it has its answer.
const ANSWERED_ONE: u32 = 1;
/// There was none.
const ANSWERED_ALL: u32 = 2;

/// Writes the answer in the place of the address, if there are as many; `place`: port, 16 bits of protocol, then their count.
///
/// A global function: the verifier looks at it once and not for each address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn answer_at(skb: *mut __sk_buff, index: u32, task: *const Task, place: u64, word: u64) -> u32 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(task) = (unsafe { task.as_ref() }) else { return 0 };
    if u64::from(index) >= place >> 32 {
        return ANSWERED_ALL;
    }
    let offset = size_of::<Request>() as u32 + index * size_of::<Address>() as u32;
    let Some(given) = load::<Address>(skb, offset) else { return 0 };
    let answer = answer(task, given, place as u32, word);
    let size = size_of::<Answer>() as u32;
    // SAFETY: the helper reads the answer's bytes, or fails.
    let failed = unsafe { bpf_skb_store_bytes(skb.cast(), offset, (&raw const answer).cast(), size, 0) };
    if failed == 0 { ANSWERED_ONE } else { 0 }
}

#[inline(always)]
fn answer(task: &Task, given: Address, place: u32, word: u64) -> Answer {
    let (address, _) = normalise(given);
    let packed = verdict_on(task, address.high, address.low, u64::from(place), word);
    Answer {
        rule: packed as u32,
        class: geo::country_class(word, address.high, address.low) as u32,
        origin: (packed >> 32) as u8,
        flags: (packed >> 40) as u8,
        refuses: (packed >> 48) as u8,
        pad: [0; 5],
    }
}

/// The verdict, packed: rule, origin, flags, whether it refuses.
///
/// A global function: the verifier looks at it once and not for each address.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn verdict_on(task: *const Task, high: u64, low: u64, place: u64, word: u64) -> u64 {
    // SAFETY: the caller passes a reference; the verifier, which looks at this alone, wants to see the null check.
    let Some(task) = (unsafe { task.as_ref() }) else { return 0 };
    let question = Question { hook: hook::PROBE, task, port: place as u16, protocol: (place >> 16) as u16 };
    let entry = verdict::destination(&question, Address { high, low }, word);
    let refuses = verdict::refuses(&entry);
    u64::from(entry.rule) | u64::from(entry.origin) << 32 | u64::from(entry.flags) << 40 | u64::from(refuses) << 48
}
