//! The content of a message: its text and what is attached to it.

use super::FILES;
use super::pen::Pen;

/// How a message's text is drawn.
#[derive(Clone, Copy)]
pub(super) enum Voice {
    /// A person asks; bytes on average.
    Prompt(u32),
    /// A model answers; bytes on average.
    Answer(u32),
    /// A system or a tool says a few sentences.
    Remark,
}

/// What a message carries besides its text.
#[derive(Clone, Copy, Default)]
pub(super) struct Extras {
    pub(super) attachments: bool,
    pub(super) reference_texts: bool,
    pub(super) chunks: bool,
    pub(super) reasoning: bool,
}

impl Pen {
    /// The object `content`.
    pub(super) fn content(&mut self, voice: Voice, extras: Extras, models: &[&str]) {
        self.json.key("content");
        self.json.open_object();
        self.json.key("text");
        match voice {
            Voice::Prompt(bytes) => self.prompt(bytes),
            Voice::Answer(bytes) => self.answer(bytes),
            Voice::Remark => self.remark(),
        }
        if extras.reference_texts {
            self.reference_texts();
        }
        if extras.attachments {
            self.attachments();
        }
        if extras.chunks {
            self.chunks(models);
        }
        if extras.reasoning {
            self.reasoning();
        }
        self.json.close_object();
    }

    fn reference_texts(&mut self) {
        self.json.key("reference_texts");
        self.json.open_array();
        for _ in 0..self.rng.between(1, 3) {
            self.json.open_object();
            self.json.key("content");
            self.answer(500);
            let category = self.rng.pick(&["reference_answer", "source", "guideline"]);
            self.json.string_field("category", category);
            if self.rng.chance(600) {
                let number = self.rng.bits();
                self.json.key("url");
                self.json.hexadecimal("https://example.com/reference/", number, 8);
            }
            self.json.close_object();
        }
        self.json.close_array();
    }

    fn attachments(&mut self) {
        self.json.key("attachments");
        self.json.open_array();
        for _ in 0..self.rng.between(1, 3) {
            self.any_file();
        }
        self.json.close_array();
    }

    /// A file of one of the three kinds.
    pub(super) fn any_file(&mut self) {
        match self.rng.below(10) {
            0..4 => self.basic_file(),
            4..8 => self.image_file(),
            _ => self.audio_file(),
        }
    }

    fn basic_file(&mut self) {
        self.json.open_object();
        let bytes = self.rng.between(60, 1_500);
        self.json.key("content");
        self.base64(bytes);
        self.json.string_field("mime_type", "application/pdf");
        self.file_addresses("pdf");
        self.json.string_field("name", "brief.pdf");
        self.json.close_object();
    }

    /// An image, which lies elsewhere.
    pub(super) fn image_file(&mut self) {
        self.json.open_object();
        self.json.string_field("mime_type", "image/png");
        self.file_addresses("png");
        self.json.string_field("name", "picture.png");
        let bytes = self.rng.between(20_000, 4_000_000);
        self.json.integer_field("file_size_in_bytes", bytes);
        self.json.close_object();
    }

    fn audio_file(&mut self) {
        self.json.open_object();
        self.json.string_field("mime_type", "audio/mpeg");
        self.file_addresses("mp3");
        let duration = self.rng.pick(&["12.48", "31", "7.5", "64.012"]);
        self.json.raw_field("duration", duration);
        self.json.key("transcript");
        self.prompt(150);
        self.json.raw_field("transcript_start", "0");
        self.json.raw_field("transcript_end", duration);
        self.json.close_object();
    }

    fn file_addresses(&mut self, extension: &str) {
        let name = self.rng.bits() & 0xFFFF_FFFF;
        self.json.string_field("scale_url", &format!("scaledata://files/{name:08x}.{extension}"));
        if self.rng.chance(700) {
            self.json.string_field("url", &format!("{FILES}{name:08x}.{extension}"));
        }
    }

    fn chunks(&mut self, models: &[&str]) {
        self.json.key("chunks");
        self.json.open_array();
        for _ in 0..self.rng.between(2, 4) {
            self.json.open_object();
            self.json.string_field("type", "text");
            self.json.key("text");
            self.answer(250);
            self.json.key("annotations");
            self.json.open_array();
            for _ in 0..self.rng.below(3) {
                self.any_annotation(models);
            }
            self.json.close_array();
            self.json.close_object();
        }
        self.json.close_array();
    }

    fn reasoning(&mut self) {
        self.json.key("reasoning");
        self.json.open_array();
        for _ in 0..self.rng.between(1, 2) {
            self.json.open_object();
            self.json.key("content");
            self.answer(700);
            self.json.close_object();
        }
        self.json.close_array();
    }
}
