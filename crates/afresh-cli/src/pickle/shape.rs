//! What a value looks like before it is laid out in lines: an atom, or a group of labelled values in brackets.
//!
//! Here it is decided what an object that is not made looks like: `<module.Class(arguments, attribute=value)>`. The
//! few calls by which older protocols spell sets and bytes are seen through; they are known to be harmless. At most
//! `most` items or characters are looked at, so looking costs no more than what can be written.

use std::borrow::Cow;

use super::node::{Graph, Id, Made, Node};
use super::{number, quote};
use crate::{human, text};

pub(super) enum Shape {
    Atom(String),
    Group { open: String, items: Vec<Item>, close: &'static str },
}

pub(super) struct Item {
    pub(super) label: Label,
    pub(super) value: Id,
}

pub(super) enum Label {
    None,
    /// `key: value`
    Key(Id),
    /// `name=value`
    Name(String),
}

pub(super) fn shape(graph: &Graph<'_>, id: Id, most: usize) -> Shape {
    let list = |open: &str, items: &[Id], close| Shape::Group {
        open: open.to_owned(),
        items: values(items, most),
        close,
    };
    match graph.get(id) {
        Node::None => Shape::Atom("None".into()),
        Node::Bool(true) => Shape::Atom("True".into()),
        Node::Bool(false) => Shape::Atom("False".into()),
        Node::Int(value) => Shape::Atom(value.to_string()),
        Node::Long(bytes) => Shape::Atom(number::long(bytes)),
        Node::Digits(digits) => Shape::Atom(shortened(digits, most)),
        Node::Float(value) => Shape::Atom(number::float(*value)),
        Node::Str(value) => Shape::Atom(quote::text(value, most)),
        Node::Bytes(value) => Shape::Atom(quote::bytes(value, most)),
        Node::ByteArray(value) => bytearray(value, most),
        Node::Buffer(Some(bytes)) => {
            Shape::Atom(format!("<buffer of {}>", human::size(bytes.len() as u64)))
        }
        Node::Buffer(None) => Shape::Atom("<buffer>".into()),
        Node::List(items) => list("[", items, "]"),
        Node::Tuple(items) if items.len() == 1 => list("(", items, ",)"),
        Node::Tuple(items) => list("(", items, ")"),
        Node::Dict(pairs) => {
            Shape::Group { open: "{".into(), items: keyed(pairs, most).collect(), close: "}" }
        }
        Node::Set(items) => set(items, most),
        Node::FrozenSet(items) => frozenset(items, most),
        Node::Global(..) => Shape::Atom(format!("<{}>", name(graph, id, most))),
        Node::Extension(code) => Shape::Atom(format!("<extension {code}>")),
        Node::Persistent(of) => {
            Shape::Group { open: "<persistent(".into(), items: values(&[*of], most), close: ")>" }
        }
        Node::Made(made) => plain(graph, made, most).unwrap_or_else(|| object(graph, made, most)),
    }
}

/// What stands for a value within itself.
pub(super) fn again(graph: &Graph<'_>, id: Id) -> &'static str {
    match graph.get(id) {
        Node::List(_) => "[...]",
        Node::Dict(_) | Node::Set(_) => "{...}",
        Node::Made(_) => "<...>",
        _ => "(...)",
    }
}

fn values(items: &[Id], most: usize) -> Vec<Item> {
    let some = items.iter().take(most.saturating_add(1));
    some.map(|value| Item { label: Label::None, value: *value }).collect()
}

fn keyed(pairs: &[(Id, Id)], most: usize) -> impl Iterator<Item = Item> {
    let some = pairs.iter().take(most.saturating_add(1));
    some.map(|(key, value)| Item { label: Label::Key(*key), value: *value })
}

fn set(items: &[Id], most: usize) -> Shape {
    match items {
        [] => Shape::Atom("set()".into()),
        items => Shape::Group { open: "{".into(), items: values(items, most), close: "}" },
    }
}

fn frozenset(items: &[Id], most: usize) -> Shape {
    match items {
        [] => Shape::Atom("frozenset()".into()),
        items => {
            Shape::Group { open: "frozenset({".into(), items: values(items, most), close: "})" }
        }
    }
}

fn bytearray(value: &[u8], most: usize) -> Shape {
    Shape::Atom(format!("bytearray({})", quote::bytes(value, most)))
}

/// `module.name`, without anything a terminal would obey.
fn name(graph: &Graph<'_>, id: Id, most: usize) -> String {
    let part = |id| match graph.get(id) {
        Node::Str(part) => shortened(part, most),
        _ => "?".into(),
    };
    match graph.get(id) {
        Node::Global(module, name) => text::line(&format!("{}.{}", part(*module), part(*name))),
        _ => "?".into(),
    }
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whether `id` is the global `name` of one of these modules.
fn is_global(graph: &Graph<'_>, id: Id, modules: &[&str], wanted: &str) -> bool {
    let Node::Global(module, name) = graph.get(id) else { return false };
    let (Node::Str(module), Node::Str(name)) = (graph.get(*module), graph.get(*name)) else {
        return false;
    };
    name == wanted && modules.contains(&module.as_ref())
}

const BUILTINS: [&str; 2] = ["builtins", "__builtin__"];
const COPYREG: [&str; 2] = ["copyreg", "copy_reg"];

/// The plain value that a call of an older protocol stands for.
fn plain(graph: &Graph<'_>, made: &Made, most: usize) -> Option<Shape> {
    let untouched = made.state.is_none() && made.items.is_empty() && made.pairs.is_empty();
    let Node::Tuple(given) = graph.get(made.arguments) else { return None };
    if !untouched || made.named.is_some() {
        return None;
    }
    let builtin = |name| is_global(graph, made.by, &BUILTINS, name);
    match given.as_slice() {
        [list] if builtin("set") || builtin("frozenset") => {
            let Node::List(items) = graph.get(*list) else { return None };
            Some(if builtin("set") { set(items, most) } else { frozenset(items, most) })
        }
        [] if builtin("bytearray") => Some(bytearray(&[], most)),
        [] if builtin("bytes") => Some(Shape::Atom("b''".into())),
        [bytes] if builtin("bytearray") => match graph.get(*bytes) {
            Node::Bytes(bytes) => Some(bytearray(bytes, most)),
            Node::Made(inner) => encoded(graph, inner, most).map(|bytes| bytearray(&bytes, most)),
            _ => None,
        },
        [text, codec] if builtin("bytearray") => {
            latin1(graph, *text, *codec, most).map(|bytes| bytearray(&bytes, most))
        }
        [..] => encoded(graph, made, most).map(|bytes| Shape::Atom(quote::bytes(&bytes, most))),
    }
}

/// The bytes that `_codecs.encode(text, 'latin1')` stands for.
fn encoded(graph: &Graph<'_>, made: &Made, most: usize) -> Option<Vec<u8>> {
    let Node::Tuple(given) = graph.get(made.arguments) else { return None };
    match given.as_slice() {
        [text, codec] if is_global(graph, made.by, &["_codecs"], "encode") => {
            latin1(graph, *text, *codec, most)
        }
        _ => None,
    }
}

fn latin1(graph: &Graph<'_>, text: Id, codec: Id, most: usize) -> Option<Vec<u8>> {
    let (Node::Str(text), Node::Str(codec)) = (graph.get(text), graph.get(codec)) else {
        return None;
    };
    if !matches!(codec.as_ref(), "latin1" | "latin-1") {
        return None;
    }
    text.chars().take(most.saturating_add(1)).map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// `<module.Class(argument, attribute=value)>`: what it would be made by, from and with.
fn object(graph: &Graph<'_>, made: &Made, most: usize) -> Shape {
    let (mut class, mut items) = (made.by, Vec::new());
    let arguments = match graph.get(made.arguments) {
        Node::Tuple(given) => Cow::Borrowed(given.as_slice()),
        _ => Cow::Owned(vec![made.arguments]),
    };
    match arguments.as_ref() {
        // How objects without a say in it are pickled: the class, its plain base, and what that is made from.
        [of, base, from] if is_global(graph, class, &COPYREG, "_reconstructor") => {
            class = *of;
            if !is_global(graph, *base, &BUILTINS, "object") {
                items.extend(values(&[*from], most));
            }
        }
        [of, rest @ ..] if is_global(graph, class, &COPYREG, "__newobj__") => {
            class = *of;
            items.extend(values(rest, most));
        }
        all => items.extend(values(all, most)),
    }
    if let Some(named) = made.named {
        attributes(graph, named, "kwargs", most, &mut items);
    }
    if let Some(state) = made.state {
        match graph.get(state) {
            // Attributes, and those that have slots.
            Node::Tuple(two) if let [plain, slots] = two.as_slice() => {
                if matches!(graph.get(*slots), Node::Dict(_)) {
                    if !matches!(graph.get(*plain), Node::None) {
                        attributes(graph, *plain, "state", most, &mut items);
                    }
                    attributes(graph, *slots, "state", most, &mut items);
                } else {
                    attributes(graph, state, "state", most, &mut items);
                }
            }
            _ => attributes(graph, state, "state", most, &mut items),
        }
    }
    items.extend(values(&made.items, most));
    items.extend(keyed(&made.pairs, most));
    if !matches!(graph.get(class), Node::Global(..)) {
        items.insert(0, Item { label: Label::None, value: class });
    }
    Shape::Group { open: format!("<{}(", name(graph, class, most)), items, close: ")>" }
}

/// A dict of names as `name=value`; anything else under `word`.
fn attributes(graph: &Graph<'_>, id: Id, word: &str, most: usize, items: &mut Vec<Item>) {
    let Node::Dict(pairs) = graph.get(id) else {
        items.push(Item { label: Label::Name(word.to_owned()), value: id });
        return;
    };
    for (key, value) in pairs.iter().take(most.saturating_add(1)) {
        let label = match graph.get(*key) {
            Node::Str(name) if is_identifier(name) => Label::Name(name.clone().into_owned()),
            _ => Label::Key(*key),
        };
        items.push(Item { label, value: *value });
    }
}

/// A short name that may stand before `=`.
fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
}
