//! A JSON writer into one reused buffer. It escapes and places commas; it does not check nesting.

/// The text being written.
pub(super) struct Json {
    buffer: Vec<u8>,
}

impl Json {
    /// An empty writer with room for `capacity_bytes`.
    pub(super) fn with_capacity(capacity_bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity_bytes) }
    }

    /// What has been written since the last [`Json::clear`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what was written and keeps the room.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Ends a line of NDJSON.
    pub(super) fn end_line(&mut self) {
        self.buffer.push(b'\n');
    }

    /// Opens an object as the next value.
    pub(super) fn open_object(&mut self) {
        self.separate();
        self.buffer.push(b'{');
    }

    /// Closes the open object.
    pub(super) fn close_object(&mut self) {
        self.buffer.push(b'}');
    }

    /// Opens an array as the next value.
    pub(super) fn open_array(&mut self) {
        self.separate();
        self.buffer.push(b'[');
    }

    /// Closes the open array.
    pub(super) fn close_array(&mut self) {
        self.buffer.push(b']');
    }

    /// The key of the next value. It must need no escape, as all keys of the API.
    pub(super) fn key(&mut self, key: &str) {
        self.separate();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(key.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }

    /// A string value, escaped.
    pub(super) fn string(&mut self, value: &str) {
        self.separate();
        self.buffer.push(b'"');
        self.escaped(value.as_bytes());
        self.buffer.push(b'"');
    }

    /// A value that is JSON already: a number, `true`, `null`, or a constant object.
    pub(super) fn raw(&mut self, value: &str) {
        self.separate();
        self.buffer.extend_from_slice(value.as_bytes());
    }

    /// An integer value.
    pub(super) fn integer(&mut self, value: u32) {
        self.separate();
        self.digits(value);
    }

    /// A boolean value.
    pub(super) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// An array of strings.
    pub(super) fn strings(&mut self, values: &[&str]) {
        self.open_array();
        for value in values {
            self.string(value);
        }
        self.close_array();
    }

    /// A string that ends in hexadecimal digits: `prefix`, then the lowest `digits` (at most 16) digits of `value`.
    pub(super) fn hexadecimal(&mut self, prefix: &str, value: u64, digits: u32) {
        self.separate();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(prefix.as_bytes());
        for place in (0..digits.min(16)).rev() {
            let digit = (value >> (4 * place) & 15) as u8;
            self.buffer.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
        self.buffer.push(b'"');
    }

    /// A string that ends in a decimal number, such as `turn_3`.
    pub(super) fn numbered(&mut self, prefix: &str, number: u32) {
        self.separate();
        self.buffer.push(b'"');
        self.buffer.extend_from_slice(prefix.as_bytes());
        self.digits(number);
        self.buffer.push(b'"');
    }

    /// A key with a string value.
    pub(super) fn string_field(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    /// A key with an integer value.
    pub(super) fn integer_field(&mut self, key: &str, value: u32) {
        self.key(key);
        self.integer(value);
    }

    /// A key with a boolean value.
    pub(super) fn boolean_field(&mut self, key: &str, value: bool) {
        self.key(key);
        self.boolean(value);
    }

    /// A key with a value that is JSON already.
    pub(super) fn raw_field(&mut self, key: &str, value: &str) {
        self.key(key);
        self.raw(value);
    }

    /// A key with an array of strings.
    pub(super) fn strings_field(&mut self, key: &str, values: &[&str]) {
        self.key(key);
        self.strings(values);
    }

    /// The last byte tells whether a value came before: a string that ends in one of these bytes ends in a quote.
    fn separate(&mut self) {
        if !matches!(self.buffer.last(), None | Some(b'{' | b'[' | b':' | b'\n')) {
            self.buffer.push(b',');
        }
    }

    fn digits(&mut self, value: u32) {
        if value >= 10 {
            self.digits(value / 10);
        }
        self.buffer.push(b'0' + (value % 10) as u8);
    }

    fn escaped(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| needs_escape(*byte)) {
            let (plain, special) = rest.split_at(end);
            self.buffer.extend_from_slice(plain);
            let Some((byte, after)) = special.split_first() else {
                break;
            };
            self.escape(*byte);
            rest = after;
        }
        self.buffer.extend_from_slice(rest);
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'\n' => self.buffer.extend_from_slice(b"\\n"),
            b'\t' => self.buffer.extend_from_slice(b"\\t"),
            b'"' => self.buffer.extend_from_slice(b"\\\""),
            b'\\' => self.buffer.extend_from_slice(b"\\\\"),
            _ => self.buffer.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}
