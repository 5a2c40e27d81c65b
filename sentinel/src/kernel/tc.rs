//! Traffic control of one network namespace, over NETLINK_ROUTE: which filters a device's clsact qdisc has, and their end.
//!
//! Layouts: include/uapi/linux/{rtnetlink,pkt_sched,pkt_cls}.h. Invariants: a [`Tc`] belongs to the namespace that its thread
//! was in; answers count only if the kernel sent them, and every length in them is checked. Adding filters is aya's part.

use std::time::Duration;

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};
use thiserror::Error;

use crate::sockets::diag::receive;
use crate::sockets::wire::{self, ACK, DUMP, Malformed, Message, Messages, REQUEST, array_at, attributes, u32_at};

/// What the kernel sends at once is at most this much, with room to spare.
const BUFFER: usize = 64 * 1024;
/// The kernel answers at once; a wait this long means that it never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// Message types.
const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const GET_QDISC: u16 = 38;
const NEW_FILTER: u16 = 44;
const DELETE_FILTER: u16 = 45;
const GET_FILTER: u16 = 46;
/// `NLM_F_ECHO`: the answer about a qdisc goes to who asked, too.
const ECHO: u16 = 8;

/// `struct nlmsghdr`, and `struct tcmsg` behind it.
const HEADER: usize = 16;
const TCMSG: usize = 20;
/// Where a clsact qdisc is attached, and its own handle.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// `ETH_P_ALL` as a filter has it, in network order.
const ALL_PROTOCOLS: u16 = 0x0003_u16.to_be();

/// `TCA_KIND`, `TCA_OPTIONS`; of a BPF filter's options `TCA_BPF_NAME` and `TCA_BPF_ID`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const BPF_NAME: u16 = 7;
const BPF_ID: u16 = 11;

/// Why traffic control could not be used.
#[derive(Debug, Error)]
pub(super) enum TcError {
    /// A system call, or the answer to a request.
    #[error("traffic control: {0}")]
    System(#[from] Errno),
    /// An answer that does not add up.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// The list of filters that a clsact qdisc has for packets coming in or going out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Direction {
    Ingress = 0xffff_fff2,
    Egress = 0xffff_fff3,
}

/// A filter, or the head of a list of those of one priority (handle 0).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) priority: u16,
    pub(super) handle: u32,
    /// Kind and, of BPF, name: `bpf forward`.
    pub(super) name: String,
    /// Id of its BPF program.
    pub(super) program: Option<u32>,
}

/// A way to ask about one network namespace.
#[derive(Debug)]
pub(super) struct Tc {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Tc {
    /// For the network namespace of this thread.
    pub(super) fn open() -> Result<Self, TcError> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // Without a protocol it is NETLINK_ROUTE, whose number is 0.
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The filters of a device; none if it has no clsact qdisc.
    pub(super) fn filters(&mut self, index: u32, direction: Direction) -> Result<Vec<Filter>, TcError> {
        let mut found = Vec::new();
        let about = About { index, handle: 0, parent: direction as u32, info: 0 };
        self.ask(GET_FILTER, DUMP, &about, &mut |message| {
            if message.kind == NEW_FILTER {
                found.push(filter(message.body)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The kind of the qdisc where clsact goes: that, or its predecessor `ingress`.
    pub(super) fn qdisc(&mut self, index: u32) -> Result<Option<String>, TcError> {
        let mut found = None;
        let about = About { index, handle: 0, parent: CLSACT, info: 0 };
        let answer = self.ask(GET_QDISC, ACK | ECHO, &about, &mut |message| {
            if message.kind == NEW_QDISC {
                found = Some(named(message.body)?.0);
            }
            Ok(())
        });
        match answer {
            Err(TcError::System(Errno::NOENT)) => Ok(None),
            other => other.map(|()| found),
        }
    }

    /// Takes a BPF filter for all protocols off a device's way out.
    pub(super) fn remove_filter(&mut self, index: u32, priority: u16, handle: u32) -> Result<(), TcError> {
        let info = u32::from(priority) << 16 | u32::from(ALL_PROTOCOLS);
        let about = About { index, handle, parent: Direction::Egress as u32, info };
        self.ask(DELETE_FILTER, ACK, &about, &mut |_| Ok(()))
    }

    /// Takes the clsact qdisc off a device, with all filters that it has.
    pub(super) fn remove_qdisc(&mut self, index: u32) -> Result<(), TcError> {
        let about = About { index, handle: CLSACT_HANDLE, parent: CLSACT, info: 0 };
        self.ask(DELETE_QDISC, ACK, &about, &mut |_| Ok(()))
    }

    /// Sends a request, and hands over what is answered until the kernel says that this is all.
    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        about: &About,
        each: &mut dyn FnMut(&Message) -> Result<(), Malformed>,
    ) -> Result<(), TcError> {
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &about.request(kind, REQUEST | flags, self.sequence), SendFlags::empty())?;
        loop {
            let size = receive(&self.socket, &mut self.buffer)?;
            for message in Messages(&self.buffer[..size]) {
                let message = message?;
                if message.sequence != self.sequence {
                    continue;
                }
                if [wire::kind::DONE, wire::kind::ERROR].contains(&message.kind) {
                    return match wire::errno(&message)? {
                        0 => Ok(()),
                        errno => Err(Errno::from_raw_os_error(errno).into()),
                    };
                }
                each(&message)?;
            }
        }
    }
}

/// `struct tcmsg`: what a request is about.
struct About {
    index: u32,
    handle: u32,
    parent: u32,
    info: u32,
}

impl About {
    fn request(&self, kind: u16, flags: u16, sequence: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + TCMSG);
        bytes.extend(((HEADER + TCMSG) as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // Whose port, and the family: any.
        for word in [sequence, 0, 0, self.index, self.handle, self.parent, self.info] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes
    }
}

/// The filter that a message describes.
fn filter(body: &[u8]) -> Result<Filter, Malformed> {
    let (name, options) = named(body)?;
    let mut filter =
        Filter { priority: (u32_at(body, 16)? >> 16) as u16, handle: u32_at(body, 8)?, name, program: None };
    // Options of another kind have other numbers.
    for attribute in attributes(if filter.name == "bpf" { options } else { &[] }) {
        match attribute? {
            (BPF_NAME, value) => filter.name = format!("bpf {}", text(value)),
            (BPF_ID, value) => filter.program = Some(u32::from_ne_bytes(array_at(value, 0)?)),
            _ => {}
        }
    }
    Ok(filter)
}

/// Kind and options of what a message describes.
fn named(body: &[u8]) -> Result<(String, &[u8]), Malformed> {
    let (mut kind, mut options) = (String::new(), &[][..]);
    for attribute in attributes(body.get(TCMSG..).unwrap_or_default()) {
        match attribute? {
            (KIND, value) => kind = text(value),
            (OPTIONS, value) => options = value,
            _ => {}
        }
    }
    Ok((kind, options))
}

/// A text that NUL ends.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn described(kind: &[u8], options: &[u8]) -> Vec<u8> {
        let words = [0, 3, 0x5e47, Direction::Egress as u32, 1 << 16 | u32::from(ALL_PROTOCOLS)];
        let mut body: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        body.extend(attribute(KIND, kind));
        body.extend(attribute(OPTIONS, options));
        body
    }

    #[test]
    fn filters_are_read() {
        let options = [attribute(BPF_NAME, b"forward\0"), attribute(BPF_ID, &42_u32.to_ne_bytes())].concat();
        let wanted = Filter { priority: 1, handle: 0x5e47, name: "bpf forward".to_owned(), program: Some(42) };
        assert_eq!(filter(&described(b"bpf\0", &options)), Ok(wanted.clone()));
        assert_eq!(
            filter(&described(b"flower\0", &options)),
            Ok(Filter { name: "flower".into(), program: None, ..wanted })
        );
    }

    #[test]
    fn what_is_cut_off_is_an_error_or_less_but_never_something_else() {
        let options = [attribute(BPF_NAME, b"forward\0"), attribute(BPF_ID, &42_u32.to_ne_bytes())].concat();
        let whole = described(b"bpf\0", &options);
        for end in 0..whole.len() {
            let program = filter(&whole[..end]).ok().and_then(|filter| filter.program);
            assert_eq!(program, None, "cut off at {end}");
        }
        let short = described(b"bpf\0", &attribute(BPF_ID, &[1, 2]));
        assert!(filter(&short).is_err());
    }

    #[test]
    fn a_device_without_a_qdisc_has_no_filters() {
        let mut tc = Tc::open().unwrap();
        assert!(tc.filters(1, Direction::Ingress).unwrap().iter().all(|filter| filter.priority != 0));
        assert!(matches!(tc.filters(u32::MAX, Direction::Egress).as_deref(), Ok([]) | Err(_)));
    }
}
