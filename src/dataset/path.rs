//! A conversation as it was gone on with.

use super::report::Reason;
use crate::judged::{Message, Thread, Turn};

/// A message of a conversation, with the text that it has there.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    pub message: &'t Message<'t>,
    pub text: &'t str,
}

impl<'t> Line<'t> {
    pub(super) fn of(message: &'t Message<'t>) -> Line<'t> {
        Line { message, text: message.text.unwrap_or_default() }
    }
}

/// A turn that the conversation came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'t> {
    pub turn: &'t Turn<'t>,
    /// How many lines of the path stand before its answers.
    pub prompt: usize,
    /// The answer that was gone on with.
    pub went_on: Option<usize>,
}

/// The lines of a conversation, with one answer a turn, up to where it is known how it went on.
#[derive(Debug)]
pub(super) struct Path<'t> {
    pub lines: Vec<Line<'t>>,
    pub steps: Vec<Step<'t>>,
    /// Turns with answers behind the last step.
    pub unclear: Vec<&'t Turn<'t>>,
}

impl<'t> Path<'t> {
    /// Follows a thread. `went_on` tells by which of several answers; `line` may give an answer another text.
    pub(super) fn of(
        thread: &'t Thread<'t>,
        went_on: impl Fn(&'t Turn<'t>) -> Option<usize>,
        line: impl Fn(&'t Message<'t>) -> Line<'t>,
    ) -> Path<'t> {
        let mut path = Path { lines: Vec::new(), steps: Vec::new(), unclear: Vec::new() };
        for (index, turn) in thread.turns.iter().enumerate() {
            // Answers beside each other, and somebody spoke on: which one was meant is not known.
            if turn.before.windows(2).any(|two| two.iter().all(Message::is_answer)) {
                path.unclear = with_answers(thread, index);
                break;
            }
            path.lines.extend(turn.before.iter().map(&line));
            let went_on = if turn.answers.len() == 1 { Some(0) } else { went_on(turn) };
            path.steps.push(Step { turn, prompt: path.lines.len(), went_on });
            match went_on.and_then(|answer| turn.answers.get(answer)) {
                Some(answer) => path.lines.push(line(answer)),
                None if turn.answers.is_empty() => {}
                None => {
                    path.unclear = with_answers(thread, index + 1);
                    break;
                }
            }
            path.lines.extend(turn.after.iter().map(&line));
        }
        path
    }

    /// The lines before a step's answers.
    pub(super) fn prompt(&self, step: &Step<'t>) -> &[Line<'t>] {
        self.lines.get(..step.prompt).unwrap_or_default()
    }

    /// The last turn of the conversation that has answers, if the path leads to it.
    pub(super) fn last(&self) -> Option<i32> {
        let last = self.steps.iter().rev().find(|step| !step.turn.answers.is_empty());
        last.filter(|_| self.unclear.is_empty()).map(|last| last.turn.index)
    }
}

fn with_answers<'t>(thread: &'t Thread<'t>, from: usize) -> Vec<&'t Turn<'t>> {
    thread.turns.iter().skip(from).filter(|turn| !turn.answers.is_empty()).collect()
}

/// What is wrong with a conversation as a prompt, if anything is. Images can be carried by the first message of a user alone: trainers put
/// them before its text, wherever they stood.
pub(super) fn check_prompt(lines: &[Line<'_>], has_images: bool) -> Result<(), Reason> {
    let first = lines.iter().position(|line| line.message.role == Some("user")).ok_or(Reason::NoPrompt)?;
    lines.iter().enumerate().try_for_each(|(place, line)| {
        let message = line.message;
        let is_carried = has_images && place == first && message.images.len() == message.attachments.max(0) as usize;
        if is_carried { check_text(line) } else { check_line(line) }
    })
}

/// What is wrong with a message, if anything is.
pub(super) fn check_line(line: &Line<'_>) -> Result<(), Reason> {
    if line.message.attachments > 0 {
        return Err(Reason::Attachment);
    }
    check_text(line)
}

fn check_text(line: &Line<'_>) -> Result<(), Reason> {
    if line.text.trim().is_empty() { Err(Reason::NoText) } else { Ok(()) }
}
