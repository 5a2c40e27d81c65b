//! Asks the kernel what the hooks would answer, without a packet: a test run of the `probe` program on the live maps.
//!
//! Invariant: the program is the loaded object's own, so it reads the maps that the hooks read. Not here: what the answers
//! ought to be.

use aya::{
    Ebpf, EbpfLoader, TestRun as _,
    programs::{Program, SchedClassifier, TestRunOptions},
};
use sentinel_common::{
    FileId,
    address::Address,
    config::Config,
    probe::{ANSWERED, MOST, Request},
};

use super::{KernelError, OBJECT, Settings, chain, features, program, verdicts::Verdicts};

pub use sentinel_common::probe::{Answer, BROKEN};

/// Name of the program.
const NAME: &str = "probe";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// What it runs.
    pub executable: FileId,
    /// Its cgroup.
    pub cgroup: u64,
    /// Its effective user id.
    pub uid: u32,
    /// Destination port.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
}

/// The loaded program.
pub struct Probe<'a> {
    program: &'a SchedClassifier,
    packet: Vec<u8>,
}

/// Loads the program of an object.
pub(super) fn load(ebpf: &mut Ebpf) -> Result<(), KernelError> {
    let failed = |reason| KernelError::Load { what: NAME.to_owned(), reason };
    match program(ebpf, NAME)? {
        Program::SchedClassifier(program) => program.load().map_err(|error| failed(chain(&error))),
        _ => Err(failed("it is no classifier".to_owned())),
    }
}

impl<'a> Probe<'a> {
    pub(super) fn new(ebpf: &'a Ebpf) -> Result<Self, KernelError> {
        match ebpf.program(NAME) {
            Some(Program::SchedClassifier(program)) => Ok(Self { program, packet: Vec::new() }),
            Some(_) | None => {
                let reason = "it is missing from the object".to_owned();
                Err(KernelError::Load { what: NAME.to_owned(), reason })
            }
        }
    }

    /// The verdicts on addresses as they would be given to a hook, in their order.
    ///
    /// # Errors
    ///
    /// [`KernelError::Probe`] if the program does not run, or does not answer.
    pub fn ask(&mut self, subject: &Subject, addresses: &[Address]) -> Result<Vec<Answer>, KernelError> {
        let mut answers = Vec::with_capacity(addresses.len());
        for part in addresses.chunks(MOST) {
            self.packet.clear();
            write_request(&mut self.packet, subject, part.len() as u32);
            self.packet.extend(part.iter().flat_map(|address| address.octets()));
            let mut out = vec![0; self.packet.len()];
            let options =
                TestRunOptions { data_in: Some(&self.packet), data_out: Some(&mut out), ..TestRunOptions::new() };
            let result = self.program.test_run(options).map_err(|error| KernelError::Probe(chain(&error)))?;
            if result.return_value != ANSWERED || result.data_size_out as usize != out.len() {
                let (value, size) = (result.return_value, result.data_size_out);
                return Err(KernelError::Probe(format!("it returned {value} and {size} of {} bytes", out.len())));
            }
            answers.extend(out[size_of::<Request>()..].as_chunks().0.iter().map(read_answer));
        }
        Ok(answers)
    }
}

/// The bytes of a [`Request`].
fn write_request(packet: &mut Vec<u8>, subject: &Subject, count: u32) {
    packet.extend([0; 16]);
    packet.extend(subject.executable.ino.to_ne_bytes());
    packet.extend(subject.executable.dev.to_ne_bytes());
    packet.extend([0; 4]);
    packet.extend(subject.cgroup.to_ne_bytes());
    packet.extend(subject.uid.to_ne_bytes());
    packet.extend(count.to_ne_bytes());
    packet.extend(subject.port.to_ne_bytes());
    packet.extend(u16::from(subject.protocol).to_ne_bytes());
    packet.resize(size_of::<Request>(), 0);
}

fn read_answer(bytes: &[u8; size_of::<Answer>()]) -> Answer {
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Answer { rule: word(0), class: word(4), origin: bytes[8], flags: bytes[9], refuses: bytes[10], pad: [0; 5] }
}

/// Maps and the probe alone: nothing is attached, so nothing on the host is watched or refused.
pub struct Alone {
    ebpf: Ebpf,
    /// The verdict maps.
    pub verdicts: Verdicts,
}

impl Alone {
    /// Loads them, with refusal compiled in.
    ///
    /// # Errors
    ///
    /// See [`KernelError`].
    pub fn load() -> Result<Self, KernelError> {
        features::require_root()?;
        let config = Config { enforce: 1, own_tgid: std::process::id(), ..Config::ZERO };
        let mut ebpf = EbpfLoader::new()
            .override_global("CONFIG", &Settings(config), true)
            .load(OBJECT)
            .map_err(|error| KernelError::Load { what: "maps".to_owned(), reason: chain(&error) })?;
        load(&mut ebpf)?;
        let verdicts = Verdicts::new(&mut ebpf)?;
        Ok(Self { ebpf, verdicts })
    }

    /// The probe.
    ///
    /// # Errors
    ///
    /// [`KernelError::Load`] if the program is missing.
    pub fn probe(&self) -> Result<Probe<'_>, KernelError> {
        Probe::new(&self.ebpf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_program_reads_it() {
        let executable = FileId { ino: 0x0102, dev: 3, generation: 0 };
        let mut packet = Vec::new();
        write_request(&mut packet, &Subject { executable, cgroup: 4, uid: 5, port: 6, protocol: 7 }, 8);
        let at = |offset: usize| u32::from_ne_bytes(packet[offset..offset + 4].try_into().unwrap());
        use std::mem::offset_of;
        assert_eq!(packet.len(), size_of::<Request>());
        assert_eq!(at(offset_of!(Request, executable)), 0x0102);
        assert_eq!(at(offset_of!(Request, executable) + offset_of!(FileId, dev)), 3);
        assert_eq!((at(offset_of!(Request, cgroup)), at(offset_of!(Request, uid))), (4, 5));
        assert_eq!((at(offset_of!(Request, count)), at(offset_of!(Request, port))), (8, 7 << 16 | 6));
    }
}
