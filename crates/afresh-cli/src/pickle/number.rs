//! Numbers as Python writes them.

/// An integer longer than this (in bytes) is only described: writing it out takes the square of its length.
const LONGEST: usize = 512;

/// A two's complement, little-endian integer in decimal digits.
pub(super) fn long(bytes: &[u8]) -> String {
    if bytes.len() > LONGEST {
        return format!("<int of {} bits>", bytes.len() * 8);
    }
    let negative = bytes.last().is_some_and(|top| top & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (sum, over);
        }
        // Only -2^(8n) carries out of the top, and its magnitude in n bytes would be 0: it cannot be.
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in magnitude.iter_mut().rev() {
            let value = rest << 8 | u32::from(*byte);
            *byte = (value / 100) as u8;
            rest = value % 100;
        }
        while magnitude.last() == Some(&0) {
            magnitude.pop();
        }
        digits.push(rest);
    }
    let Some((top, rest)) = digits.split_last() else { return "0".into() };
    let sign = if negative { "-" } else { "" };
    let rest: String = rest.iter().rev().map(|pair| format!("{pair:02}")).collect();
    format!("{sign}{top}{rest}")
}

/// `1.0`, `1e+16`, `1e-05`, `inf`, `nan`.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_length_are_written_out() {
        for value in [0i128, 1, -1, 99, 100, -100, 127, -128, 1 << 70, i128::MIN, i128::MAX] {
            assert_eq!(long(&value.to_le_bytes()), value.to_string());
        }
        assert_eq!(long(&[]), "0");
        assert_eq!(long(&[0x80]), "-128");
        assert_eq!(long(&[1; 600]), "<int of 4800 bits>");
    }

    #[test]
    fn floats_look_like_pythons() {
        let floats =
            [(1.0, "1.0"), (1e16, "1e+16"), (1e-5, "1e-05"), (1.5e300, "1.5e+300"), (-0.0, "-0.0")];
        for (value, text) in floats {
            assert_eq!(float(value), text);
        }
        assert_eq!(float(f64::NAN), "nan");
        assert_eq!(float(f64::NEG_INFINITY), "-inf");
    }
}
