//! The digest that a literal has as a value, by `fp1`: the same that Python gives the value it makes of it.

use afresh_core::fp1::{Digest, Encoder};
use afresh_pysource::Literal;

/// The digest of an expression's value, where it is written out.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    Literal::parse(text).map(|literal| of(&literal).0)
}

fn of(literal: &Literal) -> Digest {
    let mut encoder = Encoder::new();
    write(&mut encoder, literal);
    encoder.finish()
}

/// Writes a value as part of another.
pub(crate) fn write(encoder: &mut Encoder, literal: &Literal) {
    match literal {
        Literal::None => encoder.none(),
        Literal::Bool(value) => encoder.bool(*value),
        Literal::Int(value) => encoder.big_int(&value.to_le_bytes()),
        Literal::Float(value) => encoder.float(*value),
        Literal::Text(text) => encoder.str(text),
        Literal::Data(bytes) => encoder.bytes(bytes),
        Literal::Tuple(members) => {
            encoder.tuple(members.len());
            members.iter().for_each(|member| write(encoder, member));
        }
        Literal::List(members) => {
            encoder.list(members.len());
            members.iter().for_each(|member| write(encoder, member));
        }
        Literal::Set(members) => encoder.set(false, members.iter().map(of).collect()),
        Literal::Dict(items) => {
            encoder.dict(items.iter().map(|(key, value)| (of(key), of(value))).collect());
        }
    }
}
