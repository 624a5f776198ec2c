//! Parts restored side by side, handed out in their order.

use std::io::Write;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::restore_part;
use crate::error::{Error, Result};
use crate::part::{Near, PartEntry};

/// Text that is handed over at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Chunks of a part that wait for their turn: all of one of usual size, so that its thread goes on with another.
const WAITING_CHUNKS: usize = 16;

/// Some lines of a part, and how many.
type Chunk = (String, u64);

/// Writes every task of these parts as one line of JSON; gives their number.
pub(super) fn restore_parts(near: &Near<'_>, parts: &[&PartEntry], threads: usize, out: &mut dyn Write) -> Result<u64> {
    let left = Mutex::new(parts.iter());
    std::thread::scope(|scope| {
        // As many may wait as there are threads, so that what waits is bounded.
        let (announce, announced) = bounded(threads);
        for _ in 0..threads.min(parts.len()) {
            let (announce, left) = (announce.clone(), &left);
            scope.spawn(move || {
                while let Some((part, chunks)) = take(left, &announce) {
                    // A part that fails says so in its place; and where nobody listens any more, the writing has failed.
                    if let Err(error) = restore_into(near, part, &chunks) {
                        let _ = chunks.send(Err(error));
                    }
                }
            });
        }
        drop(announce);
        write_in_order(&announced, out)
    })
}

/// The next part, and where its text goes. Parts are announced in their order, which the lock sees to.
fn take<'p>(
    left: &Mutex<std::slice::Iter<'_, &'p PartEntry>>,
    announce: &Sender<Receiver<Result<Chunk>>>,
) -> Option<(&'p PartEntry, Sender<Result<Chunk>>)> {
    let mut left = left.lock().ok()?;
    let part = left.next()?;
    let (sender, chunks) = bounded(WAITING_CHUNKS);
    announce.send(chunks).ok()?;
    Some((part, sender))
}

fn restore_into(near: &Near<'_>, part: &PartEntry, chunks: &Sender<Result<Chunk>>) -> Result<()> {
    let (mut text, mut tasks) = (String::new(), 0);
    let hand = |text: &mut String, tasks: &mut u64| {
        chunks.send(Ok((std::mem::take(text), std::mem::take(tasks)))).map_err(|_| unheard())
    };
    restore_part(near, part, |task| {
        text.push_str(task);
        text.push('\n');
        tasks += 1;
        if text.len() < CHUNK_BYTES { Ok(()) } else { hand(&mut text, &mut tasks) }
    })?;
    hand(&mut text, &mut tasks)
}

/// What a thread ends with whose text nobody takes any more; the error that led to it is told instead.
fn unheard() -> Error {
    Error::Bug { place: "restore", found: "text that nobody takes".to_owned() }
}

fn write_in_order(announced: &Receiver<Receiver<Result<Chunk>>>, out: &mut dyn Write) -> Result<u64> {
    let mut restored = 0;
    for chunks in announced {
        for chunk in chunks {
            let (text, tasks) = chunk?;
            out.write_all(text.as_bytes()).map_err(Error::Output)?;
            restored += tasks;
        }
    }
    Ok(restored)
}
