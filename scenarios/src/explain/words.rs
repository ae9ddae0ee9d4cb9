//! Numbers, lists and field terms, as a sentence has them.

use pinhole::{Filtering, Mapping, Time};

/// Ten seconds and more are told in seconds.
const LONG: Time = Time::from_millis(10_000);

/// `244 ms`, `0.5 ms`, `18.95 s`.
pub(super) fn time(time: Time) -> String {
    if time >= LONG {
        let seconds = format!("{:.2}", time.as_millis_f64() / 1000.0);
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        return format!("{seconds} s");
    }
    let millis = format!("{:.1}", time.as_millis_f64());
    format!("{} ms", millis.strip_suffix(".0").unwrap_or(&millis))
}

/// `1 check`, `9 checks`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// `x`, `x and y`, `x, y and z`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// What a mapping behaviour means (RFC 4787 §4.1).
pub(super) const fn mapping(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::EndpointIndependent => {
            "endpoint-independent (eim): one external port for all destinations"
        }
        Mapping::AddressDependent => {
            "address-dependent (adm): another external port for each destination address"
        }
        Mapping::AddressAndPortDependent => {
            "address- and port-dependent (apdm): another external port for each destination address \
             and port"
        }
    }
}

/// What a filtering behaviour means (RFC 4787 §5).
pub(super) const fn filtering(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::EndpointIndependent => "endpoint-independent (eif): anybody may send in",
        Filtering::AddressDependent => {
            "address-dependent (adf): only addresses that were sent to before may send in"
        }
        Filtering::AddressAndPortDependent => {
            "address- and port-dependent (apdf): only addresses and ports that were sent to before may \
             send in"
        }
    }
}

/// Field terms, explained where they come up first.
#[derive(Default)]
pub(super) struct Terms(Vec<&'static str>);

impl Terms {
    /// `term`, with `meaning` behind it the first time.
    pub(super) fn say(&mut self, term: &'static str, meaning: &str) -> String {
        if self.is_new(term) {
            format!("{term}: {meaning}")
        } else {
            term.to_owned()
        }
    }

    /// Whether nobody has asked for this before.
    pub(super) fn is_new(&mut self, term: &'static str) -> bool {
        let new = !self.0.contains(&term);
        if new {
            self.0.push(term);
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        for (millis, told) in [
            (0, "0 ms"),
            (244, "244 ms"),
            (18_950, "18.95 s"),
            (45_000, "45 s"),
        ] {
            assert_eq!(time(Time::from_millis(millis)), told);
        }
        assert_eq!(time(Time::from_nanos(500_000)), "0.5 ms");
    }

    #[test]
    fn a_term_is_explained_once() {
        let mut terms = Terms::default();
        assert_eq!(terms.say("pinhole", "a way in"), "pinhole: a way in");
        assert_eq!(terms.say("pinhole", "a way in"), "pinhole");
    }

    #[test]
    fn lists_read_as_people_speak() {
        let items = |n: usize| vec!["x".to_owned(); n];
        assert_eq!(list(&items(1)), "x");
        assert_eq!(list(&items(2)), "x and x");
        assert_eq!(list(&items(3)), "x, x and x");
        assert_eq!(count(1, "check"), "1 check");
        assert_eq!(count(9, "check"), "9 checks");
    }
}
