//! What a station does because its time has come, and not because a packet has.

use pinhole::{Io, Time};

use super::{LOOK, Station, Work};
use crate::conference::flow::packet;
use crate::overhead;

impl Station {
    /// A leg's time has come: feedback, requests, congestion control.
    pub(super) fn wake_leg(&mut self, now: Time, leg: usize, io: &mut Io<'_>) {
        let mut packet = std::mem::take(&mut self.packet);
        packet.clear();
        let connected = self.legs[leg].connected;
        while connected && self.legs[leg].recorder.write(now, 1, 1, &mut packet) {
            packet::seal(&mut packet);
            self.put(now, leg, &packet, io);
            packet.clear();
        }
        if connected && self.legs[leg].asks_at.is_some_and(|at| at <= now) {
            self.ask(now, leg, &mut packet, io);
        }
        self.packet = packet;
        if let Some(control) = &mut self.legs[leg].control {
            let before = control.controller.target_bps();
            control.controller.handle_timeout(now);
            if control.controller.target_bps() != before {
                self.steer(now, leg);
            }
        }
        self.pump(now, leg, io);
    }

    /// Asks for packets and key frames that a leg's streams lack.
    fn ask(&mut self, now: Time, leg: usize, packet: &mut Vec<u8>, io: &mut Io<'_>) {
        let asking = std::mem::take(&mut self.legs[leg].asking);
        self.legs[leg].asks_at = None;
        let forwards = matches!(self.work, Work::Forwards(_));
        for stream in asking {
            let stream = stream as usize;
            let this = &mut self.legs[leg];
            let (track, layer) = this.into.track(stream);
            self.again.clear();
            let wants_key = this.incoming(stream).ask(now, &mut self.again);
            this.mind(stream);
            if !self.again.is_empty() {
                packet::write_nack(track, layer, &self.again, packet);
                self.put(now, leg, packet, io);
            }
            // A server doesn't decode: viewers tell it what they lack.
            if wants_key && !forwards {
                packet::write_key_request(track, layer, packet);
                self.put(now, leg, packet, io);
            }
        }
    }

    /// Reports on everything that was sent and received of late.
    pub(super) fn report(&mut self, now: Time, io: &mut Io<'_>) {
        let mut packet = std::mem::take(&mut self.packet);
        let mut estimate = None;
        for leg in 0..self.legs.len() {
            let this = &mut self.legs[leg];
            let (sent, mut received) = (this.sent.take(), this.received.take());
            if let Some(control) = &this.control {
                let bps = control.controller.target_bps() as f64;
                *estimate.get_or_insert(0.0) += bps / 1_000.0;
            }
            for _ in 0..sent {
                packet::write_sender_report(&mut packet);
                self.put(now, leg, &packet, io);
            }
            while received > 0 {
                received = packet::write_receiver_report(received, &mut packet);
                self.put(now, leg, &packet, io);
            }
        }
        self.packet = packet;
        if let (Work::Watches(participant), Some(kbps)) = (&self.work, estimate) {
            self.meter.estimated(now, *participant, kbps);
        }
        self.report_at += overhead::REPORT_INTERVAL;
        self.alarms
            .set(self.reports_sleeper(), Some(self.report_at));
    }

    /// A server looks at who speaks and what its legs bear.
    pub(super) fn look(&mut self, now: Time, io: &mut Io<'_>) {
        let mut turn = None;
        let mut starving = Vec::new();
        match &mut self.work {
            Work::Forwards(forwarding) => {
                // What changes by itself.
                if forwarding
                    .poll_timeout(self.looked)
                    .is_some_and(|at| at <= now)
                {
                    forwarding.choose(now, &mut self.orders);
                }
                turn = forwarding.poll_timeout(now);
                forwarding.tick(now, &mut self.orders);
                for (leg, this) in self.legs.iter_mut().enumerate() {
                    if let Some(control) = &mut this.control
                        && this.connected
                    {
                        let kbps = control.controller.target_bps() as f64 / 1_000.0;
                        let starves = forwarding.allocate(now, leg, kbps, &mut self.orders);
                        control.pacer.probe_alone(starves);
                        if starves {
                            starving.push(leg);
                        }
                    }
                }
            }
            Work::Mixes(mixer) => mixer.listen(now),
            Work::Watches(_) => {}
        }
        self.looked = now;
        let next = (now + LOOK).min(turn.unwrap_or(Time::MAX));
        self.look_at = Some(next);
        self.alarms.set(self.reports_sleeper() + 1, Some(next));
        self.carry_out(now, io);
        for leg in starving {
            self.pump(now, leg, io);
        }
    }
}
