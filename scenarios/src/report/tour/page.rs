//! The tour as a page: one HTML document that is well-formed XML too, and asks nobody for anything.
//!
//! Style, script and drawings are inside. The script only changes between light and dark; without
//! it the page is as the reader's system is.

use std::fmt::Write as _;

use super::curves::{Curve, curves};
use super::html::{escaped, length};
use super::{Told, Tour, ending};
use crate::call::{PathClass, TurnTransport};
use crate::grouped::grouped;
use crate::histogram::Histogram;
use crate::matrix::Cell;
use crate::report::style::{CLASSES, look};
use crate::report::survey::notes;
use crate::report::text::{percent, range};
use crate::survey::against::{Comparison, Verdict};
use crate::survey::{Interval, Survey, Tally};

/// What a class is called in the page's style.
fn class_name(class: Option<PathClass>) -> &'static str {
    class.map_or("none", PathClass::name)
}

/// A command, as it stands under a figure.
pub(super) fn command(page: &mut String, command: &str) {
    // A line may end between words, and not within an option.
    let words: Vec<String> = command
        .split(' ')
        .map(|word| format!("<span>{}</span>", escaped(word)))
        .collect();
    let _ = writeln!(
        page,
        "<p class=\"command\"><code>{}</code></p>",
        words.join(" ")
    );
}

fn key(page: &mut String) {
    page.push_str("<ul class=\"key\">\n");
    for class in CLASSES {
        let (look, name) = (look(class), class_name(class));
        let _ = writeln!(
            page,
            "<li><b class=\"block {name}\">{}</b> <strong>{}</strong> {}</li>",
            look.letter, look.word, look.meaning
        );
    }
    page.push_str("</ul>\n");
}

/// A part of the page.
struct Section {
    id: &'static str,
    /// As the list of contents has it.
    link: &'static str,
    title: &'static str,
    /// Whether it was run.
    is_there: fn(&Tour) -> bool,
    /// What stands under its title.
    write: fn(&Tour, &mut String),
}

/// The page's parts, in their order.
const SECTIONS: [Section; 7] = [
    Section {
        id: "matrix",
        link: "Matrix",
        title: "Every kind of network against every other",
        is_there: |tour| tour.matrix.is_some(),
        write: Tour::matrix,
    },
    Section {
        id: "shares",
        link: "Shares",
        title: "Of a population’s calls, how many connect how",
        is_there: |tour| !tour.populations.is_empty(),
        write: Tour::shares,
    },
    Section {
        id: "times",
        link: "Times",
        title: "How long it takes",
        is_there: |tour| !tour.populations.is_empty(),
        write: Tour::times,
    },
    Section {
        id: "record",
        link: "The record",
        title: "Against the record",
        is_there: |tour| !tour.populations.is_empty(),
        write: Tour::record,
    },
    Section {
        id: "groups",
        link: "Mesh against SFU",
        title: "A mesh against an SFU",
        is_there: |tour| tour.groups.is_some(),
        write: Tour::groups,
    },
    Section {
        id: "calls",
        link: "Three calls",
        title: "Three calls, packet by packet",
        is_there: |_| true,
        write: Tour::calls,
    },
    Section {
        id: "again",
        link: "Run it again",
        title: "Run it again",
        is_there: |_| true,
        write: Tour::again,
    },
];

impl Tour {
    fn groups(&self, page: &mut String) {
        if let Some(groups) = &self.groups {
            groups.section(page);
        }
    }

    /// The page.
    pub fn page(&self) -> String {
        let mut page = format!(
            "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n\
             <meta charset=\"utf-8\" />\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\" />\n\
             <meta name=\"color-scheme\" content=\"light dark\" />\n\
             <link rel=\"icon\" href=\"data:,\" />\n\
             <title>Pinhole: who connects to whom</title>\n<style>\n{}</style>\n</head>\n<body>\n",
            include_str!("page.css")
        );
        self.header(&mut page);
        page.push_str("<main>\n");
        for section in SECTIONS.iter().filter(|it| (it.is_there)(self)) {
            let _ = writeln!(
                page,
                "<section id=\"{}\">\n<h2>{}</h2>",
                section.id, section.title
            );
            (section.write)(self, &mut page);
            page.push_str("</section>\n");
        }
        let _ = write!(
            page,
            "</main>\n<script>\n{}</script>\n</body>\n</html>\n",
            include_str!("page.js")
        );
        page
    }

    fn header(&self, page: &mut String) {
        page.push_str("<header>\n<h1>Who connects to whom</h1>\n");
        page.push_str(
            "<p class=\"lead\">Calls between endpoints behind NATs and firewalls, made by production \
             ICE stacks on Pinhole’s simulated internet. Everything on this page was counted from \
             packets, and can be run again.</p>\n",
        );
        if let Some(beside) = self.populations.first() {
            let survey = &beside.survey;
            let tile = |class| {
                let share = survey.tally.share(class)?;
                Some(format!(
                    "<li class=\"{}\"><b>{}</b><span>{}</span><small>{}</small></li>\n",
                    class_name(class),
                    percent(share.share),
                    look(class).word,
                    range(&share)
                ))
            };
            let name = escaped(&survey.config.population.name);
            let _ = write!(
                page,
                "<ul class=\"tiles\">\n{}</ul>\n<p class=\"soft\">The population \
                 <code>{name}</code>, {} calls, 95 % intervals. {}</p>\n",
                CLASSES.into_iter().filter_map(tile).collect::<String>(),
                grouped(survey.tally.calls()),
                escaped(&sentence(
                    survey.config.population.basis.as_deref().unwrap_or("")
                ))
            );
        }
        if !self.complete {
            page.push_str(
                "<p class=\"warning\">The run was interrupted: the page has what was run until \
                 then, and the rest is missing.</p>\n",
            );
        }
        page.push_str("<nav>\n");
        for Section { id, link, .. } in SECTIONS.iter().filter(|it| (it.is_there)(self)) {
            let _ = writeln!(page, "<a href=\"#{id}\">{link}</a>");
        }
        page.push_str("</nav>\n</header>\n");
    }

    fn matrix(&self, page: &mut String) {
        let Some((call, matrix)) = &self.matrix else {
            return;
        };
        let [a, b] = call.stacks;
        let _ = writeln!(
            page,
            "<p>One call for each pair: stacks {a} and {b}, TURN over {}. The letter is the path, the \
             number the milliseconds until both sides had the other’s data; the longer it took, the \
             paler the cell.</p>\n<figure>\n<div class=\"scroll\"><table class=\"matrix\">",
            escaped(&call.turn.to_string().replace(',', ", "))
        );
        page.push_str("<thead><tr><td></td>");
        for number in 1..=matrix.kinds.len() {
            let _ = write!(page, "<th scope=\"col\">{number}</th>");
        }
        page.push_str("</tr></thead>\n<tbody>\n");
        for (row, kind) in matrix.kinds.iter().enumerate() {
            let _ = write!(
                page,
                "<tr><th scope=\"row\"><i>{}</i> {}</th>",
                row + 1,
                escaped(&kind.to_string())
            );
            for column in 0..matrix.kinds.len() {
                match matrix.cell(row, column) {
                    Some(made) => cell(page, made),
                    None => page.push_str("<td>·</td>"),
                }
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table></div>\n<figcaption>\n");
        key(page);
        command(page, &self.matrix_command());
        page.push_str("</figcaption>\n</figure>\n");
    }

    fn shares(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<p>{} calls of each population. Marks on a bar are 95 % Wilson intervals of all that is \
             left of them; numbers are those of each part. Each population says what it rests on; the \
             weights are proposals.</p>",
            grouped(self.calls)
        );
        for beside in &self.populations {
            population(page, &beside.survey, &self.survey_command(&beside.survey));
        }
    }

    fn times(&self, page: &mut String) {
        let first = &self.populations[0].survey;
        let name = &first.config.population.name;
        let _ = writeln!(
            page,
            "<p>From the start of the call \
             until both sides had the other’s data, access links included.</p>\n\
             <figure>\n<h3>By path, in <code>{}</code></h3>",
            escaped(name)
        );
        let by_path: Vec<(String, String, &Histogram, u64)> = PathClass::ALL
            .into_iter()
            .map(|class| {
                let times = first.tally.connect_over(class);
                let name = class.name().to_owned();
                (name.clone(), name, times, times.count())
            })
            .filter(|(.., times, _)| times.count() > 0)
            .collect();
        timed(page, "Time to connect, by path", &by_path);
        command(page, &self.survey_command(first));
        page.push_str("</figcaption>\n</figure>\n<figure>\n<h3>By population</h3>\n");
        page.push_str("<p>Of all calls: a curve ends at the share that connects at all.</p>\n");
        let by_population: Vec<(String, String, &Histogram, u64)> = self
            .populations
            .iter()
            .enumerate()
            .map(|(place, beside)| {
                let survey = &beside.survey;
                let tally: &Tally = &survey.tally;
                let name = survey.config.population.name.clone();
                (format!("s{place}"), name, tally.connect(), tally.calls())
            })
            .collect();
        timed(page, "Time to connect, by population", &by_population);
        for beside in &self.populations {
            command(page, &self.survey_command(&beside.survey));
        }
        page.push_str("</figcaption>\n</figure>\n");
    }

    fn record(&self, page: &mut String) {
        page.push_str(
            "<p>What has been published about \
             who connects to whom, and what surveys of the populations modelled on it say. The broad \
             band is the published figure, the thin line with a dot the survey’s interval.</p>\n\
             <figure>\n",
        );
        for beside in self
            .populations
            .iter()
            .filter(|it| !it.comparisons.is_empty())
        {
            let _ = writeln!(
                page,
                "<h3><code>{}</code></h3>",
                escaped(&beside.survey.config.population.name)
            );
            for comparison in &beside.comparisons {
                compared(page, comparison);
            }
        }
        page.push_str("<figcaption>\n");
        command(page, &self.against_command());
        page.push_str("</figcaption>\n</figure>\n");
    }

    fn calls(&self, page: &mut String) {
        page.push_str(
            "<p>Time runs down, every lane is a machine, every arrow a packet; a cross is where one \
             was dropped. Long ladders scroll inside their frame.</p>\n",
        );
        for told in &self.told {
            call(page, told);
        }
    }

    fn again(&self, page: &mut String) {
        let _ = writeln!(
            page,
            "<p>Pinhole {}, seed {}. The same command \
             makes this page again, byte for byte. Two runs with one digest did the same, packet by \
             packet.</p>",
            env!("CARGO_PKG_VERSION"),
            self.seed
        );
        command(page, &self.report_command());
        page.push_str(
            "<div class=\"scroll\"><table class=\"runs\">\n<thead><tr><th>run</th><th>command</th>\
             <th>digest</th></tr></thead>\n<tbody>\n",
        );
        for (run, line, digest) in self.runs() {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td><code>{}</code></td><td><code>{digest}</code></td></tr>",
                escaped(&run),
                escaped(&line)
            );
        }
        page.push_str("</tbody></table></div>\n");
    }
}

/// A cell of the matrix: paler, the later.
fn cell(page: &mut String, cell: &Cell) {
    let outcome = &cell.outcome;
    let class = outcome.path_class();
    let look = look(class);
    let [a, b] = &cell.config.kinds;
    let millis = outcome.connection.map(|it| it.at.as_millis_f64());
    // Full up to 250 ms, a third of the colour from 4 s on.
    let strength = millis.map_or(1.0, |millis| {
        (1.0 - (millis / 250.0).log2() / 6.0).clamp(0.34, 1.0)
    });
    let shown = millis.map_or("–".to_owned(), |millis| format!("{millis:.0}"));
    let _ = write!(
        page,
        "<td class=\"{}\" style=\"--strength:{:.0}%\" title=\"{}\"><b>{}</b><small>{shown}</small></td>",
        class_name(class),
        strength * 100.0,
        escaped(&format!("{a} – {b}: {}", ending(outcome))),
        look.letter,
    );
}

/// A population's shares, as a bar and in numbers.
fn population(page: &mut String, survey: &Survey, again: &str) {
    let (population, tally) = (&survey.config.population, &survey.tally);
    let _ = writeln!(
        page,
        "<figure class=\"population\">\n<h3><code>{}</code></h3>\n<div class=\"bar\">",
        escaped(&population.name)
    );
    let mut so_far = 0;
    let mut marks = String::new();
    for class in CLASSES {
        let Some(share) = tally.share(class) else {
            continue;
        };
        if share.count > 0 {
            let _ = write!(
                page,
                "<span class=\"{}\" style=\"width:{}\" title=\"{} {}\"></span>",
                class_name(class),
                length(share.share),
                look(class).word,
                percent(share.share)
            );
        }
        so_far += share.count;
        let Some(edge) = Interval::wilson(so_far, tally.calls()) else {
            continue;
        };
        // Where nothing is left, or nothing has come yet, there is no boundary to mark.
        if so_far > 0 && so_far < tally.calls() && class.is_some() {
            let _ = write!(
                marks,
                "<i style=\"left:{};width:{}\"></i>",
                length(edge.low),
                length(edge.high - edge.low)
            );
        }
    }
    let _ = writeln!(page, "{marks}</div>\n<ul class=\"numbers\">");
    for class in CLASSES {
        let Some(share) = tally.share(class) else {
            continue;
        };
        let look = look(class);
        let mut over = Vec::new();
        if class == Some(PathClass::Relayed) {
            for transport in TurnTransport::ALL {
                let by = tally.relayed_by(transport).filter(|by| by.count > 0);
                over.extend(by.map(|by| format!("{} {}", transport.name(), percent(by.share))));
            }
        }
        let over = if over.is_empty() {
            String::new()
        } else {
            format!("<small>over {}</small>", over.join(", "))
        };
        let _ = writeln!(
            page,
            "<li><b class=\"block {}\">{}</b> {} <strong>{}</strong> <small>{}</small>{over}</li>",
            class_name(class),
            look.letter,
            look.word,
            percent(share.share),
            range(&share)
        );
    }
    page.push_str("</ul>\n<figcaption>\n");
    if let Some(basis) = &population.basis {
        let _ = writeln!(
            page,
            "<p class=\"soft\">Rests on: {}</p>",
            escaped(&sentence(basis))
        );
    }
    for note in notes(survey) {
        let _ = writeln!(
            page,
            "<p class=\"warning\">{}</p>",
            escaped(&sentence(&note))
        );
    }
    command(page, again);
    page.push_str("</figcaption>\n</figure>\n");
}

/// Curves, and a table that says what they are. Leaves the figure's caption open.
fn timed(page: &mut String, title: &str, lines: &[(String, String, &Histogram, u64)]) {
    let drawn: Vec<Curve<'_>> = lines
        .iter()
        .map(|(class, _, times, of)| Curve {
            class: format!("line {class}"),
            times,
            of: *of,
        })
        .collect();
    page.push_str(&curves(title, &drawn));
    page.push_str(
        "<figcaption>\n<div class=\"scroll\"><table class=\"times\">\n<thead><tr><th></th><th>half</th><th>95 %</th>\
         <th>99 %</th><th>calls</th></tr></thead>\n<tbody>\n",
    );
    for (class, name, times, _) in lines {
        let _ = write!(
            page,
            "<tr><th scope=\"row\"><svg xmlns=\"http://www.w3.org/2000/svg\" class=\"curves sample\" \
             viewBox=\"0 0 34 10\"><path class=\"line {class}\" d=\"M1 5H33\"/></svg> {}</th>",
            escaped(name)
        );
        for share in [0.5, 0.95, 0.99] {
            let at = times.quantile(share);
            let shown = at.map_or("–".to_owned(), |micros| {
                format!("{:.0} ms", micros / 1_000.0)
            });
            let _ = write!(page, "<td>{shown}</td>");
        }
        let _ = writeln!(page, "<td>{}</td></tr>", grouped(times.count()));
    }
    page.push_str("</tbody></table></div>\n");
}

/// Ends of the scales that comparisons are drawn on: the least that holds both is taken.
const SCALES: [f64; 6] = [0.02, 0.05, 0.1, 0.25, 0.5, 1.0];

fn compared(page: &mut String, comparison: &Comparison) {
    let (figure, surveyed) = (comparison.figure, comparison.surveyed);
    let most = figure.high.max(surveyed.high);
    let scale = SCALES.into_iter().find(|end| *end >= most).unwrap_or(1.0);
    let (verdict, words) = match comparison.verdict {
        Verdict::In => ("in", "in"),
        Verdict::Above => ("out", "above"),
        Verdict::Below => ("out", "below"),
    };
    let interval = if surveyed.low == surveyed.high {
        String::new()
    } else {
        format!(" <small>{}</small>", range(&surveyed))
    };
    let at = |share: f64| length((share / scale).clamp(0.0, 1.0));
    let _ = writeln!(
        page,
        "<div class=\"compared\">\n<p><strong>{}</strong> <b class=\"verdict {verdict}\">{words}</b></p>\n\
         <p>surveyed {}{interval} · published {}</p>\n\
         <div class=\"strip\" title=\"from 0 to {:.0} %\"><span style=\"left:{};width:{}\"></span>\
         <i style=\"left:{};width:{}\"></i><b style=\"left:{}\"></b><small>0</small>\
         <small class=\"end\">{:.0} %</small></div>\n<p class=\"soft\">{} — {}</p>",
        escaped(figure.measure.words()),
        percent(surveyed.share),
        escaped(&figure.shown),
        scale * 100.0,
        at(figure.low),
        length((figure.high - figure.low) / scale),
        at(surveyed.low),
        length((surveyed.high - surveyed.low) / scale),
        at(surveyed.share),
        scale * 100.0,
        escaped(&figure.population),
        escaped(&figure.source),
    );
    if let Some(why) = &comparison.explanation {
        let _ = writeln!(
            page,
            "<p class=\"soft\">Why? {}</p>",
            escaped(&sentence(why))
        );
    }
    if let Some(note) = &figure.note {
        let _ = writeln!(page, "<p class=\"soft\">{}</p>", escaped(&sentence(note)));
    }
    page.push_str("</div>\n");
}

fn call(page: &mut String, told: &Told) {
    let class = told.outcome.path_class();
    let _ = writeln!(
        page,
        "<figure class=\"call\">\n<h3>{}</h3>\n<p>{}</p>\n\
         <p><b class=\"block {}\">{}</b> <strong>{}</strong></p>\n\
         <div class=\"scroll\">{}</div>\n<div class=\"scroll frame\" tabindex=\"0\">{}</div>\n\
         <details><summary>What happened, in words</summary>\n<pre>{}</pre>\n</details>\n\
         <figcaption>",
        escaped(told.title),
        escaped(told.look_at),
        class_name(class),
        look(class).letter,
        escaped(&ending(&told.outcome)),
        told.plan,
        told.ladder,
        escaped(&told.story.join("\n")),
    );
    let line = told.command() + " --plan plan.svg --ladder ladder.svg --explain";
    command(page, &line);
    page.push_str("</figcaption>\n</figure>\n");
}

/// A text with a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut out: String = first.to_uppercase().chain(letters).collect();
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_begin_and_end() {
        assert_eq!(sentence("a proposal"), "A proposal.");
        assert_eq!(sentence("Why?"), "Why?");
        assert_eq!(sentence(" "), "");
    }
}
