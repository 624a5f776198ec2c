//! Objects that a lake holds, on their way into a part that takes the place of theirs.

use std::sync::Arc;

use crate::attachment::Attachments;
use crate::error::{Error, Result};
use crate::parse::{Item, Origin};
use crate::part::{PartEntry, PartWriter};
use crate::partition::Key;
use crate::progress::Progress;
use crate::shuffle::{Frame, Part, Position};
use crate::store::Store;

/// Some objects of one partition, as JSON.
#[derive(Debug)]
pub(super) struct Gathered {
    key: Key,
    frames: Vec<u8>,
    objects: u32,
    /// What the lake keeps of their attachments.
    attachments: Option<Arc<Attachments>>,
}

impl Gathered {
    /// None yet, of a part of a lake.
    pub(super) fn of(part: &PartEntry, lake: &Arc<dyn Store>) -> Result<Gathered> {
        let attachments = Attachments::known(lake, part.keeping().into_iter())?;
        Ok(Gathered { key: part.key.clone(), frames: Vec::new(), objects: 0, attachments })
    }

    /// Adds one.
    pub(super) fn add(&mut self, id: &str, json: &[u8]) {
        let origin = Origin { input: 0, line: 1, byte: 0 };
        let item = Item { key: self.key.clone(), id: id.into(), raw: json.into(), origin };
        Frame::append(&item, Position { block: 0, index: self.objects }, &mut self.frames);
        self.objects += 1;
    }

    /// Writes them as a part under a name of the run. What a lake holds can be read: a reject is a fault of this crate.
    pub(super) fn write(self, writer: &PartWriter, name: String, progress: &Progress) -> Result<PartEntry> {
        let Gathered { key, frames, objects, attachments } = self;
        let writer = writer.clone().with_attachments(attachments);
        let folder = key.path();
        let written = writer.write_as(Part::of(0, key, frames), name, progress)?;
        if written.identities.len() != objects as usize {
            let found =
                format!("{} of {objects} objects of {folder} that could be read again", written.identities.len());
            return Err(Error::Bug { place: "upkeep::gathered", found });
        }
        Ok(written.entry)
    }
}
