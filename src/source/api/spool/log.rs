//! What stands in a spool beside the pages, and how it is read again.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::super::chain::ChainId;
use super::super::glance::Glance;
use super::super::query::Query;

/// One of the sixteen magic numbers of skippable frames.
const MAGIC: [u8; 4] = [0x5d, 0x2a, 0x4d, 0x18];

/// The version of what stands in the skippable frames, and of how the frontier makes chains of it: whoever changes what the frontier
/// decides changes this too, so that no spool is gone on with by other rules.
pub(in super::super) const FORMAT: u32 = 4;

/// What is asked, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub(super) format: u32,
    /// The spool's own name: a commit record tells by it whose pages are in.
    pub id: String,
    /// The query in the words of the user: what must be the same to go on.
    pub asked: String,
    /// The query with its times resolved when the export began.
    pub query: Query,
    /// When that was, in microseconds since 1970.
    pub began_at: i64,
    /// Tasks on a page.
    pub page_size: u8,
    /// Requests at a time that the chains are made for.
    pub concurrency: usize,
}

/// What happened to a chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A page came.
    Page {
        /// Its facts.
        glance: Glance,
        /// Bytes of its frame, which follows.
        bytes: u64,
        /// Checksum of the frame.
        checksum: u64,
    },
    /// Its token expired.
    Expired,
}

/// An entry of the spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The chain.
    pub chain: ChainId,
    /// What happened to it.
    pub event: Event,
}

impl Plan {
    /// A plan of this moment.
    pub fn new(asked: String, query: Query, began_at: i64, page_size: u8, concurrency: usize) -> Plan {
        let id = format!("{began_at:x}-{:x}", std::process::id());
        Plan { format: FORMAT, id, asked, query, began_at, page_size, concurrency }
    }

    /// True where its pages are in the spool that was committed last.
    pub(super) fn is_in(&self, committed: Option<&str>) -> bool {
        Some(self.id.as_str()) == committed
    }

    /// True where this version of the program wrote it.
    pub(super) fn is_current(&self) -> bool {
        self.format == FORMAT
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new(String::new(), Query::default(), 0, 100, 1)
    }
}

/// A frame that decompressors pass over.
pub(super) fn skippable(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    Ok([&MAGIC, &length.to_le_bytes(), json.as_slice()].concat())
}

/// The content of the next skippable frame; `None` at the end, and where the frame is torn or no such frame.
pub(super) fn read_skippable(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    reader.take(8).read_to_end(&mut head)?;
    let Some((magic, length)) = head.split_first_chunk::<4>() else { return Ok(None) };
    let length = length.try_into().map(u32::from_le_bytes);
    let Some(length) = length.ok().filter(|_| *magic == MAGIC) else { return Ok(None) };
    let mut content = Vec::new();
    reader.take(length.into()).read_to_end(&mut content)?;
    Ok((content.len() as u64 == u64::from(length)).then_some(content))
}

/// The plan at the start of a spool. One that this program can't read is of another version of it.
pub(super) fn read_plan(reader: &mut impl Read) -> io::Result<Option<Plan>> {
    let unknown = || Plan { format: 0, ..Plan::default() };
    Ok(read_skippable(reader)?.map(|plan| serde_json::from_slice(&plan).unwrap_or_else(|_| unknown())))
}

/// What is whole in a file.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub plan: Option<Plan>,
    pub entries: Vec<Entry>,
    /// Where the whole entries end.
    pub end: u64,
}

impl Found {
    pub(super) fn of(file: &File) -> io::Result<Found> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        reader.seek(SeekFrom::Start(0))?;
        let mut found = Found { plan: read_plan(&mut reader)?, ..Found::default() };
        if found.plan.is_none() {
            return Ok(found);
        }
        found.end = reader.stream_position()?;
        while let Some(entry) = read_skippable(&mut reader)? {
            let Ok(entry) = serde_json::from_slice::<Entry>(&entry) else { break };
            if let Event::Page { bytes, checksum, .. } = entry.event {
                let mut frame = Vec::new();
                reader.by_ref().take(bytes).read_to_end(&mut frame)?;
                if frame.len() as u64 != bytes || xxh3_64(&frame) != checksum {
                    break;
                }
            }
            found.entries.push(entry);
            found.end = reader.stream_position()?;
        }
        Ok(found)
    }
}

/// The line of an entry that is a page.
pub(super) fn read_line(reader: &mut impl Read, entry: &Entry) -> io::Result<Option<Vec<u8>>> {
    read_skippable(reader)?;
    let Event::Page { bytes, .. } = entry.event else { return Ok(None) };
    zstd::stream::decode_all(reader.take(bytes)).map(Some)
}
