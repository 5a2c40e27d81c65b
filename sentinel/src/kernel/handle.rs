//! The generation of an inode, as its file handle tells it: what sets a file apart from an older one with its number.
//!
//! Invariant: only handles whose format is known are read, and only if they have the inode number that the kernel shows; a
//! generation is never guessed, because a label with a wrong one would hold for nothing. The handle is asked for through a
//! descriptor that need not be open for reading, so this touches nothing and no rule can refuse it.
//!
//! `FS_IOC_GETVERSION` would say the same, but wants the file opened.

use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Room for a handle (`MAX_HANDLE_SZ`).
const ROOM: usize = 128;

/// `struct file_handle`.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    data: [u8; ROOM],
}

/// Magic numbers of file systems (`include/uapi/linux/magic.h`), with where their handles have the generation.
const FORMATS: [(i64, i32, usize, Format); 6] = [
    // ext2, ext3, ext4; f2fs: 32 bits of inode number, generation
    (0xef53, 1, 8, Format { ino: 0, wide: false, generation: 4 }),
    (0xf2f5_2010, 1, 8, Format { ino: 0, wide: false, generation: 4 }),
    // tmpfs: generation, inode number in two halves
    (0x0102_1994, 1, 12, Format { ino: 4, wide: true, generation: 0 }),
    // XFS: inode number (64 bits), generation; on small file systems 32 bits of each
    (0x5846_5342, 0x81, 12, Format { ino: 0, wide: true, generation: 8 }),
    (0x5846_5342, 1, 8, Format { ino: 0, wide: false, generation: 4 }),
    // Btrfs: object id, root, generation
    (0x9123_683e, 0x4d, 20, Format { ino: 0, wide: true, generation: 16 }),
];

/// Offsets into a handle.
#[derive(Clone, Copy)]
struct Format {
    ino: usize,
    wide: bool,
    generation: usize,
}

/// Generation of the inode of this number behind a descriptor; 0: not known.
#[must_use]
pub fn generation(file: BorrowedFd<'_>, ino: u64) -> u32 {
    let Ok(found) = rustix::fs::fstatfs(file) else { return 0 };
    let mut handle = Handle { bytes: ROOM as u32, kind: 0, data: [0; ROOM] };
    let mut mount = 0;
    // SAFETY: the path is a NUL-terminated static string, the other two are locals that outlive the call, and `bytes` says
    // how much room there is.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            file.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH,
        )
    };
    if failed != 0 {
        return 0;
    }
    let data = handle.data.get(..handle.bytes as usize).unwrap_or_default();
    of_handle(found.f_type, handle.kind, data, ino).unwrap_or(0)
}

fn of_handle(magic: i64, kind: i32, data: &[u8], ino: u64) -> Option<u32> {
    let known = |(m, k, length, _): &&(i64, i32, usize, Format)| (*m, *k, *length) == (magic, kind, data.len());
    let (.., format) = FORMATS.iter().find(known)?;
    let word = |at: usize| Some(u32::from_ne_bytes(data.get(at..at + 4)?.try_into().ok()?));
    let low = u64::from(word(format.ino)?);
    let (found, expected) = if format.wide {
        (u64::from(word(format.ino + 4)?) << 32 | low, ino)
    } else {
        (low, ino & u64::from(u32::MAX))
    };
    if found == expected { word(format.generation) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    #[test]
    fn known_handles_are_read() {
        assert_eq!(of_handle(0xef53, 1, &words(&[12, 77]), 12), Some(77));
        assert_eq!(of_handle(0x0102_1994, 1, &words(&[77, 12, 1]), 1 << 32 | 12), Some(77));
        assert_eq!(of_handle(0x5846_5342, 0x81, &words(&[12, 1, 77]), 1 << 32 | 12), Some(77));
        assert_eq!(of_handle(0x9123_683e, 0x4d, &words(&[257, 0, 5, 0, 77]), 257), Some(77));
    }

    #[test]
    fn what_does_not_fit_is_not_known() {
        // Another inode, another length, another kind, another file system.
        assert_eq!(of_handle(0xef53, 1, &words(&[12, 77]), 13), None);
        assert_eq!(of_handle(0xef53, 1, &words(&[12, 77, 0]), 12), None);
        assert_eq!(of_handle(0xef53, 2, &words(&[12, 77]), 12), None);
        assert_eq!(of_handle(0x6969, 1, &words(&[12, 77]), 12), None);
        assert_eq!(of_handle(0xef53, 1, &[], 0), None);
    }
}
