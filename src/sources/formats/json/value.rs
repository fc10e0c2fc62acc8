//! A value of a parsed document.

use simd_json::{Node, StaticNode, Tape};

/// A value in a parsed document. simd-json's own type of this kind hides whole numbers of more
/// than 64 bits, and ids have them.
#[derive(Debug, Clone, Copy)]
pub struct Value<'tape, 'input>(&'tape [Node<'input>]);

impl<'tape, 'input> Value<'tape, 'input> {
    pub(super) fn of(tape: &'tape Tape<'input>) -> Value<'tape, 'input> {
        Value(&tape.0)
    }

    pub(super) fn node(self) -> Node<'input> {
        self.0[0]
    }

    /// How many nodes the value spans.
    fn span(self) -> usize {
        match self.node() {
            Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
            Node::String(_) | Node::Static(_) => 1,
        }
    }

    pub fn is_null(self) -> bool {
        matches!(self.node(), Node::Static(StaticNode::Null))
    }

    pub fn as_str(self) -> Option<&'input str> {
        match self.node() {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Static(StaticNode::Bool(flag)) => Some(flag),
            _ => None,
        }
    }

    pub fn as_f64(self) -> Option<f64> {
        match self.node() {
            Node::Static(StaticNode::F64(n)) => Some(n),
            Node::Static(StaticNode::I64(n)) => Some(n as f64),
            Node::Static(StaticNode::U64(n)) => Some(n as f64),
            Node::Static(StaticNode::I128(n)) => Some(n as f64),
            Node::Static(StaticNode::U128(n)) => Some(n as f64),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn elements(self) -> Option<Elements<'tape, 'input>> {
        match self.node() {
            Node::Array { len, .. } => Some(Elements { rest: &self.0[1..], left: len }),
            _ => None,
        }
    }

    /// The keys and values of an object.
    pub fn entries(self) -> Option<impl Iterator<Item = (&'input str, Value<'tape, 'input>)>> {
        let Node::Object { len, .. } = self.node() else { return None };
        let (mut rest, mut left) = (&self.0[1..], len);
        Some(std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let [Node::String(key), behind @ ..] = rest else { unreachable!("a key is a string") };
            let (value, behind) = behind.split_at(Value(behind).span());
            rest = behind;
            Some((*key, Value(value)))
        }))
    }

    pub fn get(self, name: &str) -> Option<Value<'tape, 'input>> {
        self.entries()?.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Values that lie one behind the other.
#[derive(Debug, Clone)]
pub struct Elements<'tape, 'input> {
    rest: &'tape [Node<'input>],
    left: usize,
}

impl<'tape, 'input> Iterator for Elements<'tape, 'input> {
    type Item = Value<'tape, 'input>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Value(self.rest);
        let (value, rest) = self.rest.split_at(value.span());
        self.rest = rest;
        Some(Value(value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
