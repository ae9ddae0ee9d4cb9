//! A survey on disk: one line that says what is surveyed, then one line for each chunk of calls, as
//! they come to an end. It can be gone on with, and parts of one survey can be put together.
//!
//! ```text
//! {"survey":"pinhole","version":"0.1.0","population":"global-2026","hash":"…","seed":1,
//!  "calls":100000,"shard":"1/1","kinds":["open",…],"definition":"name = …"}
//! {"chunk":0,"digest":"0f3c…","calls":[[4,4,"reflexive",212000],[2,null,"direct",21000],…]}
//! ```
//!
//! A call is the place of A's kind among `kinds`, that of B's (`null` where B is on A's local
//! network), its path, and when it connected in microseconds. Chunks are in no order.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pinhole::trace::Digest;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::population::Population;
use super::run::{Chunk, Collected, Survey, SurveyConfig};
use super::shard::Shard;
use super::tally::{CallRecord, Kinds, Note};
use crate::call::{PathClass, TurnTransport};
use crate::file::FileError;

/// The longest line that is read: a header with the longest of definitions.
const LONGEST_LINE: u64 = 4 << 20;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Header {
    survey: String,
    version: String,
    population: String,
    hash: String,
    seed: u64,
    calls: u64,
    shard: String,
    kinds: Vec<String>,
    definition: String,
}

/// What the header's first field says, so that no other file is taken for a survey.
const SURVEY: &str = "pinhole";

#[derive(Serialize, Deserialize)]
struct ChunkLine {
    chunk: u64,
    digest: String,
    calls: Vec<(u16, Option<u16>, String, u64)>,
}

impl Header {
    fn of(config: &SurveyConfig) -> Self {
        let definition = config.population.to_toml();
        let kinds = Kinds::of(&config.population).kinds;
        Header {
            survey: SURVEY.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            population: config.population.name.clone(),
            hash: hash(&definition),
            seed: config.seed,
            calls: config.calls,
            shard: config.shard.to_string(),
            kinds: kinds.iter().map(ToString::to_string).collect(),
            definition,
        }
    }

    /// What is not as in another header, if anything: as a sentence.
    fn difference(&self, other: &Header, shards_may_differ: bool) -> Option<String> {
        let differs = |what: &str, mine: &dyn std::fmt::Display, others: &dyn std::fmt::Display| {
            let (mine, others) = (mine.to_string(), others.to_string());
            (mine != others).then(|| format!("it has {what} {mine}, and this is {others}"))
        };
        differs("version", &self.version, &other.version)
            .or_else(|| differs("population", &self.population, &other.population))
            .or_else(|| {
                let same = self.hash == other.hash;
                (!same).then(|| {
                    format!(
                        "its population {:?} has other numbers, or its calls other options (hash {}, and this is {})",
                        self.population, self.hash, other.hash
                    )
                })
            })
            .or_else(|| differs("seed", &self.seed, &other.seed))
            .or_else(|| differs("calls", &self.calls, &other.calls))
            .or_else(|| {
                differs("shard", &self.shard, &other.shard).filter(|_| !shards_may_differ)
            })
    }
}

fn hash(definition: &str) -> String {
    let bytes = Sha1::digest(definition.as_bytes());
    bytes
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A file that a survey's chunks are appended to.
pub struct Journal {
    name: String,
    file: File,
}

impl Journal {
    /// A new file.
    ///
    /// # Errors
    ///
    /// There is one already, or it can't be written.
    pub fn create(path: &Path, config: &SurveyConfig) -> Result<Journal, FileError> {
        let name = path.display().to_string();
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let file = file.map_err(|error| {
            FileError::new(
                &name,
                match error.kind() {
                    io::ErrorKind::AlreadyExists => {
                        "is there already; go on with it with --resume, or name another file"
                            .to_owned()
                    }
                    _ => format!("can't be written: {error}"),
                },
            )
        })?;
        let mut journal = Journal { name, file };
        journal.begin(config)?;
        Ok(journal)
    }

    /// Goes on with a file, or begins it if there is none. Returns what it holds already. A last
    /// line that was torn is cut off.
    ///
    /// # Errors
    ///
    /// It is of another survey or version, or can't be read or written.
    pub fn resume(path: &Path, config: &SurveyConfig) -> Result<(Journal, Collected), FileError> {
        let mut collected = Collected::nothing(config);
        if !path.exists() {
            return Ok((Journal::create(path, config)?, collected));
        }
        let name = path.display().to_string();
        let wrong = |message: String| FileError::new(&name, message);
        let file = OpenOptions::new().read(true).write(true).open(path);
        let mut file = file.map_err(|error| wrong(format!("can't be read: {error}")))?;
        let mut reader = Reader::new(name.clone(), &mut file);
        let mine = Header::of(config);
        let end = match reader.header()? {
            First::Nothing => None,
            First::Torn(start) => {
                let whole = line_of(&mine);
                if !whole.as_bytes().starts_with(&start) {
                    return Err(reader.wrong("this is no survey of pinhole's"));
                }
                None
            }
            First::Header(header) => {
                if let Some(difference) = header.difference(&mine, false) {
                    let message = format!("is of another survey: {difference}; name another file");
                    return Err(wrong(message));
                }
                reader.chunks(config, |chunk| {
                    collected
                        .add(&chunk)
                        .map_err(|_| format!("chunk {} is there twice", chunk.number))
                })?;
                Some(reader.good)
            }
        };
        let cut = |file: &mut File| -> io::Result<()> {
            file.set_len(end.unwrap_or(0))?;
            file.seek(SeekFrom::End(0)).map(drop)
        };
        cut(&mut file).map_err(|error| wrong(format!("can't be written: {error}")))?;
        let mut journal = Journal { name, file };
        if end.is_none() {
            journal.begin(config)?;
        }
        Ok((journal, collected))
    }

    fn begin(&mut self, config: &SurveyConfig) -> Result<(), FileError> {
        self.line(&Header::of(config))
    }

    /// Appends a chunk.
    ///
    /// # Errors
    ///
    /// It can't be written.
    pub fn append(&mut self, chunk: &Chunk) -> Result<(), FileError> {
        let calls = chunk.calls.iter().map(|call| {
            let [a, b] = call.kinds;
            let b = (!call.same_lan).then_some(b);
            (a, b, path_word(call), call.connect_us)
        });
        self.line(&ChunkLine {
            chunk: chunk.number,
            digest: chunk.digest.to_string(),
            calls: calls.collect(),
        })
    }

    /// One line, in one write: an interruption tears at most the last.
    fn line(&mut self, line: &impl Serialize) -> Result<(), FileError> {
        let written = self.file.write_all(line_of(line).as_bytes());
        written.map_err(|error| FileError::new(&self.name, format!("can't be written: {error}")))
    }
}

fn line_of(line: &impl Serialize) -> String {
    let mut text = serde_json::to_string(line).expect("plain values are JSON");
    text.push('\n');
    text
}

fn path_word(call: &CallRecord) -> String {
    let mut word = call.path.map_or("none", PathClass::name).to_owned();
    if let Some(transport) = call.relay {
        word.push('/');
        word.push_str(transport.name());
    }
    word.push_str(match call.note {
        None => "",
        Some(Note::Stopped) => ",stopped",
        Some(Note::Panicked) => ",panicked",
    });
    word
}

fn read_path(word: &str) -> Option<(Option<PathClass>, Option<TurnTransport>, Option<Note>)> {
    let (path, note) = match word.split_once(',') {
        None => (word, None),
        Some((path, "stopped")) => (path, Some(Note::Stopped)),
        Some((path, "panicked")) => (path, Some(Note::Panicked)),
        Some(_) => return None,
    };
    let (class, relay) = match path.split_once('/') {
        None => (path, None),
        Some((class, name)) => {
            let mut known = TurnTransport::ALL.into_iter();
            (class, Some(known.find(|it| it.name() == name)?))
        }
    };
    if class == "none" {
        return Some((None, relay, note));
    }
    let mut known = PathClass::ALL.into_iter();
    Some((Some(known.find(|it| it.name() == class)?), relay, note))
}

/// Puts the shards of one survey together.
///
/// # Errors
///
/// They are of different surveys, one is there twice, or one is missing.
pub fn merge(paths: &[PathBuf]) -> Result<Survey, FileError> {
    let mut whole: Option<(String, Header, SurveyConfig, Collected)> = None;
    for path in paths {
        let name = path.display().to_string();
        let file = File::open(path);
        let mut file =
            file.map_err(|error| FileError::new(&name, format!("can't be read: {error}")))?;
        let mut reader = Reader::new(name.clone(), &mut file);
        let First::Header(header) = reader.header()? else {
            return Err(reader.wrong("this is no survey of pinhole's"));
        };
        let (first, (config, collected)) = match &mut whole {
            Some((first, other, config, collected)) => {
                if let Some(difference) = header.difference(other, true) {
                    let message = format!("is of another survey than {first}: {difference}");
                    return Err(FileError::new(&name, message));
                }
                (first.clone(), (config, collected))
            }
            None => {
                let config = reader.config(&header)?;
                let nothing = Collected::nothing(&config);
                let (_, _, config, collected) =
                    whole.insert((name.clone(), *header, config, nothing));
                (name.clone(), (config, collected))
            }
        };
        reader.chunks(config, |chunk| {
            collected.add(&chunk).map_err(|_| {
                format!(
                    "calls {} were counted already, from {first} or a file after it",
                    stretch(config, chunk.number)
                )
            })
        })?;
    }
    let Some((first, _, config, collected)) = whole else {
        return Err(FileError::new("merge", "there is no file to merge"));
    };
    let missing = collected.first_missing();
    if missing < config.chunks().end {
        let message = format!(
            "with the others, calls {} are missing, and maybe more; name the files of all shards, \
             and go on with those that were interrupted with --resume",
            stretch(&config, missing)
        );
        return Err(FileError::new(first, message));
    }
    Ok(collected.into_survey(&config))
}

fn stretch(config: &SurveyConfig, chunk: u64) -> String {
    let calls = config.calls_of(chunk);
    format!("{} to {}", calls.start, calls.end.saturating_sub(1))
}

/// Reads a journal line by line.
struct Reader<'f> {
    name: String,
    file: BufReader<&'f mut File>,
    line: usize,
    /// Bytes up to the end of the last whole line.
    good: u64,
}

enum First {
    Nothing,
    Torn(Vec<u8>),
    Header(Box<Header>),
}

impl<'f> Reader<'f> {
    fn new(name: String, file: &'f mut File) -> Self {
        Reader {
            name,
            file: BufReader::new(file),
            line: 0,
            good: 0,
        }
    }

    /// An error about the line that was read last.
    fn wrong(&self, message: impl Into<String>) -> FileError {
        FileError::on_line(&self.name, self.line.max(1), message)
    }

    /// The next line, and whether it has an end; empty at the file's.
    fn next_line(&mut self) -> Result<(Vec<u8>, bool), FileError> {
        let mut bytes = Vec::new();
        let read = (&mut self.file)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes);
        self.line += 1;
        read.map_err(|error| self.wrong(format!("can't be read: {error}")))?;
        let ends = bytes.last() == Some(&b'\n');
        if !ends && bytes.len() as u64 >= LONGEST_LINE {
            return Err(self.wrong("this line is longer than any of a survey"));
        }
        if ends {
            self.good += bytes.len() as u64;
        }
        Ok((bytes, ends))
    }

    fn header(&mut self) -> Result<First, FileError> {
        let (bytes, ends) = self.next_line()?;
        if bytes.is_empty() {
            return Ok(First::Nothing);
        }
        if !ends {
            return Ok(First::Torn(bytes));
        }
        let header: Option<Header> = serde_json::from_slice(&bytes).ok();
        let header = header.filter(|header| header.survey == SURVEY);
        let header = header.ok_or_else(|| self.wrong("this is no survey of pinhole's"))?;
        let mine = env!("CARGO_PKG_VERSION");
        if header.version != mine {
            let theirs = &header.version;
            let message = format!(
                "it was made by version {theirs}, and this is {mine}: their calls are not the same"
            );
            return Err(self.wrong(message));
        }
        Ok(First::Header(Box::new(header)))
    }

    /// The whole survey that a header is of.
    fn config(&self, header: &Header) -> Result<SurveyConfig, FileError> {
        if hash(&header.definition) != header.hash {
            return Err(self.wrong("the population was changed by hand: its hash is another"));
        }
        let definition = Population::parse(&self.name, &header.definition);
        let population =
            definition.map_err(|error| self.wrong(format!("in its definition: {error}")))?;
        Ok(SurveyConfig {
            population,
            calls: header.calls,
            seed: header.seed,
            shard: Shard::WHOLE,
        })
    }

    fn chunks(
        &mut self,
        config: &SurveyConfig,
        mut take: impl FnMut(Chunk) -> Result<(), String>,
    ) -> Result<(), FileError> {
        let kinds = Kinds::of(&config.population).kinds.len();
        loop {
            let (bytes, ends) = self.next_line()?;
            if !ends {
                // A torn line, or nothing.
                return Ok(());
            }
            let line: Result<ChunkLine, _> = serde_json::from_slice(&bytes);
            let chunk = line
                .map_err(|error| error.to_string())
                .and_then(|line| chunk(line, config, kinds));
            let chunk = chunk
                .map_err(|error| self.wrong(format!("this is no chunk of the survey: {error}")))?;
            take(chunk).map_err(|error| self.wrong(error))?;
        }
    }
}

fn chunk(line: ChunkLine, config: &SurveyConfig, kinds: usize) -> Result<Chunk, String> {
    let range = config.chunks();
    if !range.contains(&line.chunk) {
        return Err(format!("its chunks are {} to {}", range.start, range.end));
    }
    let calls = config.calls_of(line.chunk);
    let expected = calls.end - calls.start;
    if line.calls.len() as u64 != expected {
        return Err(format!("it has {} calls, not {expected}", line.calls.len()));
    }
    let digest = u64::from_str_radix(&line.digest, 16)
        .map_err(|_| format!("{:?} is no digest", line.digest))?;
    let calls = line.calls.into_iter().map(|(a, b, word, connect_us)| {
        let within = |place: u16| usize::from(place) < kinds;
        if !within(a) || !b.is_none_or(within) {
            return Err(format!("it has {kinds} kinds only"));
        }
        let read = read_path(&word).ok_or_else(|| format!("no path is called {word:?}"))?;
        let (path, relay, note) = read;
        Ok(CallRecord {
            kinds: [a, b.unwrap_or(a)],
            same_lan: b.is_none(),
            path,
            relay,
            connect_us,
            note,
        })
    });
    Ok(Chunk {
        number: line.chunk,
        digest: Digest::from_value(digest),
        calls: calls.collect::<Result<_, String>>()?,
    })
}
