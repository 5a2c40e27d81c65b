//! The kernel programs of Sentinel.
//!
//! Every program reads facts from kernel objects ([`task`], [`path`], [`socket`]), asks the one
//! verdict function ([`verdict`]), reports ([`emit`]) and returns. Policy text never comes here, and no
//! program reads user memory for a decision.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod allow;
mod atomic;
mod content;
mod emit;
mod geo;
mod hooks;
mod maps;
mod packet;
mod path;
mod repeat;
mod scratch;
mod socket;
mod task;
mod verdict;

/// The kernel lets only programs under a GPL-compatible licence call the helpers that we need.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
