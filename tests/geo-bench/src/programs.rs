//! The benchmark's programs and maps.

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, Pod, TestRun as _,
    maps::{
        Array, ArrayOfMaps, HashMap, MapData,
        lpm_trie::{Key, LpmTrie},
    },
    programs::{SchedClassifier, TestRunOptions},
};
use geoip::{PrefixSet, TableImage};
use sentinel_common::{
    address::Address,
    geo::{Class, ClassRules, Node, ROOT_BLOCK, RUN_BLOCK, Tail},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sentinel-geo-bench"));

/// `BPF_F_INNER_MAP`.
const ANY_SIZE: u32 = 1 << 12;
/// Look-ups in one run of a program.
const LOOKUPS: f64 = 64.0;
/// Runs in one measurement.
const RUNS: u32 = 20_000;
/// Measurements, of which the quickest counts: whatever else the machine does only makes them slower.
const TRIES: usize = 7;
const PROGRAMS: [&str; 5] = ["bench_nothing", "bench_geo", "bench_hash", "bench_lpm4", "bench_lpm6"];

/// Plain memory for map keys and values.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Plain<T>(T);

macro_rules! plain {
    ($($ty:ty),+) => {
        $(
            // SAFETY: repr(C) of integers without implicit padding.
            unsafe impl Pod for Plain<$ty> {}
        )+
    };
}
plain!([u32; ROOT_BLOCK], Node, [Class; RUN_BLOCK], Tail, ClassRules, Address);

/// The loaded object.
pub(crate) struct Programs {
    ebpf: Ebpf,
    nothing: Option<f64>,
}

impl Programs {
    pub(crate) fn load() -> Result<Self> {
        let mut ebpf = Ebpf::load(OBJECT).context("loading the benchmark's programs (root is needed)")?;
        for name in PROGRAMS {
            let program: &mut SchedClassifier = ebpf.program_mut(name).context(name)?.try_into()?;
            program.load().with_context(|| format!("loading {name}"))?;
        }
        Ok(Self { ebpf, nothing: None })
    }

    /// Puts the country table into the kernel.
    pub(crate) fn install(&mut self, image: &TableImage) -> Result<()> {
        self.put("GEO_ROOTS", &blocks(&image.roots))?;
        self.put("GEO_NODES", &image.nodes)?;
        self.put("GEO_RUNS", &blocks(&image.runs))?;
        self.put("GEO_TAILS", &image.tails)
    }

    /// What the policy says of each class.
    pub(crate) fn rules(&mut self, rules: &[ClassRules]) -> Result<()> {
        self.put("GEO_RULES", rules)
    }

    fn put<T: Copy>(&mut self, name: &str, values: &[T]) -> Result<()>
    where
        Plain<T>: Pod,
    {
        let mut array = Array::<MapData, Plain<T>>::create(values.len() as u32, ANY_SIZE)?;
        for (index, value) in values.iter().enumerate() {
            array.set(index as u32, Plain(*value), 0)?;
        }
        let map = self.ebpf.map_mut(name).context(name.to_owned())?;
        let mut outer = ArrayOfMaps::<_, Array<MapData, Plain<T>>>::try_from(map)?;
        outer.set(0, &array, 0)?;
        Ok(())
    }

    /// The addresses that all look-ups are made with; the hash is filled with them.
    pub(crate) fn samples(&mut self, samples: &[Address]) -> Result<()> {
        let mut array = Array::<_, Plain<Address>>::try_from(self.ebpf.map_mut("SAMPLES").context("SAMPLES")?)?;
        for (index, sample) in samples.iter().enumerate() {
            array.set(index as u32, Plain(*sample), 0)?;
        }
        let mut hash = HashMap::<_, Plain<Address>, u32>::try_from(self.ebpf.map_mut("HASH").context("HASH")?)?;
        let old: Vec<_> = hash.keys().collect::<Result<_, _>>()?;
        old.iter().try_for_each(|key| hash.remove(key))?;
        for (index, sample) in samples.iter().enumerate() {
            hash.insert(Plain(*sample), index as u32, 0)?;
        }
        self.nothing = None;
        Ok(())
    }

    /// Makes a trie hold these prefixes and no others.
    pub(crate) fn tries(&mut self, prefixes: &PrefixSet, is_v4: bool) -> Result<()> {
        if is_v4 {
            let mut trie = LpmTrie::<_, u32, u32>::try_from(self.ebpf.map_mut("LPM4").context("LPM4")?)?;
            let old: Vec<_> = trie.keys().collect::<Result<_, _>>()?;
            old.iter().try_for_each(|key| trie.remove(key))?;
            for prefix in &prefixes.v4 {
                trie.insert(&Key::new(prefix.len.into(), prefix.addr.to_be()), 1, 0)?;
            }
            return Ok(());
        }
        let mut trie = LpmTrie::<_, Plain<Address>, u32>::try_from(self.ebpf.map_mut("LPM6").context("LPM6")?)?;
        let old: Vec<_> = trie.keys().collect::<Result<_, _>>()?;
        old.iter().try_for_each(|key| trie.remove(key))?;
        for prefix in &prefixes.v6 {
            let address = Address::from_octets(prefix.addr.to_be_bytes());
            trie.insert(&Key::new(prefix.len.into(), Plain(address)), 1, 0)?;
        }
        Ok(())
    }

    /// Nanoseconds of one look-up.
    pub(crate) fn time(&mut self, name: &str) -> Result<f64> {
        let nothing = match self.nothing {
            Some(nothing) => nothing,
            None => self.run("bench_nothing")?,
        };
        self.nothing = Some(nothing);
        Ok(self.run(name)? - nothing)
    }

    fn run(&mut self, name: &str) -> Result<f64> {
        let program: &mut SchedClassifier = self.ebpf.program_mut(name).context(name.to_owned())?.try_into()?;
        let mut best = f64::MAX;
        for _ in 0..TRIES {
            let packet = [0_u8; 64];
            let options = TestRunOptions { data_in: Some(&packet), repeat: RUNS, ..TestRunOptions::new() };
            let result = program.test_run(options)?;
            ensure!(result.return_value == 0, "{name} ended with {}", result.return_value);
            best = best.min(result.duration.as_nanos() as f64 / LOOKUPS);
        }
        Ok(best)
    }
}

/// Cuts a list into map values; the last one is filled up with zeros.
fn blocks<T: Copy + Default, const N: usize>(list: &[T]) -> Vec<[T; N]> {
    let block = |part: &[T]| {
        let mut block = [T::default(); N];
        block[..part.len()].copy_from_slice(part);
        block
    };
    list.chunks(N).map(block).collect()
}
