//! Several records that make up another.

/// A record that others make up together.
#[derive(Debug, Clone)]
pub struct Join {
    pub whole: usize,
    /// In the order of time.
    pub parts: Vec<usize>,
    /// The longest pause between two of them.
    pub gap_s: i64,
    /// Somebody typed in the sum of them as one, so they are one, whatever lies between.
    pub is_sum: bool,
}
