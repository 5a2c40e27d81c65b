//! Buffers in which records of varying length are put together.
//!
//! Invariant: a buffer belongs to one running program. LSM programs can be preempted and another
//! task can run the same program on the same CPU, so a per-CPU buffer alone is not private: each
//! CPU has a few, and a program takes a free one by an atomic exchange.
//!
//! A record is built around [`MIDDLE`]: paths are found leaf first and are put in front of what is
//! there; arguments and file names go behind.

use core::{arch::asm, ffi::c_void};

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_probe_read_kernel, bpf_skb_load_bytes},
};
use sentinel_common::{
    FileId,
    content::Content,
    event::{ARGS, Change, Credentials, MESSAGE, Open, PATH, Trace},
    verdict::{Entry, NAME_KEY, NameKey, PathKey},
};

use crate::{atomic, maps::SCRATCH, repeat::Asked, task, verdict::Ask};

/// Buffers a CPU has.
pub(crate) const SLOTS: u32 = 3;
/// Offsets into a buffer are masked with this.
const MASK: usize = 0x3fff;
/// Where records start to grow from: room for a fixed part and two paths before it.
pub(crate) const MIDDLE: usize = 9216;
/// Size of the text area: a record that starts at [`MIDDLE`] or before and is as long as the mask allows.
const SIZE: usize = MIDDLE + MASK + 1;

/// State of a walk, see [`crate::path`].
#[repr(C)]
pub(crate) struct Walk {
    pub(crate) dentry: u64,
    pub(crate) vfsmount: u64,
    /// Root of that mount.
    pub(crate) root: u64,
    /// Length of the name that the place itself has; 0: it is the root of a mount, and has that of where it is mounted.
    pub(crate) name: u64,
    /// One more than its place in the filter of names; 0: not known.
    pub(crate) name_bit: u64,
    /// Hash of the hashes that the kernel keeps of the components and where they are.
    pub(crate) sign: u64,
    /// Offset of the first byte of the path so far.
    pub(crate) start: usize,
    /// Lowest offset that it may reach.
    pub(crate) floor: usize,
    /// 1 when the walk reached the root.
    pub(crate) done: u64,
    /// The first labelled directory that it came to; none: there is none.
    pub(crate) found: FileId,
    /// Lists of what may run that directories on the way are on.
    pub(crate) allowed: u64,
}

/// One buffer.
#[repr(C)]
pub(crate) struct Scratch {
    /// 1 while a program owns the buffer.
    busy: u64,
    /// State of a walk up a path. Here and not on the stack: the verifier takes what it loads from a
    /// map as unknown, so every round of the loop looks the same to it.
    pub(crate) walk: Walk,
    /// What is asked about a file, see [`crate::verdict::file`].
    pub(crate) ask: Ask,
    /// And the answer.
    pub(crate) answer: Entry,
    /// What is asked of the table of repeats.
    pub(crate) asked: Asked,
    /// A record that is too large for the stack beside the verdict.
    pub(crate) change: Change,
    /// As above.
    pub(crate) trace: Trace,
    /// As above.
    pub(crate) open: Open,
    /// Credentials on their way to the end of a record, where they would not be aligned.
    credentials: Credentials,
    /// The content of what is to run.
    pub(crate) content: Content,
    /// Key for look-ups by name.
    name: NameKey,
    pad: u32,
    /// `prefix_len` of the trie key that follows, as the kernel's `bpf_lpm_trie_key` has it.
    key_bits: u32,
    /// Key for look-ups by path: too large for the stack.
    key: PathKey,
    bytes: [u8; SIZE],
}

/// A buffer that this program owns, and the record in it: `bytes[start..end]`.
pub(crate) struct Builder {
    scratch: *mut Scratch,
    /// Which of the CPU's buffers it is.
    pub(crate) slot: u32,
    /// Offset of the first byte.
    pub(crate) start: usize,
    /// Offset behind the last byte.
    pub(crate) end: usize,
}

/// Address of the byte at an offset of a buffer.
#[inline(always)]
pub(crate) fn at(scratch: *mut Scratch, offset: usize) -> *mut u8 {
    // SAFETY: the mask keeps the address inside the buffer, with more than a path of room behind it.
    unsafe { (&raw mut (*scratch).bytes).cast::<u8>().add(offset & MASK) }
}

/// A number of bytes of which the verifier knows, on every kernel, that it is neither zero nor larger than the room.
#[derive(Clone, Copy)]
pub(crate) struct PacketBytes(u64);

impl PacketBytes {
    /// At most [`MESSAGE`] of so many bytes; `None` if there are fewer than `least`.
    ///
    #[inline(always)]
    pub(crate) fn of(available: u32, least: u64) -> Option<Self> {
        let available = u64::from(available);
        let bytes = masked(if available > MESSAGE as u64 { MESSAGE as u64 } else { available });
        if bytes < least { None } else { Some(Self(bytes)) }
    }

    /// The number.
    #[inline(always)]
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

/// Covers every length that is masked.
const LENGTH_MASK: u64 = 0xfff;
const _: () = assert!(MESSAGE as u64 <= LENGTH_MASK && ARGS as u64 <= LENGTH_MASK && LENGTH_MASK < PATH as u64);

/// A length that is not above [`LENGTH_MASK`], so that the verifier of 6.1 knows it too: it understands a mask, and loses
/// track of a bound that the compiler has turned into a comparison of two registers.
///
/// The assembly hides from the compiler that the mask changes nothing, or it would take the mask out.
#[inline(always)]
pub(crate) fn masked(length: u64) -> u64 {
    hidden(length) & LENGTH_MASK
}

/// The same value, of which the compiler knows nothing any more.
#[inline(always)]
fn hidden(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: copies a register to itself.
    unsafe { asm!("{0} = {0}", inout(reg) value) };
    value
}

impl Builder {
    /// Takes a free buffer; `None` when all are in use.
    #[inline(always)]
    pub(crate) fn take() -> Option<Self> {
        for slot in 0..SLOTS {
            let scratch = SCRATCH.get_ptr_mut(slot)?;
            // SAFETY: map values live as long as the program; `busy` is only used atomically.
            if unsafe { atomic::exchange(&raw mut (*scratch).busy, 1) } == 0 {
                let builder = Self { scratch, slot, start: MIDDLE, end: MIDDLE };
                // A NUL behind the path, which an exact path entry compares with.
                // SAFETY: MIDDLE is inside the buffer, which is ours now.
                unsafe { (&raw mut (*scratch).bytes).cast::<u8>().add(MIDDLE).write(0) };
                return Some(builder);
            }
        }
        None
    }

    /// A buffer that the caller of a function has taken, with a record that starts at an offset.
    #[inline(always)]
    pub(crate) fn lent(slot: u32, start: usize) -> Option<Self> {
        let scratch = SCRATCH.get_ptr_mut(slot)?;
        Some(Self { scratch, slot, start, end: MIDDLE })
    }

    /// The key of a name in a directory; null if the name is longer than keys are.
    #[inline(always)]
    pub(crate) fn name_key(&self, directory: FileId, name: u64, length: u32) -> *const NameKey {
        if length == 0 || length > NAME_KEY as u32 {
            return core::ptr::null();
        }
        let length = hidden(u64::from(length)) & NAME_KEY as u64;
        // SAFETY: the key lies in our buffer; the mask keeps the length below its size.
        unsafe {
            let key = &raw mut (*self.scratch).name;
            (*key).directory = directory;
            let words = (&raw mut (*key).name).cast::<u64>();
            for index in 0..(NAME_KEY + 1) / 8 {
                words.add(index).write_volatile(0);
            }
            bpf_probe_read_kernel((&raw mut (*key).name).cast(), length as u32, name as *const c_void);
            key
        }
    }

    /// Puts a NUL in front of the record: the end of a path that will be there.
    #[inline(always)]
    pub(crate) fn separate(&mut self) {
        self.start = self.start.wrapping_sub(1);
        // SAFETY: `at` stays inside the buffer.
        unsafe { self.at(self.start).write(0) };
    }

    /// Puts the credentials of the running task behind the record.
    #[inline(always)]
    pub(crate) fn append_credentials(&mut self) {
        const SIZE: u32 = size_of::<Credentials>() as u32;
        // SAFETY: the buffer is ours, and behind every masked offset there is room for a path.
        unsafe {
            let from = &raw mut (*self.scratch).credentials;
            task::credentials(from);
            bpf_probe_read_kernel(self.at(self.end).cast(), SIZE, from.cast());
        }
        self.end = self.end.wrapping_add(SIZE as usize);
    }

    /// The buffer, for a loop's callback.
    #[inline(always)]
    pub(crate) fn scratch(&self) -> *mut Scratch {
        self.scratch
    }

    /// Puts `length` bytes of a packet behind the record; false if the packet has not so many.
    #[inline(always)]
    pub(crate) fn append_packet(&mut self, skb: *mut __sk_buff, offset: u32, length: PacketBytes) -> bool {
        // SAFETY: `at` stays inside the buffer, with more room behind it than a length can have.
        let failed = unsafe { bpf_skb_load_bytes(skb.cast(), offset, self.at(self.end).cast(), length.0 as u32) };
        self.end = self.end.wrapping_add(length.0 as usize);
        failed == 0
    }

    /// Puts the content behind the record.
    #[inline(always)]
    pub(crate) fn append_content(&mut self) {
        // SAFETY: both are inside our buffer: behind every masked offset there is room for it.
        unsafe {
            let from = (&raw const (*self.scratch).content).cast();
            bpf_probe_read_kernel(self.at(self.end).cast(), size_of::<Content>() as u32, from);
        }
        self.end = self.end.wrapping_add(size_of::<Content>());
    }

    /// Gives the buffer back.
    #[inline(always)]
    pub(crate) fn release(self) {
        // SAFETY: as in `take`.
        unsafe { atomic::exchange(&raw mut (*self.scratch).busy, 0) };
    }

    /// Address of the byte at an offset.
    #[inline(always)]
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        at(self.scratch, offset)
    }

    /// Puts the fixed part in front of the record and returns the whole: address and length.
    #[inline(always)]
    pub(crate) fn finish<T>(&mut self, fixed: &T) -> (*const u8, usize) {
        let start = self.start.wrapping_sub(size_of::<T>()) & MASK;
        // Always true; it tells the verifier that start and length together stay inside.
        self.start = if start > MIDDLE { MIDDLE } else { start };
        let at = self.at(self.start);
        let source = core::ptr::from_ref(fixed).cast::<c_void>();
        // SAFETY: copies a live stack value into the buffer, inside it by the mask.
        unsafe { bpf_probe_read_kernel(at.cast(), size_of::<T>() as u32, source) };
        (at, self.end.wrapping_sub(self.start) & MASK)
    }

    /// The trie key, filled with the first bytes of the path at `start` (length `length`).
    #[inline(always)]
    pub(crate) fn path_key(&mut self, length: usize) {
        use sentinel_common::verdict::{CidrKey, PATH_KEY};
        let compared = if length + 1 < PATH_KEY { length + 1 } else { PATH_KEY };
        let source = self.at(self.start).cast::<c_void>();
        // SAFETY: both are inside our buffer: behind every masked offset there is room for a path.
        unsafe {
            bpf_probe_read_kernel((&raw mut (*self.scratch).key.path).cast(), PATH_KEY as u32, source);
            (*self.scratch).key_bits = CidrKey::SUBJECT_BITS + (compared as u32) * 8;
        }
    }

    /// The trie key as it was filled last.
    #[inline(always)]
    pub(crate) fn key(&self) -> *mut aya_ebpf::maps::lpm_trie::Key<PathKey> {
        // SAFETY: an address inside our buffer; `key_bits` and `key` together are laid out as such a key.
        unsafe { (&raw mut (*self.scratch).key_bits).cast() }
    }
}

const _: () = assert!(MASK + 1 - MIDDLE >= 6144 && SIZE - (MASK + 1) >= 4096 && size_of::<Scratch>() <= 32768);
