//! Small conversions that several readers share.

/// Numbers without a column, as a JSON object.
pub fn extra(values: &[(&str, f64)]) -> Option<String> {
    let entries: Vec<String> = values
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    (!entries.is_empty()).then(|| format!("{{{}}}", entries.join(",")))
}

/// Whole 1e-7 degrees, where the number is on the globe.
pub fn degrees_e7(degrees: f64, limit: f64) -> Option<i32> {
    (degrees.abs() <= limit).then(|| (degrees * 1e7).round() as i32)
}

/// Whole 1e-7 degrees of a full turn cut into 2^32.
pub fn degrees_e7_of_semicircles(semicircles: i64, limit: f64) -> Option<i32> {
    degrees_e7(semicircles as f64 * (180.0 / 2_147_483_648.0), limit)
}
