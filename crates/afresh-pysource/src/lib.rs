//! The canonical form of Python source: what a function means, apart from how it is written.
//!
//! [`Source`] holds one parsed file (or notebook cell). From it a function, lambda, class or module
//! is picked out and turned into a [`Definition`]: a digest of its canonical syntax tree under the
//! versioned form `src1`, and the names it reaches outside itself. Our own parser does the work, so
//! the digest does not depend on the interpreter that runs the code. Nothing here runs Python, reads
//! files or resolves a name to an object: that is the caller's business.
//!
//! ```
//! use afresh_pysource::{Source, Style};
//! let one = Source::parse("def f(x):\n    '''Doc.'''\n    return scale(x) * 0x10  # sixteen\n")?;
//! let two = Source::parse("def f(x): return (scale(x)*16)\n")?;
//! let style = Style::default();
//! let (one, two) = (one.function("f", 1, &style)?, two.function("f", 1, &style)?);
//! assert_eq!(one.digest, two.digest);
//! assert_eq!(one.references[0].path, ["scale"]);
//! # Ok::<(), afresh_pysource::Error>(())
//! ```

mod binding;
mod bound;
mod combine;
mod constant;
mod definition;
mod encode;
mod error;
mod expr;
mod literal;
mod locate;
mod parts;
mod pattern;
mod scope;
mod source;
mod spine;
mod stmt;
mod writer;

pub use binding::{Binding, Statements};
pub use combine::combine;
pub use definition::{Definition, Dynamic, Origin, Parameter, Reference, Style};
pub use error::Error;
pub use literal::Literal;
pub use parts::{Call, Part, Parts};
pub use source::Source;
