//! Addresses of kernel variables, which the kernel itself is asked for: a program of ours looks them up.
//!
//! The same is in `/proc/kallsyms`, which takes the kernel longer to write than everything else at a start. Where the kernel does not
//! tell (`kernel.kptr_restrict`, lockdown), there is no address; nothing may depend on one but speed.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Room for a name, with the NUL behind.
const NAME: usize = 32;
/// `BPF_PROG_LOAD`.
const LOAD: libc::c_int = 5;
/// `BPF_PROG_TEST_RUN`.
const RUN: libc::c_int = 10;
/// `BPF_PROG_TYPE_SYSCALL`, since 5.14.
const SYSCALL: u32 = 31;
/// `BPF_F_SLEEPABLE`, which programs of this type are.
const SLEEPABLE: u32 = 1 << 4;

/// What the program is given, and gives back.
#[repr(C)]
struct Context {
    name: [u8; NAME],
    address: u64,
}

/// The start of `union bpf_attr` for loading a program.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The same for running one.
#[repr(C)]
#[derive(Default)]
struct RunAttr {
    program: u32,
    answer: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_size_in: u32,
    context_size_out: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

/// Instructions: operation, registers (source, then target), offset, number.
const fn instruction(operation: u8, registers: u8, offset: i16, number: i32) -> u64 {
    operation as u64 | (registers as u64) << 8 | (offset as u16 as u64) << 16 | (number as u32 as u64) << 32
}

/// Copies the name to its stack, calls `bpf_kallsyms_lookup_name` (helper 179, since 5.16), copies the address back.
const CODE: [u64; 21] = {
    const MOVE: u8 = 0xbf;
    const MOVE_NUMBER: u8 = 0xb7;
    const ADD_NUMBER: u8 = 0x07;
    const LOAD: u8 = 0x79;
    const STORE: u8 = 0x7b;
    const STORE_NUMBER: u8 = 0x7a;
    [
        instruction(MOVE, 0x16, 0, 0),
        instruction(LOAD, 0x62, 0, 0),
        instruction(STORE, 0x2a, -32, 0),
        instruction(LOAD, 0x62, 8, 0),
        instruction(STORE, 0x2a, -24, 0),
        instruction(LOAD, 0x62, 16, 0),
        instruction(STORE, 0x2a, -16, 0),
        instruction(LOAD, 0x62, 24, 0),
        instruction(STORE, 0x2a, -8, 0),
        instruction(STORE_NUMBER, 0x0a, -40, 0),
        instruction(MOVE, 0xa1, 0, 0),
        instruction(ADD_NUMBER, 0x01, 0, -32),
        instruction(MOVE_NUMBER, 0x02, 0, NAME as i32),
        instruction(MOVE_NUMBER, 0x03, 0, 0),
        instruction(MOVE, 0xa4, 0, 0),
        instruction(ADD_NUMBER, 0x04, 0, -40),
        instruction(0x85, 0, 0, 179),
        instruction(LOAD, 0xa2, -40, 0),
        instruction(STORE, 0x26, NAME as i16, 0),
        instruction(MOVE_NUMBER, 0x00, 0, 0),
        instruction(0x95, 0, 0, 0),
    ]
};

/// Addresses of the kernel's counts of renames and mounts, see `sentinel_common::config::Config::names`.
///
/// # Errors
///
/// Why there are none, for a person.
pub fn find_names() -> Result<[u64; 2], String> {
    match look_up(["rename_lock", "mount_lock"]) {
        Ok([renames, mounts]) if renames != 0 && mounts != 0 => Ok([renames, mounts]),
        Ok(_) => Err("the kernel tells of no rename_lock or mount_lock".to_owned()),
        Err(error) => Err(format!("the kernel was not to be asked for addresses: {error}")),
    }
}

/// The same; zeros if there are none.
pub(super) fn names() -> [u64; 2] {
    find_names().unwrap_or_else(|why| {
        tracing::info!("{why}: every open is looked at and reported");
        [0; 2]
    })
}

/// Addresses by name; 0 where there is no such symbol.
fn look_up<const N: usize>(names: [&str; N]) -> io::Result<[u64; N]> {
    let program = load()?;
    let mut addresses = [0; N];
    for (address, name) in addresses.iter_mut().zip(names) {
        *address = run(&program, name)?;
    }
    Ok(addresses)
}

fn load() -> io::Result<OwnedFd> {
    let attr = LoadAttr {
        kind: SYSCALL,
        instructions: CODE.len() as u32,
        code: CODE.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        flags: SLEEPABLE,
        ..LoadAttr::default()
    };
    // SAFETY: the attribute and what it points to outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, LOAD, &raw const attr, size_of::<LoadAttr>()) };
    let fd = libc::c_int::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: a descriptor that the kernel has just opened for us.
    if fd >= 0 { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) } else { Err(io::Error::last_os_error()) }
}

fn run(program: &OwnedFd, name: &str) -> io::Result<u64> {
    let mut context = Context { name: [0; NAME], address: 0 };
    context.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    let attr = RunAttr {
        program: program.as_raw_fd() as u32,
        context_size_in: size_of::<Context>() as u32,
        context_in: (&raw mut context) as u64,
        ..RunAttr::default()
    };
    // SAFETY: the attribute outlives the call, the context too, which the kernel writes as many bytes to as we say.
    let result = unsafe { libc::syscall(libc::SYS_bpf, RUN, &raw const attr, size_of::<RunAttr>()) };
    if result == 0 { Ok(context.address) } else { Err(io::Error::last_os_error()) }
}
