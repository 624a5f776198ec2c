//! One stream of bytes to read: where it comes from, and what lies around its text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use flate2::bufread::GzDecoder;

use super::foreign;
use super::framing::Framing;
use super::handed::{Lines, Stored};
use crate::error::{Error, Result};
use crate::progress::{Counted, Progress};

/// One stream of bytes to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A file in a store beyond this machine.
    Stored(Stored),
    /// Lines that the caller hands out, a record each.
    Lines(Lines),
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A text, behind its decompression and its byte order mark.
pub(super) struct Text {
    pub stream: Box<dyn Read + Send>,
    /// Bytes of the byte order mark.
    pub mark_bytes: u64,
    /// How its records are set apart, where that need not be found out.
    pub framing: Option<Framing>,
    /// The file whose bytes are the text, if there is one.
    pub original: Option<File>,
    /// Whether its bytes are counted on their way: those of a compressed input are, since its text has others.
    pub is_counted: bool,
}

impl Input {
    /// How the input is called in messages and rejects.
    pub fn name(&self) -> String {
        match self {
            Input::Stdin => "-".to_owned(),
            Input::File(path) => path.display().to_string(),
            Input::Stored(file) => file.name(),
            Input::Lines(lines) => lines.name().to_owned(),
        }
    }

    /// Its bytes where it lies; `None` for a pipe, a device, or what is handed out.
    pub fn size(&self) -> Option<u64> {
        let metadata = match self {
            Input::Stdin | Input::Lines(_) => return None,
            Input::Stored(file) => return Some(file.bytes()),
            Input::File(path) => path.metadata().ok()?,
        };
        if metadata.is_file() { Some(metadata.len()) } else { None }
    }

    /// Opens the input. How it is compressed is told by its first bytes; what is no text at all is refused.
    pub(super) fn open(&self, progress: &Arc<Progress>) -> Result<Text> {
        let failed = |source| Error::Input { input: self.name(), source };
        let (raw, file) = self.raw().map_err(failed)?;
        if let Input::Lines(_) = self {
            let framing = Some(Framing::Lines);
            return Ok(Text { stream: raw, mark_bytes: 0, framing, original: None, is_counted: false });
        }
        let (is_compressed, plain) = plain(raw, progress).map_err(failed)?;
        let original = file.filter(|_| !is_compressed);
        let (beginning, mut stream) = peek(plain, foreign::ENOUGH_BYTES).map_err(failed)?;
        if let Some(found) = foreign::kind(&beginning) {
            return Err(Error::NotText { input: self.name(), found });
        }
        let mut mark_bytes = 0;
        if beginning.starts_with(&BYTE_ORDER_MARK) {
            stream.read_exact(&mut [0; BYTE_ORDER_MARK.len()]).map_err(failed)?;
            mark_bytes = BYTE_ORDER_MARK.len() as u64;
        }
        Ok(Text { stream, mark_bytes, framing: None, original, is_counted: is_compressed })
    }

    /// Its bytes as they lie, and the file that they lie in.
    fn raw(&self) -> io::Result<(Box<dyn Read + Send>, Option<File>)> {
        Ok(match self {
            Input::Stdin => (Box::new(io::stdin()), None),
            Input::Stored(file) => (Box::new(file.open()?), None),
            Input::Lines(lines) => (lines.take()?, None),
            Input::File(path) => {
                let file = File::open(path)?;
                let is_regular = file.metadata()?.is_file();
                let again = if is_regular { Some(file.try_clone()?) } else { None };
                (Box::new(file), again)
            }
        })
    }
}

/// A stream behind its decompression, and whether it has any: then its bytes are counted where they are read.
fn plain(raw: Box<dyn Read + Send>, progress: &Arc<Progress>) -> io::Result<(bool, Box<dyn Read + Send>)> {
    let (magic, raw) = peek(raw, ZSTD_MAGIC.len())?;
    let counted = |stream| buffered(Box::new(Counted { stream, progress: Arc::clone(progress) }));
    Ok(if magic.starts_with(&GZIP_MAGIC) {
        (true, Box::new(GzipMembers { member: Some(GzDecoder::new(counted(raw))) }))
    } else if is_zstd(&magic) {
        (true, Box::new(zstd::stream::read::Decoder::with_buffer(counted(raw))?))
    } else {
        (false, raw)
    })
}

/// A frame, or a frame to be skipped, such as parallel compressors begin with.
fn is_zstd(magic: &[u8]) -> bool {
    magic == ZSTD_MAGIC || matches!(magic, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

fn buffered(raw: Box<dyn Read + Send>) -> BufReader<Box<dyn Read + Send>> {
    BufReader::with_capacity(128 * 1024, raw)
}

/// The first bytes of a stream, and the whole stream again.
fn peek(mut stream: Box<dyn Read + Send>, bytes: usize) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut first = Vec::with_capacity(bytes);
    stream.by_ref().take(bytes as u64).read_to_end(&mut first)?;
    Ok((first.clone(), Box::new(io::Cursor::new(first).chain(stream))))
}

/// The members of a gzip file, one after the other. Zeros behind the last one are padding, as of a tape, and as `gzip` takes them; anything
/// else there is damage.
struct GzipMembers<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.member.take() {
            let bytes = member.read(buffer)?;
            if bytes > 0 || buffer.is_empty() {
                self.member = Some(member);
                return Ok(bytes);
            }
            let mut behind = member.into_inner();
            self.member = has_member(&mut behind)?.then(|| GzDecoder::new(behind));
        }
        Ok(0)
    }
}

/// Whether anything but padding stands behind a member.
fn has_member(behind: &mut impl BufRead) -> io::Result<bool> {
    let mut is_padded = false;
    loop {
        let bytes = behind.fill_buf()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        match (bytes.is_empty(), zeros) {
            (true, _) => return Ok(false),
            (false, 0) if is_padded => {
                let reason = "expected the end behind the zeros that follow a gzip member, found more";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            (false, 0) => return Ok(true),
            (false, zeros) => {
                is_padded = true;
                behind.consume(zeros);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::source::blocks::Blocks;

    fn member(text: &str) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    fn text(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        plain(Box::new(io::Cursor::new(bytes)), &Arc::default())?.1.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn gzip_members_end_with_the_file_or_with_zeros() {
        let two = [member("a"), member("b")].concat();
        assert_eq!(text(two.clone()).unwrap(), "ab");
        for zeros in [1, 511, 200_000] {
            assert_eq!(text([two.clone(), vec![0; zeros]].concat()).unwrap(), "ab", "{zeros}");
            assert!(text([two.clone(), vec![0; zeros], member("c")].concat()).is_err(), "{zeros}");
        }
        for behind in [b"garbage".as_slice(), b"\x1f\x8b", b"\n", b"\0\n"] {
            assert!(text([&two, behind].concat()).is_err(), "{behind:?}");
        }
        assert!(text(two.get(..two.len() - 1).unwrap().to_vec()).is_err(), "cut off");
    }

    #[test]
    fn each_byte_of_an_input_counts_once_whatever_lies_around_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{}\n".repeat(1_000_000);
        for (name, bytes) in [
            ("plain", lines.clone().into_bytes()),
            ("marked", [&BYTE_ORDER_MARK, lines.as_bytes()].concat()),
            ("gzip", member(&lines)),
            ("zstd", zstd::encode_all(lines.as_bytes(), 1).unwrap()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let progress = Arc::default();
            let blocks = Blocks::new(vec![Input::File(path)], &progress);
            let text = blocks.map(|block| block.unwrap().bytes.len()).sum::<usize>();
            assert_eq!((text, progress.counts().read_bytes), (lines.len(), bytes.len() as u64), "{name}");
        }
    }
}
