//! Makes a survey's calls, on as many threads as there are, and puts what came of them together.
//!
//! Calls are made in chunks of [`CHUNK`]. A chunk's digest folds its calls' in their order, and a
//! survey's digest folds its chunks' in theirs: no thread, shard or resumption changes it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use pinhole::trace::Digest;

use super::draw::Draws;
use super::population::Population;
use super::shard::Shard;
use super::tally::{CallRecord, Kinds, Note, Tally};
use crate::call::{CallConfig, CallError, Caller};

/// Calls that are made by one thread in a row, and written down together.
pub const CHUNK: u64 = 100;

/// What is surveyed.
#[derive(Clone, PartialEq, Debug)]
pub struct SurveyConfig {
    /// Who calls whom, and how.
    pub population: Population,
    /// How many calls, in all shards together.
    pub calls: u64,
    /// What everything random is drawn from.
    pub seed: u64,
    /// Which of them are made.
    pub shard: Shard,
}

impl SurveyConfig {
    /// The chunks of this shard.
    pub fn chunks(&self) -> Range<u64> {
        self.shard.range(self.calls.div_ceil(CHUNK))
    }

    /// The calls of a chunk.
    pub fn calls_of(&self, chunk: u64) -> Range<u64> {
        let start = chunk * CHUNK;
        start..(start + CHUNK).min(self.calls)
    }

    /// How many calls this shard has.
    pub fn shard_calls(&self) -> u64 {
        let chunks = self.chunks();
        if chunks.is_empty() {
            return 0;
        }
        (chunks.end * CHUNK).min(self.calls) - chunks.start * CHUNK
    }
}

/// Calls that were made in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Its place among all chunks.
    pub number: u64,
    /// Its calls' digests, folded in their order.
    pub digest: Digest,
    /// What came of each call.
    pub calls: Vec<CallRecord>,
}

/// What came of a survey.
#[derive(Clone, PartialEq, Debug)]
pub struct Survey {
    /// What was asked for.
    pub config: SurveyConfig,
    /// The population's kinds.
    pub kinds: Kinds,
    /// What came of the calls.
    pub tally: Tally,
    /// The digests of all chunks, in their order.
    pub digest: Digest,
    /// Whether all calls were made.
    pub complete: bool,
}

/// Chunks that were put together, in whatever order they came.
#[derive(Clone, Debug)]
pub struct Collected {
    tally: Tally,
    /// All chunks from the first one to before this one are folded into `digest`.
    next: u64,
    digest: Digest,
    /// Those that came before one that is to be folded before them.
    ahead: BTreeMap<u64, Digest>,
}

/// The same chunk came twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Twice;

impl Collected {
    /// Nothing yet, of the chunks of a survey.
    pub fn nothing(config: &SurveyConfig) -> Self {
        Collected {
            tally: Tally::new(Kinds::of(&config.population).kinds.len()),
            next: config.chunks().start,
            digest: Digest::default(),
            ahead: BTreeMap::new(),
        }
    }

    /// Whether a chunk came.
    pub fn has(&self, chunk: u64) -> bool {
        chunk < self.next || self.ahead.contains_key(&chunk)
    }

    /// Counts a chunk.
    ///
    /// # Errors
    ///
    /// It was counted already.
    pub fn add(&mut self, chunk: &Chunk) -> Result<(), Twice> {
        if self.has(chunk.number) {
            return Err(Twice);
        }
        chunk.calls.iter().for_each(|call| self.tally.add(call));
        self.ahead.insert(chunk.number, chunk.digest);
        while let Some(digest) = self.ahead.remove(&self.next) {
            self.digest.fold(digest);
            self.next += 1;
        }
        Ok(())
    }

    /// The first chunk that is missing.
    pub fn first_missing(&self) -> u64 {
        self.next
    }

    /// How many calls were counted.
    pub fn calls(&self) -> u64 {
        self.tally.calls()
    }

    /// What is known so far.
    pub fn into_survey(self, config: &SurveyConfig) -> Survey {
        let mut digest = self.digest;
        self.ahead.values().for_each(|ahead| digest.fold(*ahead));
        Survey {
            kinds: Kinds::of(&config.population),
            complete: self.tally.calls() == config.shard_calls(),
            tally: self.tally,
            digest,
            config: config.clone(),
        }
    }
}

/// Makes the calls that `collected` doesn't have, `jobs` at a time; 0 means as many as there are
/// cores. `done` is told of each chunk, in the order in which they come to an end. Once
/// `interrupted` is set, no further call begins, and chunks that are not at their end are left out.
///
/// # Errors
///
/// A network makes no sense, or `done` failed.
pub fn run<E: From<CallError>>(
    config: &SurveyConfig,
    mut collected: Collected,
    jobs: usize,
    interrupted: &AtomicBool,
    mut done: impl FnMut(&Chunk) -> Result<(), E>,
) -> Result<Survey, E> {
    let jobs = match jobs {
        0 => std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        jobs => jobs,
    };
    let made = collected.clone();
    let next = AtomicU64::new(made.first_missing());
    let stop = AtomicBool::new(false);
    // Few wait: a survey needs no more memory the longer it is.
    let (sender, receiver) = sync_channel(2 * jobs);
    let outcome = std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, made) = (sender.clone(), &next, &made);
            let should_stop =
                || stop.load(Ordering::Relaxed) || interrupted.load(Ordering::Relaxed);
            scope.spawn(move || work(config, made, next, &should_stop, &sender));
        }
        drop(sender);
        let take = || {
            for chunk in receiver {
                let chunk = chunk?;
                done(&chunk)?;
                let added = collected.add(&chunk);
                debug_assert_eq!(added, Ok(()), "no chunk is made twice");
            }
            Ok(())
        };
        let outcome = take();
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    outcome.map(|()| collected.into_survey(config))
}

fn work(
    config: &SurveyConfig,
    made: &Collected,
    next: &AtomicU64,
    should_stop: &dyn Fn() -> bool,
    sender: &SyncSender<Result<Chunk, CallError>>,
) {
    let kinds = Kinds::of(&config.population);
    let draws = Draws::new(&config.population, config.seed);
    let mut caller = Caller::new();
    let mut call = config.population.call.clone();
    let end = config.chunks().end;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end {
            return;
        }
        if made.has(number) {
            continue;
        }
        let range = config.calls_of(number);
        let mut chunk = Chunk {
            number,
            digest: Digest::default(),
            calls: Vec::with_capacity(CHUNK as usize),
        };
        for index in range {
            if should_stop() {
                return;
            }
            let drawn = draws.draw(index, &mut call);
            match one_call(&mut caller, &call) {
                Ok((mut record, digest)) => {
                    record.kinds = drawn.classes.map(|class| kinds.of_class[class]);
                    record.same_lan = drawn.same_lan;
                    chunk.calls.push(record);
                    chunk.digest.fold(digest);
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        }
        // Nobody listens any more if writing a chunk down failed.
        if sender.send(Ok(chunk)).is_err() {
            return;
        }
    }
}

/// Makes a call. One that spends its budget is no error here: it didn't connect.
pub(super) fn one_call(
    caller: &mut Caller,
    config: &CallConfig,
) -> Result<(CallRecord, Digest), CallError> {
    let mut record = CallRecord {
        kinds: [0; 2],
        same_lan: false,
        path: None,
        relay: None,
        connect_us: 0,
        note: None,
    };
    let outcome = match caller.call(config) {
        Ok(call) => call.outcome,
        Err(CallError::Budget(_)) => {
            record.note = Some(Note::Stopped);
            return Ok((record, caller.internet().trace().digest()));
        }
        Err(error) => return Err(error),
    };
    if !outcome.findings.is_empty() {
        record.note = Some(Note::Panicked);
    }
    if let Some(connection) = outcome.connection {
        record.path = Some(connection.path_class);
        record.relay = connection.relay_transport;
        record.connect_us = connection.at.as_nanos() / 1_000;
    }
    Ok((record, outcome.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"x\"\nsame_lan = 0.1\n[[class]]\nnetwork = \"open\"\nweight = 1\n\
                        [[class]]\nnetwork = \"nat:eim/apdf\"\nweight = 1\naccess = \"lte\"\n";

    fn config(calls: u64, shard: &str) -> SurveyConfig {
        SurveyConfig {
            population: Population::parse("x", TOML).unwrap(),
            calls,
            seed: 5,
            shard: shard.parse().unwrap(),
        }
    }

    fn survey(config: &SurveyConfig, jobs: usize) -> (Survey, Vec<Chunk>) {
        let mut chunks = Vec::new();
        let go = AtomicBool::new(false);
        let nothing = Collected::nothing(config);
        let survey = run(config, nothing, jobs, &go, |chunk| {
            chunks.push(chunk.clone());
            Ok::<(), CallError>(())
        });
        (survey.unwrap(), chunks)
    }

    #[test]
    fn threads_change_nothing() {
        let config = config(450, "1/1");
        let (one, _) = survey(&config, 1);
        let (three, _) = survey(&config, 3);
        assert_eq!(one, three);
        assert!(one.complete);
        assert_eq!(one.tally.calls(), 450);
    }

    #[test]
    fn shards_in_any_order_are_the_whole() {
        let (whole, _) = survey(&config(450, "1/1"), 2);
        let mut collected = Collected::nothing(&whole.config);
        for shard in ["3/3", "1/3", "2/3"] {
            let (part, chunks) = survey(&config(450, shard), 1);
            assert!(part.complete);
            assert_eq!(part.tally.calls(), part.config.shard_calls());
            for chunk in chunks {
                collected.add(&chunk).unwrap();
                assert_eq!(collected.add(&chunk), Err(Twice));
            }
        }
        assert_eq!(collected.into_survey(&whole.config), whole);
    }

    #[test]
    fn what_was_made_is_not_made_again() {
        let config = config(450, "1/1");
        let (whole, chunks) = survey(&config, 1);
        let mut collected = Collected::nothing(&config);
        for chunk in [&chunks[1], &chunks[0], &chunks[3]] {
            collected.add(chunk).unwrap();
        }
        let go = AtomicBool::new(false);
        let mut again = Vec::new();
        let resumed = run(&config, collected, 2, &go, |chunk| {
            again.push(chunk.number);
            Ok::<(), CallError>(())
        });
        again.sort_unstable();
        assert_eq!(again, [2, 4]);
        assert_eq!(resumed.unwrap(), whole);
    }

    #[test]
    fn an_interrupted_survey_keeps_whole_chunks() {
        let config = config(450, "1/1");
        let stop = AtomicBool::new(false);
        let some = run(&config, Collected::nothing(&config), 1, &stop, |_| {
            stop.store(true, Ordering::Relaxed);
            Ok::<(), CallError>(())
        });
        let some = some.unwrap();
        assert!(!some.complete);
        assert!(some.tally.calls() >= CHUNK && some.tally.calls() % CHUNK == 0);
    }

    #[test]
    fn a_storm_stops_at_its_budget_and_counts_as_none() {
        let toml = "name = \"storm\"\nstacks_a = \"is\"\nstacks_b = \"rtc-ice\"\n[[class]]\n\
                    network = \"nat:apdm/eif\"\nweight = 1\n[call]\npackets = 400\n";
        let config = SurveyConfig {
            population: Population::parse("storm", toml).unwrap(),
            ..config(3, "1/1")
        };
        let (storm, _) = survey(&config, 2);
        assert_eq!(storm.tally.stopped(), 3);
        assert_eq!(storm.tally.share(None).unwrap().count, 3);
        assert_eq!(storm, survey(&config, 1).0);
    }
}
