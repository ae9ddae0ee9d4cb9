//! What a story is made of: chapters of sentences, each with its time and its proof.

use pinhole::Time;
use pinhole::packet::PacketId;

/// The story of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Story {
    /// Who called whom, and what came of it.
    pub title: String,
    /// In the order in which they are told.
    pub chapters: Vec<Chapter>,
}

/// A part of a story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chapter {
    /// What it is about.
    pub title: &'static str,
    /// In the order in which they are told.
    pub sentences: Vec<Sentence>,
}

/// Something that is told at one go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sentence {
    /// When it happened or began; `None` for what has no time.
    pub time: Option<Time>,
    /// The words. Lines are for whoever prints them to break.
    pub text: String,
    /// The packets that prove it, in the order in which they were sent.
    pub packets: Vec<PacketId>,
}

impl Story {
    /// Every sentence of every chapter.
    pub fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.chapters.iter().flat_map(|chapter| &chapter.sentences)
    }
}

impl Sentence {
    /// Something that is so all the time.
    pub(super) fn still(text: impl Into<String>) -> Self {
        Sentence {
            time: None,
            text: text.into(),
            packets: Vec::new(),
        }
    }

    /// Something that happened, and what proves it.
    pub(super) fn at(
        time: Time,
        text: impl Into<String>,
        packets: impl IntoIterator<Item = PacketId>,
    ) -> Self {
        let mut sentence = Sentence::still(text).with(packets);
        sentence.time = Some(time);
        sentence
    }

    /// The same with more packets to prove it.
    pub(super) fn with(mut self, packets: impl IntoIterator<Item = PacketId>) -> Self {
        self.packets.extend(packets);
        self.packets.sort_unstable();
        self.packets.dedup();
        self
    }
}
