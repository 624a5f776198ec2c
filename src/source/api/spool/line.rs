//! A page as one line.

/// A page in one line: between JSON's values a line break is worth a space. Within a string it is an error of the page, as any control
/// character is: there it becomes another one that breaks no line, so that its task is still a reject, here and in a kept file.
pub(super) fn one_line(mut body: Vec<u8>) -> Vec<u8> {
    if memchr::memchr2(b'\n', b'\r', &body).is_some() {
        let mut at = 0;
        let mut strings = Strings::default();
        while let Some(found) = memchr::memchr2(b'\n', b'\r', body.get(at..).unwrap_or_default()) {
            let is_inside = strings.is_inside(body.get(at..at + found).unwrap_or_default());
            at += found;
            if let Some(byte) = body.get_mut(at) {
                *byte = if is_inside { VERTICAL_TAB } else { b' ' };
            }
        }
    }
    body.push(b'\n');
    body
}

/// Stands for a line break within a string.
const VERTICAL_TAB: u8 = 0x0b;

/// Whether a text is within a string, told piece by piece.
#[derive(Default)]
struct Strings {
    is_inside: bool,
}

impl Strings {
    /// Whether the end of the next piece is. An escape does not reach over the end, where a line break stands.
    fn is_inside(&mut self, piece: &[u8]) -> bool {
        let mut at = 0;
        while let Some(found) = memchr::memchr2(b'"', b'\\', piece.get(at..).unwrap_or_default()) {
            at += found;
            if piece.get(at) == Some(&b'"') {
                self.is_inside = !self.is_inside;
                at += 1;
            } else {
                at += 2;
            }
        }
        self.is_inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_is_a_space_between_values_and_no_line_break_within_strings() {
        let line = |text: &str| String::from_utf8(one_line(text.as_bytes().to_vec())).unwrap();
        assert_eq!(line("{\"a\": 1}"), "{\"a\": 1}\n");
        assert_eq!(line("{\r\n\"a\":\n[1]}\n"), "{  \"a\": [1]} \n");
        assert_eq!(line("{\"a\": \"x\ny\\\"\r\",\n\"b\\\\\":\n2}"), "{\"a\": \"x\u{b}y\\\"\u{b}\", \"b\\\\\": 2}\n");
    }
}
