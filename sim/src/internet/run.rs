//! The loop: events in their order, until a time, a condition, the end, or a spent budget.

use std::time::Duration;

use super::{Internet, Message, Node, What};
use crate::engine::{BudgetExceeded, Entity, Rank};
use crate::host::{Input, Io, Program, ProgramId};
use crate::time::Time;
use crate::trace::Cause;

impl Internet {
    /// Lets everything happen that happens up to and including `limit`, and sets the time to it.
    ///
    /// # Errors
    ///
    /// The budget was spent; what happened until then stands.
    pub fn run_until(&mut self, limit: Time) -> Result<(), BudgetExceeded> {
        while self.queue.next_time().is_some_and(|time| time <= limit) {
            self.step()?;
        }
        self.idle_until(limit)
    }

    /// The same for a span from now.
    ///
    /// # Errors
    ///
    /// The budget was spent; what happened until then stands.
    pub fn run_for(&mut self, span: Duration) -> Result<(), BudgetExceeded> {
        self.run_until(self.now + span)
    }

    /// Lets time pass until `done` says so, or until `limit`. Returns what `done` said last. It is
    /// asked after every event, so it should be quick.
    ///
    /// # Errors
    ///
    /// The budget was spent; what happened until then stands.
    pub fn run_while_not(
        &mut self,
        limit: Time,
        mut done: impl FnMut(&Internet) -> bool,
    ) -> Result<bool, BudgetExceeded> {
        loop {
            if done(self) {
                return Ok(true);
            }
            if self.queue.next_time().is_none_or(|time| time > limit) {
                return self.idle_until(limit).map(|()| false);
            }
            self.step()?;
        }
    }

    /// Lets everything happen that is still to happen. With a program that wakes forever this ends
    /// by the budget only.
    ///
    /// # Errors
    ///
    /// The budget was spent; what happened until then stands.
    pub fn run_to_end(&mut self) -> Result<(), BudgetExceeded> {
        while self.step()? {}
        Ok(())
    }

    /// Nothing happens until `limit`, unless the run has ended: a budget may be spent between two
    /// events too.
    fn idle_until(&mut self, limit: Time) -> Result<(), BudgetExceeded> {
        if let Some(spent) = self.exceeded {
            return Err(spent);
        }
        self.now = self.now.max(limit);
        Ok(())
    }

    /// Lets the next event happen. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// The budget was spent; what happened until then stands.
    pub fn step(&mut self) -> Result<bool, BudgetExceeded> {
        if let Some(spent) = self.exceeded {
            return Err(spent);
        }
        let Some((rank, what)) = self.queue.pop() else {
            return Ok(false);
        };
        if rank.time() > self.budget.time || self.events >= self.budget.events {
            let spent = if rank.time() > self.budget.time {
                BudgetExceeded::Time {
                    limit: self.budget.time,
                }
            } else {
                BudgetExceeded::Events {
                    limit: self.budget.events,
                    at: self.now,
                }
            };
            // The event is still to come: its packet is in flight.
            self.queue.push(rank, what);
            self.exceeded = Some(spent);
            return Err(spent);
        }
        self.events += 1;
        self.now = rank.time();
        self.handle(what);
        match self.exceeded {
            Some(spent) => Err(spent),
            None => Ok(true),
        }
    }

    /// How many events were handled so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn handle(&mut self, what: What) {
        match what {
            What::ArriveFirst(on) => {
                let direction = &mut self.directions[on.index()];
                let (_, slot) = direction
                    .under_way
                    .pop_front()
                    .expect("its event says there is one");
                if let Some((next, _)) = direction.under_way.front() {
                    self.queue.push(*next, What::ArriveFirst(on));
                }
                self.arrive(on, slot);
            }
            What::Arrive(on, slot) => self.arrive(on, slot),
            What::Loopback(host, slot) => self.deliver(host, slot),
            What::GiveUp(host) => self.give_up_fragments(host),
            What::Wake(id) => self.wake(id),
            What::WakeTcp(host, place) => self.wake_tcp(host, place),
            What::WakeGateway(node) => self.wake_gateway(node),
            What::Start(id) => self.start(id),
            What::Fault(place) => self.strike(place),
            What::Deliver(place) => {
                let Message { from, to, content } = self.messages.remove(place);
                self.give(
                    to,
                    Input::Message {
                        from,
                        content: &*content,
                    },
                );
            }
        }
    }

    /// Unless a restart has done it already.
    fn start(&mut self, id: ProgramId) {
        let started = &mut self.programs[id.0 as usize].started;
        if !std::mem::replace(started, true) {
            self.give(id, Input::Start);
        }
    }

    fn wake(&mut self, id: ProgramId) {
        let alarm = &mut self.programs[id.0 as usize].alarm;
        if alarm.queued != Some(self.now) {
            return;
        }
        alarm.queued = None;
        match alarm.wanted {
            Some(wanted) if wanted <= self.now => {
                alarm.wanted = None;
                self.give(id, Input::Wake);
            }
            _ => self.set_alarm(id),
        }
    }

    /// Hands a program an input that is no datagram, and does what it asks.
    pub(super) fn give(&mut self, id: ProgramId, input: Input<'_>) {
        let now = self.now;
        self.with_program(id, |program, io| program.handle_input(now, input, io));
        self.carry_out(id);
    }

    /// Runs `act` on a program. Returns why it rejected the datagram it was handling, if it did.
    pub(super) fn with_program<R>(
        &mut self,
        id: ProgramId,
        act: impl FnOnce(&mut dyn Program, &mut Io<'_>) -> R,
    ) -> (Option<&'static str>, R) {
        let running = &mut self.programs[id.0 as usize];
        let Node::Host(host) = &mut self.nodes[running.host.index()] else {
            unreachable!("programs are attached to hosts only")
        };
        let mut io = Io {
            now: self.now,
            program: id,
            host,
            arena: &mut self.arena,
            outbox: &mut self.outbox,
            posts: &mut self.posts,
            alarm: &mut running.alarm,
            busy: &mut self.tcp_busy,
            sending: &mut running.sending,
            rejected: None,
        };
        let result = act(&mut *running.program, &mut io);
        (io.rejected, result)
    }

    /// Does what a program asked for: sends, posts, sets its alarm.
    pub(super) fn carry_out(&mut self, id: ProgramId) {
        self.do_what_was_asked(id);
        self.settle_tcp();
    }

    /// What was put into the outbox sets out.
    pub(super) fn launch_outbox(&mut self) {
        for place in 0..self.outbox.len() {
            self.launch(self.outbox[place], Cause::Sent);
        }
        self.outbox.clear();
    }

    /// All of that but what its TCP connections have to do.
    pub(super) fn do_what_was_asked(&mut self, id: ProgramId) {
        self.launch_outbox();
        if !self.posts.is_empty() {
            for post in std::mem::take(&mut self.posts) {
                let message = Message {
                    from: id,
                    to: post.to,
                    content: post.content,
                };
                let place = self.messages.insert(message);
                self.schedule(id, self.now + post.after, What::Deliver(place));
            }
        }
        self.set_alarm(id);
    }

    fn set_alarm(&mut self, id: ProgramId) {
        let alarm = &mut self.programs[id.0 as usize].alarm;
        let Some(wanted) = alarm.wanted else { return };
        if alarm.queued.is_none_or(|queued| wanted < queued) {
            alarm.queued = Some(wanted);
            self.schedule(id, wanted, What::Wake(id));
        }
    }

    /// Puts an event of a program's into the queue.
    pub(super) fn schedule(&mut self, id: ProgramId, time: Time, what: What) {
        let counter = &mut self.programs[id.0 as usize].counter;
        *counter += 1;
        self.queue.push(
            Rank::new(time, Entity::program(id.0 as usize), *counter),
            what,
        );
    }
}
