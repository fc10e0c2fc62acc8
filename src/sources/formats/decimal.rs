//! Numbers as most writers write them.

/// A decimal of few digits, such as `-12.3456789`: what the standard library makes of it, in a fraction of the time.
/// None for any other text, which may be a number all the same.
///
/// Up to fifteen digits are whole in 64 bits of floating point, and so are the powers of ten up to there: their
/// quotient is rounded once, as it has to be.
pub fn plain(text: &str) -> Option<f64> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > MOST_DIGITS + 1 {
        return None;
    }
    let (mut whole, mut count, mut point) = (0_u64, 0, None);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                whole = whole * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    if !(1..=MOST_DIGITS).contains(&count) {
        return None;
    }
    let number = whole as f64 / POWERS[count - point.unwrap_or(count)];
    Some(if is_negative { -number } else { number })
}

const MOST_DIGITS: usize = 15;
const POWERS: [f64; MOST_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_read_is_what_the_standard_library_reads(text in "-{0,2}[0-9]{0,12}\\.{0,2}[0-9]{0,9}[e+ ]?[0-9]?") {
            if let Some(number) = plain(&text) {
                prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(number.to_bits()), "{}", text);
            }
        }
    }

    #[test]
    fn plain_decimals_are_read() {
        for text in ["0", "-0", "5.", ".5", "48.1374321", "-122.0839999", "4294967295", "123456789012.345"] {
            assert_eq!(plain(text).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{text}");
        }
        for text in ["", "-", ".", "1e3", "NaN", "1,5", " 1", "1234567890.1234567"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
