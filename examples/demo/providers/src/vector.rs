//! Unit vectors that depend on a text alone.

pub(crate) fn of(text: &str, dimensions: u64) -> Vec<f32> {
    let seed = crc32fast::hash(text.as_bytes());
    let raw: Vec<f32> = (0..dimensions)
        .map(|at| {
            let bits =
                crc32fast::hash(&[seed.to_le_bytes().as_slice(), &at.to_le_bytes()].concat());
            f32::from(u16::try_from(bits >> 16).unwrap_or(0)) / 32768.0 - 1.0
        })
        .collect();
    let length = raw
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    raw.into_iter().map(|value| value / length).collect()
}
