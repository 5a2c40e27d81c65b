//! The part of an event that says what its process may do and on whose behalf: users, capabilities, terminal, and whether
//! its image gave it more.
//!
//! All of it is the kernel's own account at the time of the event, so it holds after every change of credentials. Names of
//! fields are those of ECS; the login user has none there and goes by the name that Elastic's own audit collectors use.

use std::cell::RefCell;

use rules::{
    Value,
    input::{Object, array, text, word},
};
use sentinel_common::event::{Credentials, NO_LOGIN, flag};

use super::{Common, Exec, id};

/// Capabilities by their number (include/uapi/linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Sets of capabilities whose arrays are kept: on a host there are few.
const KEPT: usize = 16;

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const GROUP_EXECUTE: u32 = 0o010;

thread_local! {
    static SETS: RefCell<Vec<(u64, Value)>> = const { RefCell::new(Vec::new()) };
}

/// Real and saved user, and the terminal.
pub(super) fn of(process: &mut Object, known: &Credentials, interactive: bool) {
    process.set_object("real_user", id(known.real_uid)).set_object("saved_user", id(known.saved_uid));
    process.set("interactive", interactive && known.tty != 0);
    if known.tty != 0 {
        let mut device = Object::new();
        device.set("major", u64::from(known.tty >> 20)).set("minor", u64::from(known.tty & 0xf_ffff));
        let mut tty = Object::new();
        tty.set_object("char_device", device);
        process.set_object("tty", tty);
    }
}

/// The login user.
pub(super) fn login(common: &Common) -> Object {
    match common.credentials.as_ref().map(|known| known.login_uid) {
        Some(uid) if uid != NO_LOGIN => id(uid),
        Some(_) | None => Object::new(),
    }
}

/// Capabilities of the acting thread.
pub(super) fn capabilities(common: &Common) -> Object {
    let mut object = Object::new();
    if let Some(known) = &common.credentials {
        object.set("effective", names(known.effective)).set("permitted", names(known.permitted));
    }
    object
}

/// Which privileges of the file that is executed took effect.
pub(super) fn of_image(process: &mut Object, exec: &Exec) {
    let privileged = exec.common.has(flag::PRIVILEGED);
    let set_user = privileged && exec.mode & SET_USER != 0;
    let set_group = privileged && exec.mode & (SET_GROUP | GROUP_EXECUTE) == SET_GROUP | GROUP_EXECUTE;
    process.set("setuid", set_user).set("setgid", set_group);
    // Root has its capabilities back by every exec, whatever the file has.
    let root = exec.common.task.uid == 0 || exec.common.credentials.is_none_or(|known| known.real_uid == 0);
    process.set("setcap", privileged && !set_user && !set_group && !root);
}

/// Names of the capabilities of a set; of one that has no name its number.
fn names(set: u64) -> Value {
    SETS.with_borrow_mut(|sets| {
        if let Some((_, known)) = sets.iter().find(|(known, _)| *known == set) {
            return known.clone();
        }
        let numbers = (0..64_usize).filter(|number| set >> number & 1 == 1);
        let value = array(numbers.map(|number| match NAMES.get(number) {
            Some(name) => word(name),
            None => text(&number.to_string()),
        }));
        if sets.len() >= KEPT {
            sets.clear();
        }
        sets.push((set, value.clone()));
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_named_or_numbered() {
        assert_eq!(names(1 << 21 | 1), Value::from_json_str(r#"["CAP_CHOWN","CAP_SYS_ADMIN"]"#).unwrap());
        assert_eq!(names(1 << 63 | 1 << 40), Value::from_json_str(r#"["CAP_CHECKPOINT_RESTORE","63"]"#).unwrap());
        assert_eq!(names(0), Value::from_json_str("[]").unwrap());
    }

    #[test]
    fn names_are_those_that_this_system_has() {
        let last: usize = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
        assert!(last < NAMES.len(), "a kernel with capabilities that have no name here");
    }
}
