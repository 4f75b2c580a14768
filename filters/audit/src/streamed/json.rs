//! The texts of a JSON document, each with the place where it stands.
//!
//! Texts of several documents belong together if they stand at the same place: under the same
//! names and, within arrays, at the same `index` where the element says one, else at the same
//! position.

use std::ops::Range;

/// Deepest nesting that is read.
const MOST_DEPTH: u32 = 64;

/// Members that nobody says piece by piece. Each value is looked at by itself, so that what comes
/// with every event is not read as one text.
const WHOLE: [&[u8]; 35] = [
    b"call_id",
    b"created_at",
    b"createTime",
    b"encrypted_content",
    b"event_id",
    b"finishReason",
    b"finish_reason",
    b"id",
    b"item_id",
    b"logprobs",
    b"logprobsResult",
    b"metadata",
    b"mimeType",
    b"model",
    b"modelVersion",
    b"name",
    b"native_finish_reason",
    b"obfuscation",
    b"object",
    b"p",
    b"provider",
    b"responseId",
    b"role",
    b"safetyRatings",
    b"service_tier",
    b"signature",
    b"status",
    b"stopReason",
    b"stop_reason",
    b"stop_sequence",
    b"system_fingerprint",
    b"thoughtSignature",
    b"toolUseId",
    b"type",
    b"usage",
];

/// Objects that are told whole, where a text of the same name would not be.
const WHOLE_OBJECTS: [&[u8]; 4] = [b"item", b"part", b"response", b"usageMetadata"];

/// What a model thinks of each piece of its text: says the text once more.
const PROBABILITIES: [&[u8]; 3] = [b"logprobs", b"logprobsResult", b"top_logprobs"];

/// Numbers that tell texts of the same name apart.
const INDEXES: [&[u8]; 4] = [
    b"contentBlockIndex",
    b"content_index",
    b"output_index",
    b"summary_index",
];

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The name of a member.
    Name,
    /// A string.
    Text,
    /// A number.
    Number,
}

/// A text of a document.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) kind: Kind,
    /// Where it stands, without its quotes.
    pub(super) range: Range<usize>,
    /// The name of the member whose value it is.
    pub(super) name: Range<usize>,
    /// The text of which it may be a piece; none: it is whole.
    pub(super) lane: Option<u64>,
    node: usize,
    label: u64,
}

impl Leaf {
    /// Whether it is of the document's own object, and of none within.
    pub(super) const fn is_outermost(&self) -> bool {
        self.node == OUTERMOST
    }
}

/// What a document has.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) leaves: Vec<Leaf>,
    /// Where it says its texts once more, in a form that cannot be looked into.
    pub(super) probabilities: Vec<Range<usize>>,
}

/// The number of a document's own object; the document itself is the one before.
const OUTERMOST: usize = 1;

/// An object or an array.
struct Node {
    parent: usize,
    label: u64,
    /// The number by which an element of an array is known.
    index: Option<u64>,
    has_type: bool,
    is_element: bool,
    named: u64,
    is_whole: bool,
}

struct Reader<'j> {
    json: &'j [u8],
    at: usize,
    nodes: Vec<Node>,
    document: Document,
}

/// Where a value stands.
struct Place {
    node: usize,
    label: u64,
    name: Range<usize>,
    is_element: bool,
}

/// Reads a document; none: it is not JSON, or nested too deeply.
pub(super) fn read(json: &[u8]) -> Option<Document> {
    std::str::from_utf8(json).ok()?;
    let root = Node {
        parent: 0,
        label: 0,
        index: None,
        has_type: false,
        is_element: false,
        named: 0,
        is_whole: false,
    };
    let mut reader = Reader {
        json,
        at: 0,
        nodes: vec![root],
        document: Document::default(),
    };
    let top = Place {
        node: 0,
        label: 0,
        name: 0..0,
        is_element: false,
    };
    reader.value(top, MOST_DEPTH)?;
    reader.blanks();
    if reader.at < json.len() {
        return None;
    }
    let Reader {
        nodes,
        mut document,
        ..
    } = reader;
    for leaf in &mut document.leaves {
        if leaf.lane.is_some() {
            leaf.lane = Some(lane(&nodes, leaf));
        }
    }
    Some(document)
}

/// Whether this is where a string of JSON could be, without its quotes.
pub(super) fn is_string(inner: &[u8]) -> bool {
    let mut quoted = Vec::with_capacity(inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inner);
    quoted.push(b'"');
    let read = read(&quoted);
    read.is_some_and(|document| document.leaves.len() == 1)
}

fn lane(nodes: &[Node], leaf: &Leaf) -> u64 {
    let mut hash = leaf.label;
    let mut at = leaf.node;
    // The root is its own parent.
    while let Some(node) = nodes.get(at) {
        let counts = node.is_element || node.has_type;
        let index = node.index.filter(|_| counts);
        hash = mix(hash, node.named);
        hash = match index {
            Some(index) if node.is_element => mix(hash, index),
            Some(index) => mix(mix(hash, node.label), index),
            None => mix(hash, node.label),
        };
        if at == 0 {
            break;
        }
        at = node.parent;
    }
    hash
}

const fn mix(hash: u64, with: u64) -> u64 {
    (hash.rotate_left(5) ^ with).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// What a name counts as: that with which Anthropic begins a block is the first piece of it.
fn hash(name: &[u8]) -> u64 {
    let name = if name == b"content_block" {
        b"delta"
    } else {
        name
    };
    let bytes = name.iter().copied().map(u64::from);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ byte).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn name(&self, place: &Place) -> &[u8] {
        self.json.get(place.name.clone()).unwrap_or_default()
    }

    fn value(&mut self, place: Place, depth: u32) -> Option<()> {
        self.blanks();
        match self.peek()? {
            b'{' | b'[' => self.container(place, depth.checked_sub(1)?),
            b'"' => {
                let range = self.string()?;
                let name = self.name(&place);
                let is_type = name == b"type";
                let is_whole = WHOLE.contains(&name);
                let node = self.nodes.get_mut(place.node)?;
                node.has_type |= is_type;
                let is_lane = !is_whole && !node.is_whole;
                self.leaf(Kind::Text, range, place, is_lane);
                Some(())
            }
            b'-' | b'0'..=b'9' => {
                let range = self.number()?;
                let index = self.json.get(range.clone())?;
                let index = std::str::from_utf8(index).ok()?.parse::<u64>().ok();
                let (is_index, tells) = {
                    let name = self.name(&place);
                    (name == b"index", INDEXES.contains(&name))
                };
                let node = self.nodes.get_mut(place.node)?;
                match index {
                    Some(index) if is_index => node.index = Some(index),
                    Some(index) if tells => {
                        node.named = node.named.wrapping_add(mix(place.label, index));
                    }
                    _ => {}
                }
                self.leaf(Kind::Number, range, place, false);
                Some(())
            }
            _ => self.literal(),
        }
    }

    fn leaf(&mut self, kind: Kind, range: Range<usize>, place: Place, is_lane: bool) {
        self.document.leaves.push(Leaf {
            kind,
            range,
            name: place.name,
            lane: is_lane.then_some(0),
            node: place.node,
            label: place.label,
        });
    }

    fn container(&mut self, place: Place, depth: u32) -> Option<()> {
        let begin = self.at;
        let is_object = self.peek()? == b'{';
        let name = self.name(&place);
        let says_again = PROBABILITIES.contains(&name);
        let is_whole = WHOLE.contains(&name) || WHOLE_OBJECTS.contains(&name);
        let is_whole = is_whole || self.nodes.get(place.node)?.is_whole;
        let node = self.nodes.len();
        self.nodes.push(Node {
            parent: place.node,
            label: place.label,
            index: None,
            has_type: false,
            is_element: is_object && place.is_element,
            named: 0,
            is_whole,
        });
        self.at += 1;
        let end = if is_object { b'}' } else { b']' };
        self.blanks();
        if self.skip(end).is_none() {
            let mut position = 0;
            loop {
                let place = if is_object {
                    self.member(node)?
                } else {
                    let label = mix(1, position);
                    position += 1;
                    Place {
                        node,
                        label,
                        name: 0..0,
                        is_element: true,
                    }
                };
                self.value(place, depth)?;
                self.blanks();
                if self.skip(end).is_some() {
                    break;
                }
                self.skip(b',')?;
            }
        }
        if says_again {
            self.document.probabilities.push(begin..self.at);
        }
        Some(())
    }

    /// The name of a member, and the colon.
    fn member(&mut self, node: usize) -> Option<Place> {
        self.blanks();
        let name = self.string()?;
        self.blanks();
        self.skip(b':')?;
        let label = hash(self.json.get(name.clone())?);
        let place = |name| Place {
            node,
            label,
            name,
            is_element: false,
        };
        self.leaf(Kind::Name, name.clone(), place(0..0), false);
        Some(place(name))
    }

    /// Where the string stands that begins here, without its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.skip(b'"')?;
        let begin = self.at;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.json.get(self.at + 1..self.at + 5)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
            self.at += 1;
        }
        let end = self.at;
        self.at += 1;
        Some(begin..end)
    }

    fn number(&mut self) -> Option<Range<usize>> {
        let begin = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        let number = self.json.get(begin..self.at)?;
        serde_json::from_slice::<serde_json::Number>(number).ok()?;
        Some(begin..self.at)
    }

    fn literal(&mut self) -> Option<()> {
        let rest = self.json.get(self.at..)?;
        let literals: [&[u8]; 3] = [b"true", b"false", b"null"];
        let found = literals.iter().find(|literal| rest.starts_with(literal))?;
        self.at += found.len();
        Some(())
    }
}
