//! Types of `sentinel-common` as keys and values of maps.
//!
//! Invariant: only types of integers without implicit padding, whose sizes `sentinel-common` asserts.

/// Plain memory for map keys and values.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(super) struct Plain<T>(pub(super) T);

/// Says that these types are plain memory.
macro_rules! plain {
    ($($ty:ty),+) => {
        $(
            // SAFETY: repr(C) of integers without implicit padding; sentinel-common asserts the sizes.
            unsafe impl aya::Pod for Plain<$ty> {}
        )+
    };
}
pub(super) use plain;
