//! The table for the README and the terminal.

use super::goal::Goal;
use super::report::{Comparison, MlpShare, Report, RowReport};
use crate::text_table;

const NOTHING: &str = "–";

/// Heads and cells: a line for each comparison, or one for a row without any.
pub(crate) fn cells(report: &Report) -> (Vec<&'static str>, Vec<Vec<String>>) {
    let heads =
        vec!["work", "cfconv", "against", "its time", "ratio", "goal", "reached", "memory", "its memory"];
    let mut lines: Vec<Vec<String>> = report.rows.iter().flat_map(row_lines).collect();
    lines.extend(report.mlp_share.as_ref().map(share_line));
    (heads, lines)
}

fn row_lines(row: &RowReport) -> Vec<Vec<String>> {
    let memory = own_memory(row);
    if row.comparisons.is_empty() {
        let mut line = vec![NOTHING.to_owned(); 9];
        line[0] = row.label.clone();
        line[1] = time(row.ours.median_s);
        line[7] = memory;
        return vec![line];
    }
    let line = |comparison: &Comparison| {
        vec![
            row.label.clone(),
            time(row.ours.median_s),
            comparison.against.clone(),
            time(comparison.theirs.median_s),
            ratio(comparison),
            comparison.goal.map_or(NOTHING.to_owned(), Goal::text),
            comparison.reached.map_or(NOTHING, yes_or_no).to_owned(),
            memory.clone(),
            comparison.theirs.scratch_mib.map_or(NOTHING.to_owned(), mib),
        ]
    };
    row.comparisons.iter().map(line).collect()
}

fn own_memory(row: &RowReport) -> String {
    let measured = row.ours.scratch_mib.map_or(NOTHING.to_owned(), mib);
    match (row.memory_goal_mib, row.memory_reached) {
        (Some(goal), Some(true)) => format!("{measured} (≤ {goal:.0})"),
        (Some(goal), Some(false)) => format!("{measured} (> {goal:.0})"),
        _ => measured,
    }
}

fn share_line(share: &MlpShare) -> Vec<String> {
    vec![
        "kernel network of 2^18 positions, forward and backward".to_owned(),
        format!("{:.0} GFLOP/s", share.mlp_gflops),
        "product of 1,024×1,024 matrices".to_owned(),
        format!("{:.0} GFLOP/s", share.sgemm_gflops),
        format!("{:.0} %", 100.0 * share.share),
        format!("≥ {:.0} %", 100.0 * share.goal),
        yes_or_no(share.reached).to_owned(),
        NOTHING.to_owned(),
        NOTHING.to_owned(),
    ]
}

fn yes_or_no(reached: bool) -> &'static str {
    if reached { "yes" } else { "no" }
}

/// The ratio with its range over the rounds, the way round in which the goal is stated.
fn ratio(comparison: &Comparison) -> String {
    let Comparison { ratio, ratio_min: low, ratio_max: high, .. } = *comparison;
    match comparison.goal {
        Some(Goal::TimeAtMost(_)) => {
            range(1.0 / ratio, 1.0 / high, 1.0 / low, "× its time", comparison.round_ratios.len())
        }
        _ => range(ratio, low, high, "×", comparison.round_ratios.len()),
    }
}

fn range(middle: f64, low: f64, high: f64, unit: &str, rounds: usize) -> String {
    let digits = |value: f64| if value < 9.95 { format!("{value:.2}") } else { format!("{value:.1}") };
    if rounds > 1 {
        format!("{}{unit} ({}–{})", digits(middle), digits(low), digits(high))
    } else {
        format!("{}{unit}", digits(middle))
    }
}

/// Seconds with three digits, in the unit that reads best.
pub(crate) fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (1e6 * s, "µs"),
        s if s < 1.0 => (1e3 * s, "ms"),
        s => (s, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

pub(crate) fn mib(mib: f64) -> String {
    format!("{mib:.0} MiB")
}

/// One line that says what the figures were measured on.
pub(crate) fn origin(report: &Report) -> String {
    let environment = &report.environment;
    let set = report.instruction_set.as_ref().map_or(String::new(), |set| format!(" ({set})"));
    let peer = report.peer.as_ref().map_or("no peer".to_owned(), |peer| format!("PyTorch {}", peer.torch));
    format!(
        "{}{set}, {}, {} of up to {}, commit {}; {peer}.",
        environment.cpu,
        counted(report.threads, "thread"),
        counted(report.rounds as usize, "round"),
        counted(report.steps as usize, "step"),
        environment.commit
    )
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What a reader must know before the figures.
pub(crate) fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.scale == "smoke" {
        warnings.push("Smoke scale: tiny sizes without optimisation. The figures mean nothing.".to_owned());
    }
    if !report.complete {
        warnings
            .push("Interrupted or still running: what is here was measured, the rest is missing.".to_owned());
    }
    if let Some(reason) = &report.without_peer {
        warnings.push(format!("Only cfconv was measured, and nothing was compared with a peer: {reason}"));
    }
    warnings.extend(report.failures.iter().map(|failure| format!("Not measured: {failure}")));
    warnings
}

/// The file `table.md`.
pub(crate) fn markdown(report: &Report) -> String {
    let (heads, lines) = cells(report);
    let warnings: String = warnings(report).iter().map(|warning| format!("> {warning}\n\n")).collect();
    format!("{warnings}{}\n\n{}", origin(report), text_table::markdown(&heads, &lines))
}

/// The table of the terminal.
pub(crate) fn text(report: &Report) -> String {
    let (heads, lines) = cells(report);
    let warnings: String = warnings(report).iter().map(|warning| format!("note: {warning}\n")).collect();
    format!("{}\n{warnings}\n{}", origin(report), text_table::columns(&heads, &lines))
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    #[test]
    fn lines_show_ratio_range_goal_and_memory() {
        let text = markdown(&report());
        let line = text.lines().find(|line| line.contains("PyTorch |")).unwrap();
        for cell in ["layer, 2^18 \\| positions", "1.00 s", "8.00 s", "8.00× (6.00–8.00)", "≥ 7×", "yes"]
        {
            assert!(line.contains(&format!("| {cell} |")), "{cell} in {line}");
        }
        assert!(line.contains("| 10 MiB (≤ 64) | 90 MiB |"), "{line}");
        assert!(text.contains("| 2.00× its time (2.00–3.00) | ≤ 1.3× its time | no |"), "{text}");
        assert!(text.contains("(Avx2), 2 threads, 2 rounds of up to 2 steps"), "{text}");
    }

    #[test]
    fn without_a_peer_the_table_says_so_and_keeps_our_times() {
        let mut alone = report();
        alone.rows[0].comparisons.clear();
        alone.without_peer = Some("there is no Python".to_owned());
        alone.peer = None;
        let text = markdown(&alone);
        assert!(text.starts_with("> Only cfconv was measured"), "{text}");
        assert!(text.contains("there is no Python"), "{text}");
        assert!(text.contains("| 1.00 s | – | – | – | – | – |"), "{text}");
    }

    #[test]
    fn unfinished_and_smoke_reports_are_marked() {
        assert_eq!(warnings(&report()), [""; 0]);
        let smoke = Report { scale: "smoke".to_owned(), complete: false, ..report() };
        assert_eq!(warnings(&smoke).len(), 2);
    }

    #[test]
    fn times_have_three_digits() {
        let times = [4.2e-7, 0.00123, 0.0456, 0.789, 1.5, 12.34].map(time);
        assert_eq!(times, ["0.42 µs", "1.23 ms", "45.6 ms", "789 ms", "1.50 s", "12.3 s"]);
    }
}
