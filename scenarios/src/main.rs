//! The binary `pinhole`.
use pinhole::topology::Kind;
use pinhole_scenarios::call::*;

fn main() {
    let mut caller = Caller::new();
    for a in Kind::all() {
        for b in Kind::all() {
            let mut config = CallConfig::new(a.clone(), b.clone());
            if std::env::args().len() > 1 {
                config.turn = TurnOffer::OFF;
            }
            let call = caller.call(&config).unwrap();
            match call.outcome.connection {
                Some(c) => print!("{:>10}/{:<4.0}", c.path_class.name(), c.at.as_millis_f64()),
                None => print!(
                    "{:>10}/{:<4.0}",
                    "-",
                    call.outcome.failed_at.map_or(0.0, |t| t.as_millis_f64())
                ),
            }
        }
        println!("  {a}");
    }
}
