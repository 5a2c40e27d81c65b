//! The sampling pack: decisions that an auditor looks at by hand, chosen so that anybody can choose them again.

use super::decisions::Row;
use crate::audit::record::Hash;

/// Size of the sample.
const SIZE: usize = 25;

/// The rows whose hash with the seed is least: the order in the trail and the size of the whole have no influence.
pub(super) fn sample(rows: &[Row], seed: u64) -> Vec<Row> {
    let mut drawn: Vec<(Hash, &Row)> =
        rows.iter().map(|row| (Hash::of(&[&seed.to_be_bytes(), row.record_sha256.as_bytes()]), row)).collect();
    drawn.sort_by_key(|(hash, _)| *hash);
    drawn.into_iter().take(SIZE).map(|(_, row)| row.clone()).collect()
}
