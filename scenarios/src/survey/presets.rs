//! The populations that come with the program. Each says what it rests on; the weights are proposals.

use super::population::Population;

macro_rules! preset {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../library/populations/", $name, ".toml")),
        )
    };
}
/// Name and text of every preset; the first is the default.
const FILES: [(&str, &str); 8] = [
    preset!("global-2026"),
    preset!("global-2026-v4"),
    preset!("mobile-cgn"),
    preset!("enterprise"),
    preset!("appear-in-2017"),
    preset!("halkes-2011"),
    preset!("google-talk-2006"),
    preset!("notes-70-25-5"),
];

/// The population that is meant where none is named.
pub const DEFAULT: &str = FILES[0].0;

/// The names of all presets.
pub fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).collect()
}

/// The preset of that name.
pub fn named(name: &str) -> Option<Population> {
    let (name, text) = FILES.iter().find(|(known, _)| *known == name)?;
    Some(Population::parse(name, text).expect("presets are tested to be fit to read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_reads_and_says_what_it_rests_on() {
        for name in names() {
            let preset = named(name).unwrap();
            assert_eq!(preset.name, name);
            let basis = preset.basis.as_deref().unwrap_or_default();
            assert!(basis.contains("proposal"), "{name}: {basis}");
            let sum: f64 = preset.classes.iter().map(|class| class.weight).sum();
            assert!((sum - 1.0).abs() < 0.02, "{name}: {sum}");
            let again = Population::parse(name, &preset.to_toml()).unwrap();
            assert_eq!(again, preset);
        }
    }
}
