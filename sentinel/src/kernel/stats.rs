//! Reads the kernel's counters.

use aya::{
    Ebpf, Pod,
    maps::{Map, MapData, MapError, PerCpuArray},
};
use sentinel_common::stats::{HookStats, KindStats};

use super::{KernelError, verdicts::take};

/// Counters, summed over the CPUs.
pub struct Stats {
    hooks: PerCpuArray<MapData, PlainHook>,
    kinds: PerCpuArray<MapData, PlainKind>,
}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct PlainHook(HookStats);
// SAFETY: repr(C) of u64 fields.
unsafe impl Pod for PlainHook {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct PlainKind(KindStats);
// SAFETY: repr(C) of u64 fields.
unsafe impl Pod for PlainKind {}

impl Stats {
    /// Takes the counter maps out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if one is missing.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self { hooks: take!(ebpf, "HOOK_STATS"), kinds: take!(ebpf, "KIND_STATS") })
    }

    /// The counters that are pinned in a directory.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if they are not there, or not ours.
    pub fn pinned(directory: &std::path::Path) -> Result<Self, KernelError> {
        fn open<T: TryFrom<Map, Error = MapError>>(
            directory: &std::path::Path,
            name: &'static str,
        ) -> Result<T, KernelError> {
            let data = MapData::from_pin(directory.join(name)).map_err(|error| failed(name, &error))?;
            Map::from_map_data(data).and_then(T::try_from).map_err(|error| failed(name, &error))
        }
        Ok(Self { hooks: open(directory, "HOOK_STATS")?, kinds: open(directory, "KIND_STATS")? })
    }

    /// Counters of a hook.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if reading failed.
    pub fn hook(&self, id: u32) -> Result<HookStats, KernelError> {
        let values = self.hooks.get(&id, 0).map_err(|e| failed("HOOK_STATS", &e))?;
        Ok(values.iter().fold(HookStats::default(), |sum, PlainHook(cpu)| HookStats {
            runs: sum.runs + cpu.runs,
            refused: sum.refused + cpu.refused,
            would_refuse: sum.would_refuse + cpu.would_refuse,
            exempted: sum.exempted + cpu.exempted,
            errors: sum.errors + cpu.errors,
            canary: sum.canary + cpu.canary,
        }))
    }

    /// Counters of a kind of event.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if reading failed.
    pub fn kind(&self, kind: u16) -> Result<KindStats, KernelError> {
        let values = self.kinds.get(&u32::from(kind), 0).map_err(|e| failed("KIND_STATS", &e))?;
        Ok(values.iter().fold(KindStats::default(), |sum, PlainKind(cpu)| KindStats {
            seen: sum.seen + cpu.seen,
            submitted: sum.submitted + cpu.submitted,
            suppressed: sum.suppressed + cpu.suppressed,
            ring_full: sum.ring_full + cpu.ring_full,
            no_scratch: sum.no_scratch + cpu.no_scratch,
        }))
    }
}

fn failed(map: &'static str, error: &MapError) -> KernelError {
    KernelError::Map { map, reason: super::chain(error) }
}
