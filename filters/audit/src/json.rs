//! JSON objects written member by member: what a general serializer does per letter of every
//! text is most of what a record costs.

use sekisho_domain::Decimal;
use serde::Serialize;

/// The name of a member, as it stands between members: with comma, quotes and colon. None of
/// ours has a letter that JSON would have escaped.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}
pub(crate) use name;

/// An object that is being written.
pub(crate) struct Object<'b> {
    json: &'b mut Vec<u8>,
    /// Where it begins.
    start: usize,
}

impl<'b> Object<'b> {
    /// Begins an object at the end of what has been written.
    pub(crate) fn begin(json: &'b mut Vec<u8>) -> Self {
        let start = json.len();
        Self { json, start }
    }

    pub(crate) fn end(self) {
        // In the place of the first member's comma.
        match self.json.get_mut(self.start) {
            Some(first) => *first = b'{',
            None => self.json.push(b'{'),
        }
        self.json.push(b'}');
    }

    /// A member whose value is text.
    pub(crate) fn text(&mut self, name: &[u8], value: &str) {
        self.json.extend_from_slice(name);
        text(self.json, value);
    }

    /// A member, where there is one, whose value is text.
    pub(crate) fn given_text(&mut self, name: &[u8], value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A member, where there is one, that serde has to write.
    pub(crate) fn given(&mut self, name: &[u8], value: Option<&impl Serialize>) {
        if let Some(value) = value {
            self.json.extend_from_slice(name);
            encode(self.json, value);
        }
    }

    /// A member, where there is one, whose value is a number.
    pub(crate) fn given_number(&mut self, name: &[u8], value: Option<u64>) {
        if let Some(value) = value {
            self.json.extend_from_slice(name);
            self.json.extend_from_slice(Decimal::new(value).as_bytes());
        }
    }

    /// A member whose value is text in which nothing is to be escaped.
    pub(crate) fn plain(&mut self, name: &[u8], value: &[u8]) {
        self.json.extend_from_slice(name);
        self.json.push(b'"');
        self.json.extend_from_slice(value);
        self.json.push(b'"');
    }

    /// A member that is an object of its own.
    pub(crate) fn object(&mut self, name: &[u8], write: impl FnOnce(&mut Object<'_>)) {
        self.json.extend_from_slice(name);
        let mut inner = Object::begin(self.json);
        write(&mut inner);
        inner.end();
    }

    /// Members that were written before, each behind its comma.
    pub(crate) fn members(&mut self, members: &[u8]) {
        self.json.extend_from_slice(members);
    }
}

/// A string. Hardly any has something to escape (RFC 8259, section 7).
fn text(json: &mut Vec<u8>, text: &str) {
    let is_odd = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // To the end in any case: that can be done for many letters at once.
    if text.bytes().fold(false, |odd, byte| odd | is_odd(byte)) {
        encode(json, &text);
        return;
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Strings, numbers and units only: encoding cannot fail.
fn encode(json: &mut Vec<u8>, value: &impl Serialize) {
    if serde_json::to_writer(&mut *json, value).is_err() {
        json.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_written_as_json_wants_it() {
        let mut texts: Vec<String> = (0..0x180)
            .filter_map(char::from_u32)
            .map(Into::into)
            .collect();
        texts.extend(["", "営業部", "a\"b\\c\n\u{7f}\u{2028}"].map(String::from));
        for text in texts {
            for whole in [text.clone(), format!("{}{text}é", "a".repeat(40))] {
                let mut json = Vec::new();
                let mut object = Object::begin(&mut json);
                object.text(name!("a"), &whole);
                object.given_text(name!("none"), None);
                object.given_text(name!("b"), Some(&whole));
                object.end();
                let value = serde_json::json!({"a": whole, "b": whole});
                assert_eq!(String::from_utf8(json).unwrap(), value.to_string());
            }
        }
    }
}
