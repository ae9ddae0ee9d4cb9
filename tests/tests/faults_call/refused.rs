//! What can't go wrong with a call, and what the error says of it.

use pinhole_scenarios::call::CallError;

use super::*;

#[test]
fn what_cannot_go_wrong_is_refused_with_its_time() {
    for (fault, told) in [
        (
            reboot("a.nta", None),
            "a fault at 10000.000 ms: no node is called \"a.nta\"; there are internet, a.nat, a, b.nat, b, stun",
        ),
        (
            CallFault::Flush { node: name("b") },
            "a fault at 10000.000 ms: \"b\" is a host; only a NAT can lose its mappings",
        ),
        (
            CallFault::LinkDown {
                link: ends("a", "b"),
            },
            "a fault at 10000.000 ms: no link joins \"a\" and \"b\"",
        ),
        (
            CallFault::Roam {
                host: name("a"),
                to: name("b.nat"),
            },
            "a fault at 10000.000 ms: no link joins \"a\" and \"b.nat\"",
        ),
        (
            CallFault::Restart { node: name("a") },
            "a fault at 10000.000 ms: \"a\" runs nothing that can be restarted; attach its program as a service",
        ),
        (
            reboot("a.nat", Some("203.0.113.2")),
            "a fault at 10000.000 ms: 203.0.113.2 is used twice in one network: by \"a.nat\" and by \"b.nat\"",
        ),
    ] {
        let mut caller = Caller::new();
        let call = caller.call(&config(HOMES, Is, &[(STRIKES, fault)]));
        let Err(error @ CallError::Fault { .. }) = call else {
            panic!("refused: {told}")
        };
        assert_eq!(error.to_string(), told);
    }
}
