//! What came out of an experiment that trains networks, in sentences.

use super::columns;
use super::experiment::PARAMETERS;
use super::report::TrainingResults;
use super::row::{self, Row};
use crate::number_text::{axis_number, counted, percent};

/// A lead that the tables, which have one decimal of a percentage, would not show.
const LEVEL: f64 = 0.0005;

/// Most networks that are named one by one behind the best.
const MOST_NAMED: usize = 4;

/// The results in a paragraph: accuracies, how certain their differences are, what the paper reports, and times.
pub(crate) fn paragraph(results: &TrainingResults) -> String {
    let rows = &results.rows;
    let mut sentences = match &results.abscissa {
        Some(abscissa) => along(rows, abscissa),
        None => compared(rows),
    };
    sentences.extend(beside_the_paper(rows));
    sentences.extend(times(rows));
    sentences.join(" ")
}

/// The rows from the most accurate on; of equal ones the first first.
fn ranked(rows: &[Row]) -> Vec<&Row> {
    let mut ranked: Vec<&Row> = rows.iter().collect();
    ranked.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
    ranked
}

fn quoted(row: &Row) -> String {
    format!("“{}”", row.label)
}

/// Joins the parts of an enumeration.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The difference of two shares in percentage points.
fn points(difference: f64) -> String {
    let points = format!("{:.1}", 100.0 * difference);
    format!("{points} {}", if points == "1.0" { "point" } else { "points" })
}

/// The accuracy, with its deviation and the number of seeds behind it.
fn accuracy(row: &Row) -> String {
    format!("{} ({})", columns::accuracy(row), seeds(row))
}

/// The same in a sentence.
fn correct(row: &Row) -> String {
    format!("{} of the test images correctly ({})", columns::accuracy(row), seeds(row))
}

fn seeds(row: &Row) -> String {
    match row.runs.len() {
        1 => "one seed".to_owned(),
        several => counted(several, "seed"),
    }
}

/// The standard error of the difference of two means; none if one seed leaves it unknown.
fn standard_error(a: &Row, b: &Row) -> Option<f64> {
    let squared = |row: &Row| Some(row.accuracy_std?.powi(2) / row.runs.len() as f64);
    Some((squared(a)? + squared(b)?).sqrt())
}

/// What the seeds say about a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Larger,
    Within,
    Unknown,
}

fn verdict(best: &Row, other: &Row) -> Verdict {
    match standard_error(best, other) {
        Some(error) if best.accuracy - other.accuracy > 2.0 * error => Verdict::Larger,
        Some(_) => Verdict::Within,
        None => Verdict::Unknown,
    }
}

/// Networks beside each other: the best, and how far the others are behind.
fn compared(rows: &[Row]) -> Vec<String> {
    let ranked = ranked(rows);
    let Some(&best) = ranked.first() else { return vec![] };
    if ranked.len() == 1 {
        return vec![format!("{} classifies {}.", quoted(best), correct(best))];
    }
    let (level, behind): (Vec<&Row>, Vec<&Row>) =
        ranked.iter().partition(|row| best.accuracy - row.accuracy < LEVEL);
    let mut sentences = Vec::new();
    if let [best] = level[..] {
        sentences.push(format!("The best network is {}: it classifies {}.", quoted(best), correct(best)));
    } else {
        let each: Vec<_> =
            level.iter().map(|row| format!("{} with {}", quoted(row), accuracy(row))).collect();
        let who = if behind.is_empty() { "All networks are" } else { "The best networks are" };
        sentences.push(format!("{who} level: {}.", listed(&each)));
    }
    let leader = if level.len() == 1 { "It".to_owned() } else { quoted(best) };
    for wanted in [Verdict::Larger, Verdict::Within, Verdict::Unknown] {
        let others: Vec<&Row> = behind.iter().copied().filter(|row| verdict(best, row) == wanted).collect();
        if others.is_empty() {
            continue;
        }
        let lead = format!("{leader} leads {}", leads(best, &others));
        let several = others.len() > 1;
        sentences.push(match wanted {
            Verdict::Larger => {
                format!(
                    "{lead}, more than two standard errors of {}.",
                    if several { "each difference" } else { "the difference" }
                )
            }
            Verdict::Within => {
                let lie = if several { "these leads are" } else { "this lead is" };
                format!(
                    "{lead}; {lie} within two standard errors, so chance may explain {}.",
                    if several { "them" } else { "it" }
                )
            }
            Verdict::Unknown => {
                format!(
                    "{lead}; one seed cannot tell whether {} more than chance.",
                    if several { "these leads are" } else { "this lead is" }
                )
            }
        });
    }
    sentences
}

/// Whom `best` leads, and by how much; of many networks the nearest and the farthest.
fn leads(best: &Row, others: &[&Row]) -> String {
    let lead = |row: &Row| points(best.accuracy - row.accuracy);
    match others {
        [nearest, .., farthest] if others.len() > MOST_NAMED => format!(
            "{} other networks by {} ({}) to {} ({})",
            others.len(),
            lead(nearest),
            quoted(nearest),
            lead(farthest),
            quoted(farthest)
        ),
        _ => {
            listed(&others.iter().map(|row| format!("{} by {}", quoted(row), lead(row))).collect::<Vec<_>>())
        }
    }
}

/// Networks along an axis: where each line begins and ends, and the best of all.
fn along(rows: &[Row], abscissa: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    // The number of seeds is said once where it can be.
    let common = rows.first().map(seeds).filter(|common| rows.iter().all(|row| seeds(row) == *common));
    let reached = |row: &Row| if common.is_some() { columns::accuracy(row) } else { accuracy(row) };
    for group in row::groups(rows) {
        let mut members: Vec<(f64, &Row)> = rows
            .iter()
            .filter(|row| row.group == group)
            .filter_map(|row| Some((row.place(abscissa)?, row)))
            .collect();
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |(place, row): &(f64, &Row)| {
            let place = axis_number(*place);
            match abscissa {
                PARAMETERS => format!("{} at {place} parameters", reached(row)),
                _ => format!("{} at {abscissa} = {place}", reached(row)),
            }
        };
        sentences.extend(match &members[..] {
            [] => None,
            [only] => Some(format!("“{group}” reaches {}.", at(only))),
            [first, .., last] => Some(format!("“{group}” goes from {} to {}.", at(first), at(last))),
        });
        let elsewhere = rows.iter().filter(|row| row.group == group && row.place(abscissa).is_none());
        sentences.extend(elsewhere.map(|row| format!("{} reaches {}.", quoted(row), reached(row))));
    }
    if let [best, _, ..] = ranked(rows)[..] {
        sentences.push(format!("The best of all is {} with {}.", quoted(best), reached(best)));
    }
    sentences.extend(common.map(|seeds| format!("Each accuracy is of {seeds}.")));
    sentences
}

/// The paper's figures beside ours. Of a network along an axis, its most accurate point counts.
fn beside_the_paper(rows: &[Row]) -> Vec<String> {
    let mut best: Vec<(&Row, f64)> = Vec::new();
    for row in ranked(rows) {
        let Some(paper) = row.paper_accuracy else { continue };
        if !best.iter().any(|(known, _)| known.group == row.group) {
            best.push((row, paper));
        }
    }
    let sentence = |(row, paper): &(&Row, f64)| {
        let more = row.accuracy - paper;
        let compared = if more.abs() < LEVEL {
            "which it reaches here".to_owned()
        } else {
            format!(
                "it reaches {} here, {} {}",
                percent(row.accuracy),
                points(more.abs()),
                if more > 0.0 { "more" } else { "less" }
            )
        };
        let joint = if more.abs() < LEVEL { ", " } else { "; " };
        format!("The paper reports {} for {}{joint}{compared}.", percent(*paper), quoted(row))
    };
    best.iter().map(sentence).collect()
}

/// Which network is fastest, and how much longer the most accurate one takes.
fn times(rows: &[Row]) -> Option<String> {
    let timed: Vec<&Row> = rows.iter().filter(|row| row.step_ms.is_finite() && row.step_ms > 0.0).collect();
    let fastest = timed.iter().min_by(|a, b| a.step_ms.total_cmp(&b.step_ms))?;
    let best = *ranked(rows).first()?;
    let ms = |row: &Row| format!("{:.1} ms", row.step_ms);
    Some(if rows.len() == 1 {
        format!("A training step takes {}.", ms(fastest))
    } else if fastest.step_ms == best.step_ms {
        format!("{} is also the fastest, with {} a training step.", quoted(best), ms(best))
    } else {
        let longer = best.step_ms / fastest.step_ms;
        let fastest = format!("The fastest is {} with {} a training step", quoted(fastest), ms(fastest));
        match best.step_ms.is_finite() && best.step_ms > 0.0 {
            true if longer < 1.05 => format!("{fastest}; {} takes about as long.", quoted(best)),
            true => format!("{fastest}; {} takes {longer:.1} times as long.", quoted(best)),
            false => format!("{fastest}."),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::trained;
    use super::super::row::tests::{row, variant};
    use super::*;

    fn results(rows: Vec<Row>) -> TrainingResults {
        TrainingResults { rows, ..trained(&[0.5]) }
    }

    /// Networks with these accuracies over their seeds and times of a step.
    fn networks(of: &[(&str, &[f64], f64)]) -> TrainingResults {
        let one = |(label, accuracies, step_ms): &(&str, &[f64], f64)| Row {
            step_ms: *step_ms,
            group: (*label).to_owned(),
            ..row(&variant(label, None), accuracies)
        };
        results(of.iter().map(one).collect())
    }

    #[test]
    fn one_network_has_nothing_beside_it() {
        let words = paragraph(&networks(&[("A", &[0.7], 12.0)]));
        assert_eq!(
            words,
            "“A” classifies 70.0 % of the test images correctly (one seed). A training step takes 12.0 ms."
        );
        let words = paragraph(&networks(&[("A", &[0.7, 0.8], 12.0)]));
        assert!(
            words.starts_with("“A” classifies 75.0 % ± 7.1 of the test images correctly (2 seeds)."),
            "{words}"
        );
        assert_eq!(paragraph(&results(vec![])), "");
    }

    #[test]
    fn leads_are_measured_in_standard_errors() {
        let words = paragraph(&networks(&[
            ("A", &[0.80, 0.82, 0.81], 30.0),
            ("B", &[0.70, 0.71, 0.72], 12.0),
            ("C", &[0.78, 0.82, 0.80], 20.0),
        ]));
        assert_eq!(
            words,
            "The best network is “A”: it classifies 81.0 % ± 1.0 of the test images correctly (3 seeds). It leads “B” by 10.0 points, more \
             than two standard errors of the difference. It leads “C” by 1.0 point; this lead is within two standard \
             errors, so chance may explain it. The fastest is “B” with 12.0 ms a training step; “A” takes 2.5 times \
             as long."
        );
    }

    /// The deviations are 0.01 and the standard error is 0.01·√(2/2): a lead of exactly two is not larger.
    #[test]
    fn two_standard_errors_are_the_bound() {
        let verdict = |mean: f64| {
            let around = |mean: f64| vec![mean - 0.01 / 2_f64.sqrt(), mean + 0.01 / 2_f64.sqrt()];
            let (best, other) =
                (row(&variant("A", None), &around(0.8)), row(&variant("B", None), &around(mean)));
            assert!((standard_error(&best, &other).unwrap() - 0.01).abs() < 1e-12);
            verdict(&best, &other)
        };
        assert_eq!((verdict(0.7799), verdict(0.7801)), (Verdict::Larger, Verdict::Within));
    }

    #[test]
    fn one_seed_cannot_tell() {
        let words = paragraph(&networks(&[("A", &[0.8], 10.0), ("B", &[0.7], 12.0)]));
        assert_eq!(
            words,
            "The best network is “A”: it classifies 80.0 % of the test images correctly (one seed). It leads “B” by 10.0 points; one seed \
             cannot tell whether this lead is more than chance. “A” is also the fastest, with 10.0 ms a training step."
        );
        // One of the two has several seeds.
        let words = paragraph(&networks(&[("A", &[0.8, 0.82], 10.0), ("B", &[0.7], 12.0)]));
        assert!(words.contains("one seed cannot tell"), "{words}");
    }

    #[test]
    fn networks_that_tables_show_alike_are_level() {
        let words = paragraph(&networks(&[("A", &[0.8], 9.0), ("B", &[0.8001], 8.0), ("C", &[0.7], 7.0)]));
        assert!(
            words.starts_with("The best networks are level: “B” with 80.0 % (one seed) and “A” with 80.0 %"),
            "{words}"
        );
        assert!(words.contains("“B” leads “C” by 10.0 points"), "{words}");
        let words = paragraph(&networks(&[("A", &[0.8], 9.0), ("B", &[0.8], 9.0)]));
        assert!(words.starts_with("All networks are level: “A” with 80.0 %"), "{words}");
        assert!(!words.contains("leads") && words.contains("“A” is also the fastest"), "{words}");
        let words = paragraph(&networks(&[("A", &[0.8], 10.2), ("B", &[0.7], 10.0)]));
        assert!(words.ends_with("“B” with 10.0 ms a training step; “A” takes about as long."), "{words}");
    }

    #[test]
    fn of_many_networks_the_nearest_and_the_farthest_are_named() {
        let accuracies = [[0.9], [0.8], [0.7], [0.6], [0.5], [0.4]];
        let labels = ["A", "B", "C", "D", "E", "F"];
        let of: Vec<(&str, &[f64], f64)> =
            labels.iter().zip(&accuracies).map(|(label, accuracy)| (*label, &accuracy[..], 1.0)).collect();
        let words = paragraph(&networks(&of));
        assert!(
            words.contains("It leads 5 other networks by 10.0 points (“B”) to 50.0 points (“F”)"),
            "{words}"
        );
        let words = paragraph(&networks(&of[..4]));
        assert!(words.contains("“B” by 10.0 points, “C” by 20.0 points and “D” by 30.0 points"), "{words}");
    }

    #[test]
    fn the_papers_figure_stands_beside_ours() {
        let words = |accuracy: f64, paper: f64| {
            let mut results = networks(&[("A", &[accuracy], 1.0)]);
            results.rows[0].paper_accuracy = Some(paper);
            paragraph(&results)
        };
        let text = words(0.905, 0.853);
        assert!(
            text.contains("The paper reports 85.3 % for “A”; it reaches 90.5 % here, 5.2 points more."),
            "{text}"
        );
        assert!(words(0.75, 0.853).contains("10.3 points less."));
        assert!(words(0.853, 0.853).contains("for “A”, which it reaches here."));
        assert!(!paragraph(&networks(&[("A", &[0.8], 1.0)])).contains("paper"));
    }

    #[test]
    fn along_an_axis_lines_begin_and_end() {
        let point = |x: Option<f64>, accuracy: f64, label: &str| Row {
            group: "A".to_owned(),
            ..row(&variant(label, x), &[accuracy, accuracy])
        };
        let mut all = results(vec![
            point(Some(262_144.0), 0.7, "A, 2^18"),
            point(Some(4096.0), 0.6, "A, 2^12"),
            point(Some(16_384.0), 0.65, "A, 2^14"),
            point(None, 0.8, "A, all"),
            Row { group: "B".to_owned(), ..point(Some(4096.0), 0.5, "B, 2^12") },
        ]);
        all.abscissa = Some("positions".to_owned());
        let words = paragraph(&all);
        assert!(
            words.starts_with(
                "“A” goes from 60.0 % ± 0.0 at positions = 2^12 to 70.0 % ± 0.0 at positions = 2^18. “A, all” \
                 reaches 80.0 % ± 0.0. “B” reaches 50.0 % ± 0.0 at positions = 2^12. The best of all is “A, all” \
                 with 80.0 % ± 0.0. Each accuracy is of 2 seeds."
            ),
            "{words}"
        );
        all.rows[4] = Row { group: "B".to_owned(), ..row(&variant("B, 2^12", Some(4096.0)), &[0.5]) };
        let words = paragraph(&all);
        assert!(words.contains("“B” reaches 50.0 % (one seed) at") && !words.contains("Each"), "{words}");
        all.abscissa = Some(PARAMETERS.to_owned());
        assert!(paragraph(&all).contains("at 58,000 parameters"), "{}", paragraph(&all));
    }
}
