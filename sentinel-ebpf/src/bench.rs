//! Kernel side of the country table's benchmark: the same addresses looked up in our table, an LPM trie and a hash.
//!
//! Invariant: every program does the same but for the look-up, and sums up what it finds, so that nothing can be left out.
//! The programs are only ever test-run; nothing attaches them.
#![no_std]
#![no_main]

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie},
    macros::{btf_map, classifier},
    maps::lpm_trie::Key,
    programs::TcContext,
};
use sentinel_common::address::Address;

mod geo;

/// Look-ups in one run.
const LOOKUPS: u32 = 64;
/// Addresses that are looked up, again and again; a power of two.
const ADDRESSES: usize = 65_536;
/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: usize = 1;

/// What is looked up, in an order without pattern.
#[btf_map]
static SAMPLES: Array<Address, ADDRESSES> = Array::new();

/// Where the last run ended, and the sum of what was found.
#[btf_map]
static PROGRESS: Array<[u64; 2], 1> = Array::new();

/// All addresses, for the hash look-up.
#[btf_map]
static HASH: HashMap<Address, u32, ADDRESSES> = HashMap::new();

/// Listed IPv4 prefixes; network order.
#[btf_map]
static LPM4: LpmTrie<u32, u32, 1_048_576, NO_PREALLOC> = LpmTrie::new();

/// Listed IPv6 prefixes.
#[btf_map]
static LPM6: LpmTrie<Address, u32, 1_048_576, NO_PREALLOC> = LpmTrie::new();

/// Runs one look-up for each of the next samples.
#[inline(always)]
fn run(look_up: impl Fn(Address) -> u64) -> i32 {
    let Some(progress) = PROGRESS.get_ptr_mut(0) else { return -1 };
    // SAFETY: a map value; test runs are one after the other.
    let [at, sum] = unsafe { &mut *progress };
    for _ in 0..LOOKUPS {
        let Some(sample) = SAMPLES.get(*at as u32 & (ADDRESSES as u32 - 1)) else { return -1 };
        *at = at.wrapping_add(1);
        *sum = sum.wrapping_add(look_up(*sample));
    }
    0
}

/// What the look-ups' surroundings cost.
#[classifier]
fn bench_nothing(_ctx: TcContext) -> i32 {
    run(|address| address.low)
}

/// Our table, with what the policy says of the class.
#[classifier]
fn bench_geo(_ctx: TcContext) -> i32 {
    run(|address| geo::rules(0, address).map_or(1 << 32, |rules| u64::from(rules.block[0].rule)))
}

/// A hash as large as the sample.
#[classifier]
fn bench_hash(_ctx: TcContext) -> i32 {
    // SAFETY: the entries of the hash are not changed while programs are test-run.
    run(|address| HASH.get_ptr(address).map_or(0, |found| unsafe { u64::from(*found) }))
}

/// The kernel's trie, IPv4.
#[classifier]
fn bench_lpm4(_ctx: TcContext) -> i32 {
    run(|address| LPM4.get(&Key::new(32, address.v4().to_be())).map_or(0, |found| u64::from(*found)))
}

/// The kernel's trie, IPv6.
#[classifier]
fn bench_lpm6(_ctx: TcContext) -> i32 {
    run(|address| LPM6.get(&Key::new(128, address)).map_or(0, |found| u64::from(*found)))
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
