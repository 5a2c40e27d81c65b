//! No hook: user space test-runs this program to ask what the hooks would answer, from the maps that they read.
//!
//! Invariants: it asks the same verdict function under the same state; it is attached nowhere, counts nothing and
//! reports nothing (`hook::PROBE` has no counters).

use aya_ebpf::{helpers::generated::bpf_skb_store_bytes, macros::classifier, programs::TcContext};
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
    for index in 0..MOST {
        if index >= request.count as usize {
            break;
        }
        let offset = (size_of::<Request>() + index * size_of::<Address>()) as u32;
        let Some(given) = load::<Address>(skb, offset) else { return MALFORMED as i32 };
        let answer = answer(&task, given, place, word);
        let size = size_of::<Answer>() as u32;
        // SAFETY: the helper reads the answer's bytes, or fails.
        if unsafe { bpf_skb_store_bytes(skb.cast(), offset, (&raw const answer).cast(), size, 0) } != 0 {
            return MALFORMED as i32;
        }
    }
    ANSWERED as i32
}

#[inline(always)]
fn answer(task: &Task, given: Address, place: u64, word: u64) -> Answer {
    let (address, _) = normalise(given);
    let packed = verdict_on(task, address.high, address.low, place, word);
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
