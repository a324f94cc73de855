//! The stack machine, opcode by opcode.
//!
//! Invariant: each opcode adds at most three values and only moves ids that are on the stack already, so work and memory are
//! in proportion to the input. What Python would refuse may be accepted here; what Python would execute is not.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Malformed;
use super::input::Input;
use super::node::{Graph, Id, Made, Node};

/// The values of a pickle, and which one it is about.
pub(super) fn read<'a>(
    pickle: &'a [u8],
    buffers: Vec<&'a [u8]>,
) -> Result<(Graph<'a>, Id), Malformed> {
    let mut machine = Machine {
        input: Input::new(pickle),
        graph: Graph::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        buffers: buffers.into_iter(),
    };
    loop {
        let [opcode] = machine.input.array::<1>()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok((machine.graph, root));
        }
        machine.step(opcode)?;
    }
}

struct Machine<'a> {
    input: Input<'a>,
    graph: Graph<'a>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    buffers: std::vec::IntoIter<&'a [u8]>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, opcode: u8) -> Result<(), Malformed> {
        match opcode {
            // The stack.
            b'(' => self.marks.push(self.stack.len()),
            // At a mark, what is popped is the mark.
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            // The memo.
            b'p' => self.put(Input::digits)?,
            b'q' => self.put(Input::number::<1>)?,
            b'r' => self.put(Input::number::<4>)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'g' => self.fetch(Input::digits)?,
            b'h' => self.fetch(Input::number::<1>)?,
            b'j' => self.fetch(Input::number::<4>)?,

            // Plain values.
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' | b'L' | b'F' => self.written(opcode)?,
            b'J' => {
                let number = i32::from_le_bytes(self.input.array()?);
                self.push(Node::Int(i64::from(number)))?;
            }
            b'K' => self.unsigned::<1>()?,
            b'M' => self.unsigned::<2>()?,
            0x8a => {
                let bytes = self.input.counted::<1>()?;
                self.push(Node::Long(bytes))?;
            }
            0x8b => {
                let bytes = self.input.counted::<4>()?;
                self.push(Node::Long(bytes))?;
            }
            b'G' => {
                let number = f64::from_be_bytes(self.input.array()?);
                self.push(Node::Float(number))?;
            }
            b'X' => self.text(Input::counted::<4>)?,
            0x8c => self.text(Input::counted::<1>)?,
            0x8d => self.text(Input::counted::<8>)?,
            b'V' => {
                let line = self.input.line()?;
                self.push(Node::Str(unescape(line, false).into()))?;
            }
            b'S' => {
                let line = self.input.line()?;
                self.push(Node::Str(unescape(unquote(line), true).into()))?;
            }
            b'T' => self.old_text(Input::counted::<4>)?,
            b'U' => self.old_text(Input::counted::<1>)?,
            b'B' => self.bytes(Input::counted::<4>)?,
            b'C' => self.bytes(Input::counted::<1>)?,
            0x8e => self.bytes(Input::counted::<8>)?,
            0x96 => {
                let bytes = self.input.counted::<8>()?;
                self.push(Node::ByteArray(bytes.into()))?;
            }
            0x97 => {
                let buffer = self.buffers.next();
                self.push(Node::Buffer(buffer))?;
            }
            // What it says of the buffer on top, that it must not be written, does not show.
            0x98 => drop(self.top()?),

            // Containers.
            b']' => self.push(Node::List(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            0x8f => self.push(Node::Set(Vec::new()))?,
            b'l' => self.collect(Node::List)?,
            b't' => self.collect(Node::Tuple)?,
            0x91 => self.collect(Node::FrozenSet)?,
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = self.paired(&items)?;
                self.push(Node::Dict(pairs))?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }

            // What would be imported, looked up or called.
            b'c' => {
                let global = self.global()?;
                self.stack.push(global);
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                self.push(Node::Global(module, name))?;
            }
            0x82 => self.extension::<1>()?,
            0x83 => self.extension::<2>()?,
            0x84 => self.extension::<4>()?,
            b'P' => {
                let line = self.input.line()?;
                let id = self.add(Node::Str(lossy(line)))?;
                self.push(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let by = self.pop()?;
                self.make(by, arguments, None)?;
            }
            0x92 => {
                let named = self.pop()?;
                let arguments = self.pop()?;
                let by = self.pop()?;
                self.make(by, arguments, Some(named))?;
            }
            b'i' => {
                let by = self.global()?;
                let items = self.pop_mark()?;
                let arguments = self.add(Node::Tuple(items))?;
                self.make(by, arguments, None)?;
            }
            b'o' => {
                let items = self.pop_mark()?;
                let Some((by, items)) = items.split_first() else {
                    return Err(self.wrong("an object of no class"));
                };
                let arguments = self.add(Node::Tuple(items.to_vec()))?;
                self.make(*by, arguments, None)?;
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.top()?;
                self.build(top, state)?;
            }

            // Framing.
            0x80 => {
                let [protocol] = self.input.array::<1>()?;
                if protocol > 5 {
                    return Err(
                        self.wrong(&format!("pickle protocol {protocol}; 0 to 5 are known,"))
                    );
                }
            }
            0x95 => drop(self.input.array::<8>()?),
            _ => return Err(self.wrong("not an opcode of pickle")),
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Malformed {
        Malformed::new(what, self.input.at().saturating_sub(1))
    }

    fn add(&mut self, node: Node<'a>) -> Result<Id, Malformed> {
        self.graph.add(node, self.input.at())
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), Malformed> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// The floor of the stack: what lies below the last mark is not to be touched.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, Malformed> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id, Malformed> {
        let above = self.stack.get(self.floor()..).and_then(<[Id]>::last);
        above.copied().ok_or_else(|| self.wrong("nothing on the stack"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, Malformed> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(self.wrong("no mark on the stack")),
        }
    }

    fn put(
        &mut self,
        index: impl FnOnce(&mut Input<'a>) -> Result<u64, Malformed>,
    ) -> Result<(), Malformed> {
        let index = index(&mut self.input)?;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn fetch(
        &mut self,
        index: impl FnOnce(&mut Input<'a>) -> Result<u64, Malformed>,
    ) -> Result<(), Malformed> {
        let index = index(&mut self.input)?;
        let Some(id) = self.memo.get(&index).copied() else {
            return Err(self.wrong("nothing in the memo"));
        };
        self.stack.push(id);
        Ok(())
    }

    /// A number in a line of text.
    fn written(&mut self, opcode: u8) -> Result<(), Malformed> {
        let line = self.input.line()?;
        let text = std::str::from_utf8(line).unwrap_or_default().trim();
        let node = match (opcode, text) {
            (b'I', "01") => Some(Node::Bool(true)),
            (b'I', "00") => Some(Node::Bool(false)),
            (b'F', text) => text.parse().ok().map(Node::Float),
            (_, text) => {
                let text = text.trim_end_matches('L');
                let digits = text.strip_prefix('-').unwrap_or(text);
                let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                whole.then_some(Node::Digits(text))
            }
        };
        match node {
            Some(node) => self.push(node),
            None => Err(self.wrong("a line that should be a number")),
        }
    }

    fn unsigned<const N: usize>(&mut self) -> Result<(), Malformed> {
        let number = self.input.number::<N>()?;
        self.push(Node::Int(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn extension<const N: usize>(&mut self) -> Result<(), Malformed> {
        let code = self.input.number::<N>()?;
        self.push(Node::Extension(code))
    }

    fn text(
        &mut self,
        bytes: impl FnOnce(&mut Input<'a>) -> Result<&'a [u8], Malformed>,
    ) -> Result<(), Malformed> {
        let bytes = bytes(&mut self.input)?;
        self.push(Node::Str(lossy(bytes)))
    }

    /// What Python 2 called a string: text where it is ASCII.
    fn old_text(
        &mut self,
        bytes: impl FnOnce(&mut Input<'a>) -> Result<&'a [u8], Malformed>,
    ) -> Result<(), Malformed> {
        let bytes = bytes(&mut self.input)?;
        self.push(if bytes.is_ascii() {
            Node::Str(lossy(bytes))
        } else {
            Node::Bytes(bytes.into())
        })
    }

    fn bytes(
        &mut self,
        bytes: impl FnOnce(&mut Input<'a>) -> Result<&'a [u8], Malformed>,
    ) -> Result<(), Malformed> {
        let bytes = bytes(&mut self.input)?;
        self.push(Node::Bytes(bytes.into()))
    }

    fn collect(&mut self, node: impl FnOnce(Vec<Id>) -> Node<'a>) -> Result<(), Malformed> {
        let items = self.pop_mark()?;
        self.push(node(items))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Malformed> {
        let from = self.stack.len().checked_sub(count).filter(|from| *from >= self.floor());
        let Some(from) = from else { return Err(self.wrong("nothing on the stack")) };
        let items = self.stack.split_off(from);
        self.push(Node::Tuple(items))
    }

    fn paired(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, Malformed> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
            _ => Err(self.wrong("a key without a value")),
        }
    }

    /// Appends to, or adds to, what is on top.
    fn extend(&mut self, items: &[Id]) -> Result<(), Malformed> {
        let top = self.top()?;
        match self.graph.get_mut(top) {
            Some(Node::List(list) | Node::Set(list)) => list.extend_from_slice(items),
            Some(Node::Made(made)) => made.items.extend_from_slice(items),
            _ => return Err(self.wrong("an append to what is no list")),
        }
        Ok(())
    }

    /// Sets items of what is on top.
    fn set_items(&mut self, items: &[Id]) -> Result<(), Malformed> {
        let pairs = self.paired(items)?;
        let top = self.top()?;
        match self.graph.get_mut(top) {
            Some(Node::Dict(dict)) => dict.extend(pairs),
            Some(Node::Made(made)) => made.pairs.extend(pairs),
            _ => return Err(self.wrong("an item set in what is no dict")),
        }
        Ok(())
    }

    fn make(&mut self, by: Id, arguments: Id, named: Option<Id>) -> Result<(), Malformed> {
        self.push(Node::Made(Box::new(Made {
            by,
            arguments,
            named,
            state: None,
            items: Vec::new(),
            pairs: Vec::new(),
        })))
    }

    fn build(&mut self, id: Id, state: Id) -> Result<(), Malformed> {
        match self.graph.get_mut(id) {
            Some(Node::Made(made)) => {
                made.state = Some(state);
                Ok(())
            }
            _ => Err(self.wrong("a state for what is no object")),
        }
    }

    /// The global that the next two lines name.
    fn global(&mut self) -> Result<Id, Malformed> {
        let module = self.input.line()?;
        let name = self.input.line()?;
        let module = self.add(Node::Str(lossy(module)))?;
        let name = self.add(Node::Str(lossy(name)))?;
        self.add(Node::Global(module, name))
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// What is between the quotes of a line.
fn unquote(line: &[u8]) -> &[u8] {
    match line.trim_ascii() {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        other => other,
    }
}

/// Text with Python's escapes: those of raw text (`\uXXXX`, `\UXXXXXXXX`), or all that are common.
fn unescape(line: &[u8], all: bool) -> String {
    // Outside escapes raw text is Latin-1.
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(b'x')) if all => 2,
            (b'\\', Some(next)) if all => {
                rest = after.get(1..).unwrap_or_default();
                text.push(match next {
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    other => char::from(*other),
                });
                continue;
            }
            _ => {
                text.push(char::from(*byte));
                continue;
            }
        };
        let code = after
            .get(1..=digits)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                rest = after.get(digits + 1..).unwrap_or_default();
            }
            None => text.push('\\'),
        }
    }
    text
}
