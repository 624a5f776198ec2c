//! What stands in a spool beside the pages, and how it is read again.

use std::collections::BTreeMap;
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
pub(in super::super) const FORMAT: u32 = 5;

/// The format of version 0.1.0, which had other words for whose pages it holds, and fewer events.
const FORMAT_OF_0_1_0: u32 = 4;

/// What is asked, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub(super) format: u32,
    /// The spool's own name: a commit record tells by it whose pages are in.
    pub id: String,
    /// Which account of which API: what another one has is not gone on with.
    #[serde(default)]
    pub(super) account: String,
    /// The words that were typed, where version 0.1.0 began it: they end with the kind of the key and begin with the API's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<String>,
    /// The query with its times resolved when the export began.
    pub query: Query,
    /// Which of the query's times were told from that moment on.
    #[serde(skip)]
    pub moving: Moving,
    /// When that was, in microseconds since 1970.
    pub began_at: i64,
    /// Tasks on a page.
    pub page_size: u8,
    /// Requests at a time that the chains are made for.
    pub concurrency: usize,
    /// Deliveries all of whose tasks are known, with how many these are: they need not be walked once more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known_deliveries: BTreeMap<String, u64>,
}

/// Times of a query that were told as so long before the export began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// `completed_after`.
    pub after: bool,
    /// `completed_before`.
    pub before: bool,
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
    /// The API has not what it asks for, and the export goes on without.
    Absent {
        /// The HTTP status that said so.
        status: u16,
    },
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
    pub fn new((query, moving): (Query, Moving), began_at: i64, page_size: u8, concurrency: usize) -> Plan {
        let id = format!("{began_at:x}-{:x}", std::process::id());
        // Tasks that are not completed are in no delivery.
        let skips_delivery_tasks = query.skips_delivery_tasks || !query.may_be_delivered();
        let query = Query { skips_delivery_tasks, ..query };
        Plan {
            format: FORMAT,
            id,
            account: String::new(),
            asked: None,
            query,
            moving,
            began_at,
            page_size,
            concurrency,
            known_deliveries: BTreeMap::new(),
        }
    }

    /// The same for who knows all tasks of these deliveries, and how many these are.
    pub fn knowing(self, known_deliveries: BTreeMap<String, u64>) -> Plan {
        Plan { known_deliveries, ..self }
    }

    /// The same for this account.
    pub(in super::super) fn of_account(self, account: String) -> Plan {
        Plan { account, ..self }
    }

    /// True where its pages are in the spool that was committed last.
    pub(super) fn is_in(&self, committed: Option<&str>) -> bool {
        Some(self.id.as_str()) == committed
    }

    /// True where this version of the program can go on with it.
    pub(super) fn is_current(&self) -> bool {
        self.format == FORMAT || self.format == FORMAT_OF_0_1_0
    }

    /// True where an earlier plan asks the same, as of when it began, of the same account.
    pub(super) fn goes_on_with(&self, earlier: &Plan) -> bool {
        let is_of_account = match &earlier.asked {
            Some(asked) => {
                let url = asked.split(' ').next().unwrap_or_default();
                let key = asked.rsplit_once(" with a ").map_or("", |(_, key)| key);
                self.account == format!("{url} with a {key}")
            }
            None => self.account == earlier.account,
        };
        is_of_account && self.query_as_of(earlier.began_at).canonical() == earlier.query.canonical()
    }

    fn query_as_of(&self, began_at: i64) -> Query {
        let moved =
            |time: Option<i64>, is_moving| time.map(|time| time + if is_moving { began_at - self.began_at } else { 0 });
        Query {
            completed_after: moved(self.query.completed_after, self.moving.after),
            completed_before: moved(self.query.completed_before, self.moving.before),
            ..self.query.clone()
        }
    }
}

impl Default for Plan {
    fn default() -> Plan {
        Plan::new(Default::default(), 0, 100, 1)
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
